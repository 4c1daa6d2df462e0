"""Sampling at places equals torch's, and may be differentiated as often as one likes."""

import torch
import torch.nn.functional as F

from ganforge.nn.grid_sampling import sample_bilinear

IMAGES, GRID = torch.randn(2, 3, 5, 4, dtype=torch.float64), torch.rand(2, 6, 7, 2, dtype=torch.float64) * 2.4 - 1.2


def test_it_equals_torch_with_its_gradient():
    images, others = (IMAGES.clone().requires_grad_() for _ in range(2))
    made, expected = sample_bilinear(images, GRID), F.grid_sample(others, GRID, align_corners=False)
    assert torch.equal(made, expected)
    gradients = [torch.autograd.grad(x.sin().sum(), given)[0] for x, given in ((made, images), (expected, others))]
    assert torch.equal(*gradients)


def test_gradients_have_gradients():
    images = IMAGES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: sample_bilinear(x, GRID), images)
    assert torch.autograd.gradgradcheck(lambda x: sample_bilinear(x, GRID), images)
