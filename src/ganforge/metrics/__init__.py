"""Measures of pictures, one a file.  They know neither the engine nor the command line.

features.py, and one file each: pixels, classifier, inception, dinov2, clip     pictures -> vectors
fid, kid, inception_score, prdc, cmmd, modes                                   vectors -> figures
"""
