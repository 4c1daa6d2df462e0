"""Checksums of the cache: a flipped byte anywhere in an entry is found, and the images are decoded anew with a note."""

import json
import os

import numpy as np
import pytest

from ganforge.data import cache, checksums
from ganforge.data.cache import DecodeJob, DecodeReport, load_or_decode
from ganforge.data.checksums import BlockSums, is_intact, sum_blocks
from ganforge.data.layouts.folders import open_folder
from tests.data.layouts.test_folders import write_image
from tests.data.test_cache import ROWS, home, never, work

assert home  # the fixture: a cache of its own for every test


def flip(path, at, *, secretly=False):
    """Flip one bit; secretly: with the times of before, as a disk does."""
    data, state = bytearray(path.read_bytes()), path.stat()
    data[at] ^= 4
    path.write_bytes(data)
    if secretly:
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("secretly", [False, True])
@pytest.mark.parametrize("at", [7, 70, 130, 2000, -1])
def test_a_flipped_byte_of_the_images_is_found(home, at, secretly):
    load_or_decode("key", work)
    flip(home / "key" / "images.npy", at, secretly=secretly)
    entry = load_or_decode("key", work)
    assert np.array_equal(entry.images, ROWS)
    assert entry.report.notes == (
        "a note",
        f"The cache entry {home / 'key'} was damaged: its images were decoded again.",
    )
    again = load_or_decode("key", never)
    assert np.array_equal(again.images, ROWS)
    assert again.report.notes == ("a note",)
    assert [path.name for path in home.iterdir()] == ["key"]


def test_a_flipped_byte_of_the_report_is_found(home):
    load_or_decode("key", work)
    text = (home / "key" / "about.json").read_text()
    for at in [
        text.index(word) + len(word) for word in ('"kept": [', "a note", '"blocks": [', '"written": ', '"sum": "')
    ]:
        flip(home / "key" / "about.json", at)
        assert load_or_decode("key", work).report.kept == tuple(range(40))
        assert np.array_equal(load_or_decode("key", never).images, ROWS)


def test_a_damaged_cache_of_a_folder_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    whole = np.stack([write_image(tmp_path / "in" / f"{k}.png") for k in range(3)])
    before = open_folder(tmp_path / "in", size=None)
    (entry,) = (tmp_path / "cache").iterdir()
    flip(entry / "images.npy", -5)
    after = open_folder(tmp_path / "in", size=None)
    assert np.array_equal(after.columns["images"], whole)
    assert after.fingerprint == before.fingerprint
    assert any("was damaged: its images were decoded again" in note for note in after.notes)


def test_an_entry_of_before_gets_its_checksums(home):
    load_or_decode("key", work)
    about = home / "key" / "about.json"
    facts = json.loads(about.read_text())
    about.write_text(json.dumps({name: facts[name] for name in ("bytes", "story")}))
    assert load_or_decode("key", never).report.notes == ("a note",)
    assert json.loads(about.read_text())["blocks"] == facts["blocks"]
    flip(home / "key" / "images.npy", 500)
    assert np.array_equal(load_or_decode("key", work).images, ROWS)


def test_a_copied_entry_is_intact(home):
    load_or_decode("key", work)
    os.utime(home / "key" / "images.npy", (1, 1))
    for _ in range(2):
        load_or_decode("key", never)
    assert json.loads((home / "key" / "about.json").read_text())["written"] == 10**9


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_sums_of_a_stream_are_those_of_its_file(home, monkeypatch, rows):
    for module in (checksums, cache):
        monkeypatch.setattr(module, "BLOCK", 1000)
    data = np.random.default_rng(0).integers(0, 255, (rows, 20, 20, 3), dtype=np.uint8)
    job = DecodeJob(data.shape[1:], data.dtype, data, lambda: DecodeReport(tuple(range(rows))))
    load_or_decode("key", lambda: job)
    path = home / "key" / "images.npy"
    blocks = -(-path.stat().st_size // 1000)
    assert json.loads((path.parent / "about.json").read_text())["blocks"] == sum_blocks(path, range(blocks))
    sums = BlockSums()
    for start in range(0, path.stat().st_size, 333):
        sums.update(memoryview(path.read_bytes())[start : start + 333])
    assert sums.sums == sum_blocks(path, range(blocks))


def test_a_large_file_is_sampled_until_it_is_changed(tmp_path, monkeypatch):
    for name, value in (("BLOCK", 100), ("BUDGET", 1000), ("SAMPLE", 500), ("ONCE", 200)):
        monkeypatch.setattr(checksums, name, value)
    path, read = tmp_path / "x", []
    path.write_bytes(bytes(range(250)) * 20)
    sums, written = sum_blocks(path, range(50)), path.stat().st_mtime_ns
    monkeypatch.setattr(checksums, "sum_blocks", lambda p, b: [read.append(k) or sum_blocks(p, [k])[0] for k in b])
    assert is_intact(path, sums, written)
    assert 5 <= len(read) <= 8
    assert is_intact(path, sums, written)
    assert len(read) <= 8  # once in a process
    flip(path, 3333)
    read.clear()
    assert not is_intact(path, sums, written)
    assert len(read) == 50
    flip(path, 3333)
    os.utime(path, ns=(written, written))
    checksums._compared.clear()
    flip(path, 3333, secretly=True)
    found = set()
    for moment in range(10):
        monkeypatch.setattr("time.time_ns", lambda moment=moment: moment)
        found.add(is_intact(path, sums, written))
        checksums._compared.clear()
    assert found == {True, False}
