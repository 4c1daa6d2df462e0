"""Read boxes from COCO files: instances_*.json and stuff_*.json together, or any .json of that form.

Limits as in LostGANs: crowds, the category "other" and boxes of at most 2 % of the image are left out, and then images
that do not have 3 to 8 boxes.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ganforge.console import count
from ganforge.data.layouts.annotations import match_names
from ganforge.data.layouts.box_lists import BoxLists, Listed, is_box
from ganforge.data.layouts.files import Files, read_text
from ganforge.data.layouts.names import clean_name, shorten
from ganforge.data.layouts.region_names import LARGEST_JSON, categories_of, merge_names
from ganforge.data.layouts.splits import SEPARATORS, phase_of
from ganforge.errors import DataError

FEWEST, MOST, LEAST_AREA = 3, 8, 0.02
NOT_BOXES = re.compile(r"(?i)caption|keypoint|panoptic|image_info")


def read_coco(files: Files, listed: str = "") -> BoxLists | None:
    """The boxes of the COCO files among `files`, or of the one called `listed`; None if there are none.

    Raises:
        DataError: a file names boxes in another form, or categories are called differently in two files.
    """
    jsons = [name for name in sorted(files.marks) if name.lower().endswith(".json") and not NOT_BOXES.search(name)]
    if listed:
        jsons = [name for name in jsons if name == listed or are_siblings(name, listed)]
    contents = {name: about for name in jsons if (about := read_content(files, name, name == listed))}
    if not contents:
        return None
    named = merge_names([own for name, about in contents.items() if (own := categories_of(name, about))])
    of_image: dict[str, Listed] = {}
    repeated = 0
    for name, about in contents.items():
        for image, own in collect_boxes(files, name, about, named.names).items():
            of_image[image], equal = join(of_image[image], own) if image in of_image else (own, 0)
            repeated += equal
    notes = (f"Left out: {count(repeated, 'box', 'boxes')} that another list has as well.",) if repeated else ()
    names = {number: word for number, word in named.names.items() if word not in ("other", "unlabeled", "unlabelled")}
    return BoxLists("COCO", of_image, names, FEWEST, MOST, True, LEAST_AREA, notes)


def join(one: Listed, other: Listed) -> tuple[Listed, int]:
    """The boxes of one image from two files, such as things and stuff, and the number of those that both have."""
    known = {*zip(one.boxes, one.classes, strict=True)}
    new = [pair for pair in zip(other.boxes, other.classes, strict=True) if pair not in known]
    boxes, classes = [*one.boxes, *(box for box, _ in new)], [*one.classes, *(kind for _, kind in new)]
    joined = replace(other, boxes=boxes, classes=classes, dropped=one.dropped + other.dropped)
    return joined, len(other.boxes) - len(new)


def are_siblings(one: str, other: str) -> bool:
    """Whether two files differ in their folder or the words of splits alone, as instances_train and instances_val."""
    plain = [[w for w in SEPARATORS.split(name.rpartition("/")[2].lower()) if not phase_of(w)] for name in (one, other)]
    return plain[0] == plain[1]


def read_content(files: Files, name: str, needed: bool) -> dict[str, Any] | None:
    """The content of a COCO file with boxes; None for another kind of file, unless it is `needed`."""
    form = f'{name} is no list of boxes: a COCO file has "images", "annotations" with "bbox", and "categories".'
    try:
        about = json.loads(read_text(files, name, LARGEST_JSON))
    except (ValueError, RecursionError, DataError) as error:
        if needed:
            raise DataError(form) from error
        return None
    lists = isinstance(about, dict) and all(
        isinstance(about.get(k), list) for k in ("images", "annotations", "categories")
    )
    if lists and any(isinstance(row, dict) and "bbox" in row for row in about["annotations"]):
        if categories_of(name, about) is None:
            raise DataError(f'{name} has categories that are not of the form {{"id": 1, "name": "person"}}.')
        return about
    if needed:
        raise DataError(form)
    return None


def list_images(name: str, rows: list[Any]) -> dict[Any, dict[str, Any]]:
    """{id: row} of the images in one of COCO's files.

    Raises DataError for a row of another form, and for an image or an id that stands there twice.
    """
    images: dict[Any, dict[str, Any]] = {}
    for row in rows:
        key, word = (row.get("id"), row.get("file_name")) if isinstance(row, dict) else (None, None)
        if not isinstance(key, (int, str)) or not isinstance(word, str):
            raise DataError(
                f'{name}: an image is not of the form {{"id": 9, "file_name": "9.jpg"}} but {shorten(row)}.'
            )
        images[key] = row
    if len({clean_name(row["file_name"]) for row in images.values()}) < len(rows):
        twice, count = Counter(clean_name(row["file_name"]) for row in rows).most_common(1)[0]
        what = f"the image {shorten(twice)} {count} times" if count > 1 else "two images with one id"
        raise DataError(f"{name} lists {what}: one image has one row.")
    return images


def collect_boxes(files: Files, name: str, about: dict[str, Any], names: dict[int, str]) -> dict[str, Listed]:
    """The boxes of the images that a COCO file names."""
    images: dict[Any, tuple[str, tuple[float, float]]] = {}
    for key, row in list_images(name, about["images"]).items():
        sides: list[Any] = [row.get("width"), row.get("height")]
        unit = [float(x) if type(x) in (int, float) and 0 < x < 1e9 else 0.0 for x in sides]
        images[key] = (clean_name(row["file_name"]), (unit[0], unit[1]) if min(unit) else (0.0, 0.0))
    boxes: dict[Any, list[Any]] = {key: [] for key in images}
    dropped = dict.fromkeys(images, 0)
    for row in about["annotations"]:
        box: Any = row.get("bbox") if isinstance(row, dict) else None
        if not is_box(box) or not isinstance(row.get("image_id"), (int, str)):
            raise DataError(
                f'{name}: a box is not of the form {{"image_id": 9, "category_id": 1, "bbox": [x, y, w, h]}} but '
                f"{shorten(row)}."
            )
        if row["image_id"] not in images:
            raise DataError(f"{name} has a box of the image {shorten(row['image_id'])}, which it does not list.")
        category = row.get("category_id")
        if type(category) is not int or category not in names:
            raise DataError(f"{name} has a box of the category {shorten(category)}, which it does not name.")
        if row.get("iscrowd") == 1 or names[category] in ("other", "unlabeled", "unlabelled"):
            dropped[row["image_id"]] += 1
            continue
        x, y, width, height = map(float, box)
        boxes[row["image_id"]].append(((x, y, x + width, y + height), category))
    words = {word: key for key, (word, _) in images.items()}
    matches = match_split(files, name, [*words])
    found = {}
    for image, word in matches.items():
        key = words[word]
        own = boxes[key]
        found[image] = Listed([box for box, _ in own], [category for _, category in own], images[key][1], dropped[key])
    return found


def match_split(files: Files, name: str, listed: Sequence[str]) -> dict[str, str]:
    """{image: its name in the list}, among the images that lie in the split that the list's name says."""
    phase = next((p for part in name.split("/") for w in SEPARATORS.split(part.lower()) if (p := phase_of(w))), "")
    images = files.image_names
    if phase:
        own = [image for image in images if any(phase_of(part) == phase for part in image.split("/")[:-1])]
        images = own or images
    folder = name.rpartition("/")[0]
    return match_names(f"{folder}/" if folder else "", listed, images)
