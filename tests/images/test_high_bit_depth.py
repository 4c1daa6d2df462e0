"""Colour of 16 bits and of floats, and any number of channels, in PNG and TIFF; without the libraries."""

import io
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from ganforge import images
from ganforge.errors import DataError
from ganforge.images import high_bit_depth
from tests.data.layouts.test_folders import uninstall_deep
from tests.images.test_images import noise

PLAIN = {"planarconfig": "contig", "metadata": None}


def tiff(picture, **options):
    """A TIFF of (H, W, C), as other programs write them."""
    file = io.BytesIO()
    colour = {"photometric": "rgb" if picture.shape[2] in (3, 4) else "minisblack"}
    planes = np.moveaxis(picture, 2, 0) if options.get("planarconfig") == "separate" else picture
    tifffile.imwrite(file, planes, **(PLAIN | colour | options))
    return file.getvalue()


def read(data):
    """Read an image, and check that its header says the same."""
    picture = images.read(io.BytesIO(data), "it")
    assert images.read_header(io.BytesIO(data), "it") == images.header_of(picture)
    assert picture.flags.c_contiguous
    return picture


@pytest.mark.parametrize(
    ("end", "shape", "dtype"),
    [
        ("png", (9, 7, 2), np.uint16),
        ("png", (9, 7, 3), np.uint16),
        ("png", (9, 7, 4), np.uint16),
        ("tif", (9, 7, 2), np.uint8),
        ("tif", (9, 7, 5), np.uint8),
        ("tif", (9, 7, 3), np.uint16),
        ("tiff", (9, 7, 4), np.uint16),
        ("tif", (1, 5, 6), np.uint16),
        ("tif", (9, 7, 3), np.float32),
        ("tiff", (9, 1, 5), np.float32),
    ],
)
def test_what_is_written_is_read_again(tmp_path, end, shape, dtype):
    picture = noise(*shape, dtype=dtype)
    path = tmp_path / f"picture.{end}"
    images.write(path, picture)
    again = read(path.read_bytes())
    assert again.dtype == dtype
    assert np.array_equal(again, picture)


@pytest.mark.parametrize("layout", ["contig", "separate"])
@pytest.mark.parametrize("packing", [None, "zlib", "lzw", "packbits", "zstd"])
@pytest.mark.parametrize(("channels", "dtype"), [(3, np.uint16), (5, np.float32), (6, np.uint16), (2, np.float32)])
def test_tiffs_of_every_layout(layout, packing, channels, dtype):
    picture = noise(40, 23, channels, dtype=dtype)
    more = {"planarconfig": layout, "compression": packing, "predictor": packing in ("zlib", "lzw")}
    for shape in ({"rowsperstrip": 7}, {"tile": (16, 16)}, {"byteorder": ">"}, {"bigtiff": True, "rowsperstrip": 40}):
        again = read(tiff(picture, **more, **shape))
        assert again.dtype == dtype
        assert np.array_equal(again, picture), shape


@pytest.mark.parametrize("packing", [None, "lzw"])
@pytest.mark.parametrize("order", "<>")
def test_one_channel_of_other_types(packing, order):
    floats, whole = noise(9, 7, dtype=np.float32), noise(9, 7, dtype=np.uint16)
    for array, expected in [
        (floats, floats),
        (floats.astype(np.float64), floats),
        (floats.astype(np.float16), floats.astype(np.float16)),
        (whole.astype(np.uint32), whole),
        ((whole // 2).astype(np.int16), whole // 2),
        (whole.astype(np.int32) * 100, whole * np.float32(100)),
    ]:
        file = io.BytesIO()
        tifffile.imwrite(file, array, byteorder=order, compression=packing, metadata=None)
        again = read(file.getvalue())
        assert again.dtype == (np.uint16 if expected.dtype == np.uint16 else np.float32)
        assert np.array_equal(again[..., 0], expected)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("form", ["png", "tiff"])
def test_exif_turns_them_as_pillow_turns_them(form, orientation):
    picture = noise(6, 9, 3, dtype=np.uint16)
    if form == "tiff":
        data = tiff(picture, extratags=[(274, 3, 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = io.BytesIO()
        Image.new("RGB", (9, 6)).save(file, "PNG", exif=exif)
        notes = file.getvalue()
        start = notes.index(b"eXIf") - 4
        end = start + 12 + int.from_bytes(notes[start : start + 4], "big")
        png = imagecodecs.png_encode(picture)
        data = png[:33] + notes[start:end] + png[33:]  # behind the header
    with Image.open(io.BytesIO(data)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(read(data) >> 8, upright)


def test_cmyk_and_premultiplied_alpha_are_converted():
    inks = noise(20, 20, 4, dtype=np.uint16)
    picture = read(tiff(inks, photometric="separated"))
    with Image.open(io.BytesIO(tiff(inks, photometric="separated"))) as image:
        assert np.abs((picture >> 8).astype(int) - np.asarray(image.convert("RGB"))).max() <= 1
    colours, alpha = inks[..., :3], inks[..., 3:] // 2 + 32768
    clear = np.concatenate([np.rint(colours * (alpha / 65535)).astype(np.uint16), alpha], 2)
    assert np.abs(read(tiff(clear, extrasamples=(1,))).astype(int) - np.concatenate([colours, alpha], 2)).max() <= 1
    grey = noise(9, 7, 1, dtype=np.uint16).repeat(2, 2)
    assert np.array_equal(read(tiff(grey, photometric="miniswhite")), 65535 - grey)


def test_a_transparent_colour_of_16_bits_is_alpha():
    picture = noise(9, 7, 3, dtype=np.uint16)
    png, key = imagecodecs.png_encode(picture), b"tRNS" + picture[4, 2].astype(">u2").tobytes()
    chunk = (6).to_bytes(4, "big") + key + zlib.crc32(key).to_bytes(4, "big")
    clear = read(png[:33] + chunk + png[33:])
    assert np.array_equal(clear[..., :3], picture)
    assert clear[4, 2, 3] == 0
    assert (clear[..., 3] == 65535).sum() == 62


def test_headers_are_read_without_the_pixels():
    picture = noise(40, 40, 5, dtype=np.uint16)
    for data, channels in (
        (tiff(picture, compression="zlib"), 5),
        (imagecodecs.png_encode(picture[..., :3].copy()), 3),
    ):
        middle = len(data) // 2
        damaged = data[:middle] + bytes(500) + data[middle + 500 :]
        assert images.read_header(io.BytesIO(damaged)) == images.ImageHeader(40, 40, channels, np.dtype(np.uint16))
        with pytest.raises(DataError, match=r"it cannot be read: its numbers cannot be decoded \(\w+\)\.$"):
            images.read(io.BytesIO(damaged), "it")


def test_files_that_are_no_image_raise_one_sentence():
    picture = noise(8, 8, 3, dtype=np.uint16)
    whole, volume = tiff(picture, compression="lzw"), io.BytesIO()
    tifffile.imwrite(volume, noise(4, 16, 16, 3, dtype=np.uint16), volumetric=True, photometric="rgb", metadata=None)
    for data, why in [
        (whole[:20], "its header is damaged"),
        (whole[:-30], "parts of it are missing"),
        (tiff(picture.astype(np.complex64)), "its numbers are not those of an image"),
        (volume.getvalue(), "its numbers are not those of an image"),
        (tiff(picture, photometric="cielab"), "its 3 channels are CIELAB"),
    ]:
        for use in (images.read, images.read_header):
            with pytest.raises(DataError, match=f"^it cannot be read: {why}"):
                use(io.BytesIO(data), "it")


def test_a_decompression_bomb_is_refused(monkeypatch):
    many = tiff(noise(30, 30, 9, dtype=np.uint16), compression="zlib")
    for limit, refused in ((2_100, False), (2_000, True)):  # four channels' worth of pixels
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        for use in (images.read, images.read_header):
            if refused:
                with pytest.raises(DataError, match="it claims 30 x 30 pixels in 9 channels"):
                    use(io.BytesIO(many), "it")
            else:
                use(io.BytesIO(many), "it")


def test_images_of_8_bits_stay_with_pillow(monkeypatch):
    def never(*_):
        raise AssertionError

    for name in ("open_tiff", "open_png", "import_libraries"):
        monkeypatch.setattr(high_bit_depth, name, never)
    for channels in (3, 4):
        for form in ("PNG", "TIFF", "WEBP"):
            file, picture = io.BytesIO(), noise(9, 7, channels)
            Image.fromarray(picture).save(file, form, lossless=True)
            assert np.array_equal(read(file.getvalue()), picture)


def test_without_the_libraries_the_upper_8_bits_are_read(tmp_path, monkeypatch):
    picture = noise(9, 7, 3, dtype=np.uint16)
    files, many = (imagecodecs.png_encode(picture), tiff(picture)), tiff(noise(9, 7, 5, dtype=np.float32))
    uninstall_deep(monkeypatch)
    for data in files:
        assert np.array_equal(images.read(io.BytesIO(data)), picture >> 8)
        assert images.read_header(io.BytesIO(data)) == images.ImageHeader(9, 7, 3, np.dtype(np.uint8), deeper=True)
    with pytest.raises(DataError, match=r"a TIFF that needs more than Pillow: pip install 'ganforge\[deep\]'\.$"):
        images.read(io.BytesIO(many))
    for name in ("a.png", "a.tif"):
        with pytest.raises(DataError, match=r"cannot hold .* uint16; write \.npy instead, or pip install 'ganforge\[d"):
            images.write(tmp_path / name, picture)
    assert images.lossless_suffix(picture) == ".npy"
    assert not list(tmp_path.iterdir())


def test_the_libraries_are_imported_when_they_are_needed():
    code = "import sys, ganforge.data.layouts.folders; assert not {'tifffile', 'imagecodecs'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
