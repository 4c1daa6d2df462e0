"""Label maps and boxes of real sets, which lie outside of the repository."""

import json

import numpy as np
import pytest
from PIL import Image

from ganforge.batches import LaidOut, Paired, Segmented
from ganforge.data.boxes import cut_boxes
from ganforge.data.open import open_data
from tests.data.layouts.test_folders import cache
from tests.support.goldens import SHARED

assert cache
DATA = SHARED / "data"
needed = pytest.mark.skipif(not (DATA / "facades").is_dir(), reason="no real sets: set GANFORGE_SHARED")


@pytest.fixture
def some(tmp_path):
    """A folder with some images of the sets that have many; the small one is a link."""
    for name, folders in (("facades", "AB"), ("camvid", ("images", "labels"))):
        for split, count in (("train", 40), ("test", 10)):
            for folder in folders:
                (tmp_path / name / split / folder).mkdir(parents=True)
                for file in sorted((DATA / name / split / folder).iterdir())[:count]:
                    (tmp_path / name / split / folder / file.name).symlink_to(file)
    (tmp_path / "coco-mini").symlink_to(DATA / "coco-mini")
    return tmp_path


def opened(path, batch_type, held_out=False, **options):
    names = {"needed": batch_type.columns(), "optional": batch_type.optional_columns()}
    return open_data(str(path), size=(32, 32), held_out=held_out, **names, **options)


@needed
@pytest.mark.parametrize(
    ("name", "train", "test", "regions"),
    [("facades", 40, 10, 12), ("camvid", 40, 10, 12), ("coco-mini", 100, 100, 201)],
)
def test_label_maps(some, name, train, test, regions):
    data, held = opened(some / name, Segmented), opened(some / name, Segmented, held_out=True)
    assert (len(data), len(held), len(data.facts.regions)) == (train, test, regions)
    assert data.facts == held.facts
    assert data.facts.instance_maps == (name == "coco-mini")
    assert data.columns["label_map"].max() < regions


@needed
def test_the_regions_of_facades_have_the_colours_that_a_model_of_pairs_sees(some):
    maps, pairs = opened(some / "facades", Segmented), opened(some / "facades", Paired)
    colours = np.array(maps.facts.region_colours, np.uint8)[maps.columns["label_map"][:20, ..., 0]]
    assert np.abs(colours.astype(int) - pairs.columns["target"][:20]).mean() < 30  # but for the smooth resize
    assert np.corrcoef(colours.ravel(), pairs.columns["target"][:20].ravel())[0, 1] > 0.85
    assert (maps.columns["images"][:20] == pairs.columns["source"][:20]).all()


@needed
def test_boxes_of_coco_are_around_the_instances(some):
    """Every box, cut to the centre, holds pixels of its category in the label map, which is read by other code."""
    maps, boxes = opened(some / "coco-mini", Segmented), opened(some / "coco-mini", LaidOut)
    assert boxes.facts.most == 8
    about = json.loads((DATA / "coco-mini/train/annotations.json").read_text())
    word = {row["id"]: row["name"] for row in about["categories"]}
    pixels = {image.tobytes(): row for row, image in enumerate(maps.columns["images"])}
    hits = total = 0
    for row, image in enumerate(boxes.columns["images"]):
        found = maps.columns["label_map"][pixels[image.tobytes()], ..., 0]
        for (x0, y0, x1, y1), label in zip(
            boxes.columns["boxes"][row] * 32, boxes.columns["box_labels"][row], strict=True
        ):
            if label:
                inside = found[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))]
                names = {word.get(int(k), "") for k in np.unique(inside)}
                hits, total = hits + (boxes.facts.objects[label] in names), total + 1
    assert total > 300
    assert hits / total > 0.97


@needed
def test_parts_of_facades_are_a_layout(some):
    data = opened(some / "facades", LaidOut, held_out=True)
    assert len(data) == 10
    assert data.facts.most == 30
    first = np.asarray(Image.open(DATA / "facades/test/B/001.png"))
    window = np.array([[0.0, 0, 1, 1]])
    boxes, labels = cut_boxes(data.columns["boxes"][:1], data.columns["box_labels"][:1], window)
    for box, label in zip(boxes[0] * 256, labels[0], strict=True):
        if label:
            x0, y0, x1, y1 = np.rint(box).astype(int)
            inside = first[y0:y1, x0:x1] == label - 1
            assert inside.any(0)[[0, -1]].all()
            assert inside.any(1)[[0, -1]].all()
