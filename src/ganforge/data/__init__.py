"""From files, archives and the embedded world to batches."""
