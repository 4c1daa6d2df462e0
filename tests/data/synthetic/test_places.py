"""shapes-maps, shapes-layouts and shapes-layouts-unseen: annotations agree with the pixels, and splits are apart."""

import numpy as np
import pytest

from ganforge.batches import LaidOut, Paired, Segmented, Unpaired
from ganforge.data.named_sets import NAMED
from ganforge.data.open import open_data
from ganforge.data.synthetic.choose import choose_synthetic_data
from ganforge.data.synthetic.places import (
    OBJECTS,
    REGIONS,
    UNSEEN,
    VARIANTS,
    find_unseen,
    make_places,
    open_places,
)
from ganforge.data.synthetic.signed_distance import KINDS
from ganforge.errors import DataError

SIZE = (48, 48)


def test_facts_name_every_value():
    maps = open_places("shapes-maps", size=SIZE, count=60)
    facts = maps.facts
    assert facts.regions == REGIONS
    assert len(facts.region_colours) == len(set(facts.region_colours)) == len(REGIONS)
    assert facts.instance_maps
    assert not facts.objects
    assert np.unique(maps.columns["label_map"]).tolist() == [*range(len(REGIONS))]
    layouts = open_places("shapes-layouts", size=SIZE, count=60)
    assert layouts.facts.objects == OBJECTS == ("", *KINDS)
    assert layouts.facts.most == 4
    assert not layouts.facts.regions
    assert np.unique(layouts.columns["box_labels"]).tolist() == [*range(len(OBJECTS))]


def test_maps_agree_with_the_scenes():
    data, scenes = open_places("shapes-maps", size=SIZE, count=20), make_places("shapes-maps", count=20)
    regions, instances = data.columns["label_map"][..., 0], data.columns["instance_map"][..., 0]
    for row in range(20):
        assert {*np.unique(regions[row][instances[row] == 0])} == {int(scenes.dark[row])}
        for slot in range(4):
            own = regions[row][instances[row] == slot + 1]
            assert bool(len(own)) == bool(scenes.present[row, slot])  # none is hidden completely
            assert {*own.tolist()} <= {2 + scenes.kind[row, slot]}
    assert (data.columns["images"] == scenes.images(SIZE)).all()


def test_boxes_are_around_the_objects():
    data, scenes = open_places("shapes-layouts", size=SIZE, count=20), make_places("shapes-layouts", count=20)
    boxes, labels = data.columns["boxes"], data.columns["box_labels"]
    assert ((labels > 0) == scenes.present).all()
    assert ((labels > 0).sum(1) >= 2).all()
    assert not boxes[labels == 0].any()
    assert (boxes[labels > 0][:, 2:] > boxes[labels > 0][:, :2]).all()
    for row, slot in zip(*np.nonzero(labels), strict=True):
        ys, xs = np.nonzero(scenes.masks(SIZE)[row, slot])
        found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) / 48
        assert np.allclose(boxes[row, slot], found)
        assert OBJECTS[labels[row, slot]] == scenes.names[labels[row, slot] - 1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_held_out_scenes_are_others(variant):
    train, test = make_places(variant, count=40), make_places(variant, count=40, held_out=True)
    assert not {*train.rows.tolist()} & {*test.rows.tolist()}
    assert len(train) == len(test) == 40
    assert NAMED[variant]
    assert open_places(variant, size=SIZE, count=4).fingerprint


def test_unseen_pairs_are_in_held_out_scenes_alone():
    assert sorted(kind for pair in UNSEEN for kind in pair) == [*range(len(KINDS))]
    train = make_places("shapes-layouts-unseen")
    test = make_places("shapes-layouts-unseen", held_out=True)
    assert len(train) == 4_000
    assert len(test) == 1_000
    assert not find_unseen(train).any()
    assert find_unseen(test).all()
    assert 0.1 < find_unseen(make_places("shapes-layouts")).mean() < 0.6  # the plain variant has both
    for scenes, expected in ((train, False), (test, True)):  # the same, without the function that chose them
        kinds = [{*k[p].tolist()} for k, p in zip(scenes.kind[:300], scenes.present[:300], strict=True)]
        assert all(any({*pair} <= own for pair in UNSEEN) == expected for own in kinds)
    assert {*train.kind[train.present].tolist()} == {*range(len(KINDS))}  # every kind by itself is trained on


def test_a_scene_does_not_depend_on_size_crop_or_count():
    few, many = (open_places("shapes-layouts", size=SIZE, count=n) for n in (3, 9))
    assert (few.columns["images"] == many.columns["images"][:3]).all()
    large = open_places("shapes-layouts", size=SIZE, count=3, crop=True)
    assert large.columns["images"].shape[1] > 48
    assert np.allclose(large.columns["boxes"], few.columns["boxes"], atol=0.04)
    assert large.fingerprint != few.fingerprint
    assert large.facts == few.facts
    assert open_places("shapes-maps", size=SIZE, channels=1, count=2).columns["images"].shape == (2, *SIZE, 1)


def test_open_data_and_the_default_set_of_a_model():
    assert choose_synthetic_data(Segmented.columns()) == "shapes-maps"
    assert choose_synthetic_data(LaidOut.columns()) == "shapes-layouts"
    assert choose_synthetic_data(Paired.columns()) == "shapes-pairs"
    assert choose_synthetic_data(Unpaired.columns()) == "shapes-unpaired"
    assert choose_synthetic_data(("images", "condition")) == choose_synthetic_data(("images",)) == "shapes"
    assert open_data("shapes-layouts", size=(16, 16), needed=LaidOut.columns()).facts.height == 16
    assert open_places("shapes-maps", count=2).facts.width == 64


def test_sizes_that_cannot_be_drawn():
    with pytest.raises(DataError, match="at least 8 x 8"):
        open_places("shapes-maps", size=(4, 4))
