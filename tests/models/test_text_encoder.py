"""What makes it a joint embedding: an image is nearest to its own sentence, whatever the network of sentences."""

import pytest
import torch

from ganforge.batches import Captioned, Facts
from ganforge.engine import Engine
from ganforge.errors import ModelError
from ganforge.game import Clock
from ganforge.metrics.retrieval import retrieve
from ganforge.models.text_encoder import CharCNNRNN, Config, JointEmbedding, WordGRU, joint_embedding
from ganforge.nn.text_encoders import TextEncoder
from tests.support.toys import run

FACTS = Facts(3, 16, 16, vocabulary=9, caption_length=12)
NETWORKS = pytest.mark.parametrize("networks", ["char-cnn-rnn", "gru"])


def game(networks: str, **changes: object) -> JointEmbedding:
    torch.manual_seed(0)
    small = {"width": 16, "filters": (8, 8), "hidden": 16, "image_width": 8, "initial": 0.0, "symmetric": True}
    return JointEmbedding(Config(networks=networks, **{**small, **changes}), FACTS)  # pyright: ignore


@NETWORKS
def test_it_is_a_text_encoder_whose_padding_does_not_matter(networks):
    own = game(networks).eval()
    assert isinstance(own, TextEncoder)
    tokens = Captioned.example(4, FACTS).tokens
    features, pooled = own(tokens, tokens > 0)
    assert (features.shape[0], features.shape[2], pooled.shape) == (4, own.text_width, (4, 16))
    if networks == "gru":  # letters are read in a row of one length, as the authors do
        longer = torch.cat([tokens, torch.zeros(4, 5, dtype=torch.int64)], 1)
        torch.testing.assert_close(own(longer, longer > 0)[1], pooled)
        assert not features[tokens == 0].any()
    changed = tokens.clone()
    changed[:, 0] = tokens[:, 0] % 7 + 2
    assert not torch.allclose(own(changed, changed > 0)[1], pooled)


def test_a_sentence_without_words_has_finite_features():
    own = WordGRU(9, 8, 4)
    tokens = torch.zeros(2, 5, dtype=torch.int64)
    assert all(torch.isfinite(side).all() for side in own(tokens, tokens > 0))


def test_a_short_row_is_filled_up_to_one_step():
    own = CharCNNRNN(5, (4, 4, 4), 3)
    assert own.least == 48
    tokens = torch.randint(2, 7, (2, 6))
    assert own(tokens, tokens > 0)[0].shape == (2, 1, 3)


def test_the_loss_is_its_formula_and_equal_sentences_are_no_wrong_ones():
    images, texts = torch.randn(5, 3), torch.randn(5, 3)
    same = torch.zeros(5, 5, dtype=torch.bool)
    same[0, 3] = same[3, 0] = True
    expected = sum(
        max(0.0, 1 + float(images[n] @ texts[m]) - float(images[n] @ texts[n]))
        for n in range(5)
        for m in range(5)
        if m != n and not same[n, m]
    )
    torch.testing.assert_close(joint_embedding(images, texts, same), torch.tensor(expected / 25))


def test_both_directions_on_request():
    batch = Captioned.example(6, FACTS)
    for symmetric, terms in ((False, {"captions"}), (True, {"captions", "images"})):
        (move,) = game("gru", symmetric=symmetric).play(iter([batch]), Clock())
        assert move.terms.keys() == terms


@NETWORKS
def test_it_learns_which_sentence_belongs_to_an_image(networks):
    """Images of one of four colours, sentences whose second word or letter names it; the rest is chance."""

    class Colours:
        count = 64

        def batch(self, number: int, share: int, shares: int) -> Captioned:
            source = torch.Generator().manual_seed(number)
            colour = torch.randint(4, (16,), generator=source)
            tokens = torch.randint(6, 9, (16, 12), generator=source)
            tokens[:, 1] = colour + 2
            values = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1]])[colour]
            return Captioned(values[:, :, None, None].expand(-1, -1, 16, 16).contiguous(), tokens)

    own = game(networks, lr=3e-3, decay=1.0)
    seen = Colours().batch(10_000, 0, 1)

    def share(encoder: JointEmbedding) -> float:
        with torch.no_grad():
            images, texts = encoder.eval().embed(seen.images), encoder(seen.tokens, seen.tokens > 0)[1]
        return float(retrieve(images, texts, seen.tokens[:, 1:2]).float().mean())

    before = share(own)
    Engine(own.train(), run(steps=250, batch=16, fast=False), Colours()).train()
    assert before < 0.7 < 0.95 <= share(own)
    scores = own.score(seen.images, seen.tokens)
    assert (scores > own.score(seen.images, seen.tokens.roll(1, 0)))[
        seen.tokens[:, 1] != seen.tokens[:, 1].roll(1)
    ].all()


def test_what_it_cannot_read_is_refused():
    with pytest.raises(ModelError, match="needs data with captions"):
        JointEmbedding(Config(), Facts(3, 16, 16))
    with pytest.raises(ModelError, match="these have 2: say --size 16"):
        JointEmbedding(Config(), Facts(3, 2, 2, vocabulary=9))
    with pytest.raises(ModelError, match="give --text"):
        game("gru").score(torch.zeros(1, 3, 16, 16), None)
