"""A search for settings: what may be chosen, the trials, their table."""
