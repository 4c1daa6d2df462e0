"""Label maps as pictures show them."""

import numpy as np
import pytest

from ganforge.data.synthetic.domains import PALETTE
from ganforge.errors import DataError
from ganforge.metrics.label_colours import classes, colours_of, fitted


def test_classes_come_back_from_their_colours():
    drawn = np.random.default_rng(0).integers(0, len(PALETTE), (5, 9, 7))
    colours = colours_of(PALETTE[drawn])
    assert {*map(tuple, colours.tolist())} == {*map(tuple, PALETTE.tolist())}
    found = classes(PALETTE[drawn], colours)
    assert (colours[found] == PALETTE[drawn]).all()
    assert len(np.unique(found)) == len(PALETTE)
    assert (classes(PALETTE[drawn], PALETTE) == drawn).all()  # a palette in any order


def test_grey_label_maps_have_colours_too():
    maps = np.array([[[[0], [7]], [[255], [7]]]], np.uint8)
    colours = colours_of(maps)
    assert colours.tolist() == [[0], [7], [255]]
    assert classes(maps, colours).tolist() == [[[0, 1], [2, 1]]]


def test_photographs_are_no_label_maps():
    photos = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    with pytest.raises(DataError, match="no label maps: they hold 512 colours"):
        colours_of(photos)


def test_a_strange_colour_is_named():
    with pytest.raises(DataError, match=r"\(1, 2, 3\)"):
        classes(np.array([[[[1, 2, 3]]]], np.uint8), PALETTE)


def test_maps_are_fitted_without_mixing():
    maps = np.arange(16).reshape(1, 4, 4)
    assert fitted(maps, (4, 4)).tolist() == maps.tolist()
    assert fitted(maps, (2, 2)).tolist() == [[[5, 7], [13, 15]]]
    assert fitted(maps, (2, 4)).tolist() == maps[:, 1:3].tolist()
    assert fitted(maps, (8, 8)).tolist() == maps.repeat(2, 1).repeat(2, 2).tolist()
