"""Results as JSON, terminals without colours, and names and numbers that make no sense."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ganforge
from ganforge.cli import run as command
from ganforge.errors import RunError
from ganforge.files import replacing


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return ganforge.train("dcgan", outdir=tmp_path_factory.mktemp("runs"), preset="tiny", quiet=True).path


def parsed(words: list[str], capsys) -> object:
    capsys.readouterr()
    assert command(words) == 0
    return json.loads(capsys.readouterr().out)


def test_verbs_that_report_print_json(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parsed(["list", "--json"], capsys) == {
        name: line.removeprefix(f"{name}: ") for name, line in ganforge.list().items()
    }
    assert parsed(["show", "dcgan", "--json"], capsys) == json.loads(json.dumps(ganforge.show("dcgan")))
    assert parsed(["show", str(trained), "--json"], capsys)["checkpoints"] == [6]
    assert parsed(["env", "--json"], capsys)["ganforge"] == ganforge.__version__
    assert parsed(["explain", "gan", "--json"], capsys)["name"] == "gan"
    options = ["--metrics", "kid", "--features", "pixels", "-n", "4", "--device", "cpu", "--json"]
    report = parsed(["evaluate", str(trained), *options], capsys)
    assert report["figures"][0] == json.loads((trained / "report.json").read_text())["figures"][0]
    both = parsed(["compare", str(trained), str(trained), *options], capsys)
    assert [one["figures"] for one in both] == [report["figures"]] * 2


def test_no_color_is_honoured(monkeypatch):
    def said(**surroundings: str) -> bytes:
        ours, theirs = pty.openpty()
        words = [sys.executable, "-m", "ganforge", "list", "--help"]
        environ = {**os.environ, "TERM": "xterm-256color", **surroundings}
        subprocess.run(words, stdout=theirs, stderr=theirs, env=environ, check=True)
        os.close(theirs)
        content = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux says so at the end
                break
            if not part:
                break
            content += part
        os.close(ours)
        return content

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert b"\x1b[" in said()
    plain = said(NO_COLOR="1")
    assert b"--json" in plain
    assert b"\x1b[" not in plain


@pytest.mark.parametrize("out", ["a" * 300 + ".png", "a" * 300 + ".onnx", "a" * 300, "x\0.pt2"])
def test_places_of_an_export_that_cannot_be_are_one_sentence(trained, tmp_path, capsys, out):
    assert command(["export", str(trained), "-o", str(tmp_path / out), "--format", "safetensors"]) == 1
    assert "-o" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_a_null_byte_in_a_name_is_one_sentence(trained, tmp_path, capsys):
    assert command(["sample", str(trained), "-n", "1", "-o", f"{tmp_path}/\0.png"]) == 1
    assert "null byte" in capsys.readouterr().err
    with pytest.raises(RunError, match="null byte"), replacing(tmp_path / "\0"):
        pass


@pytest.mark.parametrize(("flag", "value"), [("--batch", "0"), ("--batch", "-1"), ("--seed", str(2**70)), ("-n", "0")])
def test_senseless_numbers_of_sample_are_one_sentence(trained, capsys, flag, value):
    assert command(["sample", str(trained), flag, value, "-o", "x.png"]) == 1
    assert f"{flag.strip('-')} cannot be {value}" in capsys.readouterr().err


def test_names_that_are_no_unicode_are_printed(tmp_path):
    name = os.fsencode(str(tmp_path)) + b"/\xff.png"
    words = [sys.executable, "-m", "ganforge", "data", name]
    done = subprocess.run(words, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert rb"\udcff.png" in done.stderr


def test_files_that_differ_by_their_suffixes_are_all_translated(tmp_path):
    from ganforge.images import write
    from tests.inference.test_translate import trained as train_toy

    run = train_toy(tmp_path)
    names = ("a.jpg", "a.png", "a.png.jpg", "a.png.png")
    for k, name in enumerate(names):
        write(tmp_path / "in" / name, np.full((8, 8, 3), 50 * k, np.uint8))
    report = ganforge.translate(run, tmp_path / "in", tmp_path / "out")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert report.written == len(names) == len(written)
    from ganforge.images import read

    levels = sorted(int(read(tmp_path / "out" / name).mean()) for name in written)
    assert np.allclose(levels, [105, 155, 205, 255], atol=3)
