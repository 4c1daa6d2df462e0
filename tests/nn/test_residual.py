"""The residual networks: merged kernels equal what they stand for, and sizes are those of the paper."""

import pytest
import torch
import torch.nn.functional as F

from ganforge.errors import ContractError
from ganforge.nn.last_layer import read_last_input
from ganforge.nn.residual import MeanConv2d, ResamplingBlock, ResidualCritic, ResidualFeatures, ResidualGenerator


def test_a_convolution_and_a_mean_are_one_convolution_of_stride_two():
    layer, images = MeanConv2d(3, 5), torch.randn(2, 3, 8, 6)
    expected = F.avg_pool2d(F.conv2d(images, layer.weight, layer.bias, padding=1), 2)
    torch.testing.assert_close(layer(images), expected)


@pytest.mark.parametrize("resampling", ["double", "halve"])
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_a_block_is_its_definition(resampling, norm):
    block, given = ResamplingBlock(4, 6, resampling, norm).eval(), torch.randn(3, 4, 8, 8)

    def convolve(layer, x, padding=1):
        return F.conv2d(x, layer.weight, layer.bias, padding=padding)

    inner = block.norm1(given).relu()
    if resampling == "double":
        inner, given = (F.interpolate(x, scale_factor=2) for x in (inner, given))
    inner = convolve(block.conv2, block.norm2(convolve(block.conv1, inner)).relu())
    made = inner + convolve(block.shortcut, given, 0)
    made = F.avg_pool2d(made, 2) if resampling == "halve" else made
    torch.testing.assert_close(block(torch.as_tensor(given[..., ::2, ::2] if resampling == "double" else given)), made)


def test_a_critic_scores_each_image_by_itself_and_an_encoder_is_batched():
    images = torch.randn(4, 3, 16, 16)
    critic = ResidualCritic(4, 3, (4, 4), 2).train()
    torch.testing.assert_close(critic(images)[:2], critic(images[:2]))
    encoder = ResidualFeatures(4, 3, (4, 4), 2, "batch").train()
    assert not torch.allclose(encoder(images)[:2], encoder(images[:2]))


def test_images_have_any_base_and_lie_in_range():
    generator = ResidualGenerator(5, 4, 3, (4, 6), 3)
    images = generator(20 * torch.randn(2, 5))
    assert images.shape == (2, 3, 32, 48)
    assert images.abs().max() <= 1
    assert sum(p.numel() for p in ResidualGenerator(128, 64, 1, (4, 4), 4).parameters()) == 8_544_193 - 4_864


def test_the_features_are_the_input_of_the_last_layer():
    critic, images = ResidualCritic(4, 3, (4, 4), 2), torch.randn(4, 3, 16, 16, requires_grad=True)
    features = read_last_input(critic, images)
    torch.testing.assert_close(features, critic[0](images))
    features.sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0
    assert not any(module._forward_pre_hooks for module in critic.modules())
    with pytest.raises(ContractError, match="no features"):
        read_last_input(torch.nn.ReLU(), images)
