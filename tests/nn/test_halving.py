"""Chains of convolutions end with one pixel."""

import pytest
import torch

from ganforge.nn.halving import count_halvings, halve, halving_convs


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 16, 17])
@pytest.mark.parametrize("first", [1, 2])
def test_a_chain_halves_a_map_to_one_pixel(side: int, first: int):
    times = count_halvings(side)
    assert halve(side, times) == 1
    assert side <= 2 or halve(side, times - 1) > 1
    convs = halving_convs(3, 4, 5, times, first)
    assert convs(torch.zeros(1, 3, side, side)).shape == (1, 5, 1, 1)
    assert len(convs) == 2 * (times + (first == 1))
