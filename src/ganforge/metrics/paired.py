"""Images against their own targets."""

from torch import Tensor

from ganforge.errors import DataError

ENDS = (-1.0, 1.0)  # the least and the largest value of an image tensor in GANForge


def check_pair(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64, checked.

    Raises DataError unless both are (N, C, H, W) of one shape, with at least one image, and finite.
    """
    if output.shape != target.shape or output.ndim != 4:
        raise DataError(
            f"Images {tuple(output.shape)} cannot be compared with {tuple(target.shape)}: each needs its own target, "
            "with the same channels, height and width, (N, C, H, W)."
        )
    if not len(output):
        raise DataError("There is no image to compare with its target.")
    for name, images in (("images", output), ("targets", target)):
        if not images.isfinite().all():
            raise DataError(f"The {name} hold NaN or infinite values, which cannot be compared.")
    return output.double(), target.double()
