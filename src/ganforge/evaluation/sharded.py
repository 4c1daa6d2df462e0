"""Several processes under torchrun judge together: each looks at its share of the pictures, and all know the whole.

Pictures follow from their number, so a share is the same whoever draws it: the figures are those of one process, to
the rounding of floats (a network's batches fall elsewhere).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict

import torch
from torch import Tensor

from ganforge import distributed
from ganforge.console import watched
from ganforge.evaluation.image_sets import ImageSet
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.extractors.base import Extractor, Features, reading


def together(count: int, part: Callable[[int, int], Tensor]) -> Tensor:
    """`part(0, count)`, rows of which each process has made a share.

    Raises ProcessError when one of them has ended.
    """
    if distributed.world() == 1 or count < distributed.world():
        return part(0, count)
    start, stop = (count * (distributed.rank() + k) // distributed.world() for k in (0, 1))
    own = part(start, stop)
    whole = own.new_zeros(count, *own.shape[1:])
    whole[start:stop] = own
    distributed.add_up(whole)  # exact: all others have added nought
    return whole


def seen_together(eyes: Extractor, pictures: ImageSet, size: int) -> Features:
    """What an extractor sees in pictures, `size` at a time.  Raises as `reading` does."""
    width, told = 0, False

    def part(start: int, stop: int) -> Tensor:
        nonlocal width, told
        batches = pictures.batches(size, start, stop)
        seen = reading(eyes, shown(batches, -(-(stop - start) // size), f"Looking at {pictures.name}"), start)
        width, told = seen.features.shape[1], seen.logits is not None
        return seen.features if seen.logits is None else torch.cat([seen.features, seen.logits], 1)

    whole = together(pictures.count, part)
    return Features(whole[:, :width], whole[:, width:] if told else None)


def shown(batches: Iterator[Tensor], total: int, what: str) -> Iterator[Tensor]:
    """Batches as they go by; of several processes the first has the bar."""
    return batches if distributed.rank() else watched(batches, total, what)


def by_first(make: Callable[[], tuple[Estimate, ...]]) -> tuple[Estimate, ...]:
    """Figures that the first process makes, in all of them."""
    if distributed.world() == 1:
        return make()
    plain = json.loads(distributed.from_first(lambda: json.dumps([asdict(figure) for figure in make()])))
    return tuple(Estimate(**{**figure, "notes": tuple(figure["notes"])}) for figure in plain)
