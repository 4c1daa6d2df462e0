"""The lock of a run folder, and the question whether a process holds it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from ganforge.errors import RunError
from ganforge.runs.folder import LOCK, RunFolder, is_active


def test_a_run_is_active_while_its_lock_is_held(tmp_path: Path):
    folder = RunFolder(tmp_path)
    assert not is_active(tmp_path)
    folder.lock()
    assert is_active(tmp_path)
    folder.unlock()
    assert not is_active(tmp_path)


def test_a_folder_whose_lock_cannot_be_opened_is_not_active(tmp_path: Path):
    assert not is_active(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    (tmp_path / LOCK).mkdir()
    assert not is_active(tmp_path)


def test_a_training_starts_although_somebody_asks_whether_it_does(tmp_path: Path):
    """`is_active` holds the lock for a moment, in which `lock` must not refuse."""
    asked = FileLock(tmp_path / LOCK, thread_local=False)
    asked.acquire()
    ended = threading.Timer(0.1, asked.release)
    ended.start()
    RunFolder(tmp_path).lock()
    ended.join()
    asked = FileLock(tmp_path / LOCK, timeout=0)
    asked.acquire()  # the first folder is collected, and its lock with it
    with pytest.raises(RunError, match="Another process is training"):
        RunFolder(tmp_path).lock()


def test_those_who_ask_do_not_take_each_other_for_a_training(tmp_path: Path):
    folder = RunFolder(tmp_path)
    folder.lock()
    assert is_active(tmp_path)
    folder.unlock()
    with ThreadPoolExecutor(4) as pool:
        assert not any(pool.map(lambda _: is_active(tmp_path), range(400)))
