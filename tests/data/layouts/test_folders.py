"""Folders, zips and arrays in the usual layouts; one clear error message for invalid ones."""

import io
import json
import sys
import tarfile
import time
import warnings
import zipfile
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from ganforge import images
from ganforge.data.layouts.folders import open_folder
from ganforge.data.open import open_data
from ganforge.errors import DataError
from ganforge.images import high_bit_depth

CHANCE = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path_factory.mktemp("cache")))


def uninstall_deep(monkeypatch):
    """No tifffile and no imagecodecs from here on, as after an installation without extras."""
    for name in ("tifffile", "imagecodecs"):
        monkeypatch.setitem(sys.modules, name, None)


def noise(*shape):
    return CHANCE.integers(0, 256, shape, dtype=np.uint8)


def write_image(path, shape=(10, 10, 3), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = noise(*shape)
    Image.fromarray(array).save(path, **options)
    return array


def zip_folder(folder, path, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


@pytest.mark.parametrize("layout", ["flat", "nested", "one inside"])
@pytest.mark.parametrize("archive", [False, True])
def test_flat_and_nested(tmp_path, layout, archive):
    root = tmp_path / "photos"
    names = {"flat": ["b.png", "a.PNG"], "nested": ["x.png", "deep/er/y.png"], "one inside": ["in/c.png", "in/d.png"]}
    arrays = [write_image(root / name) for name in sorted(names[layout])]
    for ignored in (".hidden.png", "__MACOSX/._a.png", "notes.txt", "Thumbs.db", ".cache/z.png"):
        (root / ignored).parent.mkdir(exist_ok=True)
        (root / ignored).write_bytes(b"not a picture")
    data = open_folder(zip_folder(root, tmp_path / "photos.zip") if archive else root, size=None)
    assert np.array_equal(data.columns["images"], sorted_as(arrays, names[layout]))
    assert (data.facts.channels, data.facts.height, data.facts.width, data.facts.labels) == (3, 10, 10, ())
    assert data.notes == ()


def sorted_as(arrays, names):
    return np.stack([array for _, array in sorted(zip(sorted(names), arrays, strict=True), key=lambda pair: pair[0])])


@pytest.mark.parametrize("archive", [False, True])
def test_one_folder_a_class(tmp_path, archive):
    root = tmp_path / "pets"
    for name in ("kitty cat/1.png", "kitty cat/2.png", "멍멍이/1.png", "멍멍이/1.jpg"):
        write_image(root / name)
    data = open_folder(zip_folder(root, tmp_path / "pets.zip") if archive else root, size=(8, 8))
    assert data.facts.labels == ("kitty cat", "멍멍이")
    assert data.columns["condition"].tolist() == [0, 0, 1, 1]
    assert data.columns["condition"].dtype == np.int64
    assert data.columns["images"].shape == (4, 8, 8, 3)
    assert data.notes == ("2 classes: kitty cat, 멍멍이.",)


def test_splits_are_distinguished(tmp_path):
    for name in ("train/a/1.png", "train/b/2.png", "train/b/3.png", "val/a/4.png", "val/b/5.png"):
        write_image(tmp_path / name)
    data = open_folder(tmp_path, size=None)
    assert data.columns["condition"].tolist() == [0, 1, 1]
    assert data.notes[0] == "Taken: train (3 images). Not taken: val (2 images)."
    held_out = open_folder(tmp_path, size=None, held_out=True)
    assert held_out.columns["condition"].tolist() == [0, 1]
    assert held_out.fingerprint != data.fingerprint
    with pytest.raises(DataError, match="has no test split"):
        open_folder(tmp_path / "train", size=None, held_out=True)


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("vectors", [False, True])
def test_labels_of_stylegan(tmp_path, archive, vectors):
    root = tmp_path / "set"
    names = ["00000/img1.png", "00000/img2.png", "00001/img3.png"]
    for name in names:
        write_image(root / name)
    labels = [[0.5, 1.0], [0.0, 1.0], [1.0, 1.0]] if vectors else [3, 0, 1]
    (root / "dataset.json").write_text(json.dumps({"labels": list(zip(names, labels, strict=True))}))
    data = open_folder(zip_folder(root, tmp_path / "set.zip") if archive else root, size=None)
    assert data.columns["condition"].tolist() == labels
    assert data.columns["condition"].dtype == (np.float32 if vectors else np.int64)
    assert data.facts.labels == (() if vectors else ("0", "1", "2", "3"))
    assert data.facts.attributes == (("0", "1") if vectors else ())


def test_stylegan_without_labels_has_none(tmp_path):
    for name in ("00000/1.png", "00001/2.png"):
        write_image(tmp_path / name)
    (tmp_path / "dataset.json").write_text('{"labels": null}')
    assert "condition" not in open_folder(tmp_path, size=None).columns


def test_a_dataset_json_of_another_kind_is_ignored(tmp_path):
    for name in ("a/1.png", "b/2.png"):
        write_image(tmp_path / name)
    (tmp_path / "dataset.json").write_text('{"title": "Pets"}')
    assert open_folder(tmp_path, size=None).facts.labels == ("a", "b")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not of the form"),
        ('{"labels": 3}', "is not of the form"),
        ("[1, 2]", "is not of the form"),
        ('{"labels": [["1.png", 0]]}', "no label for 1 of 2 images, the first 2.png"),
        ('{"labels": [["1.png", 0], ["2.png", -1]]}', "labels run from -1 to 0"),
        ('{"labels": [["1.png", 0], ["2.png", 1e12]]}', "classes are 0, 1, 2"),
        ('{"labels": [["1.png", [1]], ["2.png", [1, 2]]]}', "different lengths"),
        ('{"labels": [["1.png", "cat"], ["2.png", "dog"]]}', "not all numbers"),
    ],
)
def test_invalid_labels_are_refused(tmp_path, text, why):
    for name in ("1.png", "2.png"):
        write_image(tmp_path / name)
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=f"dataset.json of .*{why}"):
        open_folder(tmp_path, size=None)


def test_arrays(tmp_path):
    images = noise(5, 9, 7)
    np.save(tmp_path / "a.npy", images)
    assert np.array_equal(open_folder(tmp_path / "a.npy", size=None).columns["images"][..., 0], images)
    np.savez(tmp_path / "b.npz", images=noise(5, 3, 9, 7), labels=np.array([4, 0, 1, 2, 3]))
    data = open_folder(tmp_path / "b.npz", size=(4, 4))
    assert data.columns["images"].shape == (5, 4, 4, 3)
    assert data.columns["condition"].tolist() == [4, 0, 1, 2, 3]
    assert "channels first" in data.notes[0]


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"weights": np.zeros((2, 2))}, "none is called images"),
        ({"images": np.zeros((2, 2))}, r"shape \(2, 2\)"),
        ({"images": np.zeros((1, 4, 4), np.uint8)}, "one image"),
        ({"images": np.zeros((3, 4, 4), np.uint8), "labels": np.zeros(2)}, "3 images but 2 labels"),
        ({"images": np.zeros((3, 4, 4), np.complex64)}, "Row 0 cannot be read: its numbers are complex64"),
        ({"images": np.array([{}, {}], dtype=object)}, "cannot be read"),
    ],
)
def test_invalid_arrays_are_refused(tmp_path, arrays, why):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=why):
        open_folder(tmp_path / "a.npz", size=None)


def test_sizes_channels_and_margins(tmp_path):
    for k, shape in enumerate([(40, 60, 3), (60, 40), (20, 20, 4)]):
        write_image(tmp_path / f"{k}.png", shape)
    data = open_folder(tmp_path, size=(32, 24))
    assert data.columns["images"].shape == (3, 32, 24, 3)
    assert data.notes == (
        "1 of 3 images are smaller than 32x24 and were enlarged.",
        "1 of 3 images have transparent parts, which were laid on white.",
    )
    assert open_folder(tmp_path, size=(32, 24), channels=1).facts.channels == 1
    assert open_folder(tmp_path, size=(32, 24), channels=4).columns["images"].shape[3] == 4
    roomy = open_folder(tmp_path, size=(256, 128), crop=True)
    assert roomy.columns["images"].shape == (3, 286, 143, 3)
    assert (roomy.facts.height, roomy.facts.width) == (256, 128)
    with pytest.raises(DataError, match="a size is at least 1"):
        open_folder(tmp_path, size=(0, 64))
    with pytest.raises(DataError, match=r"0\.png is 40x60 and 1\.png is 60x40 .*--size"):
        open_folder(tmp_path, size=None)


def test_all_grey_is_grey_and_depth_is_kept(tmp_path):
    for k in range(2):
        write_image(tmp_path / "grey" / f"{k}.png", (8, 8))
    assert open_folder(tmp_path / "grey", size=None).facts.channels == 1
    high_bit_depth = CHANCE.integers(0, 2**16, (8, 8), dtype=np.uint16)
    Image.fromarray(high_bit_depth).save(tmp_path / "grey" / "2.png")
    data = open_folder(tmp_path / "grey", size=None)
    assert data.columns["images"].dtype == np.uint16
    assert np.array_equal(data.columns["images"][2, ..., 0], high_bit_depth)
    assert data.notes == ("The images have different depths; all are kept as uint16.",)


def test_colour_of_16_bits_is_kept(tmp_path):
    colours = CHANCE.integers(0, 2**16, (8, 8, 3), dtype=np.uint16)
    for k in range(2):
        images.write(tmp_path / f"{k}.png", colours)
    with pytest.MonkeyPatch.context() as patch:
        uninstall_deep(patch)
        data = before = open_folder(tmp_path, size=None)
    assert np.array_equal(data.columns["images"][0], colours >> 8)
    assert data.notes == (f"2 of 2 images {high_bit_depth.PARTLY_READ}",)
    data = open_folder(tmp_path, size=None)  # decoded again, now that there are libraries for all bits
    assert data.fingerprint == before.fingerprint  # the files are the same: a run can go on
    assert np.array_equal(data.columns["images"][0], colours)
    assert data.notes == ()


@pytest.mark.parametrize(("low", "high", "told"), [(0, 1, False), (-1, 1, False), (-0.5, 0.5, False), (0, 4095, True)])
def test_float_images_are_scaled_to_the_range_of_a_game(tmp_path, low, high, told):
    arrays = [np.linspace(low, high, 64, dtype=np.float32).reshape(8, 8)[:, ::step] for step in (1, -1)]
    for k, array in enumerate(arrays):
        Image.fromarray(np.ascontiguousarray(array)).save(tmp_path / f"{k}.tif")
    images = open_folder(tmp_path, size=None).columns["images"]
    assert images.dtype == np.float32
    expected = (-0.5, 0.5) if low == -0.5 else (-1, 1)
    assert (images.min(), images.max()) == pytest.approx(expected)
    assert bool(open_folder(tmp_path, size=None).notes) == told


def test_files_that_cannot_be_read_are_left_out_by_name(tmp_path):
    good = [write_image(tmp_path / f"{name}.png") for name in "acd"]
    (tmp_path / "b.png").write_bytes(b"no picture at all")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "z.png").write_bytes(whole[:-60])  # the header is fine, the pixels are not
    np.save(tmp_path / "nan.npy", np.full((10, 10, 3), np.nan, np.float32))
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere.png")
    notes = ("b.png cannot be read", "link.png cannot be read", "nan.npy cannot be read", "z.png cannot be read")
    for _ in range(2):  # also out of the cache
        data = open_folder(tmp_path, size=(10, 10))
        left_out = [note for note in data.notes if note.startswith("Left out: ")]
        assert len(data) == 3
        assert [name in note for name, note in zip(notes, left_out, strict=True)] == [True] * 4
    (tmp_path / "nan.npy").unlink()
    assert np.array_equal(open_folder(tmp_path, size=None).columns["images"], np.stack(good))


def test_images_with_inconvertible_channels_are_left_out_by_name(tmp_path):
    for k, channels in enumerate((3, 3, 5)):
        images.write(tmp_path / f"{k}.npy", noise(8, 8, channels))
    data = open_folder(tmp_path, size=None, channels=3)
    assert data.notes == ("Left out: 2.npy cannot be read: an image of 5 channels cannot be converted to 3.",)


def test_labels_stay_with_their_images_when_some_are_left_out(tmp_path):
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        write_image(tmp_path / name)
    (tmp_path / "a/1.png").write_bytes(b"broken")
    assert open_folder(tmp_path, size=None).columns["condition"].tolist() == [0, 1, 1]


def test_a_changed_file_is_detected(tmp_path):
    for k in range(3):
        write_image(tmp_path / f"{k}.png")
    before = open_folder(tmp_path, size=None)
    assert open_folder(tmp_path, size=None).fingerprint == before.fingerprint
    new = write_image(tmp_path / "1.png")
    after = open_folder(tmp_path, size=None)
    assert after.fingerprint != before.fingerprint
    assert np.array_equal(after.columns["images"][1], new)
    assert open_folder(tmp_path, size=(8, 8)).fingerprint != after.fingerprint


def test_links_in_a_circle_end(tmp_path):
    for k in range(2):
        write_image(tmp_path / "in" / f"{k}.png")
    (tmp_path / "in" / "again").symlink_to(tmp_path)
    assert len(open_folder(tmp_path, size=None)) == 2


def test_paths_that_hold_no_data(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "fake.zip").write_bytes(b"PK not really")
    (tmp_path / "notes.txt").write_text("text")
    write_image(tmp_path / "single" / "1.png")
    for k in range(3):
        (tmp_path / "corrupt").mkdir(exist_ok=True)
        (tmp_path / "corrupt" / f"{k}.png").write_bytes(b"?")
    write_image(tmp_path / "half" / "good.png")
    (tmp_path / "half" / "bad.png").write_bytes(b"?")
    for name, why in {
        "none": "none does not exist: give a folder, a zip",
        "empty": "empty holds no image files: files ending in jpg, jpeg, jfif, png, .*, npy are",
        "single": "A GAN cannot learn from one image: .*single holds only one that can be read, and at least 2 are",
        "single/1.png": "A GAN cannot learn from one image: .* Give the folder that it lies in",
        "corrupt": r"None of the 3 images in .*corrupt can be read\. The first: 0\.png cannot be read: it is not a",
        "half": r"A GAN cannot learn from one image: .* bad\.png cannot be read",
        "fake.zip": r"fake\.zip is not a zip that can be read: File is not a zip file",
        "notes.txt": r"notes\.txt is neither a folder nor a \.zip",
    }.items():
        with pytest.raises(DataError, match=why):
            open_folder(tmp_path / name, size=None)


def test_an_encrypted_zip_raises(tmp_path):
    for k in range(2):
        write_image(tmp_path / "in" / f"{k}.png")
    path = zip_folder(tmp_path / "in", tmp_path / "secret.zip")
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1  # the flag of encryption in the central directory
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"secret\.zip is encrypted: unpack it"):
        open_folder(path, size=None)


def test_a_zip_bomb_is_left_out(tmp_path):
    for k in range(2):
        write_image(tmp_path / "in" / f"{k}.png")
    path = zip_folder(tmp_path / "in", tmp_path / "bomb.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("z.png", "w") as file:
        for _ in range(300):
            file.write(bytes(2**20))
    data = open_folder(path, size=None)
    assert len(data) == 2
    assert "z.png cannot be read: it claims 314,572,800 bytes" in data.notes[0]


def test_names_and_paths_of_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for k in range(2):
        write_image(tmp_path / "here" / f"{k}.png")
        write_image(tmp_path / "home" / "faces" / f"{k}.png")
    assert len(open_data("here", size=None)) == 2
    assert len(open_data("faces", size=None, home=tmp_path / "home")) == 2
    for spec in ("shaeps", ""):
        with pytest.raises(DataError, match=r"no such path, .* named sets are shapes, shapes-scenes, .* fashion-mnist"):
            open_data(spec, size=None)
    with pytest.raises(DataError, match=r"Did you mean fashion-mnist\?"):
        open_data("fashion_mnist", size=None)


def mutated(data, chance):
    """The same bytes with something wrong."""
    data = bytearray(data)
    kind = chance.integers(5)
    if kind == 0:  # bits flipped
        for at in chance.integers(0, len(data), chance.integers(1, 20)):
            data[at] ^= 1 << int(chance.integers(8))
    elif kind == 1:  # the end is missing
        del data[chance.integers(0, len(data)) :]
    elif kind == 2:  # another beginning
        data[: chance.integers(1, 12)] = chance.bytes(6)
    elif kind == 3:  # huge numbers in the header
        at = int(chance.integers(4, 32))
        data[at : at + 4] = b"\xff\xff\xff\x7f"
    else:  # a stretch of nonsense
        at = int(chance.integers(len(data)))
        data[at : at + 40] = chance.bytes(40)
    return bytes(data)


def sound_files():
    rgb = Image.fromarray(noise(24, 20, 3))
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        for image in (rgb, rgb.quantize(16)) if form in ("PNG", "TIFF", "GIF") else (rgb,):
            file = io.BytesIO()
            image.save(file, form, **({"compression": "tiff_lzw"} if form == "TIFF" else {}))
            yield form.lower(), file.getvalue()
    file = io.BytesIO()
    np.save(file, noise(24, 20, 3))
    yield "npy", file.getvalue()


def sound_deep_files():
    """Colour of 16 bits and of floats, which Pillow does not know."""
    for channels in (2, 3, 4):
        yield "png", imagecodecs.png_encode(CHANCE.integers(0, 2**16, (24, 20, channels), dtype=np.uint16))
    whole, floats = CHANCE.integers(0, 2**16, (24, 20, 3), dtype=np.uint16), CHANCE.random((3, 24, 20), np.float32)
    for packing in (None, "zlib", "lzw"):
        for array, options in [
            (whole, {"rowsperstrip": 5}),
            (whole, {"tile": (16, 16)}),
            (floats, {"rowsperstrip": 24, "planarconfig": "separate"}),
        ]:
            file = io.BytesIO()
            tifffile.imwrite(file, array, photometric="rgb", compression=packing, metadata=None, **options)
            yield "tif", file.getvalue()


@pytest.mark.parametrize(
    ("seed", "files"), [(7, sound_files), (9, sound_files), (3, sound_deep_files), (4, sound_deep_files)]
)
def test_damaged_images_never_crash_or_hang_and_are_named(tmp_path, seed, files, capfd):
    chance, sound = np.random.default_rng(seed), list(files())
    for k in range(2):
        write_image(tmp_path / f"good{k}.png", (24, 20, 3))
    for k in range(90):
        form, data = sound[k % len(sound)]
        (tmp_path / f"{k:03}.{form}").write_bytes(mutated(data, chance))
    start = time.monotonic()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        data = open_folder(tmp_path, size=(24, 20), channels=3)
    assert time.monotonic() - start < 10
    assert not heard
    assert "Traceback" not in capfd.readouterr().err
    left_out = [note for note in data.notes if note.startswith("Left out: ")]
    assert len(data) + len(left_out) == 92
    assert len(left_out) > 35
    assert all("cannot be read: " in note for note in left_out)
    assert data.columns["images"].shape == (len(data), 24, 20, 3)


def test_damaged_archives_never_crash_or_hang_and_are_named(tmp_path):
    chance = np.random.default_rng(8)
    for k in range(3):
        write_image(tmp_path / "in" / f"{k}.png")
    stored = zip_folder(tmp_path / "in", tmp_path / "a.zip", compression=zipfile.ZIP_DEFLATED).read_bytes()
    np.savez_compressed(tmp_path / "a.npz", images=noise(3, 10, 10, 3), labels=np.arange(3))
    arrays = (tmp_path / "a.npz").read_bytes()
    np.save(tmp_path / "a.npy", noise(3, 10, 10, 3))
    array = (tmp_path / "a.npy").read_bytes()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "in", "in")
    shard = (tmp_path / "a.tar").read_bytes()[:8192]  # without the empty blocks at the end
    start, refused = time.monotonic(), 0
    for k in range(120):
        data, suffix = [(stored, "zip"), (arrays, "npz"), (array, "npy"), (shard, "tar")][k % 4]
        path = tmp_path / f"{k}.{suffix}"
        path.write_bytes(mutated(data, chance))
        try:
            assert len(open_folder(Path(path), size=(10, 10))) >= 2
        except DataError as error:
            assert path.name in str(error)  # noqa: PT017  one of two good ends
            refused += 1
    assert refused > 40
    assert time.monotonic() - start < 10
