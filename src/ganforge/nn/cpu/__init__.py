"""Layers that compute the same as PyTorch's layers, but faster on a CPU."""
