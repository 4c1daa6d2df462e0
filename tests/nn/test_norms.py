"""Norms of one image at a time, and noise that outlives training."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.draw import RowDraw
from ganforge.nn.cpu.convolutions import LiveDropout
from ganforge.nn.norms import InstanceNorm2d, LiveBatchNorm2d


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_instance_norm_equals_its_formula_through_two_derivatives(layout):
    def derivatives(norm) -> list[Tensor]:
        torch.manual_seed(0)
        x = torch.randn(3, 4, 5, 6, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
        y = norm(x)
        (first,) = torch.autograd.grad(y.sin().sum(), x, create_graph=True)
        return [y, first, *torch.autograd.grad(first.square().sum(), x)]

    assert layout != torch.channels_last or InstanceNorm2d(4)(
        torch.zeros(2, 4, 3, 3).to(memory_format=layout)
    ).is_contiguous(memory_format=layout)
    for ours, theirs in zip(derivatives(InstanceNorm2d(4)), derivatives(F.instance_norm), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_live_batch_norm_is_torchs_in_training_and_per_image_afterwards(layout):
    torch.manual_seed(0)
    live, plain = LiveBatchNorm2d(4), nn.BatchNorm2d(4)
    nn.init.normal_(live.weight)
    nn.init.normal_(live.bias)
    plain.load_state_dict(live.state_dict())
    x = torch.randn(3, 4, 5, 6).contiguous(memory_format=layout)
    torch.testing.assert_close(live(x), plain(x))
    torch.testing.assert_close(live.state_dict(), plain.state_dict())
    alone = torch.cat([plain(one) for one in x.split(1)])
    torch.testing.assert_close(live.eval()(x), alone)


def test_live_dropout_drops_where_chance_is_given():
    layer, x = LiveDropout(0.5).eval(), torch.ones(4, 3, 50, 50)
    assert torch.equal(layer(x), x)
    noisy = layer(x, RowDraw(0))
    assert set(noisy.unique().tolist()) == {0.0, 2.0}
    assert noisy.mean().item() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(layer(x[1:3], RowDraw(0, 1)), noisy[1:3])  # row k follows from (seed, k)
    assert torch.equal(LiveDropout(0.0).eval()(x, RowDraw(0)), x)
