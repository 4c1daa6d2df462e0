"""Images in the squares of a sheet."""

import numpy as np
import pytest

from ganforge.data.contact_sheet import PAPER, draw_cell, place_in_cell, shrink


@pytest.mark.parametrize(
    ("shape", "place"),
    [((16, 8), (32, 16, 4, 12)), ((40, 20), (40, 20, 0, 10)), ((80, 20), (40, 10, 0, 15)), ((1, 400), (1, 40, 19, 0))],
)
def test_an_image_is_repeated_a_whole_number_of_times_or_reduced(shape: tuple[int, int], place: tuple[int, ...]):
    assert place_in_cell(shape, 40) == place
    image = np.random.default_rng(0).integers(0, 200, (*shape, 1)).astype(np.uint8)
    cell, (high, wide, top, left) = draw_cell(image, 40), place
    outside = np.ones((40, 40), bool)
    outside[top : top + high, left : left + wide] = False
    assert (cell[outside] == PAPER).all()
    assert np.array_equal(draw_cell(shrink(image, 40), 40), cell)
    if shape == (16, 8):
        assert np.array_equal(cell[top : top + high : 2, left : left + wide : 2, :1], image)
