"""The theory of GANs, computed and drawn."""
