"""Data sets and batches from files, archives and synthetic data."""
