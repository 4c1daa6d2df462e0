"""Convolutions by tiles equal plain ones: results, derivatives, and derivatives of derivatives."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.nn.cpu import winograd
from ganforge.nn.cpu.winograd import Tiling, WinogradConv2d

LAYERS = [(3, 1, "zeros", True), (3, 1, "reflect", False), (3, 0, "zeros", True), (4, 1, "zeros", False)]


@pytest.fixture
def always(monkeypatch) -> None:
    """Tiles for every size."""
    monkeypatch.setattr(winograd, "is_faster", lambda *_: True)


def made(kernel: int, padding: int, mode, bias: bool, layout=torch.contiguous_format) -> WinogradConv2d:
    torch.manual_seed(0)
    return WinogradConv2d(3, 5, kernel, padding, bias, mode).double().to(memory_format=layout)


def plainly(layer: nn.Conv2d, x: Tensor) -> Tensor:
    return nn.Conv2d.forward(layer, x)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(8, 8), (4, 4), (5, 13), (9, 6)])
@pytest.mark.parametrize("settings", LAYERS)
def test_tiles_give_the_results_and_derivatives_of_the_plain_formula(always, settings, size, layout):
    layer = made(*settings, layout)
    x = torch.randn(2, 3, *size, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    leaves = [x, *layer.parameters()]
    for ours, theirs in zip(
        (layer(x), *torch.autograd.grad(layer(x).sin().sum(), leaves)),
        (plainly(layer, x), *torch.autograd.grad(plainly(layer, x).sin().sum(), leaves)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    assert layer(x).is_contiguous(memory_format=layout)


@pytest.mark.parametrize("settings", LAYERS)
def test_a_gradient_penalty_has_gradients_of_weights_and_images(always, settings):
    layer = made(*settings)
    x = torch.randn(2, 3, 8, 7, dtype=torch.float64, requires_grad=True)

    def penalty(result: Tensor) -> list[Tensor]:
        (slope,) = torch.autograd.grad(result.sin().sum(), x, create_graph=True)
        return list(torch.autograd.grad(slope.square().sum(), [x, *layer.parameters()]))

    for ours, theirs in zip(penalty(layer(x)), penalty(plainly(layer, x)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_what_does_not_move_is_not_differentiated(always, monkeypatch):
    """A player's move hands its own parameters to `backward(inputs=...)`: the judge's must cost nothing."""
    asked = []
    monkeypatch.setattr(Tiling, "kernels_back", lambda *_: asked.append(1))
    layer, x = made(3, 1, "zeros", True), torch.randn(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    layer(x).sum().backward(inputs=[x])
    assert not asked
    assert x.grad is not None


@pytest.mark.parametrize("kernel", [3, 4])
def test_single_precision_errs_by_a_few_millionths(always, kernel):
    torch.manual_seed(0)
    layer, x = WinogradConv2d(256, 64, kernel), torch.randn(1, 256, 34, 34)
    exact = F.conv2d(x.double(), layer.weight.double(), layer.bias.double())
    assert ((layer(x) - exact).square().mean() / exact.square().mean()).sqrt() < 4e-6


def test_tiles_wait_for_wide_layers_many_results_and_full_precision():
    wide, weight = torch.empty(2, 256, 32, 32), torch.empty(256, 256, 3, 3)
    assert winograd.is_faster(wide, weight, 1)
    assert not winograd.is_faster(wide[:, :64], weight[:, :64], 1)
    assert not winograd.is_faster(wide[:1, :, :16, :16], weight, 1)
    assert not winograd.is_faster(wide, torch.empty(256, 256, 5, 5), 2)
    assert not winograd.is_faster(wide.bfloat16(), weight, 1)
    assert not winograd.is_faster(wide.to("meta"), weight, 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert not winograd.is_faster(wide, weight, 1)


def test_who_only_looks_first_leaves_nothing_that_stops_a_training(always):
    winograd.maps.cache_clear()
    layer, x = made(3, 1, "zeros", True), torch.randn(1, 3, 8, 8, dtype=torch.float64)
    with torch.inference_mode():
        layer(x)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(layer(x).sin().sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert layer.weight.grad is not None
