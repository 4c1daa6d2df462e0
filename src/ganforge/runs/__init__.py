"""A run on the disk: its folder and its checkpoints."""
