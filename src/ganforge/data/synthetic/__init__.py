"""Synthetic data sets, drawn by the program."""
