"""The blur equals torch's convolutions in all of its forms, with gradients of gradients."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.nn.blur import Blur, make_matrix, multiply

Form = Callable[[Blur, Tensor], Tensor]
FORMS: dict[str, tuple[Form, Form]] = {
    "same": (
        lambda blur, x: blur(x, 2, 3.0),
        lambda blur, x: F.conv2d(x, blur.weight(x, 3.0), padding=2, groups=x.shape[1]),
    ),
    "reduce": (
        lambda blur, x: blur.reduce(x),
        lambda blur, x: F.conv2d(x, blur.weight(x, 1.0), stride=2, padding=1, groups=x.shape[1]),
    ),
    "enlarge": (
        lambda blur, x: blur.enlarge(x),
        lambda blur, x: F.conv_transpose2d(x, blur.weight(x, 4.0), stride=2, padding=1, groups=x.shape[1]),
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sides", [(6, 8), (7, 5)])
def test_it_equals_convolutions_in_both_derivatives(form: str, sides: tuple[int, int]):
    blur, (own, plain) = Blur().double(), FORMS[form]
    x = torch.randn(2, 3, *sides, dtype=torch.float64, requires_grad=True)
    results = []
    for make in (own, plain):
        made = make(blur, x)
        (slope,) = torch.autograd.grad(made.sin().sum(), x, create_graph=True)
        results.append((made, slope, *torch.autograd.grad(slope.square().sum(), x)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        torch.testing.assert_close(own(blur, x), results[1][0])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_products_with_matrices_are_the_same_filter(layout: torch.memory_format):
    """The form that a GPU uses."""
    blur, x = Blur(), torch.randn(2, 3, 7, 6).to(memory_format=layout)
    pairs = ((7, 4), (6, 4))
    made = multiply(x, *(make_matrix(blur.taps, *pair, 2, 2, x.dtype, x.device) for pair in pairs))
    expected = F.conv2d(x, blur.weight(x, 1.0), stride=2, padding=2, groups=3)
    torch.testing.assert_close(made, expected)
    assert made.is_contiguous(memory_format=layout)


def test_transposed_matrices_double():
    """The form of `enlarge` that a GPU uses; the matrices may have been made where nothing is trained."""
    blur, x = Blur(), torch.randn(2, 3, 5, 4, requires_grad=True)
    with torch.inference_mode():
        pairs = [make_matrix(blur.taps, 2 * side, side, 2, 1, x.dtype, x.device) for side in (5, 4)]
    made = 4 * multiply(x, *(matrix.T for matrix in pairs))
    torch.testing.assert_close(made, blur.enlarge(x))
    made.sum().backward()


@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 2, 2, 1)])
def test_doubling_in_bf16_is_the_transposed_filter(taps: tuple[int, ...]):
    """Bilinear doubling of images framed by zeros stands in for it, for the first taps alone."""
    blur, x = Blur(taps), torch.randn(2, 3, 5, 4).bfloat16()
    expected = F.conv_transpose2d(x.float(), blur.weight(x.float(), 4.0), stride=2, padding=1, groups=3)
    torch.testing.assert_close(blur.enlarge(x).float(), expected, rtol=0.02, atol=0.02)


def test_autocast_computes_as_in_a_convolution():
    with torch.autocast("cpu", torch.bfloat16):
        assert Blur()(torch.randn(1, 2, 4, 4, requires_grad=True), 1).dtype == torch.bfloat16
