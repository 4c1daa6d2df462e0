"""Sizes that networks of strided convolutions can make."""

import pytest

from ganforge.errors import ModelError
from ganforge.nn.sizes import halve_sides, list_near


@pytest.mark.parametrize("sides", [(100, 100), (9, 9), (64, 100), (100, 64), (720, 1280), (1000, 50), (3, 3)])
def test_a_size_that_cannot_be_made_is_refused_with_those_that_can(sides: tuple[int, int]):
    with pytest.raises(ModelError, match=f"Near are --size {list_near(*sides)[0]}, "):
        halve_sides(*sides)
    for words in list_near(*sides):
        near = [int(word) for word in words.split()]
        assert len(near) == len(set(sides))
        assert (near[0] < near[-1]) == (sides[0] < sides[1])
        halve_sides(near[0], near[-1])


def test_sides_are_halved_to_four_to_seven_pixels():
    assert halve_sides(64, 96) == ((4, 6), 4)
    assert halve_sides(28, 28) == ((7, 7), 2)
