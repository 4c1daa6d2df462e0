"""Uploads are bounded before they are decoded, and lie in the folder for uploads."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganforge.errors import DataError, OptionError
from ganforge.studio import pictures
from ganforge.studio.pictures import check_uploads, read_upload, to_uri


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path)
    return path


def test_an_upload_is_read(photograph: Path):
    assert read_upload(photograph, photograph.parent).shape == (4, 6, 3)


def test_files_outside_the_uploads_are_refused(photograph: Path, tmp_path: Path):
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "link.png").symlink_to(photograph)
    for path in (
        photograph,
        Path("/etc/passwd"),
        tmp_path / "uploads" / ".." / "a.png",
        tmp_path / "uploads" / "link.png",
    ):
        with pytest.raises(OptionError, match="not uploaded"):
            check_uploads([path], tmp_path / "uploads")


def test_sizes_are_bounded(photograph: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(OptionError, match="at most 200"):
        check_uploads([photograph] * 201, photograph.parent)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 23)
    with pytest.raises(OptionError, match="4 x 6 pixels"):
        check_uploads([photograph], photograph.parent)
    monkeypatch.setattr(pictures, "MOST_BYTES", 10)
    with pytest.raises(OptionError, match="at most 25"):
        check_uploads([photograph], photograph.parent)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path):
    Image.new("1", (12_000, 12_000)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 100_000
    with pytest.raises((OptionError, DataError), match="pixels"):
        check_uploads([tmp_path / "bomb.png"], tmp_path)


def test_what_is_no_image_is_refused(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    (tmp_path / "b.zip").write_bytes(b"nothing")
    for name in ("a.png", "b.zip"):
        with pytest.raises(DataError):
            read_upload(tmp_path / name, tmp_path)
    with pytest.raises(OptionError, match="drop one"):
        check_uploads([], tmp_path)


def test_a_uri_holds_the_pixels():
    import base64

    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    held = base64.b64decode(to_uri(image).partition(",")[2])
    assert np.array_equal(np.asarray(Image.open(BytesIO(held))), image)
