"""A measured value with its confidence interval and notes; checks that metrics share."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganforge.errors import DataError

NINETY_FIVE = 1.959964  # half-width of a normal 95 % interval, in standard errors


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % interval, where the metric has one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    better: str = "lower"
    """`lower` or `higher`: which direction is better."""
    notes: tuple[str, ...] = ()


def normal_estimate(
    name: str, value: float, error: float, better: str = "lower", notes: tuple[str, ...] = ()
) -> Estimate:
    """An estimate with the normal 95 % interval of the standard error `error`."""
    return Estimate(name, value, value - NINETY_FIVE * error, value + NINETY_FIVE * error, better, notes)


def check_features(features: Tensor, whose: str, least: int = 2) -> Tensor:
    """Features (N, D) in float64, in which metrics compute.

    Raises:
        DataError: fewer than `least`, another shape, or numbers that are not finite.
    """
    if features.ndim != 2:
        raise DataError(f"The features of {whose} have shape {tuple(features.shape)}; metrics take (N, D).")
    if len(features) < least:
        raise DataError(f"There are only {len(features)} of {whose}, and this metric needs at least {least}: use more.")
    broken = (~features.isfinite()).any(1).nonzero().flatten()
    if len(broken):
        raise DataError(
            f"The features of {len(broken)} of {len(features)} of {whose} are not finite, the first of image "
            f"{int(broken[0])}: check whether that image holds NaN, or whether the extractor's weights are damaged."
        )
    return features.to(torch.float64)


def check_same_width(real: Tensor, fake: Tensor) -> None:
    """Raise DataError where two sides have features of different width."""
    if real.shape[1] != fake.shape[1]:
        raise DataError(
            f"The real features have {real.shape[1]} numbers and the generated {fake.shape[1]}: "
            "use one extractor for both sides."
        )
