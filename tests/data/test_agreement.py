"""What `ganforge data` says of a data set is what `ganforge train` opens: columns, counts, labels, sentences."""

import json

import numpy as np
import pytest

from ganforge.batches import Images, Instances, Labelled, Paired, Unpaired
from ganforge.data.inspect import inspect_source
from ganforge.data.open import find_data, open_data
from ganforge.errors import DataError
from tests.data.layouts.test_folders import cache, write_image, zip_folder
from tests.data.layouts.test_layouts import CELEBA, png, tarred
from tests.data.layouts.test_pairs import drawn

assert cache


def images(root, *names, shape=(8, 8, 3)):
    for name in names:
        write_image(root / name, shape)


def spread(root, *folders, count=3, **options):
    images(root, *(f"{folder}/{k}.png" for folder in folders for k in range(count)), **options)


def listed(root, name, text):
    images(root, "0.png", "1.png", "2.png")
    (root / name).write_text(text)


def masked(root, *boxes):
    spread(root, "A", "B")
    for side in "AB":
        for k in range(3):
            drawn(root / f"{side}_masks" / f"{k}.png", *boxes)


def torn(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"?")


LAYOUTS = {
    "flat": lambda r: images(r, "0.png", "1.PNG", "2.bmp", "3.tga", "4.ppm", "5.jfif"),
    "nested": lambda r: images(r, "x/0.png", "x/y/1.png"),
    "classes": lambda r: spread(r, "cat", "dog", "owl"),
    "two classes": lambda r: spread(r, "cat", "dog"),
    "one image of a class": lambda r: images(r, "cat/0.png", "cat/1.png", "dog/0.png"),
    "splits": lambda r: spread(r, "train/cat", "train/dog", "val/cat", "val/dog"),
    "other splits": lambda r: spread(r, "Train_set/cat", "Train_set/dog", "Test_set/cat"),
    "deep splits": lambda r: spread(r, "cat/train", "cat/test", "dog/train", "dog/test"),
    "only held out": lambda r: spread(r, "test/cat", "test/dog"),
    "sides": lambda r: spread(r, "A", "B"),
    "sides in splits": lambda r: spread(r, "train/A", "train/B", "test/A", "test/B"),
    "splits in sides": lambda r: spread(r, "A/trainA", "A/testA", "B/trainB", "B/testB"),
    "domains": lambda r: (spread(r, "trainA", count=4), spread(r, "trainB")),
    "lower case": lambda r: spread(r, "a", "b"),
    "capitals": lambda r: spread(r, "Source", "Target"),
    "endings": lambda r: images(r, *(f"{k}_{side}.png" for k in range(3) for side in "AB")),
    "side by side": lambda r: spread(r, "train", shape=(8, 16, 3)),
    "with a gap": lambda r: spread(r, "x", shape=(8, 17, 3)),
    "landscape": lambda r: spread(r, "x", shape=(8, 24, 3)),
    "without a partner": lambda r: (spread(r, "A", "B"), images(r, "A/9.png")),
    "twice on a side": lambda r: (spread(r, "A", "B"), images(r, "A/0.bmp")),
    "partners of two sizes": lambda r: (spread(r, "A"), spread(r, "B", shape=(16, 16, 3))),
    "sides of one image": lambda r: spread(r, "A", "B", count=1),
    "one good pair": lambda r: (spread(r, "A", "B", count=2), torn(r, "A/0.png")),
    "masks": lambda r: masked(r, (0, 0, 4, 4)),
    "empty masks": lambda r: masked(r),
    "masks of another size": lambda r: (
        masked(r, (0, 0, 4, 4)),
        drawn(r / "A_masks/1.png", (0, 0, 4, 4), shape=(8, 9)),
    ),
    "torn masks": lambda r: (masked(r, (0, 0, 4, 4)), torn(r, "B_masks/1.png")),
    "torn": lambda r: (spread(r, "x"), torn(r, "x/7.png", "x/8.jpg")),
    "all torn": lambda r: torn(r, "7.png", "8.jpg"),
    "one good": lambda r: (images(r, "0.png"), torn(r, "7.png")),
    "dataset.json": lambda r: listed(r, "dataset.json", json.dumps({"labels": [[f"{k}.png", k] for k in range(3)]})),
    "vectors": lambda r: listed(r, "dataset.json", json.dumps({"labels": [[f"{k}.png", [k, 1]] for k in range(3)]})),
    "nested lists": lambda r: listed(
        r, "dataset.json", json.dumps({"labels": [[f"{k}.png", [[k]]] for k in range(3)]})
    ),
    "two of three": lambda r: listed(r, "metadata.csv", "file_name,label\n0.png,a\n2.png,b\n"),
    "one listed": lambda r: listed(r, "metadata.csv", "file_name,label\n0.png,a\n"),
    "captions": lambda r: listed(r, "metadata.csv", "file_name,text\n0.png,a dog\n1.png,a cat\n"),
    "broken list": lambda r: listed(r, "metadata.csv", "nothing of use"),
    "labels.csv": lambda r: listed(r, "labels.csv", "0.png,a\n1.png,b\n2.png,a\n"),
    "attributes": lambda r: (images(r, "000001.jpg", "000003.jpg"), (r / "list_attr_celeba.txt").write_text(CELEBA)),
    "torn and labelled": lambda r: (spread(r, "cat", "dog", "owl"), torn(r, "cat/0.png", "dog/8.png")),
    "grey and colour": lambda r: (spread(r, "A", shape=(8, 8)), spread(r, "B")),
    "shards": lambda r: [
        tarred(
            r / f"x-{split}-0.tar", [(f"{k}.{e}", d) for k in range(3) for e, d in (("png", png()), ("cls", b"%d" % k))]
        )
        for split in ("train", "val")
    ],
    "array": lambda r: np.savez(
        made(r) / "a.npz", images=np.arange(192, dtype=np.uint8).reshape(3, 8, 8), labels=[0, 1, 1]
    ),
    "array with bad labels": lambda r: np.savez(made(r) / "a.npz", images=np.zeros((3, 8, 8), np.uint8), labels=3),
    "nothing": lambda r: made(r),
    "other images": lambda r: (made(r) / "x.heic").write_bytes(b"?"),
}


def made(root):
    root.mkdir()
    return root


def attempt(function, *arguments, **options):
    """What a function returns, or its sentence."""
    try:
        return function(*arguments, **options)
    except DataError as error:
        return str(error)


def opened(path, batch):
    """What a model with these batches would train on, or the sentence that refuses it."""
    data = attempt(open_data, str(path), size=(8, 8), needed=batch.columns())
    return data if isinstance(data, str) else attempt(data.need, *batch.columns()) or data


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_data_and_train_never_disagree(tmp_path, layout, archive):
    root = tmp_path / "set"
    LAYOUTS[layout](root)
    path = root
    if archive and layout not in ("shards", "array", "array with bad labels"):
        path = zip_folder(root, tmp_path / "set.zip")
    path = root / "a.npz" if "array" in layout else path
    source = attempt(find_data, str(path))
    if isinstance(source, str):
        assert opened(path, Images) == opened(path, Paired) == source
        return
    found, scan = inspect_source(source)
    for batch in (Images, Labelled, Paired, Unpaired, Instances):
        data, provided = opened(path, batch), found.images > 1 and {*batch.columns()} <= {*found.provides}
        assert provided != isinstance(data, str), f"{batch.__name__}: data says {found.provides}, and train {data}"
        if isinstance(data, str):
            continue
        if batch in (Images, Labelled):
            assert len(data) == found.images
            assert {*source.every_note} <= {*data.notes}
            assert ("condition" in data.columns) == ("condition" in found.provides)
        elif batch is Paired:
            count = len(data) if layout in ("side by side", "with a gap") else 2 * len(data)
            assert count == found.images or (scan.corrupt and count < found.images)
        else:
            assert data.rows("a") + data.rows("b") == found.images
        check_labels(data, found)


def check_labels(data, found):
    if "condition" in data.columns and data.facts.labels:
        counts = np.bincount(data.columns["condition"], minlength=len(data.facts.labels))
        assert dict(zip(data.facts.labels, counts.tolist(), strict=True)) == dict(found.classes)
    elif "condition" in data.columns:
        means = data.columns["condition"].mean(0, np.float64).round(4).tolist()
        assert dict(zip(data.facts.attributes, means, strict=True)) == dict(found.attributes)


def test_every_layout_is_one_that_can_be_told(tmp_path):
    """The layouts above are read as what they are called: none falls back to another."""
    expected = {
        "deep splits": "one folder a class",
        "splits in sides": "two sides, A/trainA (3) and B/trainB (3)",
        "labels.csv": "labels.csv",
        "shards": "1 WebDataset tar shard",
        "sides": "two sides, A (3) and B (3)",
    }
    for name, layout in expected.items():
        LAYOUTS[name](tmp_path / name)
        assert find_data(str(tmp_path / name)).layout == layout
