"""Which files are images: by suffix, by what is installed, and what is named because it is not read."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from ganforge import images
from ganforge.data.layouts.folders import find_images, open_folder
from ganforge.errors import DataError
from ganforge.images import formats, read
from tests.data.layouts.test_folders import cache, noise, write_image, zip_folder
from tests.data.layouts.test_hostile_data import png_of_zeros

assert cache
COMMON = ("jpg", "jpeg", "jfif", "png", "webp", "tif", "tiff", "gif", "bmp", "ppm", "pgm", "tga", "avif", "npy")


def test_common_formats_are_read(tmp_path):
    assert {*COMMON} <= {*images.EXTENSIONS}
    for k, suffix in enumerate(COMMON):
        if suffix == "npy":
            np.save(tmp_path / "a.npy", noise(8, 8, 3))
        else:
            spelled = suffix.upper() if k % 2 else suffix
            form = {"jfif": "JPEG", "jpg": "JPEG", "pgm": "PPM", "ppm": "PPM", "tif": "TIFF"}.get(
                suffix, suffix.upper()
            )
            Image.fromarray(noise(8, 8, 3)).convert("L" if suffix == "pgm" else "RGB").save(
                tmp_path / f"{k}.{spelled}", form
            )
    data = open_folder(tmp_path, size=None)
    assert len(data) == len(COMMON)
    assert data.notes == ()


@pytest.mark.parametrize("archive", [False, True])
def test_what_looks_like_an_image_is_counted_and_named(tmp_path, archive):
    root = tmp_path / "in"
    for name in ("1.png", "2.png"):
        write_image(root / name)
    for name in ("a.jp2", "b.JP2", "c.nef", "d.txt", "e.json", "f.csv.bak", "clip.mp4", "1.png.xml"):
        (root / name).write_bytes(b"?")
    for name in ("IMG_1", "3.png.part", "4.jpg_large"):
        (root / name).write_bytes((root / "1.png").read_bytes())
    notes = find_images(zip_folder(root, tmp_path / "in.zip") if archive else root).notes
    assert notes == (
        "Not taken: 2 files that end in jp2, the first a.jp2: convert them to PNG or TIFF.",
        "Not taken: 1 file that ends in nef, the first c.nef: convert them to PNG or TIFF.",
        "Not taken: 3 images whose names do not end as an image's, the first 3.png.part: rename them to .png, .jpg or "
        "what they are.",
    )
    for name in ("1.png", "2.png"):
        (root / name).unlink()
    with pytest.raises(DataError, match=r"holds no image files: .* Not taken: 2 files that end in jp2"):
        find_images(root)


def test_photographs_of_iphones_are_named_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    if "heic" in images.EXTENSIONS:
        pytest.skip("pillow-heif is installed: HEIC is read")
    write_image(tmp_path / "1.png")
    (tmp_path / "IMG_7.HEIC").write_bytes(b"?")
    note = "Not taken: 1 file that ends in heic, the first IMG_7.HEIC: pip install 'ganforge[heic]' reads them."
    assert find_images(tmp_path).notes == (note,)


def test_photographs_of_iphones_are_read_with_the_extra(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    assert {"heic", "heif"} <= {*formats.readable_extensions()}
    plane = np.full((32, 48, 3), (200, 40, 90), np.uint8)
    for k in range(2):
        heif.from_pillow(Image.fromarray(plane)).save(tmp_path / f"{k}.heic")
    data = open_folder(tmp_path, size=None)
    assert np.abs(data.columns["images"].astype(int) - plane).max() < 8
    assert (data.facts.height, data.facts.width) == (32, 48)


def test_the_owner_can_allow_a_larger_image(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    for name, size in (("small.png", 150), ("large.png", 300)):  # beyond Pillow's limit, and beyond twice it
        (tmp_path / name).write_bytes(png_of_zeros(size, size))
        with pytest.raises(
            DataError, match=rf"{name} cannot be read: it claims .* pixels.*10,000.* set GANFORGE_MAX_PIXELS"
        ):
            read(tmp_path / name)
    monkeypatch.setenv("GANFORGE_MAX_PIXELS", "90,000")
    assert read(tmp_path / "large.png").shape == (300, 300, 1)
    assert images.read_header(io.BytesIO((tmp_path / "small.png").read_bytes())).width == 150
    monkeypatch.setenv("GANFORGE_MAX_PIXELS", "89_999")
    with pytest.raises(
        DataError, match="it claims 300 x 300 pixels in 1 channels, more than the 89,999 pixels allowed"
    ):
        read(tmp_path / "large.png")
    for wrong in ("all", "0", "-5", "1e9"):
        monkeypatch.setenv("GANFORGE_MAX_PIXELS", wrong)
        with pytest.raises(DataError, match=f"GANFORGE_MAX_PIXELS is '{wrong}', and must be a whole number above 0"):
            read(tmp_path / "small.png")


def test_a_black_and_white_page_of_195_megapixels_can_be_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    (tmp_path / "page.png").write_bytes(png_of_zeros(15_000, 13_000))
    with pytest.raises(DataError, match="it claims 195,000,000 pixels, more than the 89,478,485 allowed"):
        images.read_header(tmp_path / "page.png")
    monkeypatch.setenv("GANFORGE_MAX_PIXELS", "200_000_000")
    header = images.read_header(tmp_path / "page.png")
    assert (header.height, header.width, header.channels) == (13_000, 15_000, 1)
