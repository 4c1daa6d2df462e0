"""One layout of files a file."""
