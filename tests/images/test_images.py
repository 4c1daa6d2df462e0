"""Images are read in the expected form and written without loss."""

import gc
import io
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from ganforge import images
from ganforge.errors import DataError, RunError
from ganforge.images.reading import suppress_warnings

CHANCE = np.random.default_rng(0)


def noise(*shape, dtype=np.uint8):
    if dtype == np.float32:
        return CHANCE.uniform(-1, 1, shape).astype(np.float32)
    return CHANCE.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def stored(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize(
    ("end", "shape", "dtype"),
    [
        ("png", (9, 7, 1), np.uint8),
        ("png", (9, 7, 2), np.uint8),
        ("png", (9, 7, 3), np.uint8),
        ("png", (9, 7, 4), np.uint8),
        ("png", (9, 7, 1), np.uint16),
        ("tif", (9, 7, 3), np.uint8),
        ("tiff", (9, 7, 1), np.uint16),
        ("tif", (9, 7, 1), np.float32),
        ("webp", (9, 7, 3), np.uint8),
        ("bmp", (9, 7, 3), np.uint8),
        ("npy", (9, 7, 5), np.float32),
        ("npy", (9, 7, 3), np.uint16),
        ("npy", (9, 7, 1), np.uint8),
    ],
)
def test_what_is_written_is_read_again(tmp_path, end, shape, dtype):
    picture = noise(*shape, dtype=dtype)
    path = tmp_path / "new" / f"picture.{end}"
    images.write(path, picture)
    again = images.read(path)
    assert again.dtype == dtype
    assert np.array_equal(again, picture)
    assert images.read_header(path) == images.ImageHeader(*shape, np.dtype(dtype))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image_upright(form, orientation):
    image = Image.fromarray(np.kron(noise(3, 5, 3), np.ones((8, 8, 1), np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = stored(image, form, exif=exif)
    with Image.open(file) as again:
        expected = np.asarray(ImageOps.exif_transpose(again))
    picture = images.read(io.BytesIO(file.getvalue()))
    assert np.array_equal(picture, expected)
    assert picture.shape == ((24, 40, 3) if orientation < 5 else (40, 24, 3))
    look = images.read_header(io.BytesIO(file.getvalue()))
    assert (look.height, look.width) == picture.shape[:2]


def test_pillow_modes_are_converted():
    rgb = Image.fromarray(noise(6, 4, 3))
    bits = Image.fromarray(noise(6, 4) > 127)
    cases = {  # what is stored -> channels
        "palette": (stored(rgb.quantize(8), "PNG"), 3),
        "transparent palette": (stored(rgb.quantize(8), "PNG", transparency=0), 4),
        "transparent colour": (stored(rgb, "PNG", transparency=(1, 2, 3)), 4),
        "CMYK": (stored(rgb.convert("CMYK"), "JPEG"), 3),
        "one bit": (stored(bits, "PNG"), 1),
        "grey and alpha": (stored(rgb.convert("LA"), "PNG"), 2),
        "GIF": (stored(rgb, "GIF", save_all=True, append_images=[rgb.rotate(180)]), 3),
    }
    for name, (file, channels) in cases.items():
        picture = images.read(io.BytesIO(file.getvalue()))
        assert picture.shape == (6, 4, channels), name
        assert picture.dtype == np.uint8, name
        assert images.read_header(file).channels == channels, name
    one = images.read(stored(bits, "PNG"))
    assert np.array_equal(one[..., 0], np.asarray(bits) * np.uint8(255))


def test_whole_numbers_of_32_bits_keep_their_values():
    deep = np.array([[0, 65535], [7, 300]], np.int32)
    picture = images.read(stored(Image.fromarray(deep), "TIFF"))
    assert picture.dtype == np.uint16
    assert np.array_equal(picture[..., 0], deep)
    assert images.read(stored(Image.fromarray(deep * 100), "TIFF")).dtype == np.float32


def test_bare_arrays_of_other_types(tmp_path):
    for array, message in [(np.zeros((2, 2), np.complex64), "complex64"), (np.zeros(4, np.uint8), r"shape \(4,\)")]:
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(DataError, match=message):
            images.read(tmp_path / "a.npy")
    for kind in (np.int16, np.int32, np.int64, np.uint32):  # as in TIFF
        np.save(tmp_path / "a.npy", np.array([[7, 300]], kind))
        assert (images.read(tmp_path / "a.npy").dtype, images.read_header(tmp_path / "a.npy").wide) == (np.uint16, True)
        assert images.read(tmp_path / "a.npy").tolist() == [[[7], [300]]]
    np.save(tmp_path / "a.npy", np.array([[-7, 300]], np.int16))
    assert images.read(tmp_path / "a.npy").dtype == np.float32
    np.save(tmp_path / "a.npy", np.array([[True, False]]))
    assert images.read(tmp_path / "a.npy").tolist() == [[[255], [0]]]
    np.save(tmp_path / "a.npy", np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy cannot be read"):
        images.read(tmp_path / "a.npy")


def test_damaged_files_are_named_with_what_is_wrong(tmp_path):
    whole = stored(Image.fromarray(noise(40, 40, 3)), "PNG").getvalue()
    cases = {
        "empty.png": (b"", "the file is empty"),
        "text.png": (b"hello, I am no picture", "not an image of a known format"),
        "half.png": (whole[: len(whole) // 2], "truncated"),
    }
    for name, (data, why) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=f"{name} cannot be read: .*{why}"):
            images.read(tmp_path / name)
    with pytest.raises(DataError, match=r"none\.png cannot be read: No such file"):
        images.read(tmp_path / "none.png")


def test_a_decompression_bomb_is_refused(monkeypatch):
    file = stored(Image.fromarray(noise(30, 30)), "PNG")
    for limit in (500, 100):  # Pillow warns above its limit and raises above twice of it
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DataError, match=r"bomb\.png cannot be read: .*900 pixels|30 x 30"):
            images.read(io.BytesIO(file.getvalue()), name="bomb.png")


def test_warnings_are_suppressed_only_while_decoding():
    before = list(warnings.filters)
    with suppress_warnings, suppress_warnings:
        warnings.warn("nobody hears this", stacklevel=1)
    assert warnings.filters == before


def test_fit_cuts_the_centre():
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 20:40] = 200
    assert (images.fit(picture, (20, 20), 3) == 200).all()
    assert images.fit(picture, (10, 10), 3)[5, 5].tolist() == [200] * 3
    assert images.fit(picture, (16, 48), 3, "stretch").shape == (16, 48, 3)
    assert images.fit(picture, (64, 48), 1).shape == (64, 48, 1)
    same = noise(8, 8, 3)
    assert np.array_equal(images.fit(same, (8, 8), 3), same)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_depth_survives_resizing(dtype):
    ramp = np.linspace(0, 1, 512)[None, :, None].repeat(512, 0)
    picture = ramp.astype(np.float32) if dtype == np.float32 else np.rint(ramp * 65535).astype(np.uint16)
    small = images.fit(picture, (256, 256), 1)
    assert small.dtype == dtype
    ideal = ramp[0].reshape(256, 2).mean(1)
    away = np.abs(small[128, :, 0] / images.white_value(picture.dtype) - ideal)
    assert away[4:-4].max() < 1 / 50_000  # 8 bits would be 1 / 512 away


def test_alpha_is_composited_on_white_unless_requested():
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[0, 0] = (10, 20, 30, 255)
    composited = images.fit(clear, (2, 2), 3)
    assert composited[0, 0].tolist() == [10, 20, 30]
    assert composited[1, 1].tolist() == [255, 255, 255]
    assert np.array_equal(images.fit(clear, (2, 2), 4), clear)
    assert images.fit(clear, (2, 2), 1)[..., 0].tolist() == [[18, 255], [255, 255]]
    assert images.fit(clear[..., :3], (2, 2), 4)[..., 3].min() == 255
    assert images.fit(noise(2, 2, 1, dtype=np.uint16), (2, 2), 2)[..., 1].min() == 65535
    with pytest.raises(DataError, match="5 channels cannot be converted to 3"):
        images.fit(noise(2, 2, 5), (2, 2), 3)


def test_bytes_make_the_round_trip():
    for levels, back in ((256, images.to_uint8), (65536, images.to_uint16)):
        values = torch.arange(levels, dtype=torch.float32).reshape(1, 1, 16, -1)
        again = back(values / ((levels - 1) / 2) - 1)
        assert again.shape == (1, 16, levels // 16, 1)
        assert again.ravel().tolist() == list(range(levels))
    assert images.to_uint8(torch.tensor([-9.0, 9.0]).reshape(1, 2, 1, 1)).ravel().tolist() == [0, 255]


def test_a_grid_arranges_images_in_rows():
    sheet = images.grid(np.zeros((5, 4, 6, 3), np.uint8), gap=2)
    assert sheet.shape == (4 * 2 + 2, 6 * 3 + 4, 3)
    assert sheet[0, 6].tolist() == [255] * 3  # the gap
    assert sheet[-1, -1].tolist() == [255] * 3  # the place of the missing sixth
    assert images.grid([np.zeros((4, 4, 1), np.float32)] * 3, columns=1, gap=0).shape == (12, 4, 1)
    with pytest.raises(DataError, match="at least one"):
        images.grid([])


def test_small_images_are_enlarged_by_whole_pixels():
    image = noise(3, 5, 2)
    larger = images.enlarge(image, 8)
    assert larger.shape == (9, 15, 2)
    assert (larger[::3, ::3] == image).all()
    assert (larger[2::3, 1::3] == image).all()
    assert images.enlarge(noise(4, 8, 8, 1), 8).shape == (4, 8, 8, 1)
    assert images.enlarge(noise(4, 9, 7, 1), 8).shape == (4, 18, 14, 1)


def test_a_png_in_memory_is_the_image():
    for channels in (1, 3, 4):
        image = noise(4, 6, channels)
        decoded = np.asarray(Image.open(io.BytesIO(images.encode_png(image))))
        assert (decoded.reshape(image.shape) == image).all()


def test_a_gif_holds_its_frames(tmp_path):
    frames = [np.full((8, 8, 3), value, np.uint8) for value in (0, 120, 240)]
    images.write_gif(tmp_path / "walk.gif", frames, 0.25)
    with Image.open(tmp_path / "walk.gif") as image:
        assert image.n_frames == 3
        assert image.info["duration"] == 250
        assert image.info["loop"] == 0
    with pytest.raises(DataError, match="at least one frame"):
        images.write_gif(tmp_path / "none.gif", [])


def test_formats_that_cannot_hold_the_image_are_refused(tmp_path):
    for name, picture in [
        ("a.png", noise(2, 2, 1, dtype=np.float32)),
        ("a.png", noise(2, 2, 5, dtype=np.uint16)),
        ("a.jpg", noise(2, 2, 4)),
        ("a.jpg", noise(2, 2, 1, dtype=np.uint16)),
    ]:
        with pytest.raises(DataError, match="cannot hold"):
            images.write(tmp_path / name, picture)
    with pytest.raises(DataError, match="one of these suffixes"):
        images.write(tmp_path / "a.xyz", noise(2, 2))
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"grid\.png cannot be written: Not a directory\."):
        images.write(tmp_path / "file" / "grid.png", noise(2, 2))
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(RunError, match=r"folder\.png cannot be written"):
        images.write(tmp_path / "folder.png", noise(2, 2))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.png"]


def test_arrays_are_read_by_many_threads_at_once(tmp_path):
    """The parser that numpy reads headers with is not safe there (python/cpython issue 106905)."""
    np.save(tmp_path / "one.npy", np.zeros((4, 4, 3), np.uint8))
    patience, often = sys.getswitchinterval(), gc.get_threshold()

    def dawdle(*_: object) -> None:
        sum(range(50))  # the garbage collector runs Python here: another thread gets its turn amid a header

    gc.callbacks.append(dawdle)
    try:
        sys.setswitchinterval(1e-6)
        gc.set_threshold(20)
        with ThreadPoolExecutor(8) as pool:
            shapes = {picture.shape for picture in pool.map(images.read, [tmp_path / "one.npy"] * 3_000)}
    finally:
        gc.callbacks.remove(dawdle)
        gc.set_threshold(*often)
        sys.setswitchinterval(patience)
    assert shapes == {(4, 4, 3)}
