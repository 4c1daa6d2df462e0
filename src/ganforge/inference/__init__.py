"""Use trained runs: load, sample, translate, show."""
