"""Synthetic data: scenes do not depend on batch or size, and annotations are exact."""

import numpy as np
import pytest

from ganforge.data.synthetic.fabric import FLAWED, FLAWS
from ganforge.data.synthetic.scenes import Chance
from ganforge.data.synthetic.shapes import COLOURS, HELD_OUT, VARIANTS, Crowd, Shapes, make_scenes, open_shapes
from ganforge.data.synthetic.signed_distance import KINDS
from ganforge.errors import DataError

SIZE = (32, 32)
ROWS = range(HELD_OUT, HELD_OUT + 200)  # held out, so that cloth has flaws


def crowd(count: int = 200) -> Crowd:
    scenes = make_scenes("shapes-scenes", range(count))
    assert isinstance(scenes, Crowd)
    return scenes


# The same scene, however it is asked for ------------------------------------------------------------


@pytest.mark.parametrize("style", ["day", "neon"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_row_is_the_same_in_every_batch(variant, style):
    together = make_scenes(variant, ROWS, seed=3)
    some = [137, 2, 64]
    alone = [make_scenes(variant, [ROWS[i]], seed=3) for i in some]
    for i, one in zip(some, alone, strict=True):
        assert np.array_equal(one.images(SIZE, style)[0], together.images(SIZE, style)[i])
        assert np.array_equal(one.masks(SIZE)[0], together.masks(SIZE)[i])
        assert one.captions[0] == together.captions[i]


def test_random_numbers_are_the_same_on_every_machine():
    """Integers and one exact product: these numbers must not change unless RENDERER is raised."""
    drawn = Chance(7, np.uint64([0, 1, 2**63])).uniform("radius", 2)
    golden = np.array(
        [
            0.7659262418746948,
            0.05147672817111015,
            0.6313210129737854,
            0.5171735286712646,
            0.7246688008308411,
            0.6968321800231934,
        ],
        np.float32,
    )
    assert np.array_equal(drawn.ravel(), golden)
    assert make_scenes("shapes-scenes", [5], seed=1).captions == (
        "a large yellow star, a small striped green cross, a large striped blue heart on a light background",
    )


def test_random_numbers_are_uniform_and_independent_by_name():
    chance = Chance(0, np.arange(20_000, dtype=np.uint64))
    draws = np.stack([chance.uniform("a"), chance.uniform("b"), *chance.uniform("c", 2).T])
    assert np.abs(draws.mean(1) - 0.5).max() < 0.01
    assert np.abs(draws.var(1) - 1 / 12).max() < 0.003
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.03
    assert np.abs(np.corrcoef(draws[:, 1:], draws[:, :-1])[:4, 4:]).max() < 0.03  # nor does a row follow the last


@pytest.mark.parametrize("variant", VARIANTS)
def test_seeds_and_held_out_scenes_differ(variant):
    here = open_shapes(variant, count=20).columns["images"]
    assert not np.array_equal(here, open_shapes(variant, count=20, seed=1).columns["images"])
    assert not np.array_equal(here, open_shapes(variant, count=20, held_out=True).columns["images"])


@pytest.mark.parametrize("style", ["day", "neon"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_scene_is_the_same_at_every_size(variant, style):
    scenes = make_scenes(variant, ROWS[:60])
    large = scenes.images((64, 64), style).reshape(60, 32, 2, 32, 2, 3).mean((2, 4))
    error = np.abs(large - scenes.images(SIZE, style))
    assert error.mean() < 1.5
    assert np.sqrt((error**2).mean()) < 5


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_wide_image_holds_the_square_one_in_its_middle(variant):
    scenes = make_scenes(variant, ROWS)
    wide, square = scenes.images((32, 48)), scenes.images(SIZE)
    assert wide.shape == (200, 32, 48, 3)
    assert np.abs(wide[:, :, 8:40].astype(int) - square).max() <= 1
    tall = scenes.masks((48, 32))
    assert np.array_equal(tall[:, :, 8:40], scenes.masks(SIZE))


# Annotations tell the truth -------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_boxes_are_tight_around_masks(variant):
    scenes = make_scenes(variant, ROWS)
    height, width = size = (32, 40)
    masks, boxes = scenes.masks(size), scenes.boxes(size)
    assert boxes.dtype == np.float32
    for mask, box, label in zip(masks.reshape(-1, *size), boxes.reshape(-1, 4), scenes.labels.ravel(), strict=True):
        assert mask.any() == (label > 0)
        if label:
            y, x = mask.nonzero()
            truth = [x.min() / width, y.min() / height, (x.max() + 1) / width, (y.max() + 1) / height]
            assert box == pytest.approx(truth)
        else:
            assert not box.any()


def test_the_label_map_shows_the_object_in_front():
    scenes = crowd()
    masks, truth = scenes.masks(SIZE), np.zeros((200, *SIZE), np.int64)
    for slot in reversed(range(scenes.slots)):
        truth = np.where(masks[:, slot] > 0, scenes.labels[:, slot, None, None], truth)
    assert np.array_equal(scenes.label_map(SIZE), truth)
    assert scenes.label_map(SIZE).max() == len(KINDS)


def test_objects_hide_one_another_but_none_wholly():
    scenes = crowd()
    masks = scenes.masks((64, 64)).astype(bool)
    ahead = np.cumsum(masks, 1) - masks > 0
    seen, whole = (masks & ~ahead).sum((2, 3)), masks.sum((2, 3))
    assert (seen[scenes.present] > 0.1 * whole[scenes.present]).all()
    assert 0.1 < (seen < whole)[scenes.present].mean() < 0.6
    assert set(scenes.present.sum(1)) == {2, 3, 4}


@pytest.mark.parametrize("variant", ["shapes", "shapes-scenes"])
def test_pixels_have_the_colour_that_the_description_says(variant):
    scenes = make_scenes(variant, range(100))
    assert isinstance(scenes, Shapes)
    images, mask = scenes.images((64, 64)), scenes.masks((64, 64))[:, 0].astype(bool)
    inks = np.float32(list(COLOURS.values()))
    seen = np.stack([np.median(i[m & (i.std(-1) > 10)], 0) for i, m in zip(images, mask, strict=True)])
    hue = seen / np.linalg.norm(seen, axis=1, keepdims=True)  # stripes darken, but keep the hue
    named = inks / np.linalg.norm(inks, axis=1, keepdims=True)
    assert np.array_equal((hue @ named.T).argmax(1), scenes.colour[:, 0])
    corner = images[:, :4, :4].mean((1, 2, 3))
    assert np.array_equal(corner < 128, scenes.dark)


@pytest.mark.parametrize("variant", ["shapes", "shapes-scenes"])
def test_captions_attributes_and_classes_agree(variant):
    scenes = make_scenes(variant, range(100))
    for caption, signs, kind in zip(scenes.captions, scenes.attributes, scenes.condition, strict=True):
        said = dict(zip(scenes.attribute_names, signs > 0, strict=True))
        front, words = caption.split(" on a ")[0].split(",")[0].split(), caption.split()
        assert front[-1] == scenes.names[kind]
        assert [c for c in COLOURS if said[c]] == [front[-2]]
        assert ("large" in front, "striped" in front, "dark" in words) == (said["large"], said["striped"], said["dark"])


def test_left_objects_lie_left():
    scenes = make_scenes("shapes", range(200))
    box = scenes.boxes((64, 64))[:, 0]
    middle = (box[:, 0] + box[:, 2]) / 2
    left = scenes.attributes[:, scenes.attribute_names.index("left")] > 0
    assert middle[left].mean() < 0.49 < 0.51 < middle[~left].mean()


def test_edges_lie_on_outlines():
    scenes = make_scenes("shapes", range(100))
    edges, mask = scenes.edges(SIZE)[..., 0], scenes.masks(SIZE)[:, 0].astype(bool)
    around = np.pad(mask, ((0, 0), (1, 1), (1, 1)), mode="edge")
    near = np.stack([around[:, y : y + 32, x : x + 32] for y in range(3) for x in range(3)])
    outline = near.any(0) & ~near.all(0)
    assert edges[~outline].mean() < 5
    assert edges[outline].mean() > 80


# The variants ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["shapes", "shapes-scenes", "shapes-digits"])
def test_every_ten_scenes_hold_every_class_once(variant):
    condition = make_scenes(variant, range(1000)).condition
    assert (np.sort(condition.reshape(100, 10), 1) == np.arange(10)).all()
    assert len({tuple(block) for block in condition.reshape(100, 10)}) > 90  # and in no fixed order


def test_digits_are_separable_by_nearest_centroid():
    learn, judge = (make_scenes("shapes-digits", range(start, start + 1000)) for start in (0, HELD_OUT))
    seen, asked = (s.masks((28, 28)).reshape(len(s), -1).astype(np.float32) for s in (learn, judge))
    centroids = np.stack([seen[learn.condition == k].mean(0) for k in range(10)])
    answer = ((asked[:, None] - centroids) ** 2).sum(-1).argmin(1)
    assert (answer == judge.condition).mean() > 0.7


def test_flaws_occur_only_in_held_out_cloth():
    assert not open_shapes("shapes-defects", count=2000).columns["condition"].any()
    held_out = open_shapes("shapes-defects", count=2000, held_out=True).columns["condition"]
    assert abs(held_out.mean() - FLAWED) < 0.04


def test_flaws_show_where_the_mask_says():
    scenes = make_scenes("shapes-defects", ROWS)
    flawed, masks = scenes.condition == 1, scenes.masks(SIZE)[:, 0].astype(bool)
    images = scenes.images(SIZE).astype(float).mean(-1)
    for image, mask in zip(images[flawed], masks[flawed], strict=True):
        assert abs(np.median(image[mask]) - np.median(image[~mask])) > 15
    assert not masks[~flawed].any()
    assert {c.split()[-1] for c in scenes.captions} == {*FLAWS, "flaw"}


# Opened as a data set -------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_data_set_has_what_its_facts_say(variant):
    data = open_shapes(variant, size=(20, 24), channels=1, count=50)
    assert data.columns["images"].shape == (50, 20, 24, 1)
    assert data.columns["images"].dtype == np.uint8
    assert (data.facts.channels, data.facts.height, data.facts.width) == (1, 20, 24)
    condition = data.columns["condition"]
    assert condition.dtype == (np.float32 if data.facts.attributes else np.int64)
    assert condition.max() < (len(data.facts.labels) or 2)
    assert condition.shape == ((50, len(data.facts.attributes)) if data.facts.attributes else (50,))
    grey = open_shapes(variant, size=(20, 24), channels=3, count=50).columns["images"] @ np.float64(
        [0.299, 0.587, 0.114]
    )
    assert np.abs(data.columns["images"][..., 0] - grey).max() <= 0.51


def test_worlds_have_their_own_size_and_channels():
    assert open_shapes("shapes", count=3).columns["images"].shape == (3, 32, 32, 3)
    assert open_shapes("shapes-digits", count=3).columns["images"].shape == (3, 28, 28, 1)


def test_fingerprints_distinguish_data_sets():
    ways = [{}, {"size": (64, 64)}, {"channels": 1}, {"seed": 1}, {"count": 11}, {"held_out": True}]
    opened = [open_shapes("shapes", **{"count": 10, **way}) for way in ways]
    assert len({data.fingerprint for data in opened}) == len(ways)
    assert opened[0].fingerprint == open_shapes("shapes", count=10).fingerprint


def test_progress_is_reported_to_the_end():
    told = []
    open_shapes("shapes", count=300, progress=lambda done, total: told.append((done, total)))
    assert len(told) > 1
    assert told[-1] == (300, 300)


@pytest.mark.parametrize(
    ("variant", "wish", "sentence"),
    [
        ("shapes-9", {}, "no synthetic data set called 'shapes-9': choose one of shapes, shapes-scenes"),
        ("shapes", {"size": (4, 32)}, "at least 8 x 8"),
        ("shapes", {"channels": 2}, "3 channels"),
        ("shapes", {"count": 0}, "at least one"),
    ],
)
def test_errors_of_invalid_variants_and_sizes(variant, wish, sentence):
    with pytest.raises(DataError, match=sentence):
        open_shapes(variant, **wish)
