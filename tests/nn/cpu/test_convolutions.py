"""Every cheaper layer equals the plain formula it stands for: forward, backward and twice backward."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.nn.cpu.convolutions import (
    DoublingConv2d,
    Dropout,
    FlattenLast,
    HalvingConv2d,
    SameConv2d,
    ThinConv2d,
    TransposedConv,
    UnflattenLast,
    UpConv2d,
)


def up(x: Tensor, layer: nn.Conv2d) -> Tensor:
    return F.conv2d(F.interpolate(x, scale_factor=2.0), layer.weight, layer.bias, padding=1)


def plain(x: Tensor, layer: nn.Conv2d) -> Tensor:
    return F.conv2d(x, layer.weight, layer.bias, padding=1)


def keras(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """Keras pads so that ceil(side / stride) results come out, the odd line at the end."""
    lines = [max((-(-n // layer.stride[0]) - 1) * layer.stride[0] + layer.kernel_size[0] - n, 0) for n in x.shape[2:]]
    (top, left), (bottom, right) = (n // 2 for n in lines), (n - n // 2 for n in lines)
    return F.conv2d(F.pad(x, (left, right, top, bottom)), layer.weight, layer.bias, layer.stride)


CASES = [
    (lambda: UpConv2d(3, 5), up),
    (lambda: UpConv2d(4, 2, bias=False), up),
    (lambda: ThinConv2d(6, 1), plain),
    (lambda: ThinConv2d(5, 3, bias=False), plain),
    (lambda: SameConv2d(3, 4, 3, 2), keras),
    (lambda: SameConv2d(1, 2, 5, 2, bias=False), keras),
    (lambda: SameConv2d(3, 4, 3, 1), keras),
    (lambda: SameConv2d(2, 2, 4, 3), keras),
]
CASES += [
    (lambda: HalvingConv2d(3, 5), lambda x, layer: F.conv2d(x, layer.weight, layer.bias, 2, 1)),
    (lambda: HalvingConv2d(3, 4, bias=False), lambda x, layer: F.conv2d(x, layer.weight, None, 2, 1)),
    (lambda: DoublingConv2d(3, 5), lambda x, layer: F.conv_transpose2d(x, layer.weight, layer.bias, 2, 1)),
    (lambda: DoublingConv2d(4, 1, bias=False), lambda x, layer: F.conv_transpose2d(x, layer.weight, None, 2, 1)),
]
SIZES = [(8, 8), (7, 7), (5, 12), (2, 3)]


def inputs(layer: nn.Conv2d, size: tuple[int, int]) -> list[Tensor]:
    x = torch.randn(2, layer.in_channels, *size, dtype=torch.float64, requires_grad=True)
    return [x, *layer.parameters()]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("make", "formula"), CASES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_layer_equals_its_formula_through_two_derivatives(make, formula, size, layout):
    torch.manual_seed(0)
    layer = make().double().to(memory_format=layout)
    leaves = inputs(layer, size)
    leaves[0].data = leaves[0].data.contiguous(memory_format=layout)

    def derivatives(result: Tensor) -> list[Tensor]:
        first = torch.autograd.grad(result.sin().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)
        return [result, *first, *second]

    for ours, theirs in zip(derivatives(layer(leaves[0])), derivatives(formula(leaves[0], layer)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("make", "formula"), CASES)
def test_single_precision_and_bf16_stay_within_their_rounding(make, formula):
    torch.manual_seed(0)
    layer = make()
    x = torch.randn(2, layer.in_channels, 9, 14)
    torch.testing.assert_close(layer(x), formula(x, layer), rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layer(x)
    torch.testing.assert_close(rounded.float(), formula(x, layer), rtol=0.05, atol=0.05)
    (slope,) = torch.autograd.grad(rounded.float().sum(), layer.weight)
    (exact,) = torch.autograd.grad(formula(x, layer).sum(), layer.weight)
    torch.testing.assert_close(slope, exact, rtol=0.05, atol=0.5)


def test_spreading_equals_a_transposed_convolution_through_two_derivatives():
    torch.manual_seed(0)
    sizes = [(2, 3, 4, 5), (3, 4, 4, 4), (4,)]
    x, weight, bias = (torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes)
    assert torch.equal(TransposedConv.apply(x, weight, bias), F.conv_transpose2d(x, weight, bias, stride=2, padding=1))
    for three in ((x, weight, bias), (x, weight, None)):
        assert torch.autograd.gradcheck(TransposedConv.apply, three)
        assert torch.autograd.gradgradcheck(TransposedConv.apply, three)


@pytest.mark.parametrize("tiles", [False, True])
def test_enlarging_takes_either_form_in_bf16(tiles, monkeypatch):
    monkeypatch.setattr("ganforge.nn.cpu.convolutions.uses_amx", lambda _: tiles)
    test_single_precision_and_bf16_stay_within_their_rounding(*CASES[0])


@pytest.mark.parametrize(("make", "_"), CASES)
def test_state_dicts_are_those_of_a_plain_convolution(make, _):
    layer = make()
    plain = nn.ConvTranspose2d if isinstance(layer, nn.ConvTranspose2d) else nn.Conv2d
    twin = plain(layer.in_channels, layer.out_channels, layer.kernel_size, bias=layer.bias is not None)
    twin.load_state_dict(layer.state_dict())
    assert layer.weight.shape == twin.weight.shape


def test_rows_become_images_and_rows_again_in_the_order_of_keras():
    row = torch.arange(2 * 3 * 5 * 4.0).view(2, -1)
    picture = UnflattenLast(4, 3, 5)(row)
    assert torch.equal(picture[1, :, 2, 3], row[1].view(3, 5, 4)[2, 3])
    assert picture.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(FlattenLast()(picture), row)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("p", "dtype"), [(0.25, torch.float32), (0.5, torch.float32), (0.75, torch.bfloat16)])
def test_dropout_keeps_its_share_and_scales_it(p, dtype, layout):
    torch.manual_seed(0)
    x = torch.ones(7, 11, 61, 43, dtype=dtype).contiguous(memory_format=layout).requires_grad_()
    y = Dropout(p)(x)
    assert set(y.unique().tolist()) == {0.0, torch.tensor(1 / (1 - p), dtype=dtype).item()}
    assert abs((y > 0).float().mean().item() - (1 - p)) < 5 * (p * (1 - p) / x.numel()) ** 0.5
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slope, y)


def test_every_byte_of_a_draw_is_fair():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(8 * 20_000)) > 0).view(-1, 8).float()
    assert (kept.mean(0) - 0.5).abs().max() < 5 * 0.5 / 20_000**0.5
    assert (torch.corrcoef(kept.T) - torch.eye(8)).abs().max() < 5 / 20_000**0.5


def test_dropout_follows_the_generator_and_never_repeats():
    layer, x = Dropout(0.25), torch.ones(3, 5)
    torch.manual_seed(3)
    first, second = layer(x), layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


def test_dropout_rests_in_evaluation():
    x = torch.randn(4, 4)
    assert torch.equal(Dropout(0.25).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any()


def test_dropout_takes_views_and_odd_numbers_of_elements():
    x = torch.ones(5, 7, 3)[:, ::2].transpose(0, 2)
    assert Dropout(0.5)(x).shape == x.shape
    assert Dropout(0.5)(torch.ones(0)).numel() == 0


def test_a_probability_that_bytes_cannot_draw_is_refused_with_its_neighbour():
    with pytest.raises(ModelError, match=r"cannot drop 0\.3.*0\.30078125"):
        Dropout(0.3)


@pytest.mark.parametrize("make", [HalvingConv2d, DoublingConv2d])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_few_pixels_take_the_short_way_to_the_same_numbers(make, precision, layout):
    torch.manual_seed(0)
    layer = make(8, 6).to(memory_format=layout)
    plainly = super(make, layer).forward
    for side in (2, 4, 16, 32):  # short for the first three, with one image
        x = torch.randn(1, 8, side, side).to(memory_format=layout)
        with torch.autocast("cpu", torch.bfloat16, precision == "bf16"):
            ours, theirs = layer(x), plainly(x)
        assert ours.is_contiguous(memory_format=layout)
        torch.testing.assert_close(ours, theirs, **({"rtol": 0.02, "atol": 0.02} if precision == "bf16" else {}))
