"""What makes it GAN-CLS: real images with wrong sentences, sentences between two, and a network that recovers z."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.batches import Captioned, Facts
from ganforge.draw import RoundDraw
from ganforge.errors import OptionError
from ganforge.game import Clock
from ganforge.inference.inference_mode import inference_mode
from ganforge.models.gan_cls import GANCLS, blend, presets
from ganforge.nn.text_encoders import embed_sentences
from ganforge.official.gan_cls import MinibatchDiscrimination
from tests.support.words import WordTable

FACTS = Facts(3, 16, 16, vocabulary=32, caption_length=5)
CONFIG = replace(presets["tiny"].config, r1=0.0, seek=0.0)


def game(**changes: Any) -> GANCLS:
    torch.manual_seed(0)
    own = GANCLS(replace(CONFIG, **changes), FACTS, WordTable())
    own.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return own


def batch(n: int = 6, seed: int = 0) -> Captioned:
    return Captioned.example(n, FACTS, seed)


class Seen:
    """What a network was given, call by call."""

    def __init__(self, network: torch.nn.Module) -> None:
        self.calls = list[tuple[Tensor, ...]]()
        network.register_forward_pre_hook(lambda _net, given: self.calls.append(tuple(x.detach() for x in given)))


@pytest.mark.parametrize(
    ("variant", "judged", "terms"),
    [
        ("gan", 2, {"fool"}),
        ("cls", 3, {"fool"}),
        ("int", 2, {"fool", "between"}),
        ("int-cls", 3, {"fool", "between"}),
    ],
)
def test_the_pairs_of_every_variant(variant: str, judged: int, terms: set[str]):
    own, real = game(variant=variant), batch()
    seen = Seen(own.discriminator)
    moves = own.play(iter([real]), Clock())
    first = next(moves)
    text = embed_sentences(own.text, real.tokens)
    (one, right), (fake, asked), *wrong = seen.calls
    assert len(seen.calls) == judged
    assert torch.equal(one, real.images)
    assert torch.equal(right, text)
    assert torch.equal(asked, text)
    assert not torch.equal(fake, real.images)
    assert ("wrong" in first.terms) == variant.endswith("cls")
    for images, texts in wrong:
        assert torch.equal(images, real.images)
        assert (texts != text).any(1).all()
        assert sorted(texts.tolist()) == sorted(text.tolist())
    assert next(moves).terms.keys() == terms
    images, texts = seen.calls[-1]
    assert torch.equal(images[:6], fake)  # both players see the same
    assert len(texts) == (9 if "int" in variant else 6)


def test_the_terms_are_those_of_algorithm_1():
    own, real = game(variant="cls"), batch()
    logits = list[Tensor]()
    own.discriminator.register_forward_hook(lambda _net, _given, said: logits.append(said.detach()))
    terms = next(own.play(iter([real]), Clock())).terms
    s_real, s_fake, s_wrong = (said.sigmoid() for said in logits)
    expected = -s_real.log().mean() - ((1 - s_wrong).log().mean() + (1 - s_fake).log().mean()) / 2
    torch.testing.assert_close(terms["real"] + terms["wrong"] + terms["fake"], expected)


def test_an_equal_sentence_is_never_a_wrong_one():
    own = game()
    tokens = torch.tensor([[2, 3, 0], [2, 3, 0], [4, 0, 0], [2, 3, 0]])
    for step in range(20):
        own.draw = RoundDraw(0, step, 0, 1, "cpu")
        wrong, differs = own.draw_wrong(tokens)
        assert sorted(wrong.tolist()) == [0, 1, 2, 3]
        assert (wrong != torch.arange(4)).all()
        assert torch.equal(differs, (tokens[wrong] != tokens).any(1))
        assert differs.sum() == 2


def test_a_batch_of_one_sentence_has_no_wrong_pair():
    own, real = game(variant="cls"), batch()
    alike = Captioned(real.images, real.tokens[:1].expand(6, -1))
    assert next(own.play(iter([alike]), Clock())).terms["wrong"] == 0


def test_each_of_several_wrong_sentences_is_of_another_row():
    own = game()
    tokens = torch.arange(2, 7)[:, None]
    wrong, differs = own.draw_wrong(tokens, 3)
    rows = torch.cat([torch.arange(5)[None], wrong.view(3, 5)])
    assert differs.all()
    assert all(len(set(column.tolist())) == 4 for column in rows.T)
    assert len(own.draw_wrong(tokens, 9)[0]) == 4 * 5  # as many as there are


def test_a_discriminator_of_products_has_no_batch_norm_of_what_it_sees():
    """Wrong pairs come in a batch of their own, which such a norm tells from one of right pairs."""
    own, real = game(product=True), batch()
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in game().discriminator.modules())
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in own.discriminator.modules())
    text = embed_sentences(own.text, real.tokens)
    together = own.discriminator(real.images, torch.cat([text, text.roll(1, 0)]))
    apart = [own.discriminator(real.images, one) for one in (text, text.roll(1, 0))]
    torch.testing.assert_close(together, torch.cat(apart))


def test_the_penalty_is_r1_on_right_pairs_at_every_few_steps():
    own, real = game(product=True, r1=0.5, r1_every=2, wrongs=2), batch()
    terms = next(own.play(iter([real]), Clock(2))).terms
    images = real.images.clone().requires_grad_()
    logits = own.discriminator(images, embed_sentences(own.text, real.tokens))
    (slope,) = torch.autograd.grad(logits.sum(), images)
    torch.testing.assert_close(terms["penalty"], 2 * 0.5 / 2 * slope.square().sum((1, 2, 3)).mean())
    assert "penalty" not in next(own.play(iter([real]), Clock(3))).terms
    assert terms["wrong"] > 0


def test_mode_seeking_compares_two_images_of_a_sentence():
    own, real = game(seek=2.0, variant="cls"), batch()
    seen, drawn = Seen(own.generator), list[Tensor]()
    own.generator.register_forward_hook(lambda _net, _given, made: drawn.append(made.detach()))
    moves = {move.player: move.terms for move in own.play(iter([real]), Clock())}
    (z, text), (others, again) = seen.calls
    assert torch.equal(again, text[:3])
    expected = 2 * (z[:3] - others).abs().mean() / (drawn[0][:3] - drawn[1]).abs().mean()
    torch.testing.assert_close(moves["generator"]["seek"], expected)


def test_masked_pairs_do_not_count():
    own, real = game(variant="cls"), batch(4)
    tokens = torch.tensor([[2, 3, 0, 0, 0], [2, 3, 0, 0, 0], [4, 0, 0, 0, 0], [2, 3, 0, 0, 0]])
    logits = list[Tensor]()
    own.discriminator.register_forward_hook(lambda _net, _given, said: logits.append(said.detach()))
    term = next(own.play(iter([Captioned(real.images, tokens)]), Clock())).terms["wrong"]
    own.draw = RoundDraw(0, 0, 0, 1, "cpu")
    own.noise(6)  # the draws before that of the wrong sentences
    _, differs = own.draw_wrong(tokens)
    torch.testing.assert_close(term, F.softplus(logits[2])[differs].mean() / 2)


def test_interpolated_sentences_lie_between_two():
    text = torch.randn(5, 3)
    torch.testing.assert_close(blend(text, 0.5), (text[:2] + text[2:4]) / 2)
    torch.testing.assert_close(blend(text, 0.0), text[:2])
    own, real = game(variant="int", beta=0.25), batch(5)
    seen = Seen(own.generator)
    next(own.play(iter([real]), Clock()))
    text = embed_sentences(own.text, real.tokens)
    torch.testing.assert_close(seen.calls[0][1][5:], 0.75 * text[:2] + 0.25 * text[2:4])


def test_the_third_network_learns_z_of_detached_images_in_the_last_share():
    own = game(encoder_from=0.5)
    assert [move.player for move in own.play(iter([batch()]), Clock(0, 0, 0, 0.49))] == ["discriminator", "generator"]
    seen = Seen(own.generator)
    moves = list(own.play(iter([batch()]), Clock(1, 0, 0, 0.5)))
    assert [move.player for move in moves] == ["discriminator", "generator", "encoder"]
    assert not any(p.requires_grad for p in own.text.parameters())
    gradients = torch.autograd.grad(moves[2].terms["style"], own.generator.parameters(), allow_unused=True)  # pyright: ignore
    assert all(gradient is None for gradient in gradients)
    noise = seen.calls[0][0]
    assert noise.shape == (9, CONFIG.latent)


def test_a_translated_image_is_drawn_with_its_recovered_noise():
    own, given = game(), batch(3)
    with inference_mode(own):
        made = own.translate(given.images, given.tokens)
        expected = own.generate(own.encoder(given.images), given.tokens)
    assert torch.equal(made, expected)
    assert own.fixed_size


def test_a_sentence_decides_the_image_and_so_does_the_noise():
    own, given = game(), batch(4)
    list(own.play(iter([batch()]), Clock()))
    with inference_mode(own):
        noise = own.noise(4)
        one, other = own.generate(noise, given.tokens), own.generate(noise, given.tokens.roll(1, 0))
        assert (one - other).abs().max() > 1e-4
        again = own.generate(own.noise(4), given.tokens)
        assert (one - again).abs().max() > 1e-4


def test_two_sentences_are_mixed_by_their_embeddings():
    own, given = game(), batch(4)
    seen = Seen(own.generator)
    other, shares = given.tokens.roll(1, 0), torch.tensor([0.0, 0.25, 0.5, 1.0])
    with inference_mode(own):
        own.sample(4, given.tokens, other, 0.25)
        own.generate(own.noise(4), given.tokens, other, shares)  # pyright: ignore[reportArgumentType]
        a, b = embed_sentences(own.text, given.tokens), embed_sentences(own.text, other)
    torch.testing.assert_close(seen.calls[0][1], 0.75 * a + 0.25 * b)
    torch.testing.assert_close(seen.calls[1][1], a + shares[:, None] * (b - a))


def test_no_sentence_is_an_error():
    with pytest.raises(OptionError, match="--text"):
        game().sample(2)


def test_minibatch_discrimination_counts_rows_that_are_alike():
    torch.manual_seed(0)
    block, features = MinibatchDiscrimination(6, 3), torch.randn(4, 6)
    points = (features @ block.weight).view(4, 3, 4)
    expected = torch.stack([torch.exp(-(points - points[i]).abs().sum(2)).sum(0) for i in range(4)])
    torch.testing.assert_close(block(features), expected)
    torch.testing.assert_close(block(features[:1].expand(4, -1)), torch.full((4, 3), 4.0))
