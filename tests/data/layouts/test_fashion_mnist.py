"""Fashion-MNIST: its file format, its checksums, and the set itself where it is at hand."""

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from ganforge.data.layouts import fashion_mnist
from ganforge.data.layouts.fashion_mnist import open_fashion_mnist, parse_idx
from ganforge.errors import DataError

REAL = Path(os.environ.get("GANFORGE_SHARED", "../shared")) / "data" / "fashion-mnist"


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Four tiny files in the official layout, packed, whose checksums count as the official ones."""
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    chance, home, sums = np.random.default_rng(0), tmp_path / "home", {}
    home.mkdir()
    for part, n in (("train", 12), ("t10k", 5)):
        for name, array in (
            (f"{part}-images-idx3-ubyte", chance.integers(1, 256, (n, 28, 28), dtype=np.uint8)),
            (f"{part}-labels-idx1-ubyte", np.arange(n, dtype=np.uint8) % 10),
        ):
            raw = idx(array)
            packed = gzip.compress(raw)
            (home / f"{name}.gz").write_bytes(packed)
            sums[name] = (hashlib.md5(packed).hexdigest(), hashlib.md5(raw).hexdigest())
    monkeypatch.setattr(fashion_mnist, "MD5", sums)
    return home


def test_an_idx_file_is_read():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(parse_idx(idx(array), 3), array)


@pytest.mark.parametrize(
    "data", [b"", b"\0\0", idx(np.zeros((2, 2), np.uint8)), idx(np.zeros((2, 2, 2), np.uint8))[:-1]]
)
def test_invalid_idx_files_are_refused(data):
    with pytest.raises(ValueError, match="idx file"):
        parse_idx(data, 3)


def test_images_classes_and_the_held_out_part(small):
    data = open_fashion_mnist(small, size=None)
    assert data.columns["images"].shape == (12, 28, 28, 1)
    assert data.columns["condition"].tolist() == [*range(10), 0, 1]
    assert data.facts.labels[9] == "Ankle boot"
    assert (data.facts.channels, data.facts.height, data.facts.width) == (1, 28, 28)
    held_out = open_fashion_mnist(small, size=None, held_out=True)
    assert len(held_out) == 5
    assert held_out.fingerprint != data.fingerprint


def test_32_is_a_black_border_and_other_sizes_are_resized(small):
    plain = open_fashion_mnist(small, size=None).columns["images"]
    data = open_fashion_mnist(small, size=(32, 32), channels=3)
    bordered = data.columns["images"]
    assert bordered.shape == (12, 32, 32, 3)
    assert np.array_equal(bordered[:, 2:-2, 2:-2], plain.repeat(3, 3))
    assert not bordered[:, :2].any()
    assert not bordered[:, :, -2:].any()
    large = open_fashion_mnist(small, size=(64, 64))
    assert large.columns["images"].shape == (12, 64, 64, 1)
    assert large.facts.labels == data.facts.labels
    assert (data.facts.channels, data.facts.height) == (3, 32)


@pytest.mark.parametrize("folder", ["fashion-mnist", "FashionMNIST/raw"])
def test_files_are_found_in_usual_folders_packed_or_not(small, folder, tmp_path, monkeypatch):
    place = tmp_path / "other" / folder
    place.mkdir(parents=True)
    for file in small.iterdir():
        (place / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    monkeypatch.setenv("GANFORGE_DATA", str(tmp_path / "other"))
    assert len(open_fashion_mnist(size=None)) == 12


def test_a_damaged_file_is_named(small):
    file = small / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is not Fashion-MNIST's own file"):
        open_fashion_mnist(small, size=None)


def test_a_download_is_checked_and_kept(small, tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "ADDRESS", f"{small.as_uri()}/")
    home = tmp_path / "new"
    assert len(open_fashion_mnist(home, size=None)) == 12
    kept = sorted(file.name for file in (home / "fashion-mnist").iterdir())
    assert kept == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]
    (small / "t10k-images-idx3-ubyte.gz").write_bytes(b"something else")
    with pytest.raises(DataError, match="is not the official file"):
        open_fashion_mnist(home, size=None, held_out=True)


def test_without_a_network_one_sentence_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "ADDRESS", f"{(tmp_path / 'nowhere').as_uri()}/")
    with pytest.raises(DataError, match=r"is not in .*could not be downloaded.*: put its four files .* there"):
        open_fashion_mnist(tmp_path, size=None)


def test_a_home_that_cannot_be_written_is_named(small, tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "ADDRESS", f"{small.as_uri()}/")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="--data-home"):
        open_fashion_mnist(tmp_path / "file", size=None)


@pytest.mark.skipif(not REAL.is_dir(), reason="Fashion-MNIST is not at hand: GANFORGE_SHARED names a folder with it")
def test_the_real_set():
    data = open_fashion_mnist(REAL, size=(32, 32))
    assert data.columns["images"].shape == (60_000, 32, 32, 1)
    assert np.bincount(data.columns["condition"]).tolist() == [6_000] * 10
    held_out = open_fashion_mnist(REAL, size=None, held_out=True)
    assert np.bincount(held_out.columns["condition"]).tolist() == [1_000] * 10
