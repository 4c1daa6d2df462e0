"""Vectors as planes beside maps."""

import torch

from ganforge.nn.conditions import tile


def test_vectors_stand_at_every_place_in_the_type_of_the_maps():
    vectors, maps = torch.randn(2, 3), torch.zeros(2, 5, 4, 6, dtype=torch.bfloat16)
    planes = tile(vectors, maps)
    assert planes.shape == (2, 3, 4, 6)
    assert planes.dtype == torch.bfloat16
    assert torch.equal(planes, vectors.bfloat16()[:, :, None, None].repeat(1, 1, 4, 6))
