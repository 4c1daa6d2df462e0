"""What makes it pix2pix: patches of 70 pixels, skips, and a noise that is alive after training."""

import pytest
import torch
from torch import nn

from ganforge.batches import Facts, Paired
from ganforge.draw import RowDraw
from ganforge.errors import ModelError
from ganforge.game import Clock
from ganforge.inference.inference_mode import inference_mode
from ganforge.models.pix2pix import Config, Pix2Pix
from ganforge.nn.patchgan import PATCHES, PatchGAN, receptive_field
from ganforge.nn.unet import UNet

SMALL = {"width": 2, "judge_width": 2}


def game(side: int = 32, channels: tuple[int, int] = (1, 3), **config) -> Pix2Pix:
    torch.manual_seed(0)
    facts = Facts(channels[1], side, side, source_channels=channels[0])
    return Pix2Pix(Config(**{**SMALL, "patch": 16, **config}), facts)


@pytest.mark.parametrize(("patch", "layers"), PATCHES.items())
def test_a_score_sees_its_patch_and_nothing_else(patch: int, layers: int):
    discriminator = PatchGAN(1, 2, layers, "none").double()
    assert receptive_field(discriminator) == patch
    side = 320
    picture = torch.rand(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    scores = discriminator(picture)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert picture.grad is not None
    seen = picture.grad[0, 0].nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [patch, patch]


def test_the_papers_networks_have_the_authors_counts():
    with torch.device("meta"):
        paper = Pix2Pix(Config(), Facts(3, 256, 256))
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in paper.named_children()}
    assert counts == {"generator": 54_413_955, "discriminator": 2_768_705}
    assert paper.discriminator(torch.empty(1, 6, 256, 256, device="meta")).shape == (1, 1, 30, 30)


def test_noise_is_dropout_and_outlives_training():
    trained, source = game(), torch.rand(2, 1, 32, 32) * 2 - 1

    def drawn(seed: int, images: torch.Tensor = source) -> torch.Tensor:
        with inference_mode(trained):
            trained.draw = RowDraw(seed)
            return trained.translate(images)

    assert not torch.allclose(drawn(0), drawn(1))
    assert torch.equal(drawn(0), drawn(0))
    torch.testing.assert_close(drawn(0, source[:1]), drawn(0)[:1])
    sure = game(dropout=False)
    with inference_mode(sure):
        sure.draw = RowDraw(0)
        once = sure.translate(source)
        sure.draw = RowDraw(1)
        torch.testing.assert_close(sure.translate(source), once)


def test_each_image_is_normalised_by_its_own_statistics_as_in_batches_of_one():
    trained, source = game(dropout=False), torch.rand(3, 1, 32, 32) * 2 - 1
    expected = torch.cat([trained.train().generator(one) for one in source.split(1)])
    with inference_mode(trained):
        torch.testing.assert_close(trained.translate(source), expected)


def test_only_skips_carry_what_the_innermost_layer_cannot():
    """With all but the outermost layers silenced, details still cross a U-Net, and nothing crosses without skips."""
    for skips in (True, False):
        net = UNet(1, 1, 4, 4, "none", 0, skips)
        nn.init.zeros_(net.downs[1].conv.weight)
        one, other = net(torch.rand(1, 1, 16, 16)), net(torch.rand(1, 1, 16, 16))
        assert torch.allclose(one, other, atol=1e-6) is not skips


@pytest.mark.parametrize("objective", ["l1", "gan", "cgan", "l1+gan", "l1+cgan", "l2+cgan"])
def test_objectives_are_the_terms_that_they_name(objective):
    played = game(objective=objective)
    moves = list(played.play(iter([Paired.example(2, played.facts)]), Clock()))
    assert {m.player for m in moves} == set(played.players())
    wanted = {"fool"} if "gan" in objective else set()
    assert set(moves[-1].terms) == wanted | {name for name in ("l1", "l2") if name in objective}
    conditions = played.discriminator[0].in_channels - 3
    assert conditions == (1 if "cgan" in objective else 0)
    if wanted:
        assert set(moves[0].terms) >= {"real", "fake"}


def test_the_discriminators_loss_is_halved_and_l1_weighs_a_hundred():
    played = game()
    pair = Paired.example(2, played.facts)
    first, second = played.play(iter([pair]), Clock())
    scores = played.discriminate(pair.source, pair.target)  # batch statistics: the same call again
    torch.testing.assert_close(first.terms["real"], nn.functional.softplus(-scores).mean() / 2)
    distance = (played.generator(pair.source) - pair.target).abs().mean()
    assert second.terms["l1"].item() == pytest.approx(100 * distance.item(), rel=0.05)  # dropout drew anew


@pytest.mark.parametrize(("height", "width"), [(24, 40), (48, 64), (512, 256)])
def test_sides_need_not_be_equal_nor_powers_of_two(height, width):
    made = Pix2Pix(Config(**SMALL, patch=1), Facts(3, height, width, source_channels=2)).eval()
    assert made.translate(torch.zeros(1, 2, height, width)).shape == (1, 3, height, width)
    assert height % made.multiple == width % made.multiple == 0


def test_what_does_not_fit_is_answered_with_what_does():
    with pytest.raises(ModelError, match=r"halve 100 x 100.*multiples of 8.*--size 96"):
        game(100)
    with pytest.raises(ModelError, match=r"patches of 286 pixels for images of 64 x 64: possible are 1, 16, 34"):
        game(64, patch=286)


@pytest.mark.parametrize("networks", ["encoder-decoder", "resnet6"])
def test_other_generators_translate(networks):
    other = game(networks=networks).eval()
    assert other.translate(torch.zeros(1, 1, 32, 32)).shape == (1, 3, 32, 32)
