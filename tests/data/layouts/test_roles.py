"""Which label map belongs to which photograph, and which held-out split is read."""

import numpy as np
import pytest

from ganforge.data.open import open_data
from ganforge.errors import DataError
from tests.data.layouts.test_folders import cache
from tests.data.layouts.test_label_maps import check, opened, photo, scene, write, write_set
from tests.data.layouts.test_layouts_of_boxes import BOXES, coco, write_images, yolo
from tests.data.layouts.test_layouts_of_boxes import opened as opened_boxes

assert cache


def write_scene(root, name, numbers, maps=None):
    for k in numbers:
        write(root / name / f"rgb/{k}.png", photo(scene(k)))
    for k in numbers if maps is None else maps:
        write(root / name / f"labels/{k}.png", scene(k))


def test_scenes_with_files_of_one_name_are_all_taken(tmp_path):
    for number, name in enumerate(("scene1", "scene2")):
        for k in range(2):
            write(tmp_path / name / f"rgb/{k}.png", photo(scene(2 * number + k)))
            write(tmp_path / name / f"labels/{k}.png", scene(2 * number + k))
    check(opened(tmp_path), 4)


def test_a_map_of_another_scene_is_no_partner(tmp_path):
    write_scene(tmp_path, "scene1", (0, 1, 5), (0, 1))
    write_scene(tmp_path, "scene2", (2,), (2, 5))
    data = opened(tmp_path)
    check(data, 3)
    assert any("1 image without label map of its name, the first scene1/rgb/5.png" in note for note in data.notes)
    assert any("1 label map without image of its name, the first scene2/labels/5.png" in n for n in data.notes)


def test_kinds_that_were_unpacked_into_folders_of_their_own_have_short_keys(tmp_path):
    write_set(tmp_path, ("photographs_of_it/images", "maps_of_it/labels"))
    check(opened(tmp_path))


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("images/1.bmp", r"images/1\.bmp and images/1\.png share the name 1, .*: rename or remove one"),
        ("labels/1_mask.png", r"labels/1\.png and labels/1_mask\.png share the name 1, "),
    ],
)
def test_two_files_of_one_name_are_an_error_that_names_both(tmp_path, extra, expected):
    write_set(tmp_path)
    write(tmp_path / extra, photo(scene(1)) if extra.startswith("i") else scene(1))
    with pytest.raises(DataError, match=expected):
        opened(tmp_path)


def test_cityscapes_keeps_all_maps_of_an_image_in_one_folder(tmp_path):
    for k in range(3):
        write(tmp_path / f"leftImg8bit/train/aachen/{k}_leftImg8bit.png", photo(scene(k)))
        write(tmp_path / f"gtFine/train/aachen/{k}_gtFine_labelIds.png", scene(k))
        write(tmp_path / f"gtFine/train/aachen/{k}_gtFine_instanceIds.png", scene(k).astype(np.uint16) * 1_000)
        write(tmp_path / f"gtFine/train/aachen/{k}_gtFine_color.png", photo(scene(k)))
    data = opened(tmp_path)
    check(data)
    assert (data.columns["instance_map"] == data.columns["label_map"]).all()


def test_the_held_out_split_is_the_first_that_has_maps(tmp_path):
    write_set(tmp_path, prefix="train")
    write_set(tmp_path, prefix="val", count=2)
    for k in range(4):
        write(tmp_path / f"test/images/{k}.png", photo(scene(k)))
    check(opened(tmp_path, held_out=True), 2)
    assert len(open_data(str(tmp_path), size=None, held_out=True)) == 4  # a model without maps reads the test images


@pytest.mark.parametrize("kind", ["yolo", "coco"])
def test_the_held_out_split_is_the_first_that_has_boxes(tmp_path, kind):
    for split in ("train", "val", "test"):
        write_images(tmp_path, f"images/{split}")
    for split in ("train", "val"):
        boxes = [own[::-1] for own in BOXES] if split == "val" else BOXES
        if kind == "yolo":
            yolo(tmp_path, f"labels/{split}", names="", boxes=boxes)
        else:
            coco(tmp_path, f"annotations/instances_{split}.json", boxes, folder="")
    held = opened_boxes(tmp_path, held_out=True)
    assert len(held) == 3
    assert held.columns["box_labels"][0, :3].tolist() == [c + 1 for _, c in BOXES[0][::-1]]
    assert opened_boxes(tmp_path).columns["box_labels"][0, :3].tolist() == [c + 1 for _, c in BOXES[0]]


def test_maps_alone_in_a_split_are_no_label_maps(tmp_path):
    for k in range(3):
        write(tmp_path / f"images/{k}.png", photo(scene(k)))
        write(tmp_path / f"test/labels/{k}.png", scene(k))
    with pytest.raises(DataError, match="has no label maps"):
        opened(tmp_path)
