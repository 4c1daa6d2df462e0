"""Names of folders, zips, tars and lists: one form for all of them, whatever wrote them."""

import io
import tarfile
import unicodedata
import warnings
import zipfile

import numpy as np
import pytest

from ganforge.data.layouts.files import list_folder
from ganforge.data.layouts.folders import find_images, open_folder
from ganforge.data.layouts.names import clean_name, decode_names, decode_text, is_korean
from ganforge.data.layouts.zips import read_names
from ganforge.data.open import open_data
from ganforge.errors import DataError
from ganforge.images import read
from tests.data.layouts.test_folders import cache, write_image
from tests.data.layouts.test_layouts import png, tarred

assert cache
PAIRS = ("source", "target")
KOREAN = ("고양이/가을.png", "고양이/꽃밭.png", "강아지/바다.png", "강아지/산길.png")


def apart(text):
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("./A/1.png", "A/1.png"),
        ("A\\b\\1.png", "A/b/1.png"),
        (".\\A//b/./1.png", "A/b/1.png"),
        ("/top/1.png", "top/1.png"),
        (apart("가을/é.png"), "가을/é.png"),
        (b"\xb0\xa1\xc0\xbb.png".decode("utf-8", "surrogateescape"), "가을.png"),
        ("", ""),
        ("./", ""),
    ],
)
def test_a_name_has_one_form(stored, name):
    assert clean_name(stored) == name


def test_encodings_of_names_are_told_apart():
    for names, encoding in (
        (["가을.png", "산길 2 (사진).png"], "cp949"),
        (["été.png", "señor.png", "Ünter.png", "étude.png"], "cp437"),
        (["가을.png", "é.png", "日本.png"], "utf-8"),
    ):
        assert decode_names([name.encode(encoding) for name in names]) == names
    assert not is_korean("étude".encode("cp437").decode("cp949"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp949", "cp1252"])
def test_encodings_of_text_are_told_apart(encoding):
    text = "file_name,label\n" + ("1.png,señor\n" if encoding == "cp1252" else "1.png,가을\n2.png,강아지\n")
    assert decode_text(text.encode(encoding))[0] == text


@pytest.mark.parametrize("data", [b"\0" * 9, b"PK\3\4\0\0\0\0", b"a\x81\x8d\x8f\x90\n", bytes(range(256))])
def test_bytes_that_are_no_text_are_refused(data):
    with pytest.raises(ValueError, match="not text"):
        decode_text(data)


def write_zip(path, names, encoding, flag=True):
    """A zip whose names are bytes in `encoding`, without the flag of UTF-8 unless zipfile sets it."""
    with zipfile.ZipFile(path, "w") as archive:
        for k, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(f"{k:04}".ljust(len(name.encode(encoding)), "x")), png())
    data = path.read_bytes()
    for k, name in enumerate(names):
        data = data.replace(f"{k:04}".ljust(len(name.encode(encoding)), "x").encode(), name.encode(encoding))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["cp949", "cp437", "utf-8"])
def test_a_zip_says_its_names_in_any_encoding(tmp_path, encoding):
    names = ("été/1.png", "été/2.png", "niño/3.png", "niño/4.png") if encoding == "cp437" else KOREAN
    source = find_images(write_zip(tmp_path / "a.zip", names, encoding))
    assert sorted(image.name for image in source.images) == sorted(names)
    assert source.labels.names == tuple(sorted({name.split("/")[0] for name in names}))
    assert all(image.read().shape == (10, 10, 3) for image in source.images)


def test_the_unicode_field_of_a_zip_counts():
    stated = b"\1" + bytes(4) + "가을.png".encode()
    entry = zipfile.ZipInfo("é.png")
    entry.extra = b"xx\2\0abup" + len(stated).to_bytes(2, "little") + stated
    assert read_names([entry, zipfile.ZipInfo("b.png")]) == ["가을.png", "b.png"]


@pytest.mark.parametrize("form", ["zip", "tar"])
@pytest.mark.parametrize("spell", [lambda n: f"./{n}", lambda n: n.replace("/", "\\"), apart, lambda n: f"photos/{n}"])
def test_archives_are_read_like_folders(tmp_path, form, spell):
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for name in KOREAN:
                archive.writestr(spell(name), png())
                archive.writestr(f"__MACOSX/{name.replace('/', '/._')}", b"resource")
            archive.writestr("photos/.DS_Store", b"")
    else:
        tarred(tmp_path / "a.tar", [(spell(name), png()) for name in KOREAN])
    data = open_folder(tmp_path / f"a.{form}", size=None)
    assert data.facts.labels == ("강아지", "고양이")
    assert data.columns["condition"].tolist().count(0) == 2


@pytest.mark.parametrize("form", ["folder", "zip", "tar"])
def test_pairs_match_across_unicode_forms_and_separators(tmp_path, form):
    names = ["A\\가을.png", "A\\é.png", f"B/{apart('가을')}.png", f"B/{apart('é')}.png"]
    cells = [png() for _ in names]
    if form == "folder":
        for name, cell in zip(names, cells, strict=True):
            (tmp_path / "x" / name.replace("\\", "/")).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "x" / name.replace("\\", "/")).write_bytes(cell)
    elif form == "zip":
        with zipfile.ZipFile(tmp_path / "x", "w") as archive:
            for name, cell in zip(names, cells, strict=True):
                archive.writestr(name, cell)
        (tmp_path / "x").rename(tmp_path / "x.zip")
    else:
        tarred(tmp_path / "x.tar", list(zip(names, cells, strict=True)))
    data = open_data(str(next(path for path in tmp_path.iterdir() if path.stem == "x")), size=None, needed=PAIRS)
    assert len(data) == 2
    assert data.columns["source"].shape == data.columns["target"].shape


def test_masks_and_lists_match_across_unicode_forms(tmp_path):
    for side in "AB":
        for name in ("가을", "산길"):
            write_image(tmp_path / "masked" / side / f"{name}.png", (8, 8, 3))
            write_image(tmp_path / "masked" / f"{side}_masks" / f"{apart(name)}_0.png", (8, 8))
            write_image(tmp_path / "listed" / f"{apart(name)}.png")
    data = open_data(str(tmp_path / "masked"), size=None, needed=("a", "b", "a_masks", "b_masks"))
    assert not [note for note in data.notes if "no mask" in note]
    (tmp_path / "listed" / "metadata.csv").write_text("file_name,label\n가을.png,a\n산길.png,b\n", encoding="utf-8")
    assert open_folder(tmp_path / "listed", size=None).columns["condition"].tolist() == [0, 1]


def test_names_that_become_equal_are_both_kept(tmp_path):
    for k, name in enumerate(("é.png", apart("é.png"))):
        np.save(tmp_path / f"{k}.npy", np.full((4, 4), k, np.uint8))
        (tmp_path / f"{k}.npy").rename(tmp_path / name)
    assert len(open_folder(tmp_path, size=None)) == 2


def test_stored_names_identify_images_so_that_runs_go_on(tmp_path):
    for name in (apart("가.png"), "b.png"):
        write_image(tmp_path / name)
    files = list_folder(tmp_path)
    assert files.image_names == ("b.png", "가.png")
    assert [name for name, _ in files.identify(files.image_names)] == ["b.png", apart("가.png")]


def test_of_equal_names_in_a_zip_the_last_counts_with_a_note(tmp_path):
    last = png()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, cell in (("1.png", png()), ("2.png", png()), ("1.png", last)):
            archive.writestr(name, cell)
    source = find_images(tmp_path / "a.zip")
    assert len(source.images) == 2
    assert "later ones of the same name replace, the first 1.png" in source.notes[0]
    assert np.array_equal(source.images[0].read(), read(io.BytesIO(last)))


def test_parents_in_names_never_lead_outside(tmp_path):
    path = tarred(
        tmp_path / "a.tar", [("../1.png", png()), ("x/../../2.png", png()), ("3.png", png()), ("4.png", png())]
    )
    assert [image.name for image in find_images(path).images] == ["3.png", "4.png"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("..\\1.png", png())
    with pytest.raises(DataError, match="holds no image files"):
        find_images(tmp_path / "a.zip")
    assert tarfile.is_tarfile(path)
