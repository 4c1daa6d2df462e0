"""What a measure says: a figure, how sure it is, and what a person should know about it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganforge.errors import DataError

NINETY_FIVE = 1.959964  # standard errors on either side that a normal figure stays within, 95 times in 100


@dataclass(frozen=True)
class Estimate:
    """A measured number with the interval that holds it 95 times in 100, where the measure has one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    better: str = "lower"
    """`lower` or `higher`: which way is an improvement."""
    notes: tuple[str, ...] = ()


def around(name: str, value: float, error: float, better: str = "lower", notes: tuple[str, ...] = ()) -> Estimate:
    """A figure with a normal interval of the standard error `error`."""
    return Estimate(name, value, value - NINETY_FIVE * error, value + NINETY_FIVE * error, better, notes)


def checked(features: Tensor, whose: str, least: int = 2) -> Tensor:
    """Features (N, D) in float64, as the measures compute.

    Raises:
        DataError: fewer than `least`, another shape, or numbers that are not finite.
    """
    if features.ndim != 2:
        raise DataError(f"The features of {whose} have shape {tuple(features.shape)}; measures take (N, D).")
    if len(features) < least:
        raise DataError(
            f"There are only {len(features)} of {whose}, and this measure needs at least {least}: take more."
        )
    broken = (~features.isfinite()).any(1).nonzero().flatten()
    if len(broken):
        raise DataError(
            f"The features of {len(broken)} of {len(features)} of {whose} are not finite, the first of picture "
            f"{int(broken[0])}: look whether that picture holds NaN, or whether the extractor's weights are damaged."
        )
    return features.to(torch.float64)


def same_width(real: Tensor, fake: Tensor) -> None:
    """Raise DataError where two sides were read by different extractors."""
    if real.shape[1] != fake.shape[1]:
        raise DataError(
            f"The real features have {real.shape[1]} numbers and the generated {fake.shape[1]}: "
            "read both sides with one extractor."
        )
