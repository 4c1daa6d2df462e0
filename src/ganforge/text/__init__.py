"""Sentences as tokens: tokenisers, and the one door to pretrained text encoders."""
