"""Special files, links, loops and bombs: skipped or refused in one sentence, at once and without filling the memory."""

import io
import os
import socket
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from ganforge.data.inspect import inspect_source
from ganforge.data.layouts import arrays, files, shards, zips
from ganforge.data.layouts.files import Walk
from ganforge.data.layouts.folders import find_images, open_folder
from ganforge.data.open import find_data
from ganforge.errors import DataError
from ganforge.images import write
from ganforge.inference.translation_job import open_sources
from tests.data.layouts.test_folders import cache, write_image, zip_folder
from tests.data.layouts.test_layouts import png, tarred

assert cache
pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes and links of POSIX")


@pytest.fixture(autouse=True)
def at_once():
    """Each of these tests ends within a few seconds."""
    start = time.monotonic()
    yield
    assert time.monotonic() - start < 30


@pytest.fixture
def good(tmp_path):
    """Four good images."""
    for k in range(4):
        write_image(tmp_path / "in" / f"{k}.png", (16, 16, 3))
    return tmp_path / "in"


def test_special_files_of_any_name_are_skipped(good):
    for name in ("a.png", "metadata.csv", "dataset.json", "labels.csv", "list_attr_celeba.txt", "x.tar", "img"):
        os.mkfifo(good / name)
    for name in ("z.png", "metadata.jsonl", "attributes.csv", "z.npy"):
        (good / name).symlink_to("/dev/zero")
    (good / "fifo.png").symlink_to("a.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(good / "s.png"))
    data, (found, _) = open_folder(good, size=None), inspect_source(find_data(str(good)))
    assert len(data) == found.images == 4
    assert data.notes[0] == found.notes[0] == "Not taken: 13 pipes, devices or sockets, the first a.png."
    assert [*open_sources(good).image_names] == [f"{k}.png" for k in range(4)]


@pytest.mark.parametrize("name", ["x.zip", "x.npy", "x.npz", "x.tar", "x.png", "x"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_special_file_itself_is_refused(tmp_path, name, kind):
    if kind == "pipe":
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).symlink_to("/dev/zero")
    for use in (lambda path: find_data(str(path)), open_sources):
        with pytest.raises(DataError, match=f"{name} is a pipe, a device or a socket"):
            use(tmp_path / name)


def test_an_image_that_became_a_pipe_is_left_out(good):
    source = find_images(good)
    (good / "2.png").unlink()
    os.mkfifo(good / "2.png")
    with pytest.raises(DataError, match=r"2\.png cannot be read: it is not a regular file"):
        source.images[2].read()


def test_circular_links_are_left_out_by_name(good):
    (good / "me.png").symlink_to("me.png")
    (good / "a").symlink_to("b")
    (good / "b").symlink_to("a")
    data = open_folder(good, size=None)
    assert len(data) == 4
    assert data.notes == ("Left out: me.png cannot be read: Too many levels of symbolic links.",)


@pytest.mark.parametrize("count", [2, 11])
def test_folders_that_link_to_one_another_end(tmp_path, count):
    for k in range(count):
        write_image(tmp_path / f"d{k}" / "x.png")
    for k in range(count):
        for other in range(count):
            (tmp_path / f"d{k}" / f"l{other}").symlink_to(tmp_path / f"d{other}")
        (tmp_path / f"d{k}" / "all").symlink_to(tmp_path)
    walk = Walk()
    names = {name for name, _ in walk.files(tmp_path)}
    assert {f"d{k}/x.png" for k in range(count)} <= names
    assert "d0/l1/x.png" in names
    assert len(names) < 70 * count
    if count == 11:
        assert any(
            "links to folders that are listed already" in note for note in open_folder(tmp_path, size=None).notes
        )


def test_a_linked_folder_is_read_like_a_folder(tmp_path):
    for k in range(2):
        write_image(tmp_path / "all" / f"{k}.png")
    for split in ("train", "test"):
        (tmp_path / "pets" / split).mkdir(parents=True)
        for kind in ("cat", "dog"):
            (tmp_path / "pets" / split / kind).symlink_to(tmp_path / "all")
    data = open_folder(tmp_path / "pets", size=None)
    assert data.columns["condition"].tolist() == [0, 0, 1, 1]
    assert not any("links" in note for note in data.notes)


def test_folders_nested_too_deep_are_skipped(good):  # at 1,500 the walk of before ended in RecursionError
    folder = os.open(good, os.O_RDONLY)
    for _ in range(450):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    data = open_folder(good, size=None)
    assert len(data) == 4
    assert data.notes[0].startswith("Not taken: 1 folders that lie more than 400 deep, the first d/d/d")
    assert len(data.notes[0]) < 200


def test_names_that_are_too_long_are_one_sentence():
    for spec in ("x" * 5000, "x/" * 3000, "a\0b"):
        with pytest.raises(DataError, match="There is no data called") as refused:
            find_data(spec)
        assert len(str(refused.value)) < 800


def write_hollow(path, header=b"", size=2**32):
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)


def npy_header(shape, dtype="|u1"):
    file = io.BytesIO()
    np.lib.format.write_array_header_2_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def deflated(path, members):
    """A zip whose members are (name, beginning, number of zeros behind it), made without compressing all the zeros."""
    files, entries, size = [], [], 2**16
    block = deflate(bytes(size))
    for name, start, count in members:
        assert count % size == 0
        data = deflate(start) + block * (count // size) + b"\3\0"
        crc = zlib.crc32(start)
        for _ in range(count // size):
            crc = zlib.crc32(bytes(size), crc)
        facts = (20, 0, 8, 0, 0, crc, len(data), len(start) + count, len(name), 0)
        offset = sum(map(len, files))
        files.append(struct.pack("<4s5H3I2H", b"PK\3\4", *facts) + name.encode() + data)
        entries.append(struct.pack("<4sH5H3I5H2I", b"PK\1\2", 20, *facts, 0, 0, 0, 0, offset) + name.encode())
    content, central = b"".join(files), b"".join(entries)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, len(entries), len(entries), len(central), len(content), 0)
    path.write_bytes(content + central + end)
    return path


def deflate(data):
    pack = zlib.compressobj(9, wbits=-15)
    return pack.compress(data) + pack.flush(zlib.Z_FULL_FLUSH)


def test_files_that_are_one_hole_are_refused(tmp_path):
    write_hollow(tmp_path / "a.npy", npy_header((4096, 1024, 1024)), 2**32 + 128)
    write_hollow(tmp_path / "a.tar", tarfile.TarInfo("x").tobuf())
    write_hollow(tmp_path / "a.zip", b"PK\3\4")
    for name in ("a.npy", "a.tar", "a.zip"):
        with pytest.raises(DataError, match=f"{name} claims 4,294,967,[0-9]* bytes, and .* are on the disk"):
            find_images(tmp_path / name)


def test_arrays_that_unpack_to_gigabytes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "LARGEST", 2**22)
    start = npy_header((8, 1024, 1024))
    path = deflated(tmp_path / "a.npz", [("images.npy", start, 2**23)])
    with pytest.raises(DataError, match=r"a\.npz cannot be read: .* bytes of its images claim to be 8,388,736"):
        find_images(path)
    small = io.BytesIO()
    np.save(small, np.zeros((4, 8, 8), np.uint8))
    path = deflated(tmp_path / "b.npz", [("images.npy", small.getvalue(), 0), ("labels.npy", start, 2**23)])
    with pytest.raises(DataError, match="bytes of its labels claim to be"):
        find_images(path)


def test_a_large_array_that_is_not_compressed_is_mapped(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 255, (20, 64, 64), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", labels=np.arange(20), images=images)
    monkeypatch.setattr(arrays, "WHOLE", 2**10)
    source = find_images(tmp_path / "a.npz")
    assert np.array_equal(source.images[7].read()[..., 0], images[7])
    assert np.array_equal(source.images[19].read()[..., 0], images[19])
    assert source.labels.column.tolist() == [*range(20)]


def test_images_of_arrays_that_claim_too_many_pixels_are_refused(good, tmp_path):
    write_hollow(good / "z.npy", npy_header((32768, 32768), "<f4"), 2**32 + 128)
    data = open_folder(good, size=None)
    assert len(data) == 4
    assert "z.npy cannot be read: it claims 32768 x 32768 pixels of 4 bytes, more than" in data.notes[0]
    write_hollow(tmp_path / "a.npy", npy_header((2, 10000, 10000, 3), "<f8"), 2**28)
    with pytest.raises(DataError, match=r"a\.npy cannot be read|claims 10000 x 10000 pixels"):
        find_images(tmp_path / "a.npy")


def directory(count, *, stated=None):
    """The end of a zip with `count` entries."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, *[0] * 4, *[0] * 3, 5, *[0] * 4, 0, 0)
    names = b"".join(entry + f"{k % 100000:05}".encode() for k in range(count))
    stated = min(count if stated is None else stated, 65535)
    return names + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, stated, stated, len(names), 0, 0)


@pytest.mark.parametrize("stated", [None, 1])
def test_archives_of_too_many_entries_are_refused(tmp_path, monkeypatch, stated):
    monkeypatch.setattr(zips, "MOST_FILES", 1000)
    (tmp_path / "a.zip").write_bytes(directory(1200, stated=stated))
    (tmp_path / "a.npz").write_bytes(directory(1200, stated=stated))
    for name in ("a.zip", "a.npz"):
        with pytest.raises(DataError, match=rf"{name} has more than 1,000 entries, .*GANFORGE_MAX_FILES"):
            find_images(tmp_path / name)
    monkeypatch.setenv("GANFORGE_MAX_FILES", "10_000")
    with pytest.raises(DataError, match="holds no image files"):
        find_images(tmp_path / "a.zip")
    monkeypatch.setenv("GANFORGE_MAX_FILES", "many")
    with pytest.raises(DataError, match="GANFORGE_MAX_FILES is 'many', and must be a whole number above 0"):
        find_images(tmp_path / "a.zip")


def test_a_million_entries_are_refused_at_once(tmp_path):
    (tmp_path / "a.zip").write_bytes(directory(270_000, stated=1))
    start = time.monotonic()
    with pytest.raises(DataError, match="more than 262,144 entries"):
        find_images(tmp_path / "a.zip")
    assert time.monotonic() - start < 10


def test_headers_of_tars_that_claim_gigabytes_are_refused(tmp_path):
    head = tarfile.TarInfo("././@PaxHeader")
    head.type, head.size = b"x", 2**32 - 1024
    (tmp_path / "a.tar").write_bytes(head.tobuf(tarfile.GNU_FORMAT) + bytes(2**20))
    with pytest.raises(DataError, match=r"a header claims 4,294,966,272 bytes|is not a tar"):
        find_images(tmp_path / "a.tar")


@pytest.fixture
def all_large(monkeypatch):
    """Files of more than a kilobyte count as large."""
    for module in (files, zips, shards):
        monkeypatch.setattr(module, "WHOLE", 2**10)


def test_large_members_are_read_as_far_as_needed(tmp_path, all_large):
    first, zeros = png(), bytes(2**16)
    members = [("0.png", first), ("1.png", first + zeros), ("2.png", zeros), ("3.png", png(12, 12, 3))]
    tar = tarred(tmp_path / "a.tar", members)
    packed = deflated(tmp_path / "a.zip", [(name, data.rstrip(b"\0"), 2**16) for name, data in members[1:3]])
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("0.png", first)
    for path, count in ((tar, 3), (packed, 2)):
        data = open_folder(path, size=(10, 10))
        assert len(data) == count
        assert np.array_equal(data.columns["images"][0], data.columns["images"][1])
        assert "2.png cannot be read: it is not an image of a known format" in data.notes[-1]


@pytest.mark.parametrize("form", ["npy", "bmp", "png"])
def test_damage_in_a_large_member_of_a_zip_is_found(tmp_path, all_large, form):
    noisy = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    for k in range(3):
        write(tmp_path / "in" / f"{k}.{form}", noisy) if form == "npy" else Image.fromarray(noisy).save(
            tmp_path / "in" / f"{k}.{form}"
        )
    path = zip_folder(tmp_path / "in", tmp_path / "a.zip")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert f"1.{form} cannot be read: " in open_folder(path, size=(8, 8)).notes[-1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dataset.json", b"[" * 200_000),
        ("metadata.csv", bytes(2**20)),
        ("metadata.csv", b"file_name,label\n" + b"\n" * 2_000_000),
        (
            "metadata.csv",
            b"a: &a [x,x]\n" + b"".join(b"%c: &%c [*%c,*%c]\n" % (k + 1, k + 1, k, k) for k in range(97, 120)),
        ),
        ("metadata.jsonl", b'{"a": ' * 100_000),
        ("list_attr_celeba.txt", b"1\n" + b"x" * 2**20 + b"\n1.png 7\n"),
        ("attributes.csv", b"file_name," + b"a" * 10**6 + b"\n0.png,7\n"),
    ],
)
def test_bombs_in_lists_are_one_short_sentence(good, name, content):
    (good / name).write_bytes(content)
    error = find_images(good).label_error
    assert name in str(error)
    assert len(str(error)) < 500


def test_lists_of_gigabytes_are_refused(good, tmp_path):
    write_hollow(good / "metadata.csv")
    assert "is larger than 268,435,456 bytes" in str(find_images(good).label_error)
    (good / "metadata.csv").unlink()
    members = [(f"{k}.png", (good / f"{k}.png").read_bytes(), 0) for k in range(4)]
    path = deflated(tmp_path / "a.zip", [*members, ("metadata.csv", b"file_name,label\n", 2**26)])
    assert "metadata.csv cannot be read: " in str(find_images(path).label_error)


def png_of_zeros(width, height, depth=1):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pack, row = zlib.compressobj(1), bytes(1 + (width * depth + 7) // 8)
    pixels = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_images_that_unpack_to_gigabytes_are_left_out(good):
    (good / "z1.png").write_bytes(png_of_zeros(15_000, 13_000))
    (good / "z2.png").write_bytes(png_of_zeros(9_000, 9_000, 8))
    data = open_folder(good, size=(8, 8))
    assert len(data) == 4
    assert "z1.png cannot be read: it claims 195,000,000 pixels, more than the 89,478,485 allowed; " in data.notes[-2]
    assert (
        "bytes claim to be 9000 x 9000 pixels; if you know where it comes from, set GANFORGE_MAX_PIXELS"
        in data.notes[-1]
    )


MEMORY = """
import os, sys
from pathlib import Path
from ganforge.data.inspect import inspect_source
from ganforge.data.open import find_data
from ganforge.errors import GANForgeError

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024

inspect_source(find_data(sys.argv[1]))
before = peak()
for path in sys.argv[2:]:
    try:
        inspect_source(find_data(path))
    except GANForgeError as error:
        assert "\\n" not in str(error)
print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_no_bomb_takes_300_megabytes_beyond_four_good_images(good, tmp_path):
    several = tmp_path / "several"
    deflated(tmp_path / "a.zip", [("0.png", b"", 240 * 2**20), ("1.png", png(), 240 * 2**20)])
    deflated(tmp_path / "c.npz", [("images.npy", npy_header((320, 1024, 1024)), 320 * 2**20)])
    (tmp_path / "d.zip").write_bytes(directory(280_000))
    several.mkdir()
    for k in range(3):
        (several / f"{k}.png").write_bytes(png_of_zeros(5000, 5000, 8))
        write_hollow(several / f"{k}.npy", npy_header((2**16, 2**16)))
    paths = [tmp_path / name for name in ("a.zip", "c.npz", "d.zip", "several")]
    found = subprocess.run(
        [sys.executable, "-c", MEMORY, good, *paths], check=True, capture_output=True, text=True, timeout=60
    )
    assert float(found.stdout) < 300
