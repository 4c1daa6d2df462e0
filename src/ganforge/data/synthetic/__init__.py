"""The embedded worlds, drawn by the program."""
