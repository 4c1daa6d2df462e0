"""Two-sided data: folders, halves, masks; pairs derived from plain images; synthetic pairs."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import ganforge
from ganforge.batches import Images, Instances, Paired, Unpaired
from ganforge.data.loader import BatchLoader
from ganforge.data.open import open_data
from ganforge.data.read_options import ReadOptions
from ganforge.data.synthetic import domains
from ganforge.data.synthetic.choose import choose_synthetic_data
from ganforge.data.synthetic.domains import PALETTE
from ganforge.errors import DataError, OptionError
from ganforge.images import read, recolour
from ganforge.training.plan import plan
from tests.data.layouts.test_folders import write_image, zip_folder
from tests.support.goldens import SHARED
from tests.support.toys import RUN

PAIRS, DOMAINS, MASKED = Paired.columns(), Unpaired.columns(), Instances.columns()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(domains, "COUNT", 220)  # fewer drawn scenes: these tests need no more
    monkeypatch.setattr(domains, "FEWER", 210)


def opened(path, needed=PAIRS, **options):
    return open_data(str(path), size=options.pop("size", None), needed=needed, **options)


def sides(root, first, second, names=("1", "2", "3"), shape=(8, 8, 3)):
    """The same names in two folders; returns what each holds, in order."""
    return [
        np.stack([write_image(root / folder / f"{name}.png", shape) for name in names]) for folder in (first, second)
    ]


# -- folders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize(
    ("train", "test"),
    [
        (("A", "B"), None),
        (("source", "target"), None),
        (("trainA", "trainB"), ("testA", "testB")),
        (("train/A", "train/B"), ("val/A", "val/B")),
        (("A/train", "B/train"), ("A/test", "B/test")),
    ],
)
def test_two_folders_of_equal_names_are_pairs_and_domains(tmp_path, train, test, archive):
    root = tmp_path / "set"
    a, b = sides(root, *train)
    held = sides(root, *test) if test else None
    path = zip_folder(root, tmp_path / "set.zip") if archive else root
    pairs, two = opened(path), opened(path, DOMAINS)
    for data, first, second in ((pairs, "source", "target"), (two, "a", "b")):
        assert np.array_equal(data.columns[first], a)
        assert np.array_equal(data.columns[second], b)
    assert opened(path, reading=ReadOptions("BtoA")).columns["source"][0].tolist() == b[0].tolist()
    assert opened(path, reading=ReadOptions("BtoA")).fingerprint != pairs.fingerprint
    if held:
        assert np.array_equal(opened(path, held_out=True).columns["target"], held[1])
    else:
        with pytest.raises(DataError, match="has no test split"):
            opened(path, held_out=True)


def test_only_a_model_of_single_images_gets_a_note_on_both_sides(tmp_path):
    sides(tmp_path, "A", "B")
    (note,) = opened(tmp_path, ("images",)).notes
    assert note.endswith(f"one alone is --data {tmp_path / 'A'}.")
    assert opened(tmp_path).notes == opened(tmp_path, DOMAINS).notes == ()


def test_partners_are_found_whatever_their_order_and_ending(tmp_path):
    for k in range(3):
        write_image(tmp_path / "A" / f"{k}.bmp", (8, 8, 3))
        Image.fromarray(np.full((8, 8), k, np.uint8)).save(tmp_path / "B" / f"{k}.png") if k else None
        (tmp_path / "B").mkdir(exist_ok=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "B" / "0.tif")
    data = opened(tmp_path)
    assert data.columns["target"][:, 0, 0, 0].tolist() == [0, 1, 2]
    assert (data.facts.source_channels, data.facts.channels) == (3, 1)
    turned = opened(tmp_path, reading=ReadOptions("BtoA")).facts
    assert (turned.source_channels, turned.channels) == (1, 3)


def test_a_palette_gives_its_colours(tmp_path):
    sides(tmp_path, "A", "B")
    index = Image.fromarray(np.full((8, 8), 2, np.uint8), "P")
    index.putpalette([0, 0, 0, 9, 9, 9, 10, 20, 30])
    index.save(tmp_path / "B" / "2.png")
    assert opened(tmp_path).columns["target"][1, 0, 0].tolist() == [10, 20, 30]


def test_images_two_squares_wide_are_pairs_only_for_a_model_of_pairs(tmp_path):
    whole = np.stack([write_image(tmp_path / "train" / f"{k}.png", (8, 16, 3)) for k in range(3)])
    data = opened(tmp_path)
    assert np.array_equal(data.columns["source"], whole[:, :, :8])
    assert np.array_equal(data.columns["target"], whole[:, :, 8:])
    assert opened(tmp_path, ("images",)).columns["images"].shape == (3, 8, 16, 3)
    write_image(tmp_path / "train" / "odd.png", (8, 15, 3))
    with pytest.raises(DataError, match=r"needs source and target, .* plain images: train/odd.png is 8x15"):
        opened(tmp_path)


def test_a_damaged_image_removes_its_partner(tmp_path):
    a, b = sides(tmp_path, "A", "B", "12345")
    (tmp_path / "A" / "2.png").write_bytes(b"?")
    (tmp_path / "B" / "4.png").write_bytes(b"?")
    for _ in range(2):  # decoded, and out of the cache
        data = opened(tmp_path)
        assert np.array_equal(data.columns["source"], a[[0, 2, 4]])
        assert np.array_equal(data.columns["target"], b[[0, 2, 4]])
        assert sum(note.startswith("Left out: ") for note in data.notes) == 2


def test_two_classes_are_two_domains(tmp_path):
    sides(tmp_path, "cat", "dog")
    assert "Side a is cat, side b is dog." in opened(tmp_path, DOMAINS).notes
    sides(tmp_path, "ox", "owl")
    with pytest.raises(DataError, match=r"has one side, and this model needs two.*trainA"):
        opened(tmp_path, DOMAINS)


def test_domains_of_other_lengths_and_channels(tmp_path):
    for k in range(5):
        write_image(tmp_path / "trainA" / f"{k}.png", (8, 8, 3))
    for k in range(2):
        write_image(tmp_path / "trainB" / f"x{k}.png", (8, 8))
    data = opened(tmp_path, DOMAINS)
    assert [data.columns[side].shape for side in "ab"] == [(5, 8, 8, 3), (2, 8, 8, 3)]
    assert len(data) == 5
    write_image(tmp_path / "trainB" / "x0.png", (8, 9))
    write_image(tmp_path / "trainB" / "x1.png", (8, 9))
    with pytest.raises(DataError, match=r"The two sides .* differ: 8x8x3 and 8x9x3 .* Say --size"):
        opened(tmp_path, DOMAINS)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (
            lambda root: (root / "B" / "2.png").unlink(),
            r"3 images .*A and 2 .*B do not make pairs: A/2.png has no",
        ),
        (
            lambda root: write_image(root / "B" / "2.png", (8, 9, 3)),
            r"A/2.png is 8x8 pixels and its partner .* is 8x9",
        ),
        (lambda root: write_image(root / "A" / "2.bmp", (8, 8, 3)), r"two images of one name on one side"),
    ],
)
def test_errors_of_invalid_pairs(tmp_path, spoil, why):
    sides(tmp_path, "A", "B")
    spoil(tmp_path)
    with pytest.raises(DataError, match=why):
        opened(tmp_path)


def test_a_b_and_c_are_classes(tmp_path):
    sides(tmp_path, "A", "B")
    sides(tmp_path, "C", "D")
    assert opened(tmp_path, ("images", "condition")).facts.labels == ("A", "B", "C", "D")


def test_errors_of_invalid_read_options(tmp_path):
    sides(tmp_path, "A", "B")
    with pytest.raises(OptionError, match="--direction is for two sides"):
        opened(tmp_path, ("images",), reading=ReadOptions("BtoA"))
    with pytest.raises(OptionError, match="--make edges makes pairs, and this model needs images"):
        opened(tmp_path, ("images",), reading=ReadOptions(make="edges"))
    with pytest.raises(DataError, match=r"has two sides already; --make is for plain images, as in --data .*/A"):
        opened(tmp_path, reading=ReadOptions(make="edges"))
    with pytest.raises(OptionError, match="direction cannot be 'AtoC': it is AtoB or BtoA"):
        plan("dcgan", load=ganforge.load, direction="AtoC")


# -- masks ------------------------------------------------------------------------------------------


def drawn(path, *boxes, value=255, shape=(8, 8)):
    """A mask with rectangles (top, left, bottom, right)."""
    plane = np.zeros(shape, np.uint8)
    for k, (top, left, bottom, right) in enumerate(boxes, 1):
        plane[top:bottom, left:right] = value or k
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(plane).save(path)
    return plane


@pytest.mark.parametrize("folder", ["trainA_seg", "trainA_mask", "trainA_masks"])
def test_masks_are_files_or_colours(tmp_path, folder):
    sides(tmp_path, "trainA", "trainB", ("cat", "cat_2", "dog"))
    other = folder.replace("A", "B")
    one = drawn(tmp_path / folder / "cat_0.png", (0, 0, 2, 2))
    two = drawn(tmp_path / folder / "cat_1.png", (4, 4, 8, 8))
    three = drawn(tmp_path / folder / "cat_2" / "0.png", (1, 1, 3, 3))
    drawn(tmp_path / folder / "nobody.png", (0, 0, 1, 1))
    drawn(tmp_path / other / "cat.png", (0, 0, 2, 2), (3, 3, 5, 5), (6, 6, 8, 8), value=0)  # 1, 2, 3: one each
    drawn(tmp_path / other / "dog.png")
    data = opened(tmp_path, MASKED)
    assert data.facts.instances == 3
    assert data.columns["a_masks"].shape == (3, 8, 8, 2)
    assert np.array_equal(data.columns["a_masks"][0], np.stack([one, two], 2))
    assert np.array_equal(data.columns["a_masks"][1], np.stack([three, 0 * three], 2))
    assert not data.columns["a_masks"][2].any()
    assert data.columns["b_masks"][0].any((0, 1)).tolist() == [True, True, True]
    said = " ".join(data.notes)
    assert f"Not used: 1 mask of no image, the first {folder}/nobody.png." in said
    assert "1 of 3 images" in said
    assert f"Images whose masks have no instance: 1, the first {other}/dog.png." in said
    batch = BatchLoader(data, Instances, replace(RUN, batch=3)).batch(0)
    assert (batch.a_masks.shape, batch.b_masks.shape) == ((3, 3, 8, 8), (3, 3, 8, 8))  # padded with empty ones
    assert not batch.a_masks[:, 2].any()


def test_masks_are_cut_and_resized_with_their_images(tmp_path):
    for side in "AB":
        for k in range(2):
            plane = drawn(tmp_path / f"{side}_masks" / f"{k}.png", (2, 4 + k, 8, 12), shape=(12, 20))
            (tmp_path / side).mkdir(exist_ok=True)
            Image.fromarray(plane).save(tmp_path / side / f"{k}.png")
    data = opened(tmp_path, MASKED, size=(6, 6), crop=True)
    batch = BatchLoader(data, Instances, replace(RUN, batch=2, crop=True, flip=True)).batch(0)
    for pictures, masks in ((batch.a, batch.a_masks), (batch.b, batch.b_masks)):
        assert torch.equal(masks, (pictures >= 128 / 127.5 - 1).float())


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda root: drawn(root / "A_masks" / "1.png", (0, 0, 4, 4), shape=(8, 9)), "A_masks/1.png is 8x9 pixels"),
        (lambda root: [drawn(p) for p in (root / "A_masks").iterdir()], "masks of .*A are all empty"),
        (lambda root: [p.unlink() for p in (root / "A_masks").iterdir()], "A has no masks beside it"),
    ],
)
def test_errors_of_invalid_masks(tmp_path, spoil, why):
    sides(tmp_path, "A", "B")
    for side in "AB":
        for k in (1, 2):
            drawn(tmp_path / f"{side}_masks" / f"{k}.png", (0, 0, 4, 4))
    spoil(tmp_path)
    with pytest.raises(DataError, match=why):
        opened(tmp_path, MASKED)


# -- pairs from photographs -------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "channels"), [("edges", 1), ("grey", 1), ("lowres", 3), ("blur", 3), ("mask", 3)])
def test_pairs_are_derived_from_plain_images_deterministically(tmp_path, make, channels):
    ramp = np.linspace(0, 200, 32).astype(np.uint8)
    for k in range(3):
        plane = np.broadcast_to(ramp[None, :, None], (32, 32, 3)).copy()
        plane[8 : 16 + 2 * k, 8:20] = (250, 30, 60)
        Image.fromarray(plane).save(tmp_path / f"{k}.png")
    data = opened(tmp_path, reading=ReadOptions(make=make))
    assert (data.facts.source_channels, data.facts.channels) == (channels, 3)
    source, target = data.columns["source"], data.columns["target"]
    assert np.array_equal(target[0], read(tmp_path / "0.png"))
    every = source[np.arange(3)]
    assert every.dtype == np.uint8
    assert every.shape == (3, 32, 32, channels) == source.shape
    assert np.array_equal(source[np.array([2, 0])], every[[2, 0]])
    if make == "grey":
        assert np.array_equal(every[0], recolour(target[0], 1))
    elif make == "edges":
        assert every[0, 4:6, 4:28].max() == 0  # a soft ramp is no edge
        assert (every[0, 10:14, 6:10].max(1) > 100).all()
        assert (every[0] > 0).mean() < 0.1
    elif make == "mask":
        holes = (every != target).any(3)
        assert 0.05 < holes.mean() < 0.3
        assert (every[holes] == 127).all()
        assert not np.array_equal(holes[0], holes[1])
    else:
        change = np.abs(every[0].astype(int) - target[0])
        assert 1 < change.mean() < 30
        assert change[10:13, 11:16].max() < 60
    pairs = BatchLoader(data, Paired, replace(RUN, batch=3, flip=True)).batch(0)
    assert pairs.source.shape == (3, channels, 32, 32)
    turned = opened(tmp_path, reading=ReadOptions("BtoA", make))
    assert np.array_equal(turned.columns["target"][np.arange(3)], every)
    assert turned.facts.channels == channels


def test_pairs_of_floats_and_deep_images(tmp_path):
    chance = np.random.default_rng(0)
    for folder, dtype in (("float", np.float32), ("deep", np.uint16)):
        (tmp_path / folder).mkdir()
        for k in range(2):
            values = chance.integers(0, 2**16, (16, 16, 3)).astype(dtype)
            np.save(tmp_path / folder / f"{k}.npy", values / 65535 if folder == "float" else values)
        for make in ("edges", "lowres", "blur", "mask"):
            made = opened(tmp_path / folder, reading=ReadOptions(make=make)).columns["source"][np.arange(2)]
            assert made.dtype == dtype
            assert np.isfinite(made).all()
            assert folder == "deep" or np.abs(made).max() <= 1


def test_grey_images_cannot_be_made_grey(tmp_path):
    for k in range(2):
        write_image(tmp_path / f"{k}.png", (8, 8))
    with pytest.raises(DataError, match=r"--make grey is not possible: the images of .* have no colour"):
        opened(tmp_path, reading=ReadOptions(make="grey"))


# -- the doctor -------------------------------------------------------------------------------------


def test_examine_recognises_sides(tmp_path):
    sides(tmp_path / "pairs", "train/A", "train/B")
    sides(tmp_path / "pairs", "test/A", "test/B", "1")
    sides(tmp_path / "domains", "trainA", "trainB")
    write_image(tmp_path / "domains" / "trainB" / "more.png", (8, 8, 3))
    for k in range(3):
        write_image(tmp_path / "wide" / f"{k}.png", (8, 16, 3))
        write_image(tmp_path / "plain" / f"{k}.png", (8, 15, 3))
        for side in "AB":
            drawn(tmp_path / "domains" / f"train{side}_masks" / f"{k + 1}.png", (0, 0, 4, 4))
    pairs, two, wide, plain = (ganforge.examine(tmp_path / n) for n in ("pairs", "domains", "wide", "plain"))
    assert pairs.layout == "two sides, train/A (3) and train/B (3)"
    assert pairs.splits == {"train": 6, "test": 2}
    assert pairs.provides == ("images", "a", "b", "source", "target")
    assert two.layout == "two sides, trainA (3) and trainB (4), with masks"
    assert two.provides == ("images", "a", "b", "a_masks", "b_masks")
    assert two.images == 7
    assert wide.provides == ("images", "source", "target")
    assert plain.provides == ("images",)
    takes_masks = [fit for fit in two.models if "a_masks" in ganforge.find(fit.model).game.batch_type.columns()]
    assert takes_masks
    assert all(fit.fits for fit in takes_masks)
    assert ganforge.examine("shapes-instances").provides == ("images", "a", "b", "a_masks", "b_masks")
    assert ganforge.examine("shapes-edges").provides == ("images", "a", "b", "source", "target")


# -- the program's own ------------------------------------------------------------------------------


def test_a_model_without_data_gets_what_it_needs():
    assert [choose_synthetic_data(kind.columns()) for kind in (Paired, Unpaired, Instances, Images)] == [
        "shapes-pairs", "shapes-unpaired", "shapes-instances", "shapes",
    ]  # fmt: skip


def test_synthetic_pairs_match_and_held_out_ones_differ():
    options = {"size": (16, 24), "channels": 0}
    pairs, edges = (open_data(name, needed=PAIRS, **options) for name in ("shapes-pairs", "shapes-edges"))
    assert (pairs.facts.source_channels, edges.facts.source_channels, edges.facts.channels) == (3, 1, 3)
    assert np.array_equal(pairs.columns["target"], edges.columns["target"])
    colours = {tuple(c) for c in pairs.columns["source"].reshape(-1, 3).tolist()}
    assert colours <= {tuple(c) for c in PALETTE.tolist()}
    held = open_data("shapes-pairs", needed=PAIRS, held_out=True, **options)
    assert not (held.columns["target"][:50] == pairs.columns["target"][:50]).all((1, 2, 3)).any()
    cropped = open_data("shapes-pairs", needed=PAIRS, crop=True, **options)
    assert cropped.columns["source"].shape[1:] == (18, 27, 3)
    assert cropped.facts == pairs.facts
    made = open_data("shapes", needed=PAIRS, size=(16, 16), reading=ReadOptions(make="lowres"))
    assert [*made.columns] == ["source", "target"]


def test_synthetic_domains_show_different_scenes_and_matching_masks():
    data = open_data("shapes-instances", needed=MASKED, size=(32, 32))
    assert data.facts.instances == 4
    assert data.rows("a") > data.rows("b") == len(data.columns["b_masks"])
    objects = data.columns["a_masks"][:200].any((1, 2)).sum(1)
    assert set(objects.tolist()) == {2, 3, 4}
    grey = open_data("shapes-unpaired", needed=DOMAINS, size=(16, 16), channels=1)
    assert grey.facts.channels == 1
    assert grey.columns["a"].mean() > 1.5 * grey.columns["b"].mean()


# -- real sets --------------------------------------------------------------------------------------


def lent(name):
    """A set that is not part of the project."""
    if not (SHARED / "data" / name).is_dir():
        pytest.skip(f"{name} is not here: set GANFORGE_SHARED")
    return SHARED / "data" / name


@pytest.mark.parametrize("name", ["facades", "maps"])
def test_real_pairs(name):
    path = lent(name)
    data, held = (opened(path, size=(32, 32), held_out=held) for held in (False, True))
    assert (len(data), len(held)) == {"facades": (400, 106), "maps": (300, 80)}[name]
    assert (data.facts.source_channels, data.facts.channels) == (3, 3)


def test_real_domains_with_masks():
    path = lent("horse2zebra")
    data = opened(path, MASKED, size=(32, 32))
    assert (data.rows("a"), data.rows("b"), data.facts.instances) == (300, 300, 1)
    assert opened(path, DOMAINS, size=(32, 32), held_out=True).rows("b") == 80
    with pytest.raises(DataError, match="do not make pairs"):
        opened(path)


def test_side_by_side_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "ab.zip", "w") as archive:
        for k in range(2):
            write_image(tmp_path / "x.png", (4, 8, 3))
            archive.write(tmp_path / "x.png", f"train/{k}.png")
    assert opened(tmp_path / "ab.zip").columns["target"].shape == (2, 4, 4, 3)
