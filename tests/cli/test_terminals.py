"""Odd terminals, encodings, names and a lack of memory: one sentence, or the output all the same."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ganforge
from ganforge import system
from ganforge.cli import run as command
from ganforge.console import LastingStream, lasting_output
from ganforge.errors import OutOfMemoryError


@pytest.mark.parametrize("columns", ["1", "5", "0", "-3", "x", "12"])
def test_help_ends_in_the_narrowest_terminals(columns, monkeypatch, capsys):
    """Below eight columns tyro's help grew without end."""
    monkeypatch.setenv("COLUMNS", columns)
    alarm = threading.Timer(60, os._exit, (1,))
    alarm.start()
    try:
        with pytest.raises(SystemExit) as left:
            command(["train", "gan", "--help"])
    finally:
        alarm.cancel()
    assert left.value.code == 0
    assert len(capsys.readouterr().out) < 100_000


def test_an_encoding_without_korean_prints_the_letters_numbers(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", "strict", write_through=True))
    assert command(["explain", "gan", "--lang", "ko"]) == 0
    assert b"\\uc0dd\\uc131" in raw.getvalue()  # the Korean for "generate"


class Broken(io.TextIOBase):
    """A stream that nobody reads any more."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_verb_whose_output_nobody_reads_does_its_work(monkeypatch, tmp_path):
    run = ganforge.train("gan", preset="tiny", steps=1, sample_every=0, outdir=tmp_path, quiet=True)
    monkeypatch.setattr(sys, "stdout", Broken())
    monkeypatch.setattr(sys, "stderr", Broken())
    assert command(["sample", str(run.path), "-n", "1", "-o", str(tmp_path / "one.png")]) == 0
    assert (tmp_path / "one.png").exists()
    assert command(["sample", "nowhere"]) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["list"], ["explain", "gan"], ["env"]])
def test_a_report_that_finds_no_room_is_an_error(words, monkeypatch, capsys):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert command(words) == 1
    assert "The output cannot be written (No space left on device)" in capsys.readouterr().err


def test_streams_are_put_back_and_other_errors_pass(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with lasting_output():
        print("one")
        with lasting_output():
            print("two")
    assert sys.stdout is stream
    assert stream.getvalue() == "one\ntwo\n"
    with pytest.raises(TypeError):
        LastingStream(stream).write(3)  # pyright: ignore[reportArgumentType]


# Memory ---------------------------------------------------------------------------------------------


def test_a_lack_of_memory_says_how_much_was_asked_and_what_helps(tmp_path, monkeypatch, capsys):
    def too_much(*_: object) -> None:
        torch.empty(2**50)

    monkeypatch.setattr("ganforge.engine.engine.Engine.train_step", too_much)
    options = {"preset": "tiny", "steps": 1, "sample_every": 0, "quiet": True, "outdir": tmp_path}
    with pytest.raises(
        OutOfMemoryError, match=r"memory is not enough: 4\.0 PiB were asked .*--batch.*--accumulate.*--size"
    ):
        ganforge.train("gan", **options)
    assert command(["train", "gan", "--preset", "tiny", "--outdir", str(tmp_path), "--no-tensorboard"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("ganforge: The memory is not enough: 4.0 PiB were asked")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has"),
            "GPU memory .* 20.00 GiB",
        ),
        (MemoryError("Unable to allocate 1.5 TiB for an array with shape"), "memory .* 1.5 TiB"),
        (MemoryError(), "memory is not enough: more were asked|memory is not enough"),
        (RuntimeError("std::bad_alloc"), "memory is not enough"),
    ],
)
def test_every_librarys_words_for_it_are_understood(error, sentence):
    with pytest.raises(OutOfMemoryError, match=sentence), system.explain_memory():
        raise error
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), system.explain_memory():
        torch.zeros(2, 3) @ torch.zeros(2, 3)


# Names ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are Unicode")
def test_names_that_are_no_unicode_are_names(tmp_path):
    """A folder and a file in Latin-1, as an old disk has them, and the strict stdout of a pipe."""
    photos = Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xf6tos"))
    photos.mkdir()
    for k in range(4):
        pixels = np.random.default_rng(k).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(Path(os.fsdecode(os.fsencode(photos) + b"/b\xefld%d.png" % k)))
    words = ["train", "gan", "--data", str(photos), "--preset", "tiny", "--steps", "1", "--batch", "2", "--size", "16"]
    run = photos / "runs" / "00000-run"
    more = ["--no-tensorboard", "--name", "run", "--outdir", str(run.parent)]
    done = subprocess.run(
        [sys.executable, "-m", "ganforge", *words, *more, "--device", "cpu", "--threads", "1", "--log-every", "1"],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode("utf-8", "replace")
    assert ganforge.load(run, device="cpu").step == 1
