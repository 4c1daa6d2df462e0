"""Batches of two-sided data: pairs share rows and windows, unpaired sides are independent."""

from dataclasses import replace

import numpy as np
import torch

from ganforge.batches import Facts, Instances, Paired, Unpaired
from ganforge.data.dataset import DataSet
from ganforge.data.loader import BatchLoader
from ganforge.engine import Engine
from tests.support.toys import RUN, Config, Translating, make_loader
from tests.test_catalogue import facts_of, translated


def marked(**columns: tuple[int, int]) -> DataSet:
    """Columns (rows, channels) of 12 x 12 images whose pixels encode row and place."""
    place = np.arange(144, dtype=np.uint8).reshape(12, 12, 1)
    made = {
        name: np.stack([np.concatenate([place] * (c - 1) + [np.full_like(place, 20 * row)], 2) for row in range(n)])
        for name, (n, c) in columns.items()
    }
    return DataSet("marked", Facts(3, 8, 8, source_channels=2), made)


JITTER = replace(RUN, batch=6, crop=True, flip=True)


def test_a_pair_has_one_window_and_one_flip():
    pairs = BatchLoader(marked(source=(10, 2), target=(10, 3)), Paired, JITTER)
    windows = set()
    for number in range(5):
        batch = pairs.batch(number)
        assert torch.equal(batch.source[:, 0], batch.target[:, 0])  # the same place
        assert torch.equal(batch.source[:, -1], batch.target[:, -1])  # of the same row
        windows |= {tuple(row[0, [0, -1]].tolist()) for row in batch.source[:, 0]}
    assert len(windows) > 5


def test_unpaired_sides_have_independent_orders_windows_and_lengths():
    sides = BatchLoader(marked(a=(10, 2), b=(7, 2)), Unpaired, JITTER)
    assert sides.count == 10
    batches = [sides.batch(number) for number in range(35)]  # 21 epochs of a, 30 of b
    rows = {side: torch.cat([getattr(batch, side)[:, -1, 0, 0] for batch in batches]) for side in ("a", "b")}
    for side, length in (("a", 10), ("b", 7)):
        epochs = rows[side].view(-1, length)
        assert (epochs.sort(1).values == epochs[0].sort().values).all()  # every row once an epoch
        assert len({tuple(epoch.tolist()) for epoch in epochs}) > 10  # in another order each time
    places = {side: torch.cat([getattr(batch, side)[:, 0, 0, 0] for batch in batches]) for side in ("a", "b")}
    assert (places["a"] != places["b"]).float().mean() > 0.8
    share = sides.batch(3, 1, 2)
    assert torch.equal(share.b, sides.batch(3).b[3:])


def test_masks_go_with_their_images():
    masks = marked(a=(10, 2), a_masks=(10, 2), b=(7, 2), b_masks=(7, 3))
    masks = replace(masks, facts=replace(masks.facts, instances=3))
    batch = BatchLoader(masks, Instances, JITTER).batch(0)
    assert batch.a_masks.shape == (6, 3, 8, 8)
    assert batch.b_masks.shape == (6, 3, 8, 8)
    for pictures, seen in ((batch.a, batch.a_masks), (batch.b, batch.b_masks)):
        assert torch.equal(seen[:, 0], (pictures[:, 0] * 127.5 + 127.5 > 127.75).float())


def test_a_translator_plays_and_answers_row_by_row():
    facts = facts_of(replace(RUN, size=(8,)), Paired)
    assert (facts.source_channels, facts.channels) == (1, 3)
    game = Engine(Translating(Config(), facts), RUN, make_loader(RUN, facts, Paired)).train()
    whole, parts = translated(game, 0, 5), [translated(game, 0, 2), translated(game, 2, 3)]
    torch.testing.assert_close(torch.cat(parts), whole)
