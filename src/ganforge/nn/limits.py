"""The limits of images, which descents may pass."""

from torch import Tensor


def limit(images: Tensor) -> Tensor:
    """Images cut to [-1, 1], whose gradient passes as if they were not cut, so that a descent comes back inside."""
    cut = images.clamp(-1, 1)
    return cut.detach() + (images - images.detach()) if images.requires_grad else cut
