"""Reproduction of a paper's tables: an experiment is a YAML file, and one runner trains and evaluates all of them."""
