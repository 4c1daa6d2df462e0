"""Is this GAN any good, and which one is better?  Runs, folders and arrays of pictures against data."""
