"""Use a trained run: load, sample, translate, show."""
