"""COLUMNS is the one declaration of a column: loader, example batches and errors read it."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from ganforge.batches import COLUMNS, Batch, Column, Facts, Instances, Paired, Unpaired
from ganforge.data.dataset import DataSet, describe_missing_columns
from ganforge.data.loader import BatchLoader
from ganforge.errors import ContractError, DataError
from ganforge.run import Run


@dataclass(frozen=True)
class Deep(Batch):
    """Images, each with a depth map: a batch of a user's own file."""

    images: Tensor
    depth: Tensor


@pytest.fixture
def depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLUMNS, "depth", Column("image", layout="a folder depth/ beside the images, the same names"))


@pytest.mark.usefixtures("depth")
def test_a_column_of_a_user_is_one_line():
    facts, pixels = Facts(3, 4, 4), np.arange(5 * 4 * 4 * 3, dtype=np.uint8).reshape(5, 4, 4, 3)
    data = DataSet("own", facts, {"images": pixels, "depth": pixels[:, :, ::-1]})
    assert data.image_columns == ("images", "depth")
    batch = BatchLoader(data, Deep, Run(batch=5, flip=True)).batch(0)
    assert isinstance(batch, Deep)
    assert torch.equal(batch.images.flip(3), batch.depth)  # one mirror for all columns of a side
    assert Deep.example(2, facts).depth.shape == (2, 3, 4, 4)
    with pytest.raises(DataError, match=r"needs depth, but own .*depth: a folder depth/ beside the images"):
        BatchLoader(DataSet("own", facts, {"images": pixels}), Deep, Run())


def test_an_undeclared_column_says_how_to_declare_it():
    with pytest.raises(ContractError, match=r"COLUMNS\['depth'\] = Column"):
        Deep.example(2, Facts())


def test_every_missing_layout_is_named_once():
    assert describe_missing_columns(Paired.columns(), ()).count("two folders with the same names") == 1
    assert describe_missing_columns(("target",), ()).startswith("target: two folders with the same names")
    ways = describe_missing_columns(Instances.columns(), ()).split("; ")
    assert [way.partition(":")[0] for way in ways] == ["a", "a_masks"]


@pytest.mark.parametrize("batch", [Paired, Unpaired, Instances])
def test_columns_of_a_side_belong_together(batch: type[Batch]):
    sides = {name: COLUMNS[name].side for name in batch.columns()}
    assert all(side == name[:1] or not side for name, side in sides.items())
