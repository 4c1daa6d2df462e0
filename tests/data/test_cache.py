"""The cache: entries are complete or absent, with concurrent, failing and killed writers."""

import multiprocessing
import os
import time
from threading import Event
from typing import Any

import numpy as np
import pytest

from ganforge.data import cache
from ganforge.data.cache import DecodeJob, DecodeReport, fingerprint, load_or_decode, map_in_threads

ROWS = np.arange(40 * 8 * 6 * 3, dtype=np.uint8).reshape(40, 8, 6, 3)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def work(pause=0.0, rows=ROWS):
    def slowly():
        for row in rows:
            time.sleep(pause)
            yield row

    return DecodeJob(rows.shape[1:], rows.dtype, slowly(), lambda: DecodeReport(tuple(range(len(rows))), ("a note",)))


def never():
    raise AssertionError("the cache has it already")


def test_the_second_time_nothing_is_decoded(home):
    first = load_or_decode("key", work)
    again = load_or_decode("key", never)
    for entry in (first, again):
        assert isinstance(entry.images, np.memmap)
        assert np.array_equal(entry.images, ROWS)
        assert entry.report == DecodeReport(tuple(range(40)), ("a note",))
    assert [p.name for p in home.iterdir()] == ["key"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_count_may_be_known_only_at_the_end(dtype):
    rows = ROWS.astype(dtype)
    entry = load_or_decode("key", lambda: work(rows=rows))
    assert entry.images.dtype == dtype
    assert np.array_equal(entry.images, rows)


@pytest.mark.parametrize("damage", ["cut", "longer", "no story", "nonsense", "gone"])
def test_a_damaged_entry_is_made_again(home, damage):
    load_or_decode("key", work)
    images, about = home / "key" / "images.npy", home / "key" / "about.json"
    if damage == "cut":
        os.truncate(images, 500)
    elif damage == "longer":
        images.write_bytes(images.read_bytes() + b"more")
    elif damage == "no story":
        about.unlink()
    elif damage == "nonsense":
        about.write_text('{"bytes": [')
    else:
        images.unlink()
    assert np.array_equal(load_or_decode("key", work).images, ROWS)
    assert np.array_equal(load_or_decode("key", never).images, ROWS)
    assert [p.name for p in home.iterdir()] == ["key"]


def test_where_nothing_can_be_written_the_images_stay_in_memory(home):
    home.write_text("a file where the folder should be")
    entry = load_or_decode("key", work)
    assert np.array_equal(entry.images, ROWS)
    assert "decoded into memory" in entry.report.notes[-1]
    assert str(home) in entry.report.notes[-1]


def test_a_full_disk_ends_in_memory(home, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    entry = load_or_decode("key", work)
    assert np.array_equal(entry.images, ROWS)
    assert "No space left on device" in entry.report.notes[-1]
    assert not list(home.iterdir())


def test_an_error_in_the_job_leaves_nothing(home):
    def broken():
        return DecodeJob(ROWS.shape[1:], ROWS.dtype, ROWS, lambda: [][0])

    with pytest.raises(IndexError):
        load_or_decode("key", broken)
    assert not list(home.iterdir())


SPAWN = multiprocessing.get_context("spawn")


def slow_work():
    return work(pause=0.003)


def write(gate, answers):
    gate.wait(60)
    entry = load_or_decode("key", slow_work)
    answers.put(bool(np.array_equal(entry.images, ROWS)))


@pytest.mark.parametrize("damaged", [False, True])
def test_three_writers_all_get_whole_data(home, damaged):
    if damaged:
        load_or_decode("key", work)
        os.truncate(home / "key" / "images.npy", 99)
    gate, answers = SPAWN.Barrier(3), SPAWN.Queue()
    writers = [SPAWN.Process(target=write, args=(gate, answers)) for _ in range(3)]
    for writer in writers:
        writer.start()
    assert [answers.get(timeout=60) for _ in writers] == [True] * 3
    for writer in writers:
        writer.join(60)
    assert [p.name for p in home.iterdir()] == ["key"]


def write_for_ever():
    load_or_decode("key", lambda: work(pause=0.01, rows=ROWS.repeat(50, 0)))


@pytest.mark.parametrize("wait", [0.0, 0.05])
def test_a_killed_writer_leaves_no_incomplete_entry(home, wait):
    writer = SPAWN.Process(target=write_for_ever)
    writer.start()
    end = time.monotonic() + 60
    while not list(home.glob(".draft-*/images.npy")) and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(wait)
    writer.kill()
    writer.join(60)
    assert len(list(home.glob(".draft-*"))) == 1  # it was killed in the middle
    assert not (home / "key").exists()
    assert np.array_equal(load_or_decode("key", work).images, ROWS)


def test_old_drafts_are_deleted_and_recent_ones_stay(home):
    for name, age in (("old", 2 * cache.DAY), ("young", 60)):
        draft = home / f".draft-{name}"
        draft.mkdir(parents=True)
        os.utime(draft, (time.time() - age,) * 2)
    load_or_decode("key", work)
    assert sorted(p.name for p in home.iterdir()) == [".draft-young", "key"]


def test_a_fingerprint_follows_every_fact():
    facts = [("a.png", "1"), ("a.png", "2"), ("b.png", "1"), ("a.png", "1", (64, 64)), ("a.png", "1", None)]
    assert len({fingerprint(*f) for f in facts}) == len(facts)
    assert fingerprint("a", (1, 2)) == fingerprint("a", (1, 2))


def test_threads_keep_the_order_and_propagate_errors():
    assert list(map_in_threads(lambda k: k * k, range(500))) == [k * k for k in range(500)]
    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(lambda k: 1 // k, [1, 0]))


def test_an_abandoned_generator_may_be_closed_in_one_of_its_own_threads():
    suspended, errors = Event(), list[BaseException]()

    def work(number: int) -> int:
        if number == 1:
            suspended.wait(10)
            try:
                results.close()
            except BaseException as error:
                errors.append(error)
            suspended.clear()
        return number

    results: Any = map_in_threads(work, range(100))
    assert next(results) == 0
    suspended.set()
    for _ in range(1_000):
        if not suspended.is_set():
            break
        time.sleep(0.01)
    assert not suspended.is_set()
    assert not errors
