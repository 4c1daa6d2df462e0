"""Pictures against the truth that belongs to each of them."""

from torch import Tensor

from ganforge.errors import DataError

ENDS = (-1.0, 1.0)  # the darkest and the brightest value that a picture of this house can hold


def matched(made: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64, after a look at them.

    Raises DataError unless both are (N, C, H, W) of one shape, with one picture at least and finite.
    """
    if made.shape != true.shape or made.ndim != 4:
        raise DataError(
            f"Pictures {tuple(made.shape)} cannot be held against {tuple(true.shape)}: each needs a truth of its own, "
            "with the same channels and sides, (N, C, H, W)."
        )
    if not len(made):
        raise DataError("There is no picture to be held against its truth.")
    for name, pictures in (("pictures", made), ("truth", true)):
        if not pictures.isfinite().all():
            raise DataError(f"The {name} hold NaN or infinite values, which nothing can be measured against.")
    return made.double(), true.double()


def l1(made: Tensor, true: Tensor) -> Tensor:
    """(N,): mean absolute difference of each picture from its truth, in the pictures' own units."""
    made, true = matched(made, true)
    return (made - true).abs().flatten(1).mean(1)
