"""Masks in their boxes, and a norm that reads them: each equals its definition."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.models.lostgan.layouts import LayoutNorm, MaskRegression, box_masks, place_masks, to_corners, to_inside
from ganforge.nn.spectral_norm import SpectralNormConv2d, SpectralNormEmbedding, SpectralNormLinear


def layout(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Boxes (2, 3, 4) of corners and labels (2, 3), the last of no object."""
    ends = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(seed)).sort(2).values
    return ends.flatten(2), torch.tensor([[1, 2, 0], [3, 1, 0]])


@pytest.mark.parametrize("align_corners", [True, False])
def test_a_placed_mask_is_a_sampled_grid(align_corners: bool):
    boxes = to_inside(*layout())
    masks = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    pixels = torch.linspace(0, 1, 12)
    x, y = (2 * (pixels - boxes[..., axis, None]) / boxes[..., axis + 2, None] - 1 for axis in (0, 1))
    grid = torch.stack(torch.broadcast_tensors(x[..., None, :], y[..., :, None]), -1).flatten(0, 1)
    expected = F.grid_sample(masks.flatten(0, 1)[:, None], grid, align_corners=align_corners)
    torch.testing.assert_close(place_masks(masks, boxes, 12, align_corners).flatten(0, 1), expected[:, 0])


def test_boxes_are_converted_and_never_changed():
    boxes, labels = layout()
    before = boxes.clone()
    inside = to_inside(boxes, labels)
    torch.testing.assert_close(to_corners(inside)[labels > 0], boxes[labels > 0])
    inside += 1
    assert torch.equal(boxes, before)


def test_no_object_covers_nothing_whatever_its_box_is():
    boxes, labels = layout()
    boxes[:, 2] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    inside = to_inside(boxes, labels)
    assert place_masks(torch.ones(2, 3, 16, 16), inside, 32)[:, 2].sum() == 0
    assert box_masks(inside, 32)[:, 2].sum() == 0
    assert box_masks(inside, 32)[:, :2].sum() > 0


def test_a_box_without_area_makes_no_nan():
    boxes = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [0.5, 0.2, 0.5, 0.9]]])
    placed = place_masks(torch.ones(1, 2, 16, 16), to_inside(boxes, torch.ones(1, 2, dtype=torch.int64)), 32)
    assert placed.isfinite().all()


def test_a_norm_has_each_objects_weights_where_the_object_is():
    torch.manual_seed(0)
    norm, x, codes, masks = LayoutNorm(4, 6), torch.randn(2, 4, 8, 8), torch.randn(2, 3, 6), torch.rand(2, 3, 8, 8)
    norm.eval()  # the spectral norms rest
    weights, biases = (read(codes)[..., None, None] for read in (norm.weight, norm.bias))  # (N, M, C, 1, 1)
    total = masks[:, :, None].sum(1) + 1e-6
    weight, bias = ((masks[:, :, None] * each).sum(1) / total for each in (weights, biases))
    torch.testing.assert_close(norm(x, codes, masks), norm.norm(x) * (weight + 1) + bias)


def test_a_norm_resizes_the_layout_and_is_plain_where_nothing_lies():
    norm, x, codes = LayoutNorm(4, 6).eval(), torch.randn(2, 4, 8, 8), torch.randn(2, 3, 6)
    masks = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(norm(x, codes, masks), norm(x, codes, F.interpolate(masks, (8, 8), mode="bilinear")))
    torch.testing.assert_close(norm(x, codes, torch.zeros(2, 3, 8, 8)), norm.norm(x))


@pytest.mark.parametrize("version", [1, 2])
def test_a_mask_depends_on_its_own_code_alone(version: int):
    network = MaskRegression(6, version, 8).eval()  # pyright: ignore[reportArgumentType]
    codes = torch.randn(2, 3, 6)
    masks = network(codes)
    assert masks.shape == (2, 3, 16, 16)
    assert 0 <= masks.min() < masks.max() <= 1
    other = codes.clone()
    other[0, 1] += 1
    changed = (network(other) - masks).abs().amax((2, 3)) > 1e-6
    assert changed.tolist() == [[False, True, False], [False, False, False]]


# -- spectral norms ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "shape"),
    [
        (SpectralNormLinear(6, 4), nn.Linear(6, 4), (3, 6)),
        (SpectralNormConv2d(3, 4, 3), nn.Conv2d(3, 4, 3, padding=1), (2, 3, 5, 5)),
        (SpectralNormEmbedding(6, 4), nn.Embedding(6, 4), ()),
    ],
    ids=["linear", "conv", "embedding"],
)
def test_spectral_norms_are_torchs_with_vectors_that_rest_in_evaluation(
    ours: nn.Module, theirs: nn.Module, shape: tuple[int, ...]
):
    theirs = nn.utils.spectral_norm(theirs)
    state = theirs.state_dict()
    renamed = {"weight_orig": "weight", "weight_u": "u", "weight_v": "v"}
    ours.load_state_dict({renamed.get(key, key): value for key, value in state.items()})
    given = torch.randn(shape) if shape else torch.tensor([[0, 5], [2, 2]])
    for mode in (True, True, False, False):
        ours.train(mode)
        theirs.train(mode)
        torch.testing.assert_close(ours(given), theirs(given))
    torch.testing.assert_close(ours.get_buffer("u"), theirs.get_buffer("weight_u"))
    before = ours.get_buffer("u").clone()
    ours(given)
    assert torch.equal(ours.get_buffer("u"), before)


def test_gradients_of_two_calls_use_the_vectors_of_each():
    """Torch's own form keeps them, too: an update in place would spoil the first call's graph."""
    torch.manual_seed(0)
    layer, x = SpectralNormLinear(6, 4), torch.randn(3, 6)
    first = layer(x).square().sum()
    vectors = layer.u.clone(), layer.v.clone()
    (layer(x).sum() + first).backward()
    weight = layer.weight.detach().clone().requires_grad_()
    again = (F.linear(x, weight / (vectors[0] @ weight @ vectors[1]), layer.bias.detach())).square().sum()
    later = F.linear(x, weight / (layer.u @ weight @ layer.v), layer.bias.detach()).sum()
    (again + later).backward()
    torch.testing.assert_close(layer.weight.grad, weight.grad)


def test_the_largest_singular_value_becomes_1():
    layer = SpectralNormConv2d(8, 6, 3)
    for _ in range(60):
        layer.settle()
    layer.eval()
    assert torch.linalg.matrix_norm(layer.normalised().detach().flatten(1), 2).item() == pytest.approx(1, abs=1e-3)
