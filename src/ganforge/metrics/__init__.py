"""Metrics, one per file; they import neither the engine nor the command line.

A file that ends in `METRIC = Metric(...)` can be requested by its name; catalogue.py finds it, metric.py says what a
declaration holds, inputs.py what an evaluation hands to a metric.  extractors/ turns images into feature vectors.
"""
