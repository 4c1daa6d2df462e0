"""shapes-captions and shapes-captions-unseen: sentences agree with the scenes, and what they leave open varies."""

import numpy as np
import pytest

from ganforge.batches import Captioned
from ganforge.data.named_sets import NAMED
from ganforge.data.open import open_data
from ganforge.data.synthetic.captions import (
    PLACES,
    SIZE,
    UNSEEN,
    VARIANTS,
    find_unseen,
    make_described,
    open_described,
)
from ganforge.data.synthetic.choose import choose_synthetic_data
from ganforge.data.synthetic.shapes import COLOURS, make_scenes, open_shapes
from ganforge.data.synthetic.signed_distance import KINDS
from ganforge.data.tokens import TokenColumn, tokeniser_of
from ganforge.errors import DataError

READING = {"needed": ("images", "tokens"), "size": (8, 8)}


def test_sentences_name_what_the_scene_has():
    scenes = make_described("shapes-captions", count=300)
    masks = scenes.masks(SIZE)[:, 0]
    for row, sentences in enumerate(scenes.sentences):
        words = [sentence.replace(",", "").split() for sentence in sentences]
        colour, kind = tuple(COLOURS)[scenes.colour[row, 0]], tuple(KINDS)[scenes.kind[row, 0]]
        assert all(colour in own and kind in own for own in words)
        assert ("large" if scenes.large[row, 0] else "small") in words[0]
        assert ("dark" if scenes.dark[row] else "light") in words[0]
        assert sum(place in sentences[0] for place in PLACES) == 1
        if kind == "crescent":  # its middle is in its bite
            continue
        x = masks[row].nonzero()[1].mean() + 0.5 - 16
        if "left" in words[0] or "right" in words[0]:
            assert ("right" in words[0]) == (x > 0)
        else:
            assert abs(x) < 4.5
    assert scenes.captions == tuple(own[0] for own in scenes.sentences)
    assert not scenes.striped.any()


def test_what_a_sentence_leaves_open_varies():
    scenes = make_described("shapes-captions", count=4_000)
    sentences = [own[-1] for own in scenes.sentences]
    rows = [row for row, sentence in enumerate(sentences) if sentence == sentences[0]]
    assert len(rows) > 20
    assert {*scenes.dark[rows]} == {*scenes.large[rows, 0]} == {True, False}
    assert {*scenes.side[rows]} == {0, 1, 2}
    assert len({*scenes.ground[rows]}) > 5
    assert scenes.place[rows, 0].std(0).min() > 0.1


def test_no_object_leaves_the_frame():
    masks = make_described("shapes-captions", count=200).masks((64, 64))[:, 0]
    assert not masks[:, [0, -1]].any()
    assert not masks[:, :, [0, -1]].any()


def test_combinations_are_held_back_and_no_word_is():
    trained, held = (make_described("shapes-captions-unseen", count=900, held_out=out) for out in (False, True))
    assert len(trained) == len(held) == 900
    assert not find_unseen(trained).any()
    assert find_unseen(held).all()
    assert {*trained.rows.tolist()}.isdisjoint(held.rows.tolist())
    pairs = {*zip(trained.kind[:, 0].tolist(), trained.colour[:, 0].tolist(), strict=True)}
    assert pairs.isdisjoint(enumerate(UNSEEN))
    assert len(pairs) == len(KINDS) * len(COLOURS) - len(KINDS)
    assert {*zip(held.kind[:, 0].tolist(), held.colour[:, 0].tolist(), strict=True)} == {*enumerate(UNSEEN)}
    words = [{*" ".join(s for own in scenes.sentences for s in own).split()} for scenes in (trained, held)]
    assert words[1] <= words[0]


def test_the_set_has_tokens_and_the_true_kind():
    assert {*VARIANTS} <= {*NAMED}
    data = open_data("shapes-captions", **READING)
    data.need(*Captioned.columns(), "condition")
    facts, tokeniser = data.facts, tokeniser_of(data)
    assert tokeniser is not None
    assert (facts.vocabulary, facts.caption_length, facts.captions) == (tokeniser.size, 11, 6)
    assert facts.tokeniser == tokeniser.hash
    assert data.columns["images"].shape == (10_000, 8, 8, 3)
    assert (data.columns["condition"][:40] == make_described("shapes-captions", count=40).kind[:, 0]).all()
    held = open_data("shapes-captions", held_out=True, tokeniser=tokeniser, **READING)
    assert held.facts == facts
    assert (held.columns["tokens"][np.arange(len(held))] != 1).all()


def test_models_that_read_nothing_get_the_facts_that_they_had():
    assert not open_described("shapes-captions", count=2).facts.vocabulary
    plain = open_shapes("shapes-scenes", size=(16, 16), count=4)
    assert {*plain.columns} == {"images", "condition"}
    spoken = open_shapes("shapes-scenes", size=(16, 16), count=4, captions=True)
    assert spoken.facts == plain.facts
    assert spoken.fingerprint == plain.fingerprint
    column = spoken.columns["tokens"]
    assert isinstance(column, TokenColumn)
    assert [*column.sentences()] == [*make_scenes("shapes-scenes", range(4)).captions]


def test_scenes_have_sentences_for_a_model_that_reads_them():
    data = open_data("shapes-scenes", **READING)
    assert data.facts.captions == 1
    assert data.facts.vocabulary == 28


def test_a_model_of_captions_gets_the_set_of_captions():
    assert choose_synthetic_data(Captioned.columns()) == "shapes-captions"
    assert choose_synthetic_data(("images", "condition", "tokens")) == "shapes-captions"


def test_drawing_is_checked():
    assert open_described("shapes-captions", size=(8, 16), channels=1, count=3).columns["images"].shape == (3, 8, 16, 1)
    with pytest.raises(DataError, match="at least 8 x 8"):
        open_described("shapes-captions", size=(4, 4))
    with pytest.raises(DataError, match="This model needs tokens, but shapes-maps provides only"):
        open_data("shapes-maps", **READING).need("images", "tokens")
