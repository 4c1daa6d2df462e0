"""Label maps stored as images."""

import numpy as np
import pytest

from ganforge.data.synthetic.domains import PALETTE
from ganforge.errors import DataError
from ganforge.metrics.label_colours import colours_to_classes, find_colours, fit_label_maps


def test_classes_come_back_from_their_colours():
    maps = np.random.default_rng(0).integers(0, len(PALETTE), (5, 9, 7))
    colours = find_colours(PALETTE[maps])
    assert {*map(tuple, colours.tolist())} == {*map(tuple, PALETTE.tolist())}
    indices = colours_to_classes(PALETTE[maps], colours)
    assert (colours[indices] == PALETTE[maps]).all()
    assert len(np.unique(indices)) == len(PALETTE)
    assert (colours_to_classes(PALETTE[maps], PALETTE) == maps).all()  # a palette in any order


def test_grey_label_maps_have_colours_too():
    maps = np.array([[[[0], [7]], [[255], [7]]]], np.uint8)
    colours = find_colours(maps)
    assert colours.tolist() == [[0], [7], [255]]
    assert colours_to_classes(maps, colours).tolist() == [[[0, 1], [2, 1]]]


def test_photographs_are_no_label_maps():
    photos = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="no label maps: they have 512 colours"):
        find_colours(photos)


def test_an_unknown_colour_is_named():
    with pytest.raises(DataError, match=r"\(1, 2, 3\)"):
        colours_to_classes(np.array([[[[1, 2, 3]]]], np.uint8), PALETTE)


def test_maps_are_resized_without_mixing():
    maps = np.arange(16).reshape(1, 4, 4)
    assert fit_label_maps(maps, (4, 4)).tolist() == maps.tolist()
    assert fit_label_maps(maps, (2, 2)).tolist() == [[[5, 7], [13, 15]]]
    assert fit_label_maps(maps, (2, 4)).tolist() == maps[:, 1:3].tolist()
    assert fit_label_maps(maps, (8, 8)).tolist() == maps.repeat(2, 1).repeat(2, 2).tolist()
