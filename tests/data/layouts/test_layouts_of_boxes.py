"""Boxes beside images: every layout of them, the limits, windows, and a sentence for every fault."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.batches import LaidOut
from ganforge.data.boxes import cut_boxes, mirror_boxes
from ganforge.data.layouts.components import label_parts
from ganforge.data.loader import BatchLoader
from ganforge.data.open import open_data
from ganforge.errors import DataError
from ganforge.run import Run
from tests.data.layouts.test_folders import cache
from tests.data.layouts.test_label_maps import scene, write, write_set

assert cache

SIZE = (40, 40)
BOXES = [  # pixels, x0 y0 x1 y1, and a class
    [((4, 4, 20, 16), 0), ((20, 20, 36, 36), 1), ((2, 24, 14, 38), 2)],
    [((8, 2, 30, 12), 1), ((0, 20, 20, 40), 0), ((22, 22, 38, 30), 1)],
    [((0, 0, 40, 40), 2), ((10, 10, 20, 24), 0), ((24, 4, 38, 38), 1)],
]
NAMES = ("cat", "dog", "sky")


def write_images(root, folder="images", count=3, size=SIZE):
    for k in range(count):
        write(root / folder / f"{k}.png", np.random.default_rng(k).integers(0, 256, (*size, 3), dtype=np.uint8))


def coco(root, name="instances.json", boxes=BOXES, folder="images/", **changes):
    categories = [{"id": 10 * (k + 1), "name": word} for k, word in enumerate(NAMES)]
    rows = [
        {"image_id": k, "category_id": 10 * (c + 1), "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": 0}
        for k, own in enumerate(boxes)
        for (x0, y0, x1, y1), c in own
    ]
    images = [{"id": k, "file_name": f"{folder}{k}.png", "width": 40, "height": 40} for k in range(len(boxes))]
    about = {"images": images, "annotations": rows, "categories": categories} | changes
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(about))


def yolo(root, folder="labels", names="classes.txt", boxes=BOXES):
    for k, own in enumerate(boxes):
        lines = [
            f"{c} {(x0 + x1) / 80} {(y0 + y1) / 80} {(x1 - x0) / 40} {(y1 - y0) / 40}" for (x0, y0, x1, y1), c in own
        ]
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / f"{k}.txt").write_text("\n".join(lines) + "\n")
    if names == "classes.txt":
        (root / names).write_text("\n".join(NAMES))
    elif names:
        block = (
            f"[{', '.join(NAMES)}]" if names == "data.yml" else "".join(f"\n  {k}: {w}" for k, w in enumerate(NAMES))
        )
        (root / names).write_text(f"path: .\ntrain: images\nnames: {block}\nnc: 3\n")


def voc(root, size=True):
    (root / "Annotations").mkdir()
    for k, own in enumerate(BOXES):
        objects = "".join(
            f"<object><name>{NAMES[c]}</name><bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax>"
            f"<ymax>{y1}</ymax></bndbox></object>"
            for (x0, y0, x1, y1), c in own
        )
        about = "<size><width>40</width><height>40</height><depth>3</depth></size>" * size
        (root / f"Annotations/{k}.xml").write_text(
            f"<annotation><filename>{k}.png</filename>{about}{objects}</annotation>"
        )


def metadata(root, rows=False, words=True):
    lines = []
    for k, own in enumerate(BOXES):
        boxes = [[x0, y0, x1 - x0, y1 - y0] for (x0, y0, x1, y1), _ in own]
        classes = [NAMES[c] if words else c for _, c in own]
        objects = {"bbox": boxes, "categories": classes}
        if rows:
            objects = [{"bbox": box, "category": c} for box, c in zip(boxes, classes, strict=True)]
        lines.append(json.dumps({"file_name": f"images/{k}.png", "objects": objects}))
    (root / "metadata.jsonl").write_text("\n".join(lines))


LAYOUTS = {
    "coco": coco,
    "coco in annotations": lambda r: coco(r, "annotations/instances_all.json", folder=""),
    "coco without sizes": lambda r: coco(r, images=[{"id": k, "file_name": f"{k}.png"} for k in range(3)]),
    "yolo": yolo,
    "yolo beside": lambda r: yolo(r, "images"),
    "yolo yaml": lambda r: yolo(r, names="data.yaml"),
    "yolo list": lambda r: yolo(r, names="data.yml"),
    "yolo in splits": lambda r: (write_images(r, "images/train"), yolo(r, "labels/train")),
    "voc": voc,
    "voc without sizes": lambda r: voc(r, size=False),
    "metadata": metadata,
    "metadata of rows": lambda r: metadata(r, rows=True),
}


def opened(path, size=None, **options):
    return open_data(str(path), size=size, needed=LaidOut.columns(), **options)


def check(data):
    assert data.facts.objects == ("", *NAMES)
    assert data.facts.most in (3, 8)
    assert len(data) == 3
    for row, own in enumerate(BOXES):
        found = [
            (tuple(b.tolist()), c)
            for b, c in zip(data.columns["boxes"][row], data.columns["box_labels"][row], strict=True)
            if c
        ]
        for (box, label), (expected, c) in zip(found, own, strict=True):
            assert np.allclose(np.array(box) * 40, expected, atol=1e-4)
            assert label == c + 1
    assert not data.columns["boxes"][data.columns["box_labels"] == 0].any()
    assert data.columns["boxes"].dtype == np.float32
    assert data.columns["box_labels"].dtype == np.int64


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path, name):
    if "splits" not in name:
        write_images(tmp_path)
    LAYOUTS[name](tmp_path)
    check(opened(tmp_path))


def test_things_and_stuff_lie_in_two_files(tmp_path):
    write_images(tmp_path)
    things, stuff = ([[one for one in own if (one[1] == 2) == is_stuff] for own in BOXES] for is_stuff in (False, True))
    coco(tmp_path, "annotations/instances_train.json", things)
    coco(tmp_path, "annotations/stuff_train.json", stuff)
    data = opened(tmp_path)
    assert len(data) == 3
    assert data.facts.objects == ("", *NAMES)
    assert [sorted(own[own > 0]) for own in data.columns["box_labels"]] == [
        sorted(c + 1 for _, c in own) for own in BOXES
    ]


def test_the_file_itself_is_the_data(tmp_path):
    write_images(tmp_path)
    coco(tmp_path, "annotations/instances_all.json")
    coco(tmp_path, "annotations/others.json", [[]] * 3)
    check(opened(tmp_path / "annotations/instances_all.json"))
    (tmp_path / "annotations/bad.json").write_text("[1]")
    with pytest.raises(DataError, match=r'bad\.json is no list of boxes: a COCO file has "images"'):
        opened(tmp_path / "annotations/bad.json")
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone/x").mkdir()
    (tmp_path / "alone/x/a.json").write_text("{}")
    with pytest.raises(DataError, match=r"a\.json has no images beside it"):
        opened(tmp_path / "alone/x/a.json")


def test_splits(tmp_path):
    for split in ("train", "val"):
        write_images(tmp_path, f"{split}2017")
        boxes = BOXES if split == "train" else [own[::-1] for own in BOXES]
        coco(tmp_path, f"annotations/instances_{split}2017.json", boxes, folder="")
    check(opened(tmp_path))
    held = opened(tmp_path, held_out=True)
    assert held.columns["box_labels"][0, :3].tolist() == [c + 1 for _, c in BOXES[0][::-1]]
    assert held.facts == opened(tmp_path).facts


def test_objects_are_those_of_all_splits(tmp_path):
    write_images(tmp_path, "images/train")
    write_images(tmp_path, "images/val")
    yolo(tmp_path, "labels/train", names="", boxes=[own[:1] for own in BOXES])
    yolo(tmp_path, "labels/val", names="")
    train, held = opened(tmp_path), opened(tmp_path, held_out=True)
    assert train.facts == held.facts
    assert train.facts.objects == ("", "0", "1", "2")
    assert train.facts.most == 3


def test_limits_of_coco(tmp_path):
    write_images(tmp_path, count=5)
    large = [((4 * k, 4 * k, 4 * k + 12, 4 * k + 12), 0) for k in range(9)]
    small, outside = ((0, 0, 5, 6), 1), ((50, 50, 60, 60), 1)
    coco(tmp_path, boxes=[*BOXES[:1], [*BOXES[1], small, outside], BOXES[2][:2], large[:9], large[:7]])
    data = opened(tmp_path)
    assert len(data) == 3
    assert data.facts.most == 8
    text = " ".join(data.notes)
    assert "Left out: 1 box empty or outside of the image, the first of images/1.png" in text
    assert "Left out: 1 box of at most 2.0% of the image" in text
    assert "1 of 5 images with fewer boxes than 3 to 8, the first images/2.png" in text
    assert "1 of 5 images with more boxes than 3 to 8, the first images/3.png" in text


def test_crowds_and_other_are_left_out(tmp_path):
    write_images(tmp_path)
    coco(tmp_path)
    about = json.loads((tmp_path / "instances.json").read_text())
    about["annotations"].append({"image_id": 0, "category_id": 10, "bbox": [0, 0, 40, 40], "iscrowd": 1})
    about["categories"].append({"id": 99, "name": "other"})
    about["annotations"].append({"image_id": 1, "category_id": 99, "bbox": [0, 0, 40, 40]})
    (tmp_path / "instances.json").write_text(json.dumps(about))
    data = opened(tmp_path)
    check(data)
    assert any("2 crowds and boxes of the category other" in note for note in data.notes)


def test_the_largest_boxes_of_others_are_kept(tmp_path):
    write_images(tmp_path)
    many = [((k, 0, k + 2 + k // 10, 4), 0) for k in range(33)]
    yolo(tmp_path, boxes=[many, *BOXES[1:]])
    data = opened(tmp_path)
    assert data.facts.most == 30
    assert any("more than 30 boxes the largest are kept" in note for note in data.notes)


def test_boxes_around_the_parts_of_label_maps(tmp_path):
    write_set(tmp_path)
    data = opened(tmp_path)
    assert data.facts.objects == ("", "0", "1", "2", "3")
    for row in range(3):
        for box, label in zip(data.columns["boxes"][row], data.columns["box_labels"][row], strict=True):
            if label:
                x0, y0, x1, y1 = np.rint(box * [32, 24, 32, 24]).astype(int)
                inside = scene(row)[y0:y1, x0:x1] == label - 1
                assert inside.any(0)[[0, -1]].all()
                assert inside.any(1)[[0, -1]].all()
    for k in range(3):
        write(tmp_path / f"instances/{k}.png", np.zeros((24, 32), np.uint8))
    whole = opened(tmp_path)
    assert (whole.columns["box_labels"][0] > 0).sum() <= 4  # one for each region, whether it is connected or not


def test_maps_whose_parts_cannot_be_listed_are_noted(tmp_path):
    write_set(tmp_path, count=4)
    write_set(tmp_path, prefix="val")
    whole = opened(tmp_path)
    (tmp_path / "labels/1.png").write_bytes(b"?")
    data = opened(tmp_path)
    assert len(data) == 3
    kept = [0, 2, 3]
    for name in ("boxes", "box_labels", "images"):  # each part stays with its image
        assert (data.columns[name] == whole.columns[name][kept]).all()
    said = "No boxes around the parts of 1 label maps. The first: labels/1.png cannot be read"
    assert any(note.startswith(said) for note in data.notes)


def test_another_split_whose_objects_cannot_be_counted_is_noted(tmp_path):
    write_set(tmp_path, prefix="train")
    write_set(tmp_path, prefix="val")
    assert not any("other split" in note for note in opened(tmp_path).notes)
    write(tmp_path / "val/labels/1_mask.png", scene(1))
    said = "Objects of the other split are not counted: val/labels/1.png and val/labels/1_mask.png share the name 1"
    assert any(note.startswith(said) for note in opened(tmp_path).notes)


def test_parts_are_connected():
    for seed in range(5):
        regions = np.random.default_rng(seed).integers(0, 3, (17, 23))
        parts, seen = label_parts(regions), -np.ones((17, 23), int)
        number = 0
        for start in np.ndindex(17, 23):
            if seen[start] >= 0:
                continue
            waiting = [start]
            while waiting:
                y, x = waiting.pop()
                if 0 <= y < 17 and 0 <= x < 23 and seen[y, x] < 0 and regions[y, x] == regions[start]:
                    seen[y, x] = number
                    waiting += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
            number += 1
        assert len({*zip(seen.ravel().tolist(), parts.ravel().tolist(), strict=True)}) == number == parts.max() + 1


# -- windows ------------------------------------------------------------------------------------------


def test_boxes_are_cut_to_the_window():
    boxes = np.array([[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0.2, 0.2, 0.3, 0.3], [0, 0, 0.26, 1], [0, 0, 0, 0]]])
    labels = np.array([[1, 2, 3, 4, 0]])
    cut, kept = cut_boxes(boxes, labels, np.array([[0.25, 0.25, 0.75, 0.75]]))
    assert kept.tolist() == [[1, 2, 3, 0, 0]]  # of the third a quarter is left, of the fourth 4 %
    assert np.allclose(cut[0, :3], [[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 0.1, 0.1]])
    assert not cut[0, 3:].any()
    same, all_kept = cut_boxes(boxes, labels, np.array([[0.0, 0, 1, 1]]))
    assert np.allclose(same, boxes)
    assert (all_kept == labels).all()
    thin = np.array([[[0.5, 0, 0.51, 0.5]]])  # thin by itself, and not cut: it stays
    assert cut_boxes(thin, np.ones((1, 1), int), np.array([[0.0, 0, 1, 1]]))[1].all()
    assert np.allclose(mirror_boxes(boxes, labels)[0, 2], [0.7, 0.2, 0.8, 0.3])
    assert not mirror_boxes(boxes, labels)[0, 4].any()


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("size", [(40, 40), (40, 64)])
def test_boxes_follow_the_window_and_the_mirror(tmp_path, native, size):
    """A bright rectangle in each image: in every batch its box is around the bright pixels."""
    found = []
    for k in range(8):
        chance = np.random.default_rng(k)
        image = np.zeros((*size, 3), np.uint8)
        y, x = chance.integers(4, size[0] - 20), chance.integers(4, size[1] - 20)
        image[y : y + 14, x : x + 16] = 255
        found.append(((x, y, x + 16, y + 14), 0))
        write(tmp_path / f"images/{k}.png", image)
    lines = [
        {"file_name": f"images/{k}.png", "objects": {"bbox": [[int(x0), int(y0), 16, 14]], "categories": ["box"]}}
        for k, ((x0, y0, _, _), _) in enumerate(found)
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    data = opened(tmp_path, size=(32, 32), crop=True, native=native)
    loader = BatchLoader(data, LaidOut, Run(batch=8, size=(32,), crop=True, flip=True, native=native, seed=1))
    shown = 0
    for number in range(4):
        batch = loader.batch(number)
        for image, (box, *_), label in zip(batch.images, batch.boxes, batch.box_labels[:, 0], strict=True):
            bright = (image.mean(0) > 0).numpy()
            if not label:
                assert bright.mean() < 0.1  # a sliver at most
                continue
            ys, xs = np.nonzero(bright)
            expected = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) / 32
            assert np.abs(box.numpy() - expected).max() < 1.6 / 32
            shown += 1
        parts = [loader.batch(number, share, 2).boxes for share in (0, 1)]
        assert torch.equal(torch.cat(parts), batch.boxes)
    assert shown > 20
    plain = BatchLoader(data, LaidOut, Run(batch=8, size=(32,), native=native)).batch(0)
    assert plain.boxes.shape == (8, 1, 4)
    assert plain.boxes.dtype == torch.float32


# -- faults -------------------------------------------------------------------------------------------


def text(root, name, content):
    write_images(root)
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(content)


def changed(root, **changes):
    write_images(root)
    coco(root, **changes)


FAULTS = {
    "no boxes": (write_images, r"has no boxes\. What would provide them"),
    "coco image": (lambda r: changed(r, images=[{"id": 1}]), r"instances\.json: an image is not of the form"),
    "coco box": (
        lambda r: changed(r, annotations=[{"bbox": [1, 2, "x", 4]}]),
        r"instances\.json: a box is not of the form",
    ),
    "coco NaN": (
        lambda r: changed(r, annotations=[{"image_id": 0, "category_id": 10, "bbox": [float("nan"), 0, 1, 1]}]),
        r"a box is not of the form",
    ),
    "coco image id": (
        lambda r: changed(r, annotations=[{"image_id": 7, "category_id": 10, "bbox": [0, 0, 1, 1]}]),
        r"has a box of the image 7, which it does not list",
    ),
    "coco list as id": (
        lambda r: changed(r, annotations=[{"image_id": [7], "category_id": 10, "bbox": [0, 0, 1, 1]}]),
        r"a box is not of the form",
    ),
    "coco category": (
        lambda r: changed(r, annotations=[{"image_id": 0, "category_id": 7, "bbox": [0, 0, 9, 9]}]),
        r"has a box of the category 7, which it does not name",
    ),
    "coco categories": (lambda r: changed(r, categories=[{"id": "x"}]), r"has categories that are not of the form"),
    "coco few": (
        lambda r: (write_images(r), coco(r, boxes=[own[:1] for own in BOXES])),
        r"none of the 3 images has boxes that can be used\. Not taken: 3 of 3 images with fewer boxes",
    ),
    "yolo line": (lambda r: text(r, "labels/0.txt", "0 .5 .5 .2 .2\nx y"), r"labels/0\.txt: line 2 is x y; a line is"),
    "yolo class": (
        lambda r: (text(r, "labels/0.txt", "3 .5 .5 .2 .2"), (r / "classes.txt").write_text("cat\ndog")),
        r"labels/0\.txt: line 1 has the class 3, which classes\.txt does not name: add its name",
    ),
    "voc": (lambda r: text(r, "Annotations/0.xml", "<annotation><object>"), r"Annotations/0\.xml is no list of boxes"),
    "voc number": (
        lambda r: text(r, "Annotations/0.xml", "<annotation><object><name>x</name></object></annotation>"),
        r"Annotations/0\.xml is no list of boxes",
    ),
    "voc entities": (
        lambda r: text(r, "Annotations/0.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotation/>'),
        r"Annotations/0\.xml declares entities",
    ),
    "metadata": (
        lambda r: text(
            r, "metadata.jsonl", '{"file_name": "images/0.png", "objects": {"bbox": [[1, 2]], "categories": [1]}}'
        ),
        r"metadata\.jsonl: line 1 has objects that are not of the form",
    ),
    "metadata class": (
        lambda r: text(
            r,
            "metadata.jsonl",
            '{"file_name": "images/0.png", "objects": {"bbox": [[0, 0, 9, 9]], "categories": [-1]}}',
        ),
        r"metadata\.jsonl: line 1 has objects that are not of the form",
    ),
    "yolo long class": (
        lambda r: text(r, "labels/0.txt", f"0 .5 .5 .2 .2\n{'9' * 5_000} .5 .5 .2 .2"),
        r"labels/0\.txt: line 2 is 9+ \.\.\. .*; a line is",
    ),
    "yolo infinite": (
        lambda r: text(r, "labels/0.txt", "0 1e999 .5 1e999 .2"),
        r"Left out: 1 box empty or outside of the image, the first of images/0\.png",
    ),
    "voc no number": (
        lambda r: text(
            r,
            "Annotations/0.xml",
            "<annotation><object><name>x</name><bndbox><xmin>nan</xmin><ymin>1</ymin><xmax>inf</xmax><ymax>9</ymax>"
            "</bndbox></object></annotation>",
        ),
        r"Left out: 1 box empty or outside",
    ),
    "metadata lengths": (
        lambda r: text(
            r, "metadata.jsonl", '{"file_name": "images/0.png", "objects": {"bbox": [], "categories": [1]}}'
        ),
        r"metadata\.jsonl: line 1 has objects that are not of the form",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_one_sentence(tmp_path, name):
    make, expected = FAULTS[name]
    make(tmp_path)
    with pytest.raises(DataError, match=expected) as caught:
        opened(tmp_path)
    assert "\n" not in str(caught.value)


def test_boxes_of_a_few_images(tmp_path):
    write_images(tmp_path, count=5)
    metadata(tmp_path)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "images/7.png")
    data = opened(tmp_path, size=(8, 8))
    assert len(data) == 3
