"""Feature extractors: networks that map images to the vectors that metrics compare."""
