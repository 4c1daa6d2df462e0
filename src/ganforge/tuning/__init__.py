"""Hyperparameter search: the search space, the trials, their table."""
