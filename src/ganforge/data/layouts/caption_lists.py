"""Read the captions of images from lists and text files; captions.py says which belong to which data set.

metadata.jsonl, .csv, .tsv   file_name, and text, caption, captions or the like; one row an image, or one a caption
COCO                         captions_*.json: "images", and "annotations" with "image_id" and "caption"
Flickr8k, Flickr30k          Flickr8k.token.txt: `1.jpg#0<tab>caption`; captions.txt or results.csv: image, caption
.txt files                   1.txt beside 1.jpg, or of its name in another folder as those of CUB and Oxford flowers:
                             a caption a line

The readers return what stands there, {image: captions}; None where there is no such list.
"""

import csv
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ganforge.data.layouts.annotations import match_names
from ganforge.data.layouts.box_lists import YOLO_LINE, find_partners
from ganforge.data.layouts.coco import list_images, match_split
from ganforge.data.layouts.files import Files, read_bytes, read_text
from ganforge.data.layouts.names import clean_name, shorten
from ganforge.data.layouts.region_names import LARGEST_JSON
from ganforge.data.layouts.tables import name_column, read_json_rows, read_rows
from ganforge.errors import DataError

Captions = dict[str, list[Any]]  # {image: what its captions are, texts or not}
COLUMN = re.compile(r"(?i)(text|captions?|sentences?|descriptions?|comments?|캡션|설명|문장)[ _]?\d*")
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.tsv")
TOKEN_FILE = re.compile(r"(?i)(?:.*[._])?token(\.txt)?|captions\.(txt|csv)|results(_\d+)?\.(csv|token)")
TOKEN_LINE = re.compile(r"(.+?)#\w+\s+(.*)")
LARGEST_TEXT = 2**20  # bytes of the .txt of one image
OTHER_JSON = re.compile(r"(?i)instances|keypoints|panoptic|stuff|image_info|annotations")


def is_caption_column(name: object) -> bool:
    """Whether a column of a table holds captions, by its name."""
    return COLUMN.fullmatch(str(name).strip()) is not None


def read_metadata(files: Files) -> Captions | None:
    """The captions in tables beside the images."""
    found: Captions = {}
    for path in [name for name in sorted(files.marks) if name.rpartition("/")[2].lower() in METADATA]:
        if path.lower().endswith(".jsonl"):
            rows: Iterable[Mapping[str, Any]] = [row for _, row in read_json_rows(path, read_bytes(files, path))]
        else:
            rows = read_rows(path, read_bytes(files, path)).rows
        columns = list(dict.fromkeys(key for row in rows for key in row))
        name, own = name_column(columns), [column for column in columns if is_caption_column(column)]
        if name is None or not own:
            continue
        of_word: Captions = {}
        for row in rows:
            if isinstance(word := row.get(name), str):
                kept = of_word.setdefault(clean_name(word), [])
                for column in own:
                    kept += as_list(row.get(column))
        folder = path.rpartition("/")[0]
        matches = match_names(f"{folder}/" if folder else "", list(of_word), files.image_names)
        for image, word in matches.items():
            found.setdefault(image, []).extend(of_word[word])
    return found or None


def as_list(value: Any) -> list[Any]:
    """The captions in one cell: none, one, or a list of them."""
    return value if isinstance(value, list) else [] if value is None else [value]


def read_coco_captions(files: Files, listed: str = "") -> Captions | None:
    """The captions of COCO's files, or of the one called `listed`.  Raises DataError where one has another form."""
    jsons = [name for name in sorted(files.marks) if name.lower().endswith(".json")]
    named = [name for name in jsons if "caption" in name.rpartition("/")[2].lower()]
    jsons = [listed] if listed else named or [n for n in jsons if not OTHER_JSON.search(n.rpartition("/")[2])]
    found: Captions = {}
    for name in jsons:
        try:
            about = json.loads(read_text(files, name, LARGEST_JSON))
        except (ValueError, RecursionError, DataError) as error:
            if name in named or listed:
                raise DataError(f"{name} cannot be read as JSON: {shorten(error)}. Mend or remove it.") from error
            continue
        images, rows = (about.get(key) if isinstance(about, dict) else None for key in ("images", "annotations"))
        if not isinstance(images, list) or not isinstance(rows, list):
            continue
        if any(isinstance(row, dict) and "caption" in row for row in rows):
            for image, captions in collect_coco(files, name, images, rows).items():
                found.setdefault(image, []).extend(captions)
    return found or None


def collect_coco(files: Files, name: str, images: list[Any], rows: list[Any]) -> Captions:
    """The captions in one of COCO's files.  Raises DataError for rows of another form."""
    words = {key: clean_name(row["file_name"]) for key, row in list_images(name, images).items()}
    of_word: Captions = {}
    for row in rows:
        key = row.get("image_id") if isinstance(row, dict) else None
        if not isinstance(key, (int, str)) or "caption" not in row:
            form = '{"image_id": 9, "caption": "a cat"}'
            raise DataError(f"{name}: a caption is not of the form {form} but {shorten(row)}.")
        if key not in words:
            raise DataError(f"{name} has a caption of the image {shorten(key)}, which it does not list.")
        of_word.setdefault(words[key], []).append(row["caption"])
    return {image: of_word[word] for image, word in match_split(files, name, list(of_word)).items()}


def read_token_file(files: Files) -> Captions | None:
    """The captions in the lists of Flickr8k and Flickr30k."""
    found: Captions = {}
    for path in [name for name in sorted(files.marks) if TOKEN_FILE.fullmatch(name.rpartition("/")[2])]:
        lines = [line for line in read_text(files, path).splitlines() if line.strip()]
        if not lines or not has_names(lines):
            continue
        of_word: Captions = {}
        for word, caption in split_lines(lines):
            of_word.setdefault(clean_name(word), []).append(caption)
        matches = match_names("", list(of_word), files.image_names)
        for image, word in matches.items():
            found.setdefault(image, []).extend(of_word[word])
    return found or None


def has_names(lines: list[str]) -> bool:
    """Whether the lines of a text begin with names of files, or with a line that names its columns."""
    return TOKEN_LINE.fullmatch(lines[0]) is not None or find_header(lines[0]) is not None


def find_header(line: str) -> tuple[str, int] | None:
    """(separator, number of columns) of a first line as `image,caption`; None for another."""
    for separator in "|\t,;":
        columns = [column.strip().strip('"').lower() for column in line.split(separator)]
        if len(columns) > 1 and name_column(columns[:1]) and is_caption_column(columns[-1]):
            return separator, len(columns)
    return None


def split_lines(lines: list[str]) -> Iterable[tuple[str, str]]:
    """(name of an image, caption) of every line that has both."""
    header = find_header(lines[0])
    if header is None:
        return [(found[1], found[2]) for line in lines if (found := TOKEN_LINE.fullmatch(line.strip()))]
    separator, count = header
    if separator != ",":
        rows = [line.split(separator, count - 1) for line in lines[1:]]
    else:
        quoted = csv.reader(lines[1:])
        rows = [[*row[: count - 1], ",".join(row[count - 1 :])] for row in quoted]
    return [(row[0].strip().strip('"'), row[-1].strip().strip('"')) for row in rows if len(row) == count]


def read_texts(files: Files) -> Captions | None:
    """The captions in .txt files of the images' names.  Those of YOLO hold boxes and are passed over."""
    texts = {name for name in files.marks if name.lower().endswith(".txt")}
    partners = find_partners(files.image_names, texts, ".txt", "captions") if texts else {}
    found: Captions = {}
    for image, own in partners.items():
        lines = read_text(files, own, LARGEST_TEXT).splitlines()
        if not any(YOLO_LINE.fullmatch(line.strip()) for line in lines[:1]):
            found[image] = [*lines]
    has_text = any(line.strip() for own in found.values() for line in own)
    return found if has_text else None  # empty ones alone are those of YOLO's images without objects
