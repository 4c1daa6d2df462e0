"""Lists as people have them: separators, encodings, spaces; labels that are no labels."""

import json

import numpy as np
import pytest

from ganforge.data.inspect import inspect_source
from ganforge.data.layouts.folders import find_images, open_folder
from ganforge.data.open import open_data
from ganforge.errors import DataError
from tests.data.layouts.test_folders import cache, write_image
from tests.data.layouts.test_layouts import photos, png, tarred

assert cache
ROWS = [("0.png", "강아지"), ("1.png", "고양이"), ("2.png", "강아지"), ("3.png", "고양이")]


def spelled(separator=",", header=("file_name", "label"), end="\n", rows=ROWS, tail=""):
    return end.join(separator.join(row) for row in [header, *rows]) + end + tail


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("metadata.csv", spelled(";").encode("utf-8-sig")),
        ("metadata.csv", spelled("\t", end="\r\n").encode("utf-16")),
        ("metadata.csv", spelled("|").encode()),
        ("metadata.tsv", spelled("\t").encode()),
        ("metadata.csv", spelled(end="\r\n").encode("cp949")),
        ("metadata.csv", spelled(end="\r\n", tail=",\r\n,\r\n\r\n").encode()),
        ("metadata.csv", spelled(tail="\n\n  \n").encode()),
        ("metadata.csv", spelled(", ", header=(" File_Name ", "Label")).encode()),
        ("metadata.csv", spelled(header=("filename", "CLASS")).encode()),
        (
            "metadata.csv",
            spelled(header=("file_name", "label", "", ""), rows=[(*row, "", "") for row in ROWS]).encode(),
        ),
        ("metadata.csv", spelled(rows=[(f".\\{name}", label) for name, label in ROWS]).encode()),
        ("metadata.csv", f"sep=;\r\n{spelled(';')}".encode()),
        ("metadata.csv", spelled(end="\r").encode()),
        ("Metadata.CSV", spelled().encode()),
        ("labels.csv", spelled(header=("filename", "label")).encode()),
        ("labels.csv", spelled(header=("id", "breed"), rows=[(name[:-4], label) for name, label in ROWS]).encode()),
        ("labels.csv", spelled(header=ROWS[0], rows=ROWS[1:]).encode()),
        ("labels.tsv", spelled("\t", header=("image", "target")).encode("cp949")),
        ("metadata.jsonl", "\r\n".join(json.dumps({"file_name": f, "label": k}) for f, k in ROWS).encode("utf-8-sig")),
        ("metadata.jsonl", "\n".join(json.dumps({"Image": f, "Class": k}) for f, k in ROWS).encode("utf-16")),
        (
            "dataset.json",
            json.dumps({"labels": [[f".\\{name}", label == "고양이"] for name, label in ROWS]}).encode("utf-16"),
        ),
    ],
)
def test_a_list_is_read_however_it_was_written(tmp_path, name, data):
    photos(tmp_path, *(file for file, _ in ROWS))
    (tmp_path / name).write_bytes(data)
    opened = open_folder(tmp_path, size=None)
    assert opened.columns["condition"].tolist() == [0, 1, 0, 1]
    assert name == "dataset.json" or opened.facts.labels == ("강아지", "고양이")
    if data == spelled(end="\r\n").encode("cp949"):
        assert "metadata.csv is not in UTF-8: it was read as cp949." in opened.notes


def test_names_in_lists_find_their_folders(tmp_path):
    photos(tmp_path, "images/0.png", "images/1.png")
    for text in (
        "images\\0.png,a\nimages\\1.png,b",
        "./images/0.png,a\n/images//1.png,b",
        "C:\\x\\0.png,a\nC:\\x\\1.png,b",
    ):
        (tmp_path / "metadata.csv").write_text(f"file_name,label\n{text}\n")
        assert open_folder(tmp_path, size=None).columns["condition"].tolist() == [0, 1]
    (tmp_path / "metadata.csv").unlink()
    (tmp_path / "images" / "lists").mkdir()
    (tmp_path / "images" / "metadata.csv").write_text("file_name,label\n../images/0.png,a\n../images/1.png,b\n")
    assert open_folder(tmp_path, size=None).columns["condition"].tolist() == [0, 1]


def test_attributes_may_be_written_as_floats(tmp_path):
    photos(tmp_path, "0.png", "1.png")
    (tmp_path / "attributes.csv").write_text("File Name;Smiling;Young\n0.png;1.0;-1.0\n1.png;-1.0;+1\n")
    data = open_folder(tmp_path, size=None)
    assert data.facts.attributes == ("Smiling", "Young")
    assert data.columns["condition"].tolist() == [[1, 0], [0, 1]]


def test_attributes_may_be_words(tmp_path):
    photos(tmp_path, "0.png", "1.png")
    (tmp_path / "attributes.csv").write_text("file_name,Smiling,Young\n0.png,yes,no\n1.png,No,TRUE\n")
    assert open_folder(tmp_path, size=None).columns["condition"].tolist() == [[1, 0], [0, 1]]


def test_a_list_in_a_tar_is_a_list(tmp_path):
    rows = json.dumps({"labels": [["0.png", [0.5, 1]], ["1.png", [0.25, 0]]]}).encode()
    path = tarred(tmp_path / "a.tar", [("./0.png", png()), (".\\1.png", png()), ("./dataset.json", rows)])
    assert open_folder(path, size=None).columns["condition"].tolist() == [[0.5, 1], [0.25, 0]]


def test_labels_csv_yields_to_folders_that_are_classes(tmp_path):
    photos(tmp_path, "cat/0.png", "dog/1.png")
    (tmp_path / "labels.csv").write_text("image,xmin\n0.png,3\n0.png,4\n")
    data = open_folder(tmp_path, size=None)
    assert data.facts.labels == ("cat", "dog")
    assert "Not used: labels.csv, because the folders are classes." in data.notes


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("dataset.json", {"labels": [["0.png", [[0, 1], [2, 3]]], ["1.png", [[4, 5], [6, 7]]]]}, "are nested lists"),
        ("dataset.json", {"labels": [["0.png", [[1]]], ["1.png", [[0]]]]}, "are nested lists"),
        ("dataset.json", {"labels": [["0.png", {"a": 1}], ["1.png", {"a": 2}]]}, "are nested lists"),
        ("dataset.json", {"labels": [["0.png", []], ["1.png", []]]}, "its labels are empty"),
        ("dataset.json", {"labels": [["0.png", None], ["1.png", None]]}, "not all numbers"),
        ("dataset.json", {"labels": [["0.png", 1], ["1.png", [1]]]}, "different lengths"),
        ("dataset.json", {"labels": [["0.png", 1], ["1.png", 0], ["0.png", 0]]}, "names 0.png twice"),
        ("dataset.json", {"labels": ["ab", "cd"]}, "is not of the form"),
        ("dataset.json", {"labels": {"0.png": 1}}, "is not of the form"),
        ("dataset.json", {"labels": [["0.png", 2**70], ["1.png", 0]]}, "not all numbers"),
        (
            "metadata.jsonl",
            [{"file_name": "0.png", "label": [[0, 1]]}, {"file_name": "1.png", "label": [[1, 0]]}],
            "nested",
        ),
        ("metadata.jsonl", [{"file_name": "0.png", "labels": []}, {"file_name": "1.png", "labels": []}], "empty lists"),
        ("metadata.csv", "file_name,label,label\n0.png,1,2\n", "2 columns called label"),
        ("metadata.csv", "file_name,label\n0.png,1\n1.png\n", "row 2 has another number of fields"),
        ("metadata.csv", "x" * 2_000_000, "first line is longer than"),
        ("metadata.csv", 'file_name,label\n"0.png,1\n', "cannot be read as comma-separated text"),
        ("metadata.csv", "file_name,label\n./0.png,1\n0.png,2\n", "names 0.png 2 times"),
        ("labels.csv", "a,b,c\n1,2,3\n", "has no column called label; it has a, b, c"),
        ("labels.csv", f"file_name,label\n{'x' * 5000},3\n", "names none of the 2 images; it begins with x+ ... x+"),
    ],
)
def test_a_broken_list_is_one_sentence_and_a_note_where_no_labels_are_needed(tmp_path, name, text, why):
    photos(tmp_path, "0.png", "1.png")
    lines = "\n".join(map(json.dumps, text)) if isinstance(text, list) else json.dumps(text)
    (tmp_path / name).write_text(text if isinstance(text, str) else lines)
    with pytest.raises(DataError, match=f"{name} of .*{why}") as refused:
        open_data(str(tmp_path), size=None, needed=("images", "condition"))
    assert len(str(refused.value)) < 600
    plain, (found, _) = open_data(str(tmp_path), size=None), inspect_source(find_images(tmp_path))
    assert len(plain) == found.images == 2
    assert f"No labels are used: {refused.value}" in plain.notes
    assert f"No labels are used: {refused.value}" in found.notes
    assert str(refused.value) in found.problems
    assert found.provides == ("images",)


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (np.array(3), "a single label"),
        (np.zeros((4, 0)), "labels are empty"),
        (np.zeros(0), "4 images but 0 labels"),
        (np.zeros((4, 2, 2)), r"of shape \(4, 2, 2\)"),
        (np.array(["a", "b", "c", "d"]), "not all numbers"),
        (np.array([0, 1, np.nan, 0]), "not all numbers"),
        (np.zeros(4, complex), "not all numbers"),
    ],
)
def test_label_arrays_that_are_no_labels_are_one_sentence(tmp_path, labels, why):
    np.savez(tmp_path / "a.npz", images=np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8), labels=labels)
    with pytest.raises(DataError, match=why):
        open_folder(tmp_path / "a.npz", size=None)
    assert len(open_data(str(tmp_path / "a.npz"), size=None)) == 4


def test_label_arrays_of_one_number_an_image_are_classes(tmp_path):
    for shape in ((4,), (4, 1), (4, 1, 1)):
        np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.array([2, 0, 1, 1]).reshape(shape))
        assert open_folder(tmp_path / "a.npz", size=None).columns["condition"].tolist() == [2, 0, 1, 1]


def test_an_error_of_labels_keeps_no_list_in_memory(tmp_path):
    write_image(tmp_path / "0.png")
    (tmp_path / "metadata.csv").write_text("nothing")
    error = find_images(tmp_path).label_error
    assert error is not None
    assert error.__traceback__ is None
    assert error.__context__ is None
