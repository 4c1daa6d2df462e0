"""Network blocks and losses that several models share."""
