"""The server: its folder for uploads, its address, and what it says where it cannot start."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from ganforge.errors import OptionError
from ganforge.studio.server import bind, delete_uploads


def test_files_of_visitors_are_deleted_when_they_are_old(tmp_path: Path):
    for name in ("old/a.png", "new/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"image")
    os.utime(tmp_path / "old" / "a.png", (0, 0))
    ended = threading.Event()
    sweeper = threading.Thread(target=delete_uploads, args=(tmp_path, ended, 60.0, 0.01))
    sweeper.start()
    deadline = time.monotonic() + 60
    while (tmp_path / "old").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    ended.set()
    sweeper.join()
    assert (tmp_path / "new" / "b.png").exists()


def test_an_address_that_is_taken_is_a_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OptionError, match="--port 0"):
            bind("127.0.0.1", taken.getsockname()[1])
