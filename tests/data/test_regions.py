"""Instance maps are numbered alike in training and in translation."""

import numpy as np
import pytest

from ganforge.data.regions import MOST, number_instances
from ganforge.errors import DataError
from ganforge.images import LabelMap


def test_instances_are_numbered_in_the_order_of_their_values_or_colours():
    numbers = np.random.default_rng(0).integers(0, 3, (6, 8))
    values, colours = np.array([5, 700, 60_000], np.uint16), np.array([[0, 0, 9], [0, 1, 0], [2, 0, 0]], np.uint8)
    for pixels in (values[numbers], colours[numbers]):
        assert np.array_equal(number_instances(LabelMap(pixels, None), "a.png"), numbers)


def test_a_photograph_is_no_instance_map():
    photograph = np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8)
    assert len(np.unique(photograph.reshape(-1, 3), axis=0)) > MOST
    with pytest.raises(DataError, match=r"a\.png has 6,\d{3} values, and is no map of instances"):
        number_instances(LabelMap(photograph, None), "a.png")
