"""Read the boxes of images from YOLO .txt files, Pascal VOC .xml files and metadata.jsonl; COCO is in coco.py.

YOLO            labels/1.txt beside images/1.jpg, or 1.txt beside 1.jpg: `class x y w h` a line, in shares of the image
Pascal VOC      Annotations/1.xml: <object><name>, <bndbox><xmin> ... in pixels from 1 on
metadata.jsonl  {"file_name": "1.jpg", "objects": {"bbox": [[x, y, w, h]], "categories": ["cat"]}}, in pixels
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from ganforge.data.layouts.annotations import match_names
from ganforge.data.layouts.files import Files, read_bytes, read_text
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.region_names import RegionNames, find_region_names
from ganforge.data.layouts.tables import name_column, read_file_names, read_json_rows
from ganforge.errors import DataError

Box = tuple[float, float, float, float]
Unit = tuple[float, float]  # (width, height) of an image in the units of its boxes; (0, 0): those of the image itself
IMAGES = re.compile(r"(?i)^(jpegimages|images?|imgs?)$")
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
LARGEST_YAML = 2**20  # bytes of a data.yaml
YOLO_LINE = re.compile(rf"\d{{1,9}}(?:\s+{NUMBER}){{4,}}\s*")


@dataclass(frozen=True)
class Listed:
    """The boxes of one image: x0, y0, x1, y1 and a class each, a word or a number of `BoxLists.names`."""

    boxes: Sequence[Box] = ()
    classes: Sequence[str | int] = ()
    unit: Unit = (0, 0)
    dropped: int = 0
    """Boxes of the image that the kind of list leaves out."""


@dataclass(frozen=True)
class BoxLists:
    """The boxes of all images, of all splits."""

    kind: str
    of_image: Mapping[str, Listed]
    names: Mapping[int, str] = field(default_factory=dict)
    """{number of a class: its name}; of others the number is the name."""
    fewest: int = 1
    most: int = 30
    """Fewest and most boxes of an image: those of an image with more are left out from the smallest on."""
    drop_fuller: bool = False
    """Whether an image with more than `most` boxes is left out itself."""
    least_area: float = 0.002
    """Share of an image that a box must be larger than."""
    notes: tuple[str, ...] = ()


def read_yolo(files: Files) -> BoxLists | None:
    """The boxes of YOLO's text files; None if there are none.

    Raises:
        DataError: a line is not of that form, or a class has no name.
    """
    texts = {name for name in files.marks if name.lower().endswith(".txt")}
    partners = find_partners(files.image_names, texts, ".txt", "labels") if texts else {}
    first = next((own for own in (partners[k] for k in sorted(partners)) if read_text(files, own).strip()), None)
    if first is None or not YOLO_LINE.fullmatch(read_text(files, first).strip().splitlines()[0].strip()):
        return None
    folders = {
        f"{part}/" if str(part) != "." else "" for own in partners.values() for part in PurePosixPath(own).parents
    }
    about = read_data_yaml(files)
    named = find_region_names(files, sorted(folders, key=lambda folder: -folder.count("/"))) or about.names
    of_image = {image: parse_yolo(files, own, named, about.keypoints) for image, own in partners.items()}
    return BoxLists("YOLO", of_image, named.names if named else {})


def parse_yolo(files: Files, path: str, named: RegionNames | None, keypoints: int) -> Listed:
    """The boxes of one text file; `keypoints` numbers follow each box."""
    boxes, classes = [], []
    for number, line in enumerate(read_text(files, path).splitlines(), 1):
        if not line.strip():
            continue
        if not YOLO_LINE.fullmatch(line.strip()):
            raise DataError(
                f"{path}: line {number} is {shorten(line)}; a line is `class x y w h`, in shares of the image."
            )
        words = line.split()
        if named and int(words[0]) not in named.names:
            raise DataError(
                f"{path}: line {number} has the class {words[0]}, which {named.file} does not name: add its name."
            )
        box = yolo_box([float(word) for word in words[1:]], keypoints)
        if box is None:
            raise DataError(
                f"{path}: line {number} has {len(words) - 1} numbers behind the class: a box has 4, an outline an even "
                "number of at least 6, and a box with keypoints as many as kpt_shape in data.yaml says."
            )
        boxes.append(box)
        classes.append(int(words[0]))
    return Listed(boxes, classes, (1, 1))


def yolo_box(numbers: Sequence[float], keypoints: int = 0) -> Box | None:
    """The corners of x, y, w, h (and a confidence, or keypoints), or of the points of an outline; None for others."""
    if len(numbers) in (4, 5) or (keypoints and len(numbers) == 4 + keypoints):
        x, y, width, height = numbers[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if keypoints or len(numbers) < 6 or len(numbers) % 2:
        return None
    return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])


@dataclass(frozen=True)
class DataYaml:
    """What YOLO's data.yaml says."""

    names: RegionNames | None = None
    keypoints: int = 0
    """Numbers that follow each box: two or three for each keypoint."""


class WordLoader(yaml.BaseLoader):
    """YAML of words, lists and mappings without aliases, which could stand for more than fits into memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node.  Raises YAMLError for an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"line {self.peek_event().start_mark.line + 1} has an alias, which no name needs")
        return super().compose_node(parent, index)


def read_data_yaml(files: Files) -> DataYaml:
    """Read YOLO's data.yaml: of all YAML files the first with `names`, data.yaml before others.

    Raises:
        DataError: data.yaml is no YAML; the names or `kpt_shape` have another form.
    """
    found = [name for name in files.marks if name.lower().endswith((".yaml", ".yml"))]
    for path in sorted(found, key=lambda name: (PurePosixPath(name).stem.lower() != "data", name)):
        try:
            about = yaml.load(read_text(files, path, LARGEST_YAML), WordLoader)
        except (yaml.YAMLError, RecursionError, ValueError, DataError) as error:
            if PurePosixPath(path).stem.lower() != "data":
                continue  # a file of something else
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} is no YAML: {shorten(error) or 'it is too deep'}. Mend or remove it.") from error
        if isinstance(about, dict) and "names" in about:
            return DataYaml(names_of_yaml(path, about["names"]), count_keypoints(path, about.get("kpt_shape")))
    return DataYaml()


def names_of_yaml(path: str, names: Any) -> RegionNames:
    """The names of the classes: a list, or {number: name}.  Raises DataError for another form."""
    rows = dict(enumerate(names)) if isinstance(names, list) else names if isinstance(names, dict) else {}
    numbers = [str(number) for number in rows]
    if not rows or not all(re.fullmatch(r"\d{1,5}", word) for word in numbers):
        raise DataError(f"{path} has names that are neither a list, as in [cat, dog], nor numbered, as in {{0: cat}}.")
    if not all(isinstance(name, str) for name in rows.values()):
        raise DataError(f"{path} has names that are no words: {shorten([*rows.values()])}.")
    return RegionNames(path, {int(number): name for number, name in zip(numbers, rows.values(), strict=True)}, {})


def count_keypoints(path: str, shape: Any) -> int:
    """The numbers of all keypoints of a box, whose count and dimensions are `shape`; 0 without a shape."""
    if shape is None:
        return 0
    if isinstance(shape, list) and len(shape) == 2 and all(re.fullmatch(r"[1-9]\d{0,3}", str(side)) for side in shape):
        return int(shape[0]) * int(shape[1])
    raise DataError(f"{path} has the kpt_shape {shorten(shape)}; it is two numbers, as in [17, 3].")


def read_voc(files: Files) -> BoxLists | None:
    """The boxes of Pascal VOC's .xml files; None if there are none.

    Raises:
        DataError: a file is not of that form.
    """
    sheets = {name for name in files.marks if name.lower().endswith(".xml")}
    partners = find_partners(files.image_names, sheets, ".xml", "Annotations") if sheets else {}
    of_image = {}
    for image, own in partners.items():
        data = read_bytes(files, own)
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise DataError(f"{own} declares entities, which a list of boxes does not need: remove the declarations.")
        try:
            root = ET.fromstring(data)
            if root.tag != "annotation":
                continue
            unit = [float(root.findtext(f"size/{side}") or 0) for side in ("width", "height")]
            boxes, classes = [], []
            for found in root.iter("object"):
                x0, y0, x1, y1 = (float(found.findtext(f"bndbox/{k}") or "") for k in ("xmin", "ymin", "xmax", "ymax"))
                boxes.append((x0 - 1, y0 - 1, x1, y1))
                classes.append(" ".join((found.findtext("name") or "").split()) or "object")
        except (ET.ParseError, ValueError, RecursionError) as error:
            raise DataError(
                f"{own} is no list of boxes of Pascal VOC: {shorten(error) or 'it is not XML'}. Mend or remove it."
            ) from error
        of_image[image] = Listed(boxes, classes, (unit[0], unit[1]) if min(unit) > 0 else (0, 0))
    return BoxLists("Pascal VOC", of_image) if of_image else None


def read_metadata(files: Files) -> BoxLists | None:
    """The boxes in the column `objects` of metadata.jsonl; None if there are none.

    Raises:
        DataError: a row is not of that form.
    """
    of_image: dict[str, Listed] = {}
    kept = [name for name in sorted(files.marks) if name.rpartition("/")[2].lower() == "metadata.jsonl"]
    for path in kept:
        rows, found = {}, read_json_rows(path, read_bytes(files, path))
        if any("objects" in row for _, row in found):
            every = [row for _, row in found]
            names = read_file_names(path, every, name_column({key for row in every for key in row}) or "file_name")
            rows = {
                name: parse_objects(f"{path}: line {number}", row["objects"])
                for name, (number, row) in zip(names, found, strict=True)
                if "objects" in row
            }
        matches = (
            match_names(path.rpartition("/")[0] + "/" * ("/" in path), list(rows), files.image_names) if rows else {}
        )
        of_image |= {image: rows[word] for image, word in matches.items()}
    if not of_image:
        return None
    named = find_region_names(files, ("",))
    return BoxLists("metadata.jsonl", of_image, named.names if named else {})


def parse_objects(where: str, objects: Any) -> Listed:
    """The boxes of one row: lists of boxes and categories, or a list of objects with one of each."""
    if isinstance(objects, list) and all(isinstance(one, dict) for one in objects):
        boxes = [one.get("bbox") for one in objects]
        classes = [one.get("category", one.get("categories", one.get("label"))) for one in objects]
    elif isinstance(objects, dict):
        boxes = objects.get("bbox", objects.get("boxes", objects.get("bboxes")))
        classes = next((objects[k] for k in ("categories", "category", "labels", "label") if k in objects), None)
    else:
        boxes, classes = None, None
    form = '{"bbox": [[x, y, w, h], ...], "categories": ["cat", ...]}, in pixels'
    if not isinstance(boxes, list) or not isinstance(classes, list) or len(boxes) != len(classes):
        raise DataError(f"{where} has objects that are not of the form {form}.")
    if not all(is_box(box) for box in boxes) or not all(is_class(c) for c in classes):
        raise DataError(f"{where} has objects that are not of the form {form}.")
    return Listed([(x, y, x + w, y + h) for x, y, w, h in boxes], classes)


def is_box(box: Any) -> bool:
    """Whether a value of a JSON file is a list of four finite numbers."""
    numbers = isinstance(box, list) and len(box) == 4 and all(type(x) in (int, float) for x in box)
    return numbers and all(abs(x) < 1e9 for x in box)  # false for NaN


def is_class(value: Any) -> bool:
    """Whether a value of a JSON file is a word, or a number from 0 on."""
    return isinstance(value, str) or (type(value) is int and 0 <= value < 2**31)


def find_partners(images: Iterable[str], lists: Iterable[str], suffix: str, beside: str) -> dict[str, str]:
    """{image: the list of its name}: in its own folder, in one called `beside` instead of images, or anywhere."""
    lists = set(lists)
    by_path = {name.lower(): name for name in lists}
    by_stem: dict[str, list[str]] = {}
    for name in lists:
        by_stem.setdefault(PurePosixPath(name).stem, []).append(name)
    images, partners = list(images), {}
    count: dict[str, int] = {}
    for image in images:
        stem = PurePosixPath(image).stem
        count[stem] = count.get(stem, 0) + 1
    for image in images:
        parts = list(PurePosixPath(image).with_suffix(suffix).parts)
        moved = ["/".join([*parts[:k], beside, *parts[k + 1 :]]) for k in range(len(parts)) if IMAGES.match(parts[k])]
        stem = PurePosixPath(image).stem
        only = by_stem.get(stem, []) if count[stem] == 1 else []
        found = [by_path[own.lower()] for own in ("/".join(parts), *reversed(moved)) if own.lower() in by_path]
        if found or len(only) == 1:
            partners[image] = (found or only)[0]
    return partners
