"""Progress: a bar on a terminal, a line per tenth elsewhere, nothing where nothing is to be shown."""

import io
import subprocess
import sys

import pytest
from rich.console import Console

from ganforge import console
from ganforge.console import bar, count, track

CURSOR_BACK = "\x1b[?25h"


@pytest.fixture
def stderr(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What `track` writes to a terminal."""
    file = io.StringIO()
    monkeypatch.setattr("rich.console.Console", lambda **_: Console(file=file, force_terminal=True, width=100))
    monkeypatch.setenv("TERM", "xterm")
    return file


def test_short_work_shows_no_bar(stderr: io.StringIO) -> None:
    assert list(track(range(3), 3, "Reading")) == [0, 1, 2]
    assert stderr.getvalue() == ""


def test_long_work_shows_a_bar_and_removes_it(stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "DELAY", 1e-9)
    assert list(track(["ab", "c"], 3, "Reading", len)) == ["ab", "c"]
    assert "Reading" in stderr.getvalue()
    assert "67%" in stderr.getvalue()
    assert CURSOR_BACK in stderr.getvalue()


def test_the_cursor_comes_back_after_an_error(stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def work():
        yield 1
        raise OSError

    monkeypatch.setattr(console, "DELAY", 1e-9)
    with pytest.raises(OSError):  # noqa: PT011
        list(track(work(), None, "Downloading"))
    assert CURSOR_BACK in stderr.getvalue()


def test_without_a_terminal_track_is_silent_and_the_bar_prints_tenths(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(30), 30, "Reading")) == list(range(30))
    file = io.StringIO()
    with bar("training", console=Console(file=file)) as progress:
        for _ in range(30):
            progress.more(30)
        progress.at(30, 30)
    assert file.getvalue().splitlines() == [f"training: {10 * k:3d} %" for k in range(1, 11)]
    with bar("training", quiet=True, console=Console(file=file)) as progress:
        progress.more(1)
    assert len(file.getvalue().splitlines()) == 10
    assert capsys.readouterr() == ("", "")


def test_the_bar_is_there_from_the_beginning() -> None:
    file = io.StringIO()
    with bar("training", console=Console(file=file, force_terminal=True, width=100)) as progress:
        assert "training" in file.getvalue()
        progress.at(1, 4)
    assert "25 %" in file.getvalue()
    assert file.getvalue().endswith(CURSOR_BACK)


def test_messages_need_no_rich() -> None:
    code = "import sys, ganforge.console; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_one_is_singular():
    assert count(1, "image") == "1 image"
    assert [count(n, "box", "boxes") for n in (0, 1, 2, 1_000)] == ["0 boxes", "1 box", "2 boxes", "1,000 boxes"]
