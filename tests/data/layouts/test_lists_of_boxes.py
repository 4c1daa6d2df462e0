"""Lists of boxes as people have them: YAML, keypoints and outlines of YOLO; JSON; lists that repeat each other."""

import json

import pytest

from ganforge.data.layouts.box_lists import yolo_box
from ganforge.data.layouts.files import list_folder, read_bytes, read_text
from ganforge.errors import DataError
from tests.data.layouts.test_folders import cache
from tests.data.layouts.test_layouts_of_boxes import BOXES, check, coco, metadata, opened, write_images, yolo

assert cache

YAMLS = {
    "in braces": "names: {0: cat, 1: dog, 2: sky}",
    "with comments": "# the set\nnames: # three\n  - cat # soft\n  - dog\n  - sky\n",
    "quoted": "nc: 3\nnames: ['cat', \"dog\",\n  sky]\n",
}


@pytest.mark.parametrize("name", YAMLS)
def test_names_in_data_yaml(tmp_path, name):
    write_images(tmp_path)
    yolo(tmp_path, names="")
    (tmp_path / "data.yaml").write_text(YAMLS[name])
    (tmp_path / "a.yaml").write_text("seed: 3\n")  # an earlier file without names
    check(opened(tmp_path))


def test_names_are_words_as_they_are_written(tmp_path):
    write_images(tmp_path)
    yolo(tmp_path, names="")
    (tmp_path / "set.yml").write_text("names: [no, 1.0, null]")
    assert opened(tmp_path).facts.objects == ("", "no", "1.0", "null")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("names: [cat", r"data\.yaml is no YAML: while parsing"),
        ("a: &a [x, x]\nnames: [*a, *a]", r"data\.yaml is no YAML: line 2 has an alias"),
        ("names: cat", r"data\.yaml has names that are neither a list"),
        ("names: {cat: 0}", r"data\.yaml has names that are neither a list"),
        ("names: [[cat], dog, sky]", r"data\.yaml has names that are no words"),
        ("names: [cat, dog, sky]\nkpt_shape: 17", r"data\.yaml has the kpt_shape 17; it is two numbers"),
        ("[" * 5_000, r"data\.yaml is no YAML"),
        ("#" * (2**20 + 1), r"data\.yaml of .* is larger than 1,048,576 bytes"),
    ],
)
def test_a_malformed_data_yaml(tmp_path, text, expected):
    write_images(tmp_path)
    yolo(tmp_path, names="")
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=expected) as caught:
        opened(tmp_path)
    assert "\n" not in str(caught.value)


def test_boxes_and_outlines_of_yolo():
    assert yolo_box([0.5, 0.5, 0.2, 0.4]) == yolo_box([0.5, 0.5, 0.2, 0.4, 0.9]) == pytest.approx((0.4, 0.3, 0.6, 0.7))
    assert yolo_box([0.1, 0.2, 0.5, 0.1, 0.3, 0.8]) == (0.1, 0.1, 0.5, 0.8)
    assert [yolo_box([0.5] * count) for count in (3, 7, 9)] == [None] * 3
    assert yolo_box([0.5, 0.5, 0.2, 0.4, *[0.9] * 6], keypoints=6) == yolo_box([0.5, 0.5, 0.2, 0.4])
    assert yolo_box([0.5, 0.5, 0.2, 0.4, *[0.9] * 4], keypoints=6) is None


def test_keypoints_are_no_outline(tmp_path):
    write_images(tmp_path)
    yolo(tmp_path, names="")
    for path in (tmp_path / "labels").iterdir():
        lines = [f"{line} 0 0 2 1 1 2" for line in path.read_text().splitlines()]
        path.write_text("\n".join(lines))
    (tmp_path / "data.yaml").write_text("names: [cat, dog, sky]\nkpt_shape: [2, 3]")
    check(opened(tmp_path))
    (tmp_path / "labels/1.txt").write_text("0 .5 .5 .2 .2 .1 .1 .1")
    with pytest.raises(DataError, match=r"labels/1\.txt: line 1 has 7 numbers behind the class: a box has 4"):
        opened(tmp_path)


def test_boxes_of_two_lists_are_taken_once(tmp_path):
    write_images(tmp_path)
    coco(tmp_path, "annotations/instances.json")
    coco(tmp_path, "annotations/instances_copy.json", [BOXES[0], [], BOXES[2][:1]])
    data = opened(tmp_path)
    check(data)
    assert [int((own > 0).sum()) for own in data.columns["box_labels"]] == [3, 3, 3]
    assert "Left out: 4 boxes that another list has as well." in data.notes


def test_two_rows_of_one_image_are_an_error(tmp_path):
    write_images(tmp_path)
    coco(tmp_path, images=[{"id": k, "file_name": f"images/{min(k, 1)}.png"} for k in range(3)])
    with pytest.raises(
        DataError, match=r"instances\.json lists the image images/1\.png 2 times: one image has one row"
    ):
        opened(tmp_path)


def test_metadata_is_read_as_lists_of_labels_are(tmp_path):
    write_images(tmp_path)
    metadata(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metadata.jsonl").read_text().splitlines()]
    spelled = [{"Image": row["file_name"], "text": "a\u2028b", "objects": row["objects"]} for row in rows]
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in spelled), "utf-8")
    check(opened(tmp_path))
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, [*spelled, spelled[0]])))
    with pytest.raises(DataError, match=r"metadata\.jsonl names images/0\.png 2 times"):
        opened(tmp_path)


def test_a_list_is_read_up_to_a_limit(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfname" + b"x" * 100)
    found = list_folder(tmp_path)
    assert read_text(found, "a.txt").startswith("namex")
    assert len(read_bytes(found, "a.txt", 107)) == 107
    with pytest.raises(DataError, match=r"a\.txt of .* cannot be read: it is larger than 106 bytes"):
        read_bytes(found, "a.txt", 106)
    (tmp_path / "a.txt").write_bytes(b"\0" * 9)
    with pytest.raises(DataError, match=r"a\.txt of .* cannot be read: it holds empty bytes"):
        read_text(list_folder(tmp_path), "a.txt")


def test_files_of_something_else_do_not_matter(tmp_path):
    write_images(tmp_path)
    yolo(tmp_path, names="")
    (tmp_path / "data.yaml").write_text("names: [cat, dog, sky]")
    (tmp_path / "env.yml").write_text("a: &a [x]\nb: *a")
    (tmp_path / "notes.json").write_bytes(b"\xff\xfe\x00\xd8")
    check(opened(tmp_path))
    (tmp_path / "data.yaml").rename(tmp_path / "set.yaml")
    check(opened(tmp_path))
