"""The data doctor on captions: counts, words, letters and what is missing; and the sheet with captions."""

import json

import numpy as np
import pytest

from ganforge.cli.data_report import format_report
from ganforge.data.caption_counts import count_captions
from ganforge.data.captions_sheet import CELL, LINE, LINES, draw_captioned
from ganforge.data.open import find_data, open_data
from ganforge.data.tokens import UNKNOWN_NOTE, tokeniser_of
from ganforge.images import read
from ganforge.training.examine import examine
from tests.data.layouts.test_folders import cache, write_image

assert cache
ROWS = [
    {"file_name": "images/0.png", "captions": ["a red star", "one"]},
    {"file_name": "images/1.png", "captions": ["a star on the left of it", 3]},
    {"file_name": "images/2.png", "text": "빨간 별"},
    {"file_name": "images/3.png", "text": ""},
]


@pytest.fixture
def photos(tmp_path):
    for k in range(4):
        write_image(tmp_path / "set" / "images" / f"{k}.png", (12, 12, 3))
    (tmp_path / "set" / "metadata.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return tmp_path / "set"


def test_the_report_counts_captions_and_names_what_is_missing(photos, tmp_path):
    found = examine(photos, sheet=tmp_path / "sheet.png")
    assert (found.captions, found.captioned, found.most_captions, found.images) == (4, 3, 2, 4)
    assert found.caption_words == (1, 3, 7)
    assert found.vocabulary == 11
    assert "tokens" in found.provides
    problems, notes = " ".join(found.problems), " ".join(found.notes)
    assert "Left out: 1 of 4 images, which have no caption, the first images/3.png." in problems
    assert "Left out: 1 caption of another kind than text, the first of images/1.png." in problems
    assert "1 caption with letters that the published character encoders do not know (간 별 빨)" in notes
    assert "Captions say 'left'" in notes
    assert "Not used" not in notes
    assert "4 of 3 images (at most 2 an image, 1 without any), 1 to 7 words, median 3; 11 different" in format_report(
        found
    )
    assert read(tmp_path / "sheet.png").shape[:2] == (CELL + LINES * LINE, 3 * CELL + 2 * 4)


def test_data_without_captions_are_reported_as_before(photos):
    (photos / "metadata.jsonl").unlink()
    found = examine(photos)
    assert (found.captions, found.vocabulary, found.caption_words) == (0, 0, None)
    assert "tokens" not in found.provides
    assert "  captions" not in format_report(found)


def test_a_damaged_list_is_a_problem(photos):
    (photos / "metadata.jsonl").write_text("{")
    assert any("metadata.jsonl: line 1 is not JSON" in problem for problem in examine(photos).problems)


def test_named_sets_have_theirs():
    source = find_data("shapes-captions")
    counts = count_captions(source, [image.name for image in source.images])
    assert (counts.captions, counts.most, counts.vocabulary) == (60_000, 6, 35)


def test_a_long_caption_is_cut_below_its_image():
    cell = draw_captioned(np.zeros((4, 4, 3), np.uint8), "many words " * 100)
    assert cell.shape == (CELL + LINES * LINE, CELL, 3)
    assert (cell[CELL:] < 128).any()


def test_unknown_words_of_other_data_are_said(photos):
    names = {"size": (8, 8), "needed": ("images", "tokens")}
    tokeniser = tokeniser_of(open_data("shapes-captions", **names))
    data = open_data(str(photos), tokeniser=tokeniser, **names)
    assert f"{UNKNOWN_NOTE} 5 words of the captions: one, of, it, 빨간, 별." in data.notes
    assert not open_data("shapes-captions-unseen", held_out=True, tokeniser=tokeniser, **names).notes
