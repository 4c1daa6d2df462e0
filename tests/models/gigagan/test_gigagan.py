"""What makes it GigaGAN: styles and words of a sentence, pyramids, and scores of every size at every stage."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.batches import Captioned, Facts, Images
from ganforge.capabilities import capabilities
from ganforge.cli import run as command
from ganforge.draw import RoundDraw, RowDraw
from ganforge.errors import ModelError
from ganforge.game import Clock
from ganforge.images import read, write
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.load import load
from ganforge.inference.sample import translate_samples
from ganforge.inference.show import show
from ganforge.inference.tiles import translate_tiled
from ganforge.models.gigagan import GigaGAN, presets
from ganforge.models.gigagan.building import attention_weights
from ganforge.models.gigagan.losses import average, match, penalise_slopes
from ganforge.models.gigagan.vision import contrast
from tests.support.sentences import Embeddings, Seeing

FACTS = Facts(3, 16, 16, vocabulary=16, caption_length=8, captions=1)
CONFIG = presets["tiny"].config


def game(text: nn.Module | None = None, facts: Facts = FACTS, **changes: Any) -> GigaGAN:
    torch.manual_seed(0)
    own = GigaGAN(replace(CONFIG, **changes), facts, text or Embeddings())  # pyright: ignore
    own.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return own


def batch(n: int = 4) -> Captioned:
    return Captioned.example(n, FACTS)


def moves(own: GigaGAN, step: int = 0, data: Captioned | None = None) -> dict[str, dict[str, Tensor]]:
    own.draw = RoundDraw(0, step, 0, 1, "cpu")
    return {m.player: m.terms for m in own.play(iter([data or batch()]), Clock(step=step))}


def shake(own: GigaGAN) -> GigaGAN:
    """Weights that are 0 or small at first get larger."""
    for parameter in own.generator.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    return own.eval()


def answer(own: GigaGAN, n: int = 3, **options: Any) -> Tensor:
    with inference_mode(own) as ready:
        ready.draw = RowDraw(0)
        return ready.sample(n, **options)  # pyright: ignore[reportCallIssue]


SENTENCES = torch.tensor([[3, 4, 5, 0, 0, 0, 0, 0], [6, 7, 8, 9, 0, 0, 0, 0], [10, 11, 0, 0, 0, 0, 0, 0]])


# -- networks ---------------------------------------------------------------------------------


def test_every_size_is_scored_at_every_stage_below_it():
    judge = game(enter=(8, 4)).discriminator
    scores = judge(torch.randn(2, 3, 16, 16), (), torch.randn(2, 8))
    assert [tuple(s.shape) for s in scores] == [(2, 1, 16, 16), (4, 1, 8, 8), (6, 1, 4, 4)]


def test_scores_of_a_size_do_not_depend_on_larger_images():
    """Section 3.3: the sizes are judged independently."""
    judge, sentence = game().discriminator, torch.randn(2, 8)
    small = torch.randn(2, 3, 8, 8)
    one, other = (judge(torch.randn(2, 3, 16, 16), [small], sentence) for _ in range(2))
    assert torch.equal(one[1][2:], other[1][2:])
    assert not torch.allclose(one[1][:2], other[1][:2])


def test_a_score_has_a_part_that_knows_no_sentence():
    head = game().discriminator.stages[0].head
    assert head is not None
    x, styles = torch.randn(2, head.alone.in_channels, 4, 4), [torch.randn(2, head.alone.in_channels) for _ in range(2)]  # pyright: ignore
    alone = F.conv2d(head.alone(x), head.score.weight)  # pyright: ignore
    paths = [head(x, s, None) - alone for s in styles]  # pyright: ignore
    assert not torch.allclose(*paths)
    for parameter in head.layers.parameters():  # pyright: ignore
        nn.init.zeros_(parameter)
    torch.testing.assert_close(head(x, styles[0], None), head(x, styles[1], None))  # pyright: ignore


@torch.no_grad()
def test_features_keep_their_deviation_at_first():
    """With torch's first weights those of a last stage vary by a thousandth, and nothing deep tells images apart."""
    torch.manual_seed(0)
    own = GigaGAN(presets["small"].config, Facts(3, 32, 32, vocabulary=16, caption_length=8, captions=1), Embeddings())  # pyright: ignore
    features, _ = own.discriminator.read(F.interpolate(torch.randn(16, 3, 8, 8), (32, 32), mode="bicubic"))
    assert min(float(each[:16].std(0).mean()) for each in features) > 0.1
    own.draw, deviations = RoundDraw(0, 0, 0, 1, "cpu"), list[float]()
    for stage in own.generator.stages:  # pyright: ignore
        stage.register_forward_hook(lambda stage, given, made: deviations.append(float(made[0].std(0).mean())))
    own.generator(own.generator.guide(own.noise(16), *own.encode(SENTENCES.repeat(6, 1)[:16])), own.draw_noise(16))
    assert min(deviations) > 0.15


def test_the_generator_makes_a_pyramid():
    own = game()
    encoded = own.encode(SENTENCES)
    images = own.generator(own.generator.guide(own.noise(3), *encoded), own.draw_noise(3))
    assert [image.shape[-1] for image in images] == [4, 8, 16]


def test_padding_is_no_word():
    own = shake(game())
    longer = F.pad(SENTENCES, (0, 4))
    torch.testing.assert_close(answer(own, text=SENTENCES), answer(own, text=longer), rtol=1e-4, atol=1e-4)


def test_attention_weights_decay_and_no_others():
    own = game()
    decayed, rest = attention_weights([own.generator])
    names = {id(p): name for name, p in own.generator.named_parameters()}
    assert len(decayed) + len(rest) == len(names)
    assert all((".places.attention." in names[id(p)]) or (".words.attention." in names[id(p)]) for p in decayed)
    assert not any(".places.attention.query" in names[id(p)] for p in rest)


# -- losses -----------------------------------------------------------------------------------


def test_the_terms_of_a_step():
    on_d, on_g = moves(game()).values()
    assert {*on_d} == {"real", "fake", "matching", "penalty", "says_real", "says_fake"}
    assert {*on_g} == {"fool"}
    assert "penalty" not in moves(game(), 1)["discriminator"]  # every other step in `tiny`
    assert "drawn" in moves(game(reading="lucidrains", decoders=(8,)))["discriminator"]


def test_losses_are_non_saturating_and_high_scores_are_real():
    own, data = game(), batch()
    own.draw = RoundDraw(0, 1, 0, 1, "cpu")
    play = own.play(iter([data]), Clock(step=1))
    terms = next(play).terms
    sentence = own.discriminator.read_sentence(*own.encode(data.tokens))
    smaller = [F.avg_pool2d(data.images, k) for k in (4, 2)]
    scores = own.discriminator(data.images, smaller, sentence)
    rows = torch.cat([F.softplus(-s).mean((1, 2, 3)) for s in scores])
    torch.testing.assert_close(terms["real"], rows.mean())


def test_equal_sentences_are_no_wrong_ones():
    own, data = game(), batch()
    sentence = own.discriminator.read_sentence(*own.encode(data.tokens))
    assert sentence is not None
    features, _ = own.discriminator.read(data.images)
    same = data.tokens[:1].expand(4, -1)
    assert float(match(own.discriminator, features, features, sentence, same).detach()) == 0
    assert float(match(own.discriminator, features, features, sentence, data.tokens).detach()) > 0


def test_the_penalty_is_the_slope_of_the_mean_score():
    weight = torch.randn(3, 8, 8)

    def judge(pyramid: list[Tensor]) -> list[Tensor]:
        return [(pyramid[0] * weight).sum((1, 2, 3))[:, None], (pyramid[1] * 2).sum((1, 2, 3))[:, None]]

    images, half = torch.randn(5, 3, 8, 8), torch.randn(5, 3, 4, 4)
    expected = (weight / 2).square().sum() + half[0].numel()  # d (a + b) / 2
    torch.testing.assert_close(penalise_slopes(judge, [images, half]), expected)


def test_contrast_knows_equal_sentences():
    images, sentences = torch.eye(4), torch.eye(4)
    assert contrast(images, sentences) < 1e-4
    assert contrast(images.roll(1, 0), sentences) > 10
    assert contrast(torch.eye(4).roll(1, 0), torch.ones(4, 4)) < 1e-6  # all are right


def test_a_part_that_sees_images_adds_its_losses():
    own = game(Seeing(), contrast=0.1, vision=0.5)
    on_d, on_g = moves(own).values()
    assert {"vision_real", "vision_fake"} <= {*on_d}
    assert {*on_g} == {"fool", "contrast", "vision"}
    own_parameters = {id(p) for group in own.players()["discriminator"].param_groups for p in group["params"]}
    assert own.vision_discriminator is not None
    assert all(id(p) in own_parameters for p in own.vision_discriminator.parameters())
    assert {*moves(game(Seeing(), vision=0.0, contrast=0.0))["generator"]} == {"fool"}


def test_scores_of_all_stages_count_by_sizes():
    two, one = torch.zeros(4, 1, 2, 2), torch.ones(2, 1, 4, 4)
    assert float(average([two, one])) == pytest.approx(1 / 3)


# -- capabilities -----------------------------------------------------------------------------


def test_sentences_change_images_and_noise_does():
    own = shake(game())
    one, other = answer(own, text=SENTENCES), answer(own, text=SENTENCES.roll(1, 0))
    assert (one - other).abs().mean() > 1e-3
    same = answer(own, text=SENTENCES[:1].expand(3, -1))
    assert not torch.allclose(same[0], same[1])


def test_truncation_draws_a_sentence_to_its_mean():
    own = shake(game())
    text = SENTENCES[:1].expand(8, -1)
    with inference_mode(own):
        styles = []
        for truncation in (1.0, 0.5, 0.0):
            own.draw = RowDraw(0)
            styles.append(own.find_style(own.noise(8), text, truncation).style)
    spread = [float(s.std(0).mean()) for s in styles]
    assert spread[0] > 1.5 * spread[1] > 1.5 * spread[2]
    assert not torch.allclose(answer(own, text=SENTENCES), answer(own, text=SENTENCES, truncation=0.3))


def test_between_two_sentences():
    own = shake(game())
    other = SENTENCES.roll(1, 0)
    ends = answer(own, text=SENTENCES), answer(own, text=other)
    at = [answer(own, text=SENTENCES, text_b=other, mix=share) for share in (0.0, 0.5, 1.0)]
    assert not torch.allclose(at[1], ends[0], atol=1e-3)
    assert not torch.allclose(at[1], ends[1], atol=1e-3)
    torch.testing.assert_close(at[0], ends[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(at[2], ends[1], rtol=1e-3, atol=1e-3)


def test_coarse_styles_of_one_sentence_and_fine_ones_of_another():
    own = shake(game())
    other = SENTENCES.roll(1, 0)
    ends = answer(own, text=SENTENCES), answer(own, text=other)
    assert torch.equal(answer(own, text=SENTENCES, fine=other, split=16), ends[0])
    mixed = answer(own, text=SENTENCES, fine=other, split=8)
    assert not torch.allclose(mixed, ends[0])
    assert not torch.allclose(mixed, ends[1])


def test_a_base_samples_and_an_upsampler_translates():
    base, upsampler = game(), game(networks="upsampler")
    assert hasattr(base, "sample")
    assert not hasattr(base, "translate")
    assert not hasattr(upsampler, "sample")
    assert hasattr(upsampler, "translate")
    assert {*capabilities(base)} == {"sample"}
    assert {*capabilities(upsampler)} == {"translate"}
    assert {*capabilities(GigaGAN)} == {"sample", "translate"}


def test_every_image_has_its_own_share_of_two_sentences():
    own, other = shake(game()), SENTENCES.roll(1, 0)
    shares = torch.tensor([0.2, 0.5, 0.9])
    every = answer(own, text=SENTENCES, text_b=other, mix=shares)
    for row, share in enumerate(shares.tolist()):
        one = answer(own, text=SENTENCES, text_b=other, mix=share)
        torch.testing.assert_close(every[row], one[row], rtol=1e-4, atol=1e-4)


# -- the upsampler ----------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "multiples"), [(2, (1, 2)), (4, (1, 1, 2)), (8, (1, 1, 1, 2))])
@pytest.mark.parametrize("texts", [True, False])
def test_it_enlarges_by_its_scale(scale: int, multiples: tuple[int, ...], texts: bool):
    flags = (False,) * (len(multiples) - 1) + (True,)
    own = game(
        networks="upsampler", scale=scale, multiples=multiples, whole=flags, reads=flags, texts=texts
    )  # fmt: skip
    with inference_mode(own):
        own.draw = RowDraw(0)
        made = own.translate(torch.rand(2, 3, 6, 10) * 2 - 1)
    assert made.shape == (2, 3, 6 * scale, 10 * scale)
    assert {*moves(own)["generator"]} == {"fool", "content"}
    assert ("matching" in moves(own)["discriminator"]) == texts


def test_it_begins_with_the_bilinear_enlargement():
    own = game(networks="upsampler")
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    with inference_mode(own):
        own.draw = RowDraw(0)
        made = own.translate(images)
    plain = F.interpolate(images, scale_factor=2.0, mode="bilinear")
    torch.testing.assert_close(made, plain)


def test_what_it_enlarges_is_not_judged():
    """Images of the input's side and below do not enter the discriminator: they are no work of the upsampler."""
    own = game(networks="upsampler", scale=4, multiples=(1, 1, 2), whole=(False,) * 3, reads=(False,) * 3)
    assert own.discriminator.enter == (8,)
    fakes, reals = own.draw_pyramids(torch.rand(2, 3, 16, 16) * 2 - 1, own.encode(SENTENCES[:2]))
    assert ([x.shape[-1] for x in fakes], [x.shape[-1] for x in reals]) == ([8, 16], [8])


def test_tiles_of_a_large_image_fit():
    own = game(networks="upsampler", texts=False)
    images = torch.rand(1, 3, 40, 52) * 2 - 1

    def network(part: Tensor) -> Tensor:
        own.draw = RowDraw(0)
        return own.translate(part)

    with inference_mode(own):
        tiled = translate_tiled(network, [images], own.multiple, 16, own.least)
    assert tiled.shape == (1, 3, 80, 104)


def test_it_trains_on_a_folder_without_captions(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """From the command line, to an image of another size; a run has the options of its own networks alone."""
    (tmp_path / "photos").mkdir()
    for k in range(6):
        write(tmp_path / "photos" / f"{k}.png", np.random.default_rng(k).integers(0, 256, (20, 24, 3), dtype=np.uint8))
    asked = ["--preset", "tiny", "--config.networks", "upsampler", "--config.no-texts"]
    words = ["gigagan", *asked, "--data", str(tmp_path / "photos"), "--outdir", str(tmp_path), "--name", "run"]
    assert command(["train", *words, "--sample-every", "0"]) == 0
    run = next(tmp_path.glob("*-run"))
    assert {*show(run)["can"]} == {"translate"}
    assert command(["translate", str(run), str(tmp_path / "photos"), str(tmp_path / "large"), "--tile", "16"]) == 0
    assert read(tmp_path / "large" / "0.png").shape == (40, 48, 3)
    assert command(["translate", str(run), str(tmp_path / "photos"), str(tmp_path / "said"), "--text", "a star"]) == 1
    assert "trained without captions: leave --text out" in capsys.readouterr().err
    (large,) = translate_samples(load(run), [torch.zeros(2, 3, 8, 8)], 0, {"text": ["a star"] * 2})  # it reads none
    assert large.shape == (2, 3, 16, 16)
    with pytest.raises(SystemExit):
        command(["sample", str(run), "--text", "a star"])  # an option of the base
    assert "Unrecognized options: --text" in capsys.readouterr().err


def test_batches_have_sentences_where_the_networks_read_them():
    config = replace(CONFIG, networks="upsampler", texts=False)
    assert GigaGAN.choose_batches(config) is Images
    assert game(networks="upsampler", texts=False).batch_type is Images
    assert GigaGAN.choose_batches(CONFIG) is GigaGAN.choose_batches(None) is GigaGAN.batch_type is Captioned


def test_some_sentences_are_left_out_of_its_training():
    own, data, seen = game(networks="upsampler", blank=0.5), batch(64), []
    own.text.register_forward_hook(lambda _net, given, _out: seen.append((given[0] > 0).any(1)))  # pyright: ignore
    moves(own, 1, data)
    assert 16 < int(seen[0].sum()) < 48


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "facts", "said"),
    [
        ({}, replace(FACTS, height=24, width=24), "the side is 8, 16, 32 ..., not 24"),
        ({}, replace(FACTS, width=32), "makes square images, not 16 x 32"),
        ({"texts": False}, FACTS, "base draws from sentences"),
        ({"networks": "upsampler", "scale": 3}, FACTS, "enlarges by 2, 4 or 8, not by 3"),
        ({"networks": "upsampler", "scale": 4}, FACTS, "needs more than 2 stages"),
        ({"networks": "upsampler"}, replace(FACTS, height=10, width=10), "multiples of 4, and these have 10"),
    ],
)
def test_what_cannot_be_built_is_said(changes: dict[str, Any], facts: Facts, said: str):
    with pytest.raises(ModelError, match=said):
        game(facts=facts, **changes)


def test_an_encoder_is_needed():
    with pytest.raises(ModelError, match=r"needs an encoder of sentences: name one with --config.text"):
        GigaGAN(CONFIG, FACTS)
