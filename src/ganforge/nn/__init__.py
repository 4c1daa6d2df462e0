"""Blocks with a second user."""
