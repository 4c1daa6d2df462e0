"""Label maps beside images: every layout of them, their names and colours, and a sentence for every fault."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.batches import Facts, Images, Paired, Segmented
from ganforge.data.decode import attempt
from ganforge.data.layouts.label_maps import NoMapError
from ganforge.data.loader import BatchLoader
from ganforge.data.open import open_data
from ganforge.data.read_options import ReadOptions
from ganforge.data.regions import OutsideError, regions_of
from ganforge.errors import DataError, OptionError
from ganforge.images import LabelMap, fit, fit_nearest, read_label_map
from ganforge.inference.input_columns import read_regions
from ganforge.run import Run
from tests.data.layouts.test_folders import cache

assert cache

COLOURS = np.array([[10, 20, 30], [200, 40, 40], [40, 200, 40], [40, 40, 200]], np.uint8)


def scene(seed, size=(24, 32), regions=4):
    """A map of large rectangles (H, W)."""
    chance = np.random.default_rng(seed)
    found = np.zeros(size, np.uint8)
    for region in range(1, regions):
        top, left = chance.integers(0, size[0] - 10), chance.integers(0, size[1] - 12)
        found[top : top + 10, left : left + 12] = region
    found[: regions - 1, 0] = np.arange(1, regions)  # no region is hidden
    return found


def photo(found):
    return COLOURS[found % 4]


def write(path, array, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path = path.with_suffix(".tif") if array.dtype == np.int32 else path
    if path.suffix == ".npy":
        np.save(path, array)
        return
    image = Image.fromarray(array)
    if palette is not None:
        image.putpalette(np.asarray(palette, np.uint8).reshape(-1).tolist())
    image.save(path)


def write_set(root, folders=("images", "labels"), count=3, prefix="", store=lambda found: found, palette=None, **size):
    for k in range(count):
        found = scene(k, **size)
        write(root / prefix / folders[0] / f"{k}.png", photo(found))
        write(root / prefix / folders[1] / f"{k}.png", store(found), palette)


def opened(path, size=None, held_out=False, unknown=255, **options):
    reading = ReadOptions(unknown=unknown)
    names = {"needed": Segmented.columns(), "optional": Segmented.optional_columns()}
    return open_data(str(path), size=size, held_out=held_out, reading=reading, **names, **options)


def check(data, count=3):
    """The maps are those of `scene`, and belong to the images of their rows."""
    assert len(data) == count
    for row in range(count):
        found = data.columns["label_map"][row, ..., 0]
        assert (photo(found) == data.columns["images"][row]).all()
    assert sorted(m.tobytes() for m in data.columns["label_map"]) == sorted(scene(k).tobytes() for k in range(count))


LAYOUTS = {
    "folders": lambda r: write_set(r),
    "one word": lambda r: write_set(r, ("image", "label")),
    "ade": lambda r: write_set(r, ("images/training", "annotations/training")),
    "pix2pixHD": lambda r: (
        write_set(r, ("train_img", "train_label")),
        write_set(r, ("val_img", "val_label"), count=2),
    ),
    "voc": lambda r: write_set(r, ("JPEGImages", "SegmentationClass"), palette=COLOURS),
    "splits": lambda r: (write_set(r, prefix="train"), write_set(r, prefix="test", count=2)),
    "inner splits": lambda r: write_set(r, ("images/train", "labels/train")),
    "sides": lambda r: write_set(r, ("A", "B")),
    "other side": lambda r: write_set(r, ("B", "A"), palette=COLOURS),
    "sides in splits": lambda r: (write_set(r, ("train/A", "train/B")), write_set(r, ("test/A", "test/B"), count=2)),
    "cityscapes": lambda r: [
        (
            write(r / f"leftImg8bit/train/aachen/{k}_leftImg8bit.png", photo(scene(k))),
            write(r / f"gtFine/train/aachen/{k}_gtFine_labelIds.png", scene(k)),
        )
        for k in range(3)
    ],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path, name):
    if "side" in name:  # photographs of many colours, or the sides are alike
        for k in range(3):
            folder = {"sides": ("A", "B"), "other side": ("B", "A"), "sides in splits": ("train/A", "train/B")}[name]
            noise = np.random.default_rng(k).integers(0, 256, (24, 32, 3), dtype=np.uint8)
            write(tmp_path / folder[0] / f"{k}.png", noise)
            write(tmp_path / folder[1] / f"{k}.png", scene(k), COLOURS if name == "other side" else None)
        data = opened(tmp_path)
        assert len(data) == 3
        assert (data.columns["label_map"][..., 0] == np.stack([scene(k) for k in range(3)])).all()
        return
    LAYOUTS[name](tmp_path)
    data = opened(tmp_path)
    check(data)
    assert data.facts.regions == ("0", "1", "2", "3")
    assert not data.facts.instance_maps


@pytest.mark.parametrize("name", ["pix2pixHD", "splits"])
def test_held_out(tmp_path, name):
    LAYOUTS[name](tmp_path)
    check(opened(tmp_path, held_out=True), 2)


def test_a_photograph_beside_an_index_image_of_its_name(tmp_path):
    for k in range(3):
        Image.fromarray(photo(scene(k))).save(tmp_path / f"{k}.jpg")
        write(tmp_path / f"{k}.png", scene(k), COLOURS)
    data = opened(tmp_path)
    assert len(data) == 3
    assert (data.columns["label_map"][1, ..., 0] == scene(1)).all()
    assert data.facts.region_colours == tuple(map(tuple, COLOURS.tolist()))  # those of the palette


def as_32_bits(found):
    return found.astype(np.int32)


STORED = {
    "numbers": lambda found: found,
    "16 bits": lambda found: found.astype(np.uint16),
    "32 bits": as_32_bits,
    "grey stored as colour": lambda found: found[..., None].repeat(3, 2),
}


@pytest.mark.parametrize("name", STORED)
def test_modes_of_numbers(tmp_path, name):
    write_set(tmp_path, store=STORED[name])
    check(opened(tmp_path))


def test_palette_black_and_white_and_numpy(tmp_path):
    write(tmp_path / "p.png", scene(0), COLOURS)
    found = read_label_map(tmp_path / "p.png")
    assert (found.pixels == scene(0)).all()
    assert (found.colours() == photo(scene(0))).all()
    Image.fromarray(scene(0) > 0).save(tmp_path / "1.png")
    assert (read_label_map(tmp_path / "1.png").pixels == (scene(0) > 0)).all()
    write(tmp_path / "n.npy", scene(0).astype(np.int64))
    assert (read_label_map(tmp_path / "n.npy").pixels == scene(0)).all()
    write(tmp_path / "f.npy", np.full((4, 4), 0.5))
    with pytest.raises(DataError, match=r"f\.npy cannot be read: its numbers are not all whole"):
        read_label_map(tmp_path / "f.npy")


def test_sparse_numbers_of_16_bits_are_kept_apart(tmp_path):
    write_set(tmp_path, store=lambda found: found.astype(np.uint16) * 21_845)
    data = opened(tmp_path)
    check(data)
    assert data.facts.regions == ("0", "21845", "43690", "65535")


def test_many_regions_are_stored_in_16_bits(tmp_path):
    write_set(tmp_path, store=lambda found: found.astype(np.uint16) + 1000 * (found > 0).astype(np.uint16))
    data = opened(tmp_path)
    assert data.columns["label_map"].dtype == np.uint16
    assert len(data.facts.regions) == 1004
    assert data.columns["label_map"].max() == 1003


# -- names and colours --------------------------------------------------------------------------------

NAMES = ("ground", "red thing", "green thing", "blue thing")
RGB = [" ".join(map(str, colour)) for colour in COLOURS.tolist()]
LISTS = {
    "classes.txt": "\n".join(NAMES),
    "labels/labels.txt": "\n".join(f"{k}: {name}" for k, name in enumerate(NAMES)),
    "names.txt": "\n".join(f"{k} {name}" for k, name in enumerate(NAMES)),
    "Classes.csv": "id,name\n" + "\n".join(f"{k},{name}" for k, name in enumerate(NAMES)),
    "colors.txt": "\n".join(f"{rgb} {name}" for rgb, name in zip(RGB, NAMES, strict=True)),
    "colours.txt": "\n".join(f"{name}\t{rgb}" for rgb, name in zip(RGB, NAMES, strict=True)),
    "colours.csv": "name,r,g,b\n"
    + "\n".join(f"{name},{','.join(r.split())}" for r, name in zip(RGB, NAMES, strict=True)),
    "palette.txt": "# comment\n#0a141e ground\n#c82828 red thing\n#28c828 green thing\n#2828c8 blue thing\n",
}
COLOURED = [name for name in LISTS if name.startswith(("col", "pal"))]


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_names(tmp_path, name):
    write_set(tmp_path)
    (tmp_path / name).write_text(LISTS[name] + "\n\n", "utf-8")
    data = opened(tmp_path)
    check(data)
    assert data.facts.regions == NAMES
    if name in COLOURED:
        assert data.facts.region_colours == tuple(map(tuple, COLOURS.tolist()))


@pytest.mark.parametrize("name", COLOURED)
def test_maps_of_colours_with_a_list(tmp_path, name):
    write_set(tmp_path, store=photo)
    (tmp_path / name).write_text(LISTS[name])
    data = opened(tmp_path)
    check(data)
    assert data.facts.regions == NAMES


def test_maps_of_colours_without_a_list_are_numbered(tmp_path):
    write_set(tmp_path, store=photo)
    data = opened(tmp_path)
    assert data.facts.regions == ("0", "1", "2", "3")
    own = np.array(data.facts.region_colours, np.uint8)
    assert (own[data.columns["label_map"][..., 0]] == data.columns["images"]).all()


def test_palettes_in_another_order_in_each_file_are_read_by_their_colours(tmp_path):
    for k in range(3):
        order = np.roll(np.arange(4), k)  # index i of file k has the colour order[i]
        write(tmp_path / f"images/{k}.png", photo(scene(k)))
        write(tmp_path / f"labels/{k}.png", np.argsort(order).astype(np.uint8)[scene(k)], COLOURS[order])
    data = opened(tmp_path)
    own = np.array(data.facts.region_colours, np.uint8)
    assert (own[data.columns["label_map"][..., 0]] == data.columns["images"]).all()


def test_categories_of_coco_name_the_numbers(tmp_path):
    write_set(tmp_path)
    rows = [{"id": k, "name": name} for k, name in enumerate(NAMES)]
    for split, own in (("train", rows[:3]), ("val", rows[1:])):  # one list does not name all
        (tmp_path / f"{split}.json").write_text(json.dumps({"categories": own}))
    assert opened(tmp_path).facts.regions == NAMES


def test_unknown_pixels_become_the_last_region(tmp_path):
    write_set(tmp_path, store=lambda found: np.where(found == 3, 255, found).astype(np.uint8))
    data = opened(tmp_path)
    assert data.facts.regions == ("0", "1", "2", "unknown")
    assert len(set(data.facts.region_colours)) == 4
    assert (data.columns["label_map"][0, ..., 0] == scene(0)).all()
    (tmp_path / "classes.txt").write_text("\n".join(NAMES[:3]))
    assert opened(tmp_path).facts.regions == (*NAMES[:3], "unknown")
    with pytest.raises(OptionError, match="--unknown is a value"):
        ReadOptions(unknown=-1)


def test_another_unknown_value(tmp_path):
    write_set(tmp_path)
    data = opened(tmp_path, unknown=3)
    assert data.facts.regions == ("0", "1", "2", "unknown")
    check(data)


def test_regions_are_those_of_all_splits(tmp_path):
    write_set(tmp_path, prefix="train", regions=3)
    write_set(tmp_path, prefix="val", regions=4, count=2)
    assert opened(tmp_path).facts.regions == opened(tmp_path, held_out=True).facts.regions == ("0", "1", "2", "3")


def test_instances(tmp_path):
    write_set(tmp_path)
    for k in range(3):
        write(tmp_path / f"instances/{k}.png", scene(k).astype(np.uint16) * 9_000)
    data = opened(tmp_path)
    assert data.facts.instance_maps
    assert (data.columns["instance_map"][..., 0] == data.columns["label_map"][..., 0]).all()
    (tmp_path / "instances/1.png").unlink()
    data = opened(tmp_path)
    assert not data.facts.instance_maps
    assert any("1 of 3 images do not have" in note for note in data.notes)


def test_a_table_of_images_names_no_regions(tmp_path):
    write_set(tmp_path)
    before = opened(tmp_path).facts.regions
    for table in ("name,label\n0,cat\n1,dog\n2,cat\n", "image;breed\n0.png;cat\n1.png;dog\n", "a 0.png\nb 1.png\n"):
        (tmp_path / "labels.csv").write_text(table)
        assert opened(tmp_path).facts.regions == before
    (tmp_path / "labels/classes.txt").write_text("\n".join(NAMES))  # the table hides no list
    assert opened(tmp_path).facts.regions == NAMES
    (tmp_path / "labels/classes.txt").unlink()
    (tmp_path / "labels.csv").write_text("id,label\n" + "\n".join(f"{k},{name}" for k, name in enumerate(NAMES)))
    assert opened(tmp_path).facts.regions == NAMES


# -- faults -------------------------------------------------------------------------------------------


def extra(root, name, text):
    write_set(root)
    (root / name).write_text(text)


def torn(root):
    for k in range(3):
        write(root / f"images/{k}.png", photo(scene(k)))
        (root / "labels").mkdir(exist_ok=True)
        (root / f"labels/{k}.png").write_bytes(b"?")


FAULTS = {
    "value": (
        lambda r: extra(r, "classes.txt", "a\nb\nc"),
        r"labels/0\.png has the value 3, which classes\.txt does not",
    ),
    "cure": (lambda r: extra(r, "classes.txt", "a\nb\nc"), r"say --unknown 3 if it marks pixels without a region"),
    "colour": (
        lambda r: (
            write_set(r, store=photo),
            (r / "colours.txt").write_text("\n".join(LISTS["colors.txt"].split("\n")[:3])),
        ),
        r"labels/0\.png has the colour \(40, 40, 200\), which colours\.txt does not name: add a line `40 40 200 NAME`",
    ),
    "too few names": (
        lambda r: (write_set(r, store=photo), (r / "classes.txt").write_text("a\nb")),
        r"classes\.txt names 2 regions, and the label maps have 4 colours",
    ),
    "empty list": (lambda r: extra(r, "classes.txt", " \n"), r"classes\.txt names no region"),
    "colours in some lines": (
        lambda r: extra(r, "colours.txt", "1 2 3 a\nb"),
        r"colours\.txt gives a colour in some lines",
    ),
    "large colours": (lambda r: extra(r, "colours.txt", "1 2 300 a"), r"numbers from 0 to 255"),
    "no text": (lambda r: extra(r, "classes.txt", "a\0\0\0\0b"), r"classes\.txt of .* cannot be read"),
    "smooth": (
        lambda r: write_set(r, store=lambda f: np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8)),
        r"labels/0\.png has 9,\d+ colours, and is no label map",
    ),
    "depth": (
        lambda r: write_set(r, store=lambda f: np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) // 4),
        r"labels/0\.png has 192 different numbers, and is no label map.* list the names of so many regions in classes",
    ),
    "sizes": (
        lambda r: (write_set(r), write(r / "labels/1.png", scene(1)[:20])),
        r"images/1\.png is 24x32 pixels and its label map labels/1\.png is 20x32",
    ),
    "other names": (
        lambda r: (write(r / "images/a.png", photo(scene(0))), write(r / "labels/b.png", scene(0))),
        r"No label map of .* has the name of an image: the first are images/a\.png and labels/b\.png",
    ),
    "torn maps": (torn, r"None of the 3 label maps in .* can be read"),
    "numbers and colours": (
        lambda r: (write_set(r), write(r / "labels/1.png", photo(scene(1)))),
        r"Some label maps hold numbers and others colours: list the colours in colours\.txt",
    ),
    "two names": (
        lambda r: (
            write_set(r),
            (r / "a.json").write_text('{"categories": [{"id": 1, "name": "x"}]}'),
            (r / "b.json").write_text('{"categories": [{"id": 1, "name": "y"}]}'),
        ),
        r"b\.json calls category 1 y, and a\.json x",
    ),
    "plain images": (lambda r: write_set(r, ("x", "y")), r"has no label maps\. What would provide them"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_one_sentence(tmp_path, name):
    make, expected = FAULTS[name]
    make(tmp_path)
    with pytest.raises(DataError, match=expected):
        opened(tmp_path)


def test_a_map_that_cannot_be_read_takes_its_image_with_it(tmp_path):
    write_set(tmp_path, count=4)
    (tmp_path / "labels/2.png").write_bytes(b"?")
    (tmp_path / "images/9.png").write_bytes((tmp_path / "images/0.png").read_bytes())
    data = opened(tmp_path)
    assert len(data) == 3
    assert any("labels/2.png cannot be read" in note for note in data.notes)
    assert any("1 image without label map of its name, the first images/9.png" in note for note in data.notes)
    assert (photo(data.columns["label_map"][..., 0]) == data.columns["images"]).all()


def test_models_of_other_columns_read_the_folders_as_before(tmp_path):
    write_set(tmp_path)
    before = open_data(str(tmp_path), size=(8, 8), needed=Images.columns())
    assert len(before) == 6
    assert before.facts.regions == ()
    pairs = open_data(str(tmp_path), size=(8, 8), needed=Paired.columns())
    assert len(pairs) == 3
    assert not pairs.facts.regions


def test_attempt_keeps_the_class_of_an_error_and_drops_its_traceback():
    def fail():
        try:
            raise ValueError("bytes of a file")
        except ValueError as error:
            raise NoMapError("1.png", 9, "colours") from error

    found = attempt(fail)
    assert isinstance(found, NoMapError)
    assert found.__traceback__ is found.__cause__ is found.__context__ is None


# -- windows ------------------------------------------------------------------------------------------


def test_nearest_takes_the_part_that_fit_takes():
    found = np.zeros((60, 90), np.uint8)
    found[20:40, 30:60] = 1
    small, image = fit_nearest(found, (20, 20)), fit(found[..., None] * np.uint8(255), (20, 20), 1)[..., 0]
    assert ((image > 127) == small).mean() > 0.98
    assert {*np.unique(small).tolist()} == {0, 1}
    assert fit_nearest(found, (60, 90)) is found
    assert fit_nearest(found, (120, 180)).sum() == 4 * found.sum()


@pytest.mark.parametrize("native", [False, True])
def test_image_map_and_instances_share_window_and_mirror(tmp_path, native):
    for k in range(6):
        found = scene(k, size=(60, 80)).repeat(1, 0)
        write(tmp_path / f"images/{k}.png", photo(found))
        write(tmp_path / f"labels/{k}.png", found)
        write(tmp_path / f"inst/{k}.png", found * 7)
    data = opened(tmp_path, size=(24, 24), crop=True, native=native)
    loader = BatchLoader(data, Segmented, Run(batch=6, size=(24,), crop=True, flip=True, seed=3, native=native))
    seen = set()
    for number in range(4):
        batch = loader.batch(number)
        assert batch.label_map.dtype == torch.int64
        assert batch.label_map.shape == (6, 24, 24)
        assert torch.equal(batch.label_map, batch.instance_map)
        drawn = torch.tensor(photo(batch.label_map.numpy())).permute(0, 3, 1, 2) / 127.5 - 1
        assert ((drawn - batch.images).abs().amax(1) < 0.2).float().mean() > (0.999 if native else 0.8)
        seen |= {m.numpy().tobytes() for m in batch.label_map}
        again = BatchLoader(data, Segmented, loader.run)
        halves = [again.batch(number, share, 2).label_map for share in (0, 1)]
        assert torch.equal(torch.cat(halves), batch.label_map)  # a function of (seed, number) alone
    assert len(seen) > 12


def test_regions_of_a_run_read_further_maps():
    facts = Facts(regions=("ground", "tree", "unknown"), region_colours=((0, 0, 0), (0, 255, 0), (255, 255, 255)))
    regions = regions_of(replace(facts, region_codes=((0, 0), (1, 1), (255, 2))))
    assert regions.index(LabelMap(np.array([[0, 1, 255]], np.uint8))).tolist() == [[0, 1, 2]]
    assert regions.index(LabelMap(np.array([[[0, 255, 0], [255, 255, 255]]], np.uint8))).tolist() == [[1, 2]]
    with pytest.raises(OutsideError, match="the value 7"):
        regions.index(LabelMap(np.array([[7]], np.uint8)))
    assert regions_of(facts).index(LabelMap(np.array([[0, 1, 2]], np.uint8))).tolist() == [[0, 1, 2]]  # imported


def palette_map(path: Path, numbers: np.ndarray, palette: Sequence[Sequence[int]]) -> None:
    image = Image.fromarray(numbers.astype(np.uint8), "P")
    image.putpalette([value for colour in palette for value in colour])
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.mark.parametrize(
    "kind", ["numbers", "unknown 0", "unknown 11", "palettes in other orders", "grey as colours", "sparse", "colours"]
)
def test_a_run_reads_the_files_of_its_data_as_training_did(tmp_path, kind):
    """What `translate` reads in a file is what the run was trained on."""
    rng, colours = np.random.default_rng(0), [(200, 0, 0), (0, 90, 0), (0, 0, 250)]
    for k in range(4):
        numbers = rng.integers(0, 3, (4, 4)).repeat(6, 0).repeat(6, 1)
        write(tmp_path / f"images/{k}.png", np.array(colours, np.uint8)[numbers])
        path = tmp_path / f"labels/{k}.png"
        if kind == "palettes in other orders":
            order = rng.permutation(3)
            palette_map(path, np.argsort(order)[numbers], np.array(colours)[order].tolist())
        elif kind == "grey as colours":
            write(path, (numbers * 40)[..., None].repeat(3, 2).astype(np.uint8))
        elif kind == "colours":
            write(path, np.array(colours, np.uint8)[numbers])
        else:
            value = {"unknown 11": np.array([3, 5, 11]), "sparse": np.array([0, 700, 9000])}.get(kind, np.arange(3))
            write(path, value[numbers].astype(np.uint16 if kind == "sparse" else np.uint8))
    unknown = int(kind.split()[-1]) if kind.startswith("unknown") else 255
    data = opened(tmp_path, size=(24, 24), unknown=unknown)
    for k in range(4):
        stored = torch.from_numpy(np.array(data.columns["label_map"][k])[..., 0].astype(np.int64))
        assert torch.equal(read_regions(tmp_path / f"labels/{k}.png", data.facts), stored)
