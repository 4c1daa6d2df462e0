"""What makes it StackGAN: conditions drawn around a sentence, and a second stage that draws the image again."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.batches import Captioned, Facts
from ganforge.draw import RoundDraw, RowDraw
from ganforge.errors import ModelError, OptionError
from ganforge.game import Clock
from ganforge.inference.inference_mode import inference_mode
from ganforge.models.stackgan import Config, StackGAN, presets
from ganforge.nn.text_encoders import embed_sentences
from tests.support.words import WordTable

CONFIG = presets["tiny"].config


def facts(side: int = 16) -> Facts:
    return Facts(3, side, side, vocabulary=32, caption_length=5)


def first(side: int = 16, **changes: Any) -> StackGAN:
    torch.manual_seed(0)
    own = StackGAN(replace(CONFIG, **changes), facts(side), WordTable())
    own.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return own


def second(stage1: StackGAN | None = None, side: int = 64, **changes: Any) -> StackGAN:
    part = (stage1 or first()).eval().requires_grad_(False)
    own = StackGAN(replace(CONFIG, stage=2, **changes), facts(side), stage1=part)
    own.resting = tuple(part.modules())
    own.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return own


def batch(side: int = 16, n: int = 6) -> Captioned:
    return Captioned.example(n, facts(side))


def terms_of(own: StackGAN, given: Captioned) -> list[dict[str, Tensor]]:
    return [{k: v for k, v in m.terms.items() if "says" not in k} for m in own.play(iter([given]), Clock())]


@pytest.mark.parametrize(
    ("stage", "objective", "judged", "fooled"),
    [
        (1, "released", {"real", "fake", "wrong"}, {"fool", "kl"}),
        (1, "printed", {"real", "fake"}, {"fool", "kl"}),
        (2, "released", {"real", "fake", "wrong", "real_alone", "fake_alone"}, {"fool", "fool_alone", "kl"}),
        (2, "printed", {"real", "fake"}, {"fool", "kl"}),
    ],
)
def test_the_terms_of_each_objective(stage: int, objective: str, judged: set[str], fooled: set[str]):
    own = first(objective=objective) if stage == 1 else second(objective=objective)
    terms = terms_of(own, batch(16 if stage == 1 else 64))
    assert terms[0].keys() == judged
    assert terms[1].keys() == fooled


def test_the_divergence_is_a_mean_or_a_sum_over_dimensions():
    mean, log_variance = torch.randn(3, 4), torch.randn(3, 4)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(mean, (log_variance / 2).exp()), normal(torch.zeros(3, 4), torch.ones(3, 4))
    )
    torch.testing.assert_close(first().divergence(mean, log_variance), 2 * expected.mean())
    torch.testing.assert_close(first(objective="printed").divergence(mean, log_variance), expected.sum(1).mean())
    own = first(kl_weight=0.5).divergence(mean, log_variance)
    torch.testing.assert_close(own, 0.5 * expected.mean())


def test_a_pair_is_judged_by_itself_where_no_norm_follows_the_condition():
    """With a batch norm there, the other pairs of the batch change the score, so that their kind can be told."""
    judged = {}
    for norm in ("all", "features", "none"):
        own = first(judge_norm=norm).discriminator.train()
        images, conditions = torch.randn(6, 3, 16, 16), torch.randn(6, 4)
        others = torch.cat([conditions[:1], torch.randn(5, 4)])
        neighbours = torch.cat([images[:1], torch.randn(5, 3, 16, 16)])
        one, other = (own(images, each)[0][0] for each in (conditions, others))
        judged[norm] = (
            torch.allclose(one, other, atol=1e-6),
            torch.allclose(one, own(neighbours, conditions)[0][0], atol=1e-6),
        )
    assert judged == {"all": (False, False), "features": (True, False), "none": (True, True)}


def test_means_have_both_signs_without_a_rectifier():
    text, noise = torch.randn(64, 12), torch.zeros(64, 4)
    for rectified in (True, False):
        _, mean, log_variance = first(rectified=rectified).generator.augmentation(text, noise)
        assert bool((torch.stack([mean, log_variance]) < 0).any()) == (not rectified)


def test_a_norm_sets_sentences_apart():
    text, noise = torch.randn(64, 12) / 12**0.5, torch.zeros(64, 4)
    spread = [
        first(text_norm=norm, rectified=False).generator.train().augmentation(text, noise)[1].std(0).mean().item()
        for norm in (False, True)
    ]
    assert spread[0] < 0.1
    assert spread[1] == pytest.approx(1, abs=0.1)


def test_the_first_deviation_is_small_where_it_is_said_to_be():
    text, noise = torch.randn(64, 12), torch.randn(64, 4)
    condition, mean, _ = first(text_norm=True, rectified=False, deviation=0.1).generator.augmentation(text, noise)
    assert float((condition - mean).std().detach()) == pytest.approx(0.1, rel=0.3)


@pytest.mark.parametrize("name", ["small-stage-2", "paper-stage-2"])
def test_presets_of_stage_2_leave_out_what_stage_1_decides(name: str):
    assert presets[name].config.latent == Config.latent


def test_the_penalty_and_mode_seeking_are_terms_of_their_own():
    own, plain = first(r1=2.0, r1_every=2, seek=0.5), first()
    judged, fooled = terms_of(own, batch())
    assert {*judged} - {*terms_of(plain, batch())[0]} == {"penalty"}
    assert {*fooled} - {*terms_of(plain, batch())[1]} == {"seek"}
    assert judged["penalty"] > 0
    assert fooled["seek"] > 0


@pytest.mark.parametrize("product", [False, True])
def test_several_wrong_sentences_an_image(product: bool):
    """The mean over pairs of a row with each of the next rows is that of their logits; a small batch has fewer."""
    own, given = first(wrongs=3, product=product), batch()
    said = list[Tensor]()
    own.discriminator.register_forward_hook(lambda _net, _inputs, answers: said.append(answers[-1].detach()))
    terms = terms_of(own, given)
    assert len(said[0]) == 5 + 4 + 3
    torch.testing.assert_close(terms[0]["wrong"], F.softplus(said[0]).mean() / 2)
    terms_of(own, batch(n=2))
    assert len(said[3]) == 1


def draw_once(own: StackGAN, tokens: Tensor) -> Tensor:
    with inference_mode(own) as game:
        game.draw = RowDraw(0)
        return game.sample(len(tokens), tokens)  # pyright: ignore


def test_the_condition_is_drawn_around_the_sentence():
    block, text = first().generator.augmentation, torch.randn(5, 12)
    condition, mean, log_variance = block(text, torch.zeros(5, 4))
    assert torch.equal(condition, mean)
    noise = torch.randn(5, 4)
    torch.testing.assert_close(block(text, noise)[0], mean + (log_variance / 2).exp() * noise)
    assert min(mean.min(), log_variance.min()) >= 0


def test_wrong_pairs_are_real_images_with_the_next_rows_condition_unless_the_sentences_are_equal():
    own, given = first(), batch()
    calls = list[tuple[Tensor, ...]]()
    own.discriminator.register_forward_pre_hook(lambda _net, inputs: calls.append(inputs))
    said = list[Tensor]()
    own.discriminator.register_forward_hook(lambda _net, _inputs, answers: said.append(answers[-1].detach()))
    tokens = given.tokens.clone()
    tokens[3] = tokens[2]
    terms = terms_of(own, Captioned(given.images, tokens))
    images, condition, (wrong,) = calls[0]
    assert torch.equal(images, given.images)
    assert torch.equal(wrong, condition[1:])
    assert not condition.requires_grad
    differs = torch.tensor([True, True, False, True, True])
    torch.testing.assert_close(terms[0]["wrong"], F.softplus(said[0])[differs].mean() / 2)


def test_both_players_see_the_same_fake():
    own, seen = first(), list[Tensor]()
    own.discriminator.register_forward_pre_hook(lambda _net, inputs: seen.append(inputs[0].detach()))
    terms_of(own, batch())
    assert torch.equal(seen[1], seen[2])
    assert not torch.equal(seen[0], seen[1])


# -- stage II ---------------------------------------------------------------------------------


def test_stage_2_draws_what_its_stage_1_drew_and_leaves_it_alone():
    own, seen = second(), list[tuple[Tensor, ...]]()
    own.generator.register_forward_pre_hook(lambda _net, inputs: seen.append(inputs))
    for move in own.play(iter([batch(64)]), Clock()):
        torch.stack([t for t in move.terms.values() if t.requires_grad]).sum().backward()
    images, text, _ = seen[0]
    assert images.shape[2:] == (16, 16)
    assert not images.requires_grad
    assert torch.equal(text, embed_sentences(own.text, batch(64).tokens))
    assert all(p.grad is None for p in own.stage1.parameters())
    assert all(p.grad is not None for p in own.generator.parameters())


def test_stage_2_reads_the_sentence_with_its_stage_1s_encoder():
    part = first()
    own = StackGAN(replace(CONFIG, stage=2), facts(64), WordTable(), part)
    assert own.text is part.text
    other = WordTable()
    other.table += 1
    with pytest.raises(ModelError, match="must read a sentence alike"):
        StackGAN(replace(CONFIG, stage=2), facts(64), other, part)


@pytest.mark.parametrize(
    ("stage1", "side", "said"),
    [(None, 64, "--config.stage1 RUN"), ("first", 32, "give --size 64 64"), ("second", 256, "--config.stage 1")],
)
def test_a_part_that_does_not_fit_is_a_sentence(stage1: str | None, side: int, said: str):
    part = {"first": first, "second": second}[stage1]() if stage1 else None
    with pytest.raises(ModelError, match=said):
        StackGAN(replace(CONFIG, stage=2), facts(side), stage1=part)


def test_a_sample_shows_both_stages_of_the_same_codes():
    own, tokens = second(), batch(64, 3).tokens
    pictures = list[Tensor]()
    for both in (False, True):
        with inference_mode(own):
            own.draw = RowDraw(4)
            pictures.append(own.sample(3, tokens, both=both))
    alone, beside = pictures
    assert beside.shape == (3, 3, 64, 128)
    torch.testing.assert_close(beside[..., 64:], alone)
    small = beside[..., :64]
    assert torch.equal(small, F.interpolate(small[..., ::4, ::4], scale_factor=4.0))
    with pytest.raises(OptionError, match="--both"):
        first().sample(2, tokens[:2], both=True)


@pytest.mark.parametrize("make", [first, second])
def test_the_sentence_and_the_noise_decide(make: type[StackGAN]):
    own = make()
    tokens = batch(own.facts.height, 4).tokens
    for module in own.modules():  # with its first weights a network hardly says anything
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, 0.2)
    with inference_mode(own):
        noise = own.noise(4)
        pictures = []
        for z, text in ((noise, tokens), (noise, tokens.roll(1, 0)), (own.noise(4), tokens)):
            own.draw = RowDraw(0)
            pictures.append(own.generate(z, text))
        own.draw = RowDraw(0)
        mixed = own.generate(noise, tokens, tokens.roll(1, 0), 1.0)
    assert (pictures[0] - pictures[1]).abs().max() > 1e-4
    assert (pictures[0] - pictures[2]).abs().max() > 1e-4
    torch.testing.assert_close(mixed, pictures[1])


def test_no_sentence_is_an_error():
    with pytest.raises(OptionError, match="--text"):
        first().sample(2)
    with pytest.raises(ModelError, match="ganforge train text_encoder"):
        StackGAN(CONFIG, facts())
