"""Other people's checkpoints in, exchange formats out."""
