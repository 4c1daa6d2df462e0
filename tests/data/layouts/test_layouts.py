"""Annotation files, tar shards, Hub tables; depth, channels and sides from file to sample."""

import builtins
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

import ganforge
from ganforge.batches import Images
from ganforge.data.layouts.folders import open_folder
from ganforge.data.loader import BatchLoader
from ganforge.data.open import open_data
from ganforge.errors import DataError
from ganforge.images import read, to_depth, write
from ganforge.run import Run
from tests.data.layouts.test_folders import noise, write_image, zip_folder

CHANCE = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path_factory.mktemp("cache")))


def photos(folder, *names):
    return {name: write_image(folder / name) for name in names}


# -- splits -----------------------------------------------------------------------------------------


def test_a_class_has_one_number_in_every_split(tmp_path):
    photos(tmp_path, "train/a/1.png", "train/b/2.png", "train/c/3.png", "valid/b/4.png", "valid/c/5.png")
    data, held_out = (open_folder(tmp_path, size=None, held_out=held) for held in (False, True))
    assert data.facts.labels == held_out.facts.labels == ("a", "b", "c")
    assert held_out.columns["condition"].tolist() == [1, 2]


# -- lists ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_metadata_gives_classes_and_selects_the_images(tmp_path, form, archive):
    root = tmp_path / "set"
    taken = photos(root, "images/1.png", "images/2.png", "images/3.png")
    photos(root, "images/unlisted.png", "masks/1.png")
    rows = [{"file_name": f"images/{k}.png", "label": label, "text": "x"} for k, label in ((3, "cat"), (1, "dog"))]
    rows.append({"file_name": "images/2.png", "label": "cat", "text": "y, z"})
    if form == "jsonl":
        (root / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    elif form == "csv":
        lines = [",".join(f'"{value}"' for value in row.values()) for row in rows]
        (root / "metadata.csv").write_text("\n".join(["\ufefffile_name,label,text", *lines]), encoding="utf-8")
    else:
        arrow = pytest.importorskip("pyarrow")
        arrow.parquet = pytest.importorskip("pyarrow.parquet")
        arrow.parquet.write_table(arrow.Table.from_pylist(rows), root / "metadata.parquet")
    data = open_folder(zip_folder(root, tmp_path / "set.zip") if archive else root, size=None)
    assert np.array_equal(data.columns["images"], np.stack([*taken.values()]))
    assert data.facts.labels == ("cat", "dog")
    assert data.columns["condition"].tolist() == [1, 0, 0]
    assert f"Not taken: 2 images which metadata.{form} does not name, the first images/unlisted.png." in data.notes
    assert form == "parquet" or f"Not used of metadata.{form}: text." in data.notes


@pytest.mark.parametrize(
    ("labels", "column", "names", "attributes"),
    [
        ([2, 0], [2, 0], ("0", "1", "2"), ()),
        (["10", "2"], [10, 2], tuple(map(str, range(11))), ()),
        ([["red", "big"], ["red"]], [[1, 1], [0, 1]], (), ("big", "red")),
        ([[0.5, 1], [0.25, 2]], [[0.5, 1], [0.25, 2]], (), ("0", "1")),
    ],
)
def test_labels_of_every_kind(tmp_path, labels, column, names, attributes):
    photos(tmp_path, "1.png", "2.png")
    rows = [{"file_name": f"{k}.png", "labels": label} for k, label in enumerate(labels, 1)]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = open_folder(tmp_path, size=None)
    assert data.columns["condition"].tolist() == column
    assert (data.facts.labels, data.facts.attributes) == (names, attributes)


def test_captions_alone_are_no_classes(tmp_path):
    photos(tmp_path, "1.png", "2.png")
    rows = [{"file_name": f"{k}.png", "text": "a dog"} for k in (1, 2)]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = open_folder(tmp_path, size=None)
    assert [*data.columns] == ["images"]
    assert data.notes == ("Not used of metadata.jsonl: text.",)


CELEBA = "3\nSmiling Young\n000001.jpg  1 -1\n000002.jpg -1 -1\n000003.jpg -1  1\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list_attr_celeba.txt", CELEBA),
        ("list_attr_celeba.csv", "image_id,Smiling,Young\n000001.jpg,1,-1\n000002.jpg,-1,-1\n000003.jpg,-1,1\n"),
        ("attributes.csv", "file_name,Smiling,Young\n000001.jpg,1,0\n000002.jpg,0,0\n000003.jpg,0,1\n"),
    ],
)
@pytest.mark.parametrize("lie", ["img_align_celeba/{}.jpg", "in/deep/{}.png", "{}.jpg"])
def test_attributes_of_celeba(tmp_path, name, text, lie):
    photos(tmp_path / "celeba", *(lie.format(f"{k:06}") for k in (3, 1)))  # two of the three that are listed
    (tmp_path / "celeba" / name).write_text(text)
    data = open_folder(tmp_path / "celeba", size=None)
    assert data.facts.attributes == ("Smiling", "Young")
    assert data.columns["condition"].dtype == np.float32
    assert data.columns["condition"].tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("metadata.jsonl", '{"file_name": "1.png"\n', "line 1 is not JSON"),
        ("metadata.jsonl", "[1]\n", "line 1 is not of the form"),
        ("metadata.jsonl", '{"picture": "1.png"}', "must give a file_name in every row; it has picture"),
        ("metadata.jsonl", '{"file_name": "9.png"}', "names none of the 2 images; it begins with 9.png"),
        ("metadata.jsonl", '{"file_name": "1.png"}\n{"file_name": "1.png"}', "names 1.png 2 times"),
        ("metadata.csv", "file_name,label\n1.png,a\n2.png,\n", "has no label for 1 of 2 images"),
        ("metadata.csv", "file_name,label\n1.png,a,b\n", "row 1 has another number of fields"),
        ("metadata.csv", "file_name,label\n1.png,0\n2.png,-4\n", "labels run from -4.0 to 0.0"),
        ("metadata.parquet", "PAR1 not really", "cannot be read|needs pyarrow"),
        ("list_attr_celeba.txt", "1\nBald\n1.png 7\n2.png 1", "1.png has '7' for Bald; attributes are 1 or 0"),
        ("list_attr_celeba.txt", "1\nBald Old\n1.png 1\n", "1.png has 1 values for 2 attributes"),
        ("list_attr_celeba.txt", "", "lists no images"),
    ],
)
def test_invalid_annotation_files_are_refused(tmp_path, name, text, why):
    photos(tmp_path, "1.png", "2.png")
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=f"{name} of .*({why})"):
        open_folder(tmp_path, size=None)


def test_missing_packages_are_named_in_the_error(tmp_path, monkeypatch):
    photos(tmp_path, "1.png", "2.png")
    (tmp_path / "metadata.parquet").write_bytes(b"PAR1")
    real = builtins.__import__

    def missing(name, *rest):
        if name.split(".")[0] in ("pyarrow", "datasets"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DataError, match=r"needs pyarrow .*pip install 'ganforge\[hub\]'"):
        open_folder(tmp_path, size=None)
    with pytest.raises(DataError, match=r"needs the package datasets, .*pip install 'ganforge\[hub\]'"):
        open_data("hub:owner/name", size=None)


# -- shards -----------------------------------------------------------------------------------------


def png(*shape):
    file = io.BytesIO()
    Image.fromarray(noise(*(shape or (10, 10, 3)))).save(file, "PNG")
    return file.getvalue()


def tarred(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("sidecar", ["cls", "json"])
def test_shards_are_read_in_order_with_their_classes(tmp_path, sidecar):
    sides = {"cls": ["2", "0", "1", "1"], "json": ['{"label": 2}', "0", '{"class": 1, "x": []}', '{"label": 1}']}
    pictures = [png() for _ in range(4)]
    for shard in (1, 0):
        members = [
            member
            for k in (2 * shard, 2 * shard + 1)
            for member in ((f"{k % 2:04}.{sidecar}", sides[sidecar][k].encode()), (f"{k % 2:04}.png", pictures[k]))
        ]
        tarred(tmp_path / "set" / f"pets-{shard:06}.tar", members)
    data = open_folder(tmp_path / "set", size=None)
    assert np.array_equal(data.columns["images"], np.stack([read(io.BytesIO(p)) for p in pictures]))
    assert data.columns["condition"].tolist() == [2, 0, 1, 1]
    assert len(open_folder(tmp_path / "set" / "pets-000001.tar", size=None)) == 2
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".png"]


def test_shards_have_splits_and_words_for_classes(tmp_path):
    for split in ("train", "val"):
        tarred(tmp_path / f"x-{split}-0.tar", [("a.png", png()), ("a.cls", b"cat"), ("b.png", png()), ("b.cls", b"ox")])
    data = open_folder(tmp_path, size=None)
    assert data.facts.labels == ("cat", "ox")
    assert data.notes[0] == "Taken: train (1 shards). Not taken: val."
    assert len(open_folder(tmp_path, size=None, held_out=True)) == 2


def test_a_plain_tar_is_a_folder(tmp_path):
    path = tarred(tmp_path / "pets.tar", [("cat/1.png", png()), ("dog/1.png", png())])
    assert open_folder(path, size=None).facts.labels == ("cat", "dog")


def test_odd_members_of_a_tar_are_skipped_or_named(tmp_path):
    path = tarred(
        tmp_path / "odd.tar",
        [("1.png", png()), ("/top/2.png", png()), ("../../3.png", png()), ("bad.png", b"?"), (".h.png", b"?")],
    )
    with tarfile.open(path, "a") as archive:
        for kind, name in ((tarfile.SYMTYPE, "link.png"), (tarfile.CHRTYPE, "device.png"), (tarfile.FIFOTYPE, "f.png")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    data = open_folder(path, size=None)
    assert len(data) == 2
    assert data.notes == ("Left out: bad.png cannot be read: it is not an image of a known format.",)
    assert [path.name for path in tmp_path.iterdir()] == ["odd.tar"]


def test_a_truncated_tar_gives_its_first_members(tmp_path):
    path = tarred(tmp_path / "a.tar", [(f"{k}.png", png()) for k in range(4)])
    data = bytearray(path.read_bytes())
    data[2 * 1024 : 2 * 1024 + 200] = b"?" * 200  # the header of the third: each takes 1024 bytes
    (tmp_path / "torn.tar").write_bytes(data)
    torn = open_folder(tmp_path / "torn.tar", size=None)
    assert len(torn) == 2
    assert "torn.tar is damaged after byte" in torn.notes[0]
    (tmp_path / "x.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match="is compressed"):
        open_folder(tmp_path / "x.tar.gz", size=None)


# -- the Hub ----------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A data set in the format of the Hub, on this disk."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    kinds = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "text": datasets.Value("string"),
        }
    )
    cells = [{"bytes": png(), "path": None} for _ in range(3)]
    table = datasets.Dataset.from_dict({"image": cells, "label": [1, 0, 1], "text": ["a", "b", "c"]}, features=kinds)
    return datasets.DatasetDict({"train": table, "test": table.select([0, 1])}), [c["bytes"] for c in cells]


def test_tables_of_the_hub_become_images_and_classes(tmp_path, hub):
    tables, cells = hub
    tables.save_to_disk(tmp_path / "saved")
    data = open_data(f"hub:{tmp_path / 'saved'}", size=None)
    assert np.array_equal(data.columns["images"], np.stack([read(io.BytesIO(cell)) for cell in cells]))
    assert data.columns["condition"].tolist() == [1, 0, 1]
    assert data.facts.labels == ("cat", "dog")
    assert f"Not used of hub:{tmp_path / 'saved'}: text." in data.notes
    read = open_data(f"hub:{tmp_path / 'saved'}", size=None, needed=("images", "tokens"))
    assert [*read.columns["tokens"].sentences()] == ["a", "b", "c"]
    assert not [note for note in read.notes if "Not used" in note]
    assert len(open_data(f"hub:{tmp_path / 'saved'}", size=None, held_out=True)) == 2


def test_a_folder_of_parquet_is_read_by_the_loader_of_the_hub(tmp_path, hub):
    (tmp_path / "repo" / "data").mkdir(parents=True)
    hub[0]["train"].to_parquet(tmp_path / "repo" / "data" / "train-00000-of-00001.parquet")
    assert open_data(f"hub:{tmp_path / 'repo'}", size=None).facts.labels == ("cat", "dog")
    with pytest.raises(DataError, match=r"holds no image files.* --data hub:"):
        open_data(str(tmp_path / "repo"), size=None)


def test_a_hub_set_that_cannot_be_loaded_raises(hub):
    with pytest.raises(DataError, match=r"hub:ganforge-none/none cannot be loaded: .* Without a network"):
        open_data("hub:ganforge-none/none", size=None)


# -- from file to sample ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "shape", "dtype"),
    [
        ("png", (8, 12), np.uint16),
        ("tif", (8, 12), np.uint16),
        ("npy", (8, 12, 3), np.uint16),
        ("npy", (8, 12, 7), np.uint8),
        ("tif", (8, 12), np.float32),
        ("npy", (8, 12, 2), np.float32),
        ("png", (8, 12, 4), np.uint8),
        ("png", (8, 12, 3), np.uint16),
        ("png", (8, 12, 4), np.uint16),
        ("tif", (8, 12, 3), np.uint16),
        ("tif", (8, 12, 5), np.float32),
    ],
)
def test_depth_and_channels_come_back_as_they_were(tmp_path, suffix, shape, dtype):
    chance = np.random.default_rng(7)  # its own: independent of other tests
    channels = shape[2] if len(shape) == 3 else 1
    for k in range(4):
        floats = chance.uniform(-1, 1, shape).astype(np.float32)
        whole = chance.integers(0, np.iinfo(dtype).max + 1, shape, dtype) if dtype != np.float32 else floats
        write(tmp_path / f"{k}.{suffix}", whole)
    data = open_folder(tmp_path, size=None, channels=channels)
    loader = BatchLoader(data, Images, Run(batch=4))
    images = loader.batch(0).images
    assert images.shape == (4, channels, 8, 12)
    depth = {np.uint8: "8", np.uint16: "16", np.float32: "float"}[dtype]
    files = np.stack([read(path) for path in sorted(tmp_path.glob(f"*.{suffix}"))])
    assert np.array_equal(to_depth(images, depth), files[loader.order_of_epoch(0)])


@pytest.mark.parametrize(
    ("channels", "depth", "suffix"), [(1, "16", ".png"), (3, "16", ".png"), (4, "8", ".png"), (5, "float", ".npy")]
)
def test_the_samples_have_the_format_of_the_data(tmp_path, channels, depth, suffix):
    dtype = {"8": np.uint8, "16": np.uint16, "float": np.float32}[depth]
    for k in range(6):
        array = CHANCE.integers(0, 255, (32, 64, channels)).astype(dtype)
        np.save(tmp_path / f"{k}.npy", array / np.float32(255) if depth == "float" else array)
    size = {"size": (16, 32), "channels": channels, "steps": 2}
    run = ganforge.train("dcgan", data=tmp_path, outdir=tmp_path / "runs", preset="tiny", quiet=True, **size)
    assert run.sample(2).shape == (2, channels, 16, 32)
    ganforge.sample(run.path, 3, out=tmp_path / "out", depth=depth)
    files = sorted((tmp_path / "out").iterdir())
    assert [path.suffix for path in files] == [suffix] * 3
    assert read(files[0]).shape == (16, 32, channels)
    assert read(files[0]).dtype == dtype
    wanted = to_depth(run.sample(3), depth)
    wanted = (wanted + 1) / 2 if depth == "float" else wanted  # the data's floats are in [0, 1]
    assert np.allclose(np.stack([read(path) for path in files]), wanted, atol=1e-7)
    ganforge.sample(run.path, 3, out=tmp_path / "grid.png")
    ganforge.sample(run.path, 1, out=tmp_path / "one.tif", depth=depth)
    assert np.allclose(read(tmp_path / "one.tif"), wanted[0], atol=1e-6)
