"""Evaluation: runs, image folders and arrays scored against data; comparison of several; checkpoint selection."""
