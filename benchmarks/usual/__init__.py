"""The same maths the usual way: the loops that tutorials and one-file repositories have, written anew."""
