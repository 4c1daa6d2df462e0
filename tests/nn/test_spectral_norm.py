"""Spectral normalisation, met by torch's own: weights, vectors, outputs and gradients, in both memory layouts."""

import pytest
import torch
from torch import nn
from torch.nn.utils import spectral_norm

from ganforge.nn.spectral_norm import SpectralNormConv2d


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("kernel", "stride", "bias"), [(3, 1, True), (4, 2, False), (1, 1, False)])
def test_three_steps_of_training_and_one_of_evaluation_are_those_of_torch(
    layout: torch.memory_format, kernel: int, stride: int, bias: bool
):
    torch.manual_seed(0)
    ours = SpectralNormConv2d(6, 5, kernel, stride=stride, padding=1, bias=bias)
    plain = nn.Conv2d(6, 5, kernel, stride, 1, bias=bias)
    plain.load_state_dict({name: value for name, value in ours.state_dict().items() if name not in "uv"})
    theirs = spectral_norm(plain)
    theirs.weight_u.copy_(ours.u)  # pyright: ignore
    theirs.weight_v.copy_(ours.v)  # pyright: ignore
    ours.to(memory_format=layout)  # pyright: ignore
    for step in range(4):
        ours.train(step < 3), theirs.train(step < 3)
        images = torch.randn(2, 6, 9, 8)
        losses = [layer(images).square().sum() for layer in (ours, theirs)]
        torch.testing.assert_close(*losses)
        weight = theirs.get_parameter("weight_orig")
        slopes = [torch.autograd.grad(loss, w)[0] for loss, w in zip(losses, (ours.weight, weight), strict=True)]
        torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours.u, theirs.get_buffer("weight_u"))
        torch.testing.assert_close(ours.v, theirs.get_buffer("weight_v"))
        with torch.no_grad():
            ours.weight.mul_(0.9).add_(0.01), weight.mul_(0.9).add_(0.01)


def test_vectors_rest_in_evaluation():
    layer = SpectralNormConv2d(3, 4, 3).eval()
    before = layer.u.clone()
    layer(torch.randn(1, 3, 5, 5))
    assert torch.equal(before, layer.u)
    layer.train()(torch.randn(1, 3, 5, 5))
    assert not torch.equal(before, layer.u)


def test_two_calls_can_be_differentiated_together():
    layer, images = SpectralNormConv2d(3, 4, 3), torch.randn(2, 3, 5, 5)
    (layer(images).mean() - layer(-images).mean()).backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.isfinite().all()
