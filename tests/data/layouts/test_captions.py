"""Every layout of captions, in any script and encoding; what is missing or no text is left out and named."""

import csv
import json
import os
import tarfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from ganforge.batches import Captioned
from ganforge.data.dataset import DataSet
from ganforge.data.layouts import caption_lists, captions
from ganforge.data.open import find_data, open_data
from ganforge.data.read_options import ReadOptions
from ganforge.data.tokens import TokenColumn, tokeniser_of
from ganforge.errors import DataError
from ganforge.images import read
from tests.data.layouts.test_folders import cache, write_image, zip_folder
from tests.support.goldens import SHARED

assert cache
DATA = SHARED / "data"
WORDS = {"1.png": ["a red star", "one star"], "2.png": ["빨간 별 하나"], "3.png": ["a dog, running", "dogs"]}
LATIN = {**WORDS, "2.png": ["une étoile"]}


@pytest.fixture
def photos(tmp_path) -> Path:
    """Three images of different pixels in a folder `images`."""
    return images_in(tmp_path / "set" / "images").parent


def images_in(folder: Path, names: tuple[str, ...] = tuple(WORDS)) -> Path:
    for name in names:
        write_image(folder / name, (8, 8, 3))
    return folder


def opened(path: Path, **options) -> DataSet:
    return open_data(str(path), size=(8, 8), needed=Captioned.columns(), **options)


def captions_of(data: DataSet, folder: Path) -> dict[str, list[str]]:
    """{image: its captions}, the image found by its pixels."""
    column = data.columns["tokens"]
    assert isinstance(column, TokenColumn)
    pixels = {read(path).tobytes(): path.name for path in folder.rglob("*.png")}
    return {pixels[np.asarray(data.columns["images"][row]).tobytes()]: column.captions(row) for row in range(len(data))}


def write_rows(path: Path, rows: list[dict[str, object]], **how) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), **{"encoding": "utf-8", **how})
        return
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="", **{"encoding": "utf-8", **how}) as file:
        writer = csv.DictWriter(file, columns, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)


def write_coco(path: Path, words: dict[str, list[str]], **more) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = {name: 7 * k for k, name in enumerate(words)}
    rows = [{"image_id": keys[name], "id": 0, "caption": own} for name in words for own in words[name]]
    images = [{"id": key, "file_name": name} for name, key in keys.items()]
    path.write_text(json.dumps({"images": images, "annotations": rows, **more}), "utf-8")


def write_texts(folder: Path, words: dict[str, list[str]] | None = None, encoding: str = "utf-8") -> None:
    for name, own in (words or WORDS).items():
        path = (folder / name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(own) + "\n", encoding)


def write_layout(layout: str, top: Path) -> None:
    """Write WORDS beside the images of `top` / images."""
    listed = [{"file_name": f"images/{name}", "captions": own} for name, own in WORDS.items()]
    single = [{"file_name": f"images/{name}", "text": caption} for name, own in WORDS.items() for caption in own]
    numbered = [
        {"image": name, "caption_1": own[0], "caption_2": own[1] if len(own) > 1 else None}
        for name, own in WORDS.items()
    ]
    flickr = "\n".join(f"{name}#{k}\t{caption}" for name, own in WORDS.items() for k, caption in enumerate(own))
    kaggle = "\n".join(f'{name},"{caption}"' for name, own in WORDS.items() for caption in own)
    flickr30k = "\n".join(f"{name}| {k}| {c}" for name, own in WORDS.items() for k, c in enumerate(own))
    writers = {
        "jsonl with lists": lambda: write_rows(top / "metadata.jsonl", listed),
        "jsonl, a row a caption": lambda: write_rows(top / "metadata.jsonl", single),
        "csv, a row a caption": lambda: write_rows(top / "metadata.csv", single),
        "csv with numbered columns": lambda: write_rows(top / "metadata.csv", numbered),
        "tsv in the folder of the images": lambda: write_rows(top / "images" / "metadata.tsv", numbered),
        "txt beside the images": lambda: write_texts(top / "images"),
        "txt in a folder captions": lambda: write_texts(top / "captions"),
        "txt of CUB": lambda: write_texts(top / "text_c10" / "001.Star"),
        "COCO": lambda: write_coco(top / "annotations" / "captions.json", WORDS),
        "COCO of another name": lambda: write_coco(top / "what.json", WORDS),
        "Flickr8k": lambda: (top / "Flickr8k.token.txt").write_text(flickr, "utf-8"),
        "Flickr8k of Kaggle": lambda: (top / "captions.txt").write_text(f"image,caption\n{kaggle}\n", "utf-8"),
        "Flickr30k": lambda: (top / "results.csv").write_text(
            f"image_name| comment_number| comment\n{flickr30k}", "utf-8"
        ),
    }
    writers[layout]()


LAYOUTS = (
    "jsonl with lists",
    "jsonl, a row a caption",
    "csv, a row a caption",
    "csv with numbered columns",
    "tsv in the folder of the images",
    "txt beside the images",
    "txt in a folder captions",
    "txt of CUB",
    "COCO",
    "COCO of another name",
    "Flickr8k",
    "Flickr8k of Kaggle",
    "Flickr30k",
)


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_captions(photos, tmp_path, layout, archive):
    write_layout(layout, photos)
    data = opened(zip_folder(photos, tmp_path / "set.zip") if archive else photos)
    assert captions_of(data, photos) == WORDS
    assert (data.facts.captions, data.facts.vocabulary) == (2, 2 + 10)
    assert not [note for note in data.notes if "Left out" in note or "Not used" in note or "No labels" in note]
    assert any(note.startswith("5 captions from ") and note.endswith("at most 2 an image.") for note in data.notes)


def test_shards_have_captions_in_txt_and_json(photos, tmp_path):
    for k, (name, own) in enumerate(WORDS.items()):
        with tarfile.open(tmp_path / f"shard-{k}.tar", "w") as tar:
            tar.add(photos / "images" / name, name)
            if k:
                (tmp_path / "own.txt").write_text("\n".join(own), "utf-8")
                tar.add(tmp_path / "own.txt", f"{name[0]}.txt")
            else:
                (tmp_path / "own.json").write_text(json.dumps({"caption": own, "label": 3}), "utf-8")
                tar.add(tmp_path / "own.json", f"{name[0]}.json")
    shards = tmp_path / "shards"
    shards.mkdir()
    for tar in tmp_path.glob("*.tar"):
        tar.rename(shards / tar.name)
    assert captions_of(opened(shards), photos) == WORDS


def test_labels_stay_beside_captions(photos):
    rows = [{"file_name": f"images/{name}", "text": own[0], "label": name[0]} for name, own in WORDS.items()]
    write_rows(photos / "metadata.jsonl", [*rows[:2], {**rows[2], "text": ""}])
    data = open_data(str(photos), size=(8, 8), needed=("images", "tokens"), optional=("condition",))
    assert data.facts.labels == ("0", "1", "2", "3")
    assert data.columns["condition"].tolist() == [1, 2]
    assert {*data.columns} == {"images", "condition", "tokens"}


def test_what_cannot_be_used_is_left_out_with_a_count_and_the_first(photos):
    images_in(photos / "images", ("4.png", "5.png"))
    rows = [
        {"file_name": "images/1.png", "captions": ["a star", 7, None, "a  star\n", {"a": 1}]},
        {"file_name": "images/2.png", "captions": [" ... ", "별"]},
        {"file_name": "images/3.png", "text": None},
        {"file_name": "images/4.png", "text": "x" * 10_001},
    ]
    write_rows(photos / "metadata.jsonl", rows)
    data = opened(photos)
    assert captions_of(data, photos) == {"1.png": ["a star"], "2.png": ["별"]}
    said = " ".join(data.notes)
    assert "Left out: 3 captions of another kind than text, the first of images/1.png." in said
    assert "Left out: 1 caption without a word, the first of images/2.png." in said
    assert "Left out: 2 of 4 images, which have no caption, the first images/3.png." in said
    assert "Left out: 1 caption of more than 10,000 letters, the first of images/4.png." in said
    assert "Not taken: 1 image which metadata.jsonl does not name, the first images/5.png." in said


def test_an_image_has_at_most_a_hundred_captions(photos):
    write_texts(photos / "images", {**WORDS, "1.png": [f"star number {k}" for k in range(150)]})
    data = opened(photos)
    assert len(captions_of(data, photos)["1.png"]) == data.facts.captions == 100
    assert "Left out: captions beyond the first 100 of 1 image, the first of images/1.png." in data.notes


@pytest.mark.parametrize("layout", ["jsonl with lists", "txt beside the images", "COCO"])
def test_data_without_a_usable_caption_are_refused(photos, layout, monkeypatch):
    monkeypatch.setattr(f"{__name__}.WORDS", {name: ["..."] for name in WORDS})
    write_layout(layout, photos)
    with pytest.raises(DataError, match=r"none of the 3 images has a caption. Left out: 3 of 3 images"):
        opened(photos)


def test_one_image_with_a_caption_is_too_few_and_the_others_are_named(photos):
    write_rows(
        photos / "metadata.jsonl", [{"file_name": "images/1.png", "text": "a star"}, {"file_name": "images/2.png"}]
    )
    with pytest.raises(DataError, match=r"one image: .* Left out: 1 of 2 images, which have no caption, the first"):
        opened(photos)


def test_data_without_captions_say_what_would_provide_them(photos):
    with pytest.raises(DataError, match=r"has no captions. What would provide them: captions beside the images"):
        opened(photos)
    assert "tokens" not in open_data(str(photos), size=(8, 8), optional=("tokens",)).columns
    write_layout("COCO", photos)
    assert "tokens" in open_data(str(photos), size=(8, 8), optional=("tokens",)).columns


def test_boxes_of_yolo_are_no_captions(photos):
    write_texts(photos / "labels", {name: ["0 0.5 0.5 0.2 0.2"] for name in WORDS})
    with pytest.raises(DataError, match="has no captions"):
        opened(photos)


def test_korean_that_macos_takes_apart_is_the_same(photos, tmp_path):
    write_layout("jsonl with lists", photos)
    own = opened(photos)
    (photos / "metadata.jsonl").write_text(
        unicodedata.normalize("NFD", (photos / "metadata.jsonl").read_text("utf-8")), "utf-8"
    )
    apart = opened(photos)
    assert captions_of(apart, photos) == WORDS
    assert apart.facts == own.facts


@pytest.mark.parametrize(("words", "encoding"), [(WORDS, "cp949"), (WORDS, "utf-16"), (LATIN, "cp1252")])
def test_encodings_of_other_programs(photos, words, encoding):
    rows = [{"file_name": f"images/{name}", "captions": own[0]} for name, own in words.items()]
    write_rows(photos / "metadata.csv", rows, encoding=encoding)
    assert captions_of(opened(photos), photos) == {name: own[:1] for name, own in words.items()}
    (photos / "metadata.csv").unlink()
    write_texts(photos / "images", words, encoding)
    assert captions_of(opened(photos), photos) == words


def test_splits_are_apart_and_held_out_words_can_be_unknown(tmp_path):
    for split, words in (("train2017", WORDS), ("val2017", {"4.png": ["a cat"], "5.png": ["a red cat"]})):
        images_in(tmp_path / split, tuple(words))
        write_coco(tmp_path / "annotations" / f"captions_{split}.json", words)
    data = opened(tmp_path)
    assert captions_of(data, tmp_path) == WORDS
    held = opened(tmp_path, held_out=True, tokeniser=tokeniser_of(data))
    assert captions_of(held, tmp_path) == {"4.png": ["a cat"], "5.png": ["a red cat"]}
    assert held.facts.tokeniser == data.facts.tokeniser
    a, red = tokeniser_of(data).encode(["a red"])[0, :2]
    assert held.columns["tokens"][np.arange(2)][:, :3].tolist() == [[a, 1, 0], [a, red, 1]]


def test_a_list_that_is_named_decides(photos):
    write_coco(photos / "captions_a.json", WORDS)
    other = {"1.png": ["other words"], "3.png": ["more"]}
    write_coco(photos / "captions_b.json", other)
    assert captions_of(opened(photos / "captions_b.json"), photos) == other
    assert captions_of(opened(photos / "captions_a.json"), photos) == WORDS


def test_one_cache_serves_every_tokeniser_and_other_models(photos):
    write_layout("jsonl with lists", photos)
    words, letters = opened(photos), opened(photos, reading=ReadOptions(tokens="characters"))
    assert words.facts.tokeniser != letters.facts.tokeniser
    assert words.fingerprint == letters.fingerprint
    plain = open_data(str(photos), size=(8, 8))
    assert words.fingerprint != plain.fingerprint
    assert words.columns["images"].filename == plain.columns["images"].filename
    before = words.fingerprint
    write_texts(photos / "images", {"1.png": ["not read"]})
    assert opened(photos).fingerprint == before
    text = (photos / "metadata.jsonl").read_text("utf-8")
    (photos / "metadata.jsonl").write_text(text.replace("red", "blue"), "utf-8")
    assert opened(photos).fingerprint != before


HOSTILE = {
    "metadata.jsonl": ['{"file_name": "images/1.png", "text": "a"', "[1]", "\0" * 64],
    "metadata.csv": ["file_name,text\nimages/1.png\n", "\0\0\0\0"],
    "captions.json": [
        "{",
        '{"images": [3], "annotations": [{"caption": "a"}]}',
        '{"images": [], "annotations": [{"caption": "a"}]}',
        '{"images": [], "annotations": [{"caption": "a", "image_id": 9}]}',
        "[" * 100_000,
    ],
    "images/1.txt": ["\0\0\0\0", "x\n" * 600_000],
    "Flickr8k.token.txt": ["\0\0\0\0"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in HOSTILE.items() for text in texts])
def test_damaged_lists_are_one_sentence(photos, name, text):
    (photos / name).write_text(text)
    with pytest.raises(DataError) as refused:
        opened(photos)
    assert name.rpartition("/")[2] in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 800


@pytest.mark.parametrize(
    ("name", "text"),
    [("metadata.jsonl", '{"text": "a"}'), ("Flickr8k.token.txt", "no names here\nat all"), ("Flickr8k.token.txt", "")],
)
def test_lists_of_something_else_are_no_captions(photos, name, text):
    (photos / name).write_text(text)
    with pytest.raises(DataError, match="has no captions"):
        opened(photos)


def test_halves_of_letters_and_pipes_do_no_harm(photos):
    rows = [{"file_name": f"images/{name}", "text": "a \ud800 star \x00 \x85"} for name in WORDS]
    (photos / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    os.mkfifo(photos / "captions.json")
    os.mkfifo(photos / "images" / "1.txt")
    data = opened(photos)
    assert captions_of(data, photos)["1.png"] == ["a star \0"]
    assert data.facts.vocabulary == 4


def test_a_text_of_an_image_is_bounded(photos, monkeypatch):
    write_layout("txt beside the images", photos)
    monkeypatch.setattr(caption_lists, "LARGEST_TEXT", 10)
    with pytest.raises(DataError, match="is larger than 10 bytes"):
        opened(photos)


def test_captions_follow_the_images_that_can_be_decoded(photos):
    write_layout("jsonl with lists", photos)
    whole = (photos / "images" / "2.png").read_bytes()
    (photos / "images" / "2.png").write_bytes(b"no image")
    column = opened(photos).columns["tokens"]
    assert isinstance(column, TokenColumn)
    assert [column.captions(row) for row in range(2)] == [WORDS["1.png"], WORDS["3.png"]]
    (photos / "images" / "2.png").write_bytes(whole)
    assert captions_of(opened(photos), photos) == WORDS


@pytest.mark.skipif(not (DATA / "fxemoji").is_dir(), reason="no real sets: set GANFORGE_SHARED")
@pytest.mark.parametrize(
    ("name", "count", "most", "held"),
    [("fxemoji", 1030, 1, 0), ("dcss-tiles", 1191, 1, 0), ("flickr8k-1000", 1000, 5, 0), ("coco-mini", 100, 1, 100)],
)
def test_real_sets_open_as_they_are(name, count, most, held):
    source = captions.find_captions(find_data(str(DATA / name)))
    assert source is not None
    assert len(source.captions) == len(source.images.images) == count
    assert max(map(len, source.captions)) == most
    assert source.problems == ()
    if held:
        other = captions.find_captions(find_data(str(DATA / name), held_out=True))
        assert other is not None
        assert len(other.captions) == held


def test_a_set_of_boxes_with_an_empty_label_file_has_no_captions(tmp_path):
    for k in range(3):
        write_image(tmp_path / f"images/{k}.png", (8, 8, 3))
        (tmp_path / f"labels/{k}.txt").parent.mkdir(exist_ok=True)
        (tmp_path / f"labels/{k}.txt").write_text("" if k == 1 else "0 .5 .5 .2 .2")
    data = open_data(str(tmp_path), size=None, optional=("tokens",))
    assert len(data) == 3
    assert "tokens" not in data.columns


def test_two_images_of_one_id_are_an_error_as_for_boxes(tmp_path):
    for k in range(2):
        write_image(tmp_path / f"{k}.png", (8, 8, 3))
    images = [{"id": 0, "file_name": f"{k}.png"} for k in range(2)]
    content = {"images": images, "annotations": [{"image_id": 0, "caption": "a cat"}]}
    (tmp_path / "captions.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"captions\.json lists two images with one id"):
        open_data(str(tmp_path), size=None, needed=("images", "tokens"))


def test_what_a_vocabulary_of_its_own_loses_is_said(tmp_path):
    for k in range(2):
        write_image(tmp_path / f"{k}.png", (8, 8, 3))
        (tmp_path / f"{k}.txt").write_text("word " * (70 if k else 3))
    data = open_data(str(tmp_path), size=None, needed=("images", "tokens"))
    assert any("beyond 64 tokens" in note for note in data.notes)
