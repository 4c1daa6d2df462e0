"""What makes it DCGAN: strided convolutions down to one logit, and the book chapter's pair to the parameter."""

import pytest
import torch
from torch import nn

from ganforge.batches import Facts
from ganforge.catalogue import find
from ganforge.errors import ModelError
from ganforge.models.dcgan import DCGAN, Config


def keras_count(network: nn.Module) -> int:
    """Parameters as Keras counts them: moving averages included."""
    averages = sum(b.numel() for name, b in network.named_buffers() if name.endswith(("running_mean", "running_var")))
    return averages + sum(p.numel() for p in network.parameters())


def test_the_chapters_networks_have_keras_counts():
    game = DCGAN(find("dcgan").presets["chapter"].config, Facts(1, 28, 28))
    assert keras_count(game.generator) == 856_193
    assert keras_count(game.discriminator) == 393_729


def test_the_papers_networks_have_no_pooling_no_dense_layers_and_norm_nearly_everywhere():
    game = DCGAN(Config(), Facts(3, 64, 64))
    for network in (game.generator, game.discriminator):
        kinds = [type(layer) for layer in network.modules()]
        assert not {nn.Linear, nn.MaxPool2d, nn.AvgPool2d} & set(kinds)
        convolutions = sum(k in (nn.Conv2d, nn.ConvTranspose2d) for k in kinds)
        assert kinds.count(nn.BatchNorm2d) == convolutions - (1 if network is game.generator else 2)


@pytest.mark.parametrize("side", [8, 28, 32, 48, 64, 112, 128])
def test_it_generates_and_scores_images_of_many_sides(side):
    game = DCGAN(Config(latent=4, width=2), Facts(1, side, side)).eval()
    pictures = game.sample(2)
    assert pictures.shape == (2, 1, side, side)
    assert game.discriminator(pictures).shape == (2,)


@pytest.mark.parametrize("sides", [(32, 64), (28, 84), (48, 16)])
def test_images_need_not_be_square(sides):
    for networks in ("strided", "chapter"):
        game = DCGAN(Config(latent=4, width=2, networks=networks), Facts(3, *sides)).eval()
        pictures = game.sample(2)
        assert pictures.shape == (2, 3, *sides)
        assert game.discriminator(pictures).shape == (2,)


@pytest.mark.parametrize("side", [8, 28, 64])
def test_kernels_of_the_paper_are_5_and_halve_and_double_as_those_of_4_do(side: int):
    game = DCGAN(Config(latent=4, width=2, kernel=5), Facts(1, side, side)).eval()
    strided = [layer for layer in game.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    strided = [layer for layer in strided if layer.stride == (2, 2)]
    assert len(strided) == 2 * sum(isinstance(layer, nn.BatchNorm2d) for layer in game.generator)
    assert {layer.kernel_size for layer in strided} == {(5, 5)}
    pictures = game.sample(2)
    assert pictures.shape == (2, 1, side, side)
    assert game.discriminator(pictures).shape == (2,)


def test_sides_it_cannot_make_are_answered_with_those_it_can():
    with pytest.raises(ModelError, match=r"100 x 100.*--size 80, 96, 112"):
        DCGAN(Config(), Facts(3, 100, 100))
    with pytest.raises(ModelError, match=r"multiples of 4"):
        DCGAN(Config(networks="chapter"), Facts(3, 30, 30))


def test_first_weights_are_small_and_normal():
    torch.manual_seed(0)
    game = DCGAN(Config(), Facts(3, 64, 64))
    kernel = game.generator[1].weight
    assert kernel.std().item() == pytest.approx(0.02, rel=0.02)
    assert game.generator[2].weight.mean().item() == pytest.approx(1.0, abs=0.01)
