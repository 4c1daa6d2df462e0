"""Plan a run, train it, resume it."""
