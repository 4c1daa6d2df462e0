"""Sample-adaptive convolutions: two forms of one formula."""

import time

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.models.gigagan.adaptive import AdaptiveConv2d


def example(bank: int, side: int = 5, batch: int = 3, channels: tuple[int, int] = (4, 6)) -> list[Tensor]:
    """x, style, choice."""
    source = torch.Generator().manual_seed(bank)
    shapes = [(batch, channels[0], side, side), (batch, channels[0]), (batch, bank)]
    return [torch.randn(*shape, generator=source).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize(("bank", "kernel"), [(1, 3), (2, 3), (5, 3), (1, 1), (3, 1)])
def test_both_forms_are_the_plain_formula(bank: int, kernel: int, demodulate: bool):
    """An image at a time: mix the kernels, scale the inputs, divide by the norms, convolve."""
    torch.manual_seed(0)
    layer = AdaptiveConv2d(4, 6, kernel, bank, demodulate)
    x, style, choice = example(bank)
    shares = choice.softmax(1)
    expected = []
    for row in range(len(x)):
        own = (layer.weight.unflatten(0, (bank, 6)) * shares[row].view(-1, 1, 1, 1, 1)).sum(0)
        own = own * (1 + style[row]).view(1, -1, 1, 1)
        if demodulate:
            own = own / own.square().sum((1, 2, 3), keepdim=True).sqrt()
        expected.append(F.conv2d(x[row : row + 1], own, padding=kernel // 2))
    made = [form(x, 1 + style, shares) for form in (layer.convolve_grouped, layer.convolve_bank)]
    weights = [layer.weight, x, style]
    cotangent = torch.randn(expected[0].shape)
    slopes = [torch.autograd.grad((y * cotangent).sum(), weights) for y in (torch.cat(expected), *made)]
    for y, gradients in zip(made, slopes[1:], strict=True):
        torch.testing.assert_close(y, torch.cat(expected), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(gradients, slopes[0], rtol=1e-3, atol=1e-4)


def test_the_choice_selects_a_kernel():
    layer = AdaptiveConv2d(4, 6, 3, 3)
    x, style, _ = example(3)
    for chosen in range(3):
        choice = 1e4 * F.one_hot(torch.full((3,), chosen), 3)
        alone = AdaptiveConv2d(4, 6, 3, 1)
        alone.weight.data = layer.weight.data.unflatten(0, (3, 6))[chosen]
        torch.testing.assert_close(layer(x, style, choice.float()), alone(x, style), rtol=1e-4, atol=1e-5)


def test_several_copies_of_a_batch_share_styles():
    layer = AdaptiveConv2d(4, 6, 3, 2)
    x, style, choice = example(2)
    both = layer(torch.cat([x, 2 * x]), style, choice)
    torch.testing.assert_close(both[:3], layer(x, style, choice), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(both[3:], 2 * both[:3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("side", "bank"), [(4, 4), (8, 2), (4, 8), (16, 1)])
def test_the_form_for_small_images_is_chosen(side: int, bank: int):
    layer = AdaptiveConv2d(4, 6, 3, bank)
    assert layer.has_small_images(torch.zeros(1, 4, side, side))
    assert not AdaptiveConv2d(4, 6, 3, 4).has_small_images(torch.zeros(1, 4, 32, 32))


@pytest.mark.quality
@pytest.mark.parametrize(("side", "bank", "channels"), [(4, 2, 64), (4, 4, 96), (8, 2, 64), (16, 1, 64), (16, 4, 32)])
def test_it_is_never_slower_than_the_grouped_form(side: int, bank: int, channels: int):
    layer = AdaptiveConv2d(channels, channels, 3, bank)
    x, style, choice = example(bank, side, 16, (channels, channels))
    forms = {
        "own": lambda: layer(x, style, choice if bank > 1 else None),
        "grouped": lambda: layer.convolve_grouped(x, 1 + style, choice.softmax(1)),
    }
    times = dict.fromkeys(forms, float("inf"))
    for _ in range(30):
        for name, form in forms.items():
            start = time.perf_counter()
            form().sum().backward()
            times[name] = min(times[name], time.perf_counter() - start)
    print({name: f"{1000 * seconds:.1f} ms" for name, seconds in times.items()})
    assert times["own"] <= 1.05 * times["grouped"]  # equal where both are the grouped form
