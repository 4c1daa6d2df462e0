"""Evaluation in several processes under torchrun: each computes its shard, and all receive the whole.

Images depend on their index alone, so a shard is the same in any process: the metrics are those of one process, to
floating-point rounding (batch boundaries differ).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict

import torch
from torch import Tensor

from ganforge import distributed
from ganforge.console import track
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.extractors.base import Extractor, Features, extract_features
from ganforge.metrics.image_set import ImageSet


def compute_sharded(count: int, part: Callable[[int, int], Tensor]) -> Tensor:
    """`part(0, count)`, of which each process computes a shard of the rows.

    Raises ProcessError when a process has ended.
    """
    if distributed.world_size() == 1 or count < distributed.world_size():
        return part(0, count)
    start, stop = (count * (distributed.rank() + k) // distributed.world_size() for k in (0, 1))
    own = part(start, stop)
    whole = own.new_zeros(count, *own.shape[1:])
    whole[start:stop] = own
    distributed.all_reduce(whole)  # exact: all other summands are zero
    return whole


def extract_sharded(extractor: Extractor, images: ImageSet, size: int) -> Features:
    """Features of all images, in batches of `size`.  Raises as `extract_features` does."""
    width, has_logits = 0, False

    def part(start: int, stop: int) -> Tensor:
        nonlocal width, has_logits
        batches = images.batches(size, start, stop)
        result = extract_features(
            extractor, show_progress(batches, -(-(stop - start) // size), f"Features of {images.name}"), start
        )
        width, has_logits = result.features.shape[1], result.logits is not None
        return result.features if result.logits is None else torch.cat([result.features, result.logits], 1)

    whole = compute_sharded(images.count, part)
    return Features(whole[:, :width], whole[:, width:] if has_logits else None)


def show_progress(batches: Iterator[Tensor], total: int, what: str) -> Iterator[Tensor]:
    """The batches, with a progress bar in the first process."""
    return batches if distributed.rank() else track(batches, total, what)


def compute_on_first(make: Callable[[], tuple[Estimate, ...]]) -> tuple[Estimate, ...]:
    """The estimates that `make` computes in the first process, in all processes."""
    if distributed.world_size() == 1:
        return make()
    plain = json.loads(distributed.broadcast_text(lambda: json.dumps([asdict(figure) for figure in make()])))
    return tuple(Estimate(**{**figure, "notes": tuple(figure["notes"])}) for figure in plain)
