"""A paper's tables, played again: an experiment is a file of data, and one engine plays them all."""
