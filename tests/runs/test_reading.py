"""Whatever is wrong with a file of a run folder is one sentence that names it."""

import json
import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import yaml

import ganforge
from ganforge.callbacks.training_doctor import read_advice
from ganforge.cli import run as command
from ganforge.errors import CheckpointError, GANForgeError, RunError
from ganforge.runs.checkpoint import Checkpoints
from ganforge.runs.folder import RunFolder
from ganforge.runs.reading import hash_file, read_bytes
from ganforge.runs.rows import append_rows, read_rows
from tests.runs.test_checkpoint import state

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes and devices among its files")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("runs")
    return ganforge.train("gan", preset="tiny", steps=2, save_every=1, sample_every=0, outdir=where, quiet=True).path


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def refused(run: Path, *words: str) -> str:
    """What load and resume say, which must name each of `words`; the run is as it was."""
    before = contents(run)
    with pytest.raises(RunError) as load:
        ganforge.load(run, device="cpu")
    with pytest.raises(RunError) as resume:
        ganforge.resume(run, steps=3, quiet=True)
    for sentence in (str(load.value), str(resume.value)):
        assert "\n" not in sentence
        for word in words:
            assert word in sentence
    assert contents(run) == before
    return str(load.value)


def contents(run: Path) -> dict[str, bytes]:
    files = (path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def edited(run: Path, change) -> None:
    """Change config.yaml, with its checksum as it should be."""
    values = yaml.safe_load((run / "config.yaml").read_text())
    change(values)
    (run / "config.yaml").write_text(yaml.safe_dump(values))
    with pytest.MonkeyPatch.context() as patch:  # whatever it says, to reach what reads it
        patch.setattr("ganforge.runs.folder.build_run_config", lambda path, values: None)
        RunFolder(run).accept_config()


# Checksums ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["config.yaml", "checkpoints/step-000000002/state.json"])
def test_any_flipped_bit_is_named(run, file):
    path = run / file
    before, chance = path.read_bytes(), random.Random(0)
    places = [chance.randrange(len(before)) for _ in range(40)]
    places += [before.rindex(b"sha256 of" if b"# sha256" in before else b"seal") + 2, len(before) - 3]
    for place in places:
        path.write_bytes(before[:place] + bytes([before[place] ^ 1 << chance.randrange(8)]) + before[place + 1 :])
        with pytest.raises(RunError, match=path.name.replace(".", r"\.")):
            ganforge.load(run, device="cpu")
    path.write_bytes(before)
    assert ganforge.load(run, device="cpu").step == 2


def test_a_config_that_was_edited_is_accepted_by_the_command_that_the_refusal_names(run, capsys):
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text("# my best\n" + text.replace("log_every: 2", "log_every: 1"))
    said = refused(run, "config.yaml was changed", f"ganforge show {run} --accept-config")
    assert command(said.partition("`ganforge ")[2].partition("`")[0].split()) == 0
    assert "log_every: 1" in capsys.readouterr().out
    assert (run / "config.yaml").read_text().startswith("# my best\n")
    assert ganforge.resume(run, steps=3, quiet=True).step == 3
    assert [row["step"] for row in read_rows(run / "log.jsonl")] == [2, 3]


def test_a_config_without_its_last_line_is_refused_and_a_wrong_one_is_not_accepted(run):
    lines = (run / "config.yaml").read_text().splitlines(keepends=True)
    (run / "config.yaml").write_text("".join(lines[:-1]))
    refused(run, "has lost its last line", "--accept-config")
    (run / "config.yaml").write_text("".join(lines).replace("batch: ", "batch: x"))
    before = contents(run)
    with pytest.raises(RunError, match=r"config\.yaml describes no run: batch cannot be"):
        ganforge.show(str(run), accept_config=True)
    assert contents(run) == before


def test_an_older_run_opens_with_a_note(run, caplog):
    values = yaml.safe_load((run / "config.yaml").read_text()) | {"format": 1}
    (run / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    path = run / "checkpoints" / "step-000000002" / "state.json"
    facts = json.loads(path.read_text())
    del facts["seal"]
    path.write_text(json.dumps({**facts, "format": 1}))
    assert ganforge.load(run, device="cpu").step == 2
    assert f"{run / 'config.yaml'} has no checksum" in caplog.text
    assert f"{path} has no checksum" in caplog.text
    ganforge.show(str(run), accept_config=True)
    caplog.clear()
    ganforge.load(run, device="cpu")
    assert "config.yaml has no checksum" not in caplog.text


# Wrong values ---------------------------------------------------------------------------------------

BOMB = "a: &a [x,x,x]\n" + "".join(f"{b}: &{b} [*{a},*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
TEXTS = {
    "aliases": (BOMB, "has an alias"),
    "a circle": ("model: gan\nconfig: &c {lr: *c}\n", "has an alias"),
    "deep": ("[" * 3000, "nested too deeply"),
    "a list": ("- 1\n", "holds no settings"),
    "nothing": ("", "holds no settings"),
    "a tag": ("!!python/object/apply:os.getcwd []\n", "cannot be read"),
    "no UTF-8": ("model: \udcff\n", "cannot be read"),
    "too long": ("x" * (4 * 2**20 + 1), "more than"),
    "a long number": (f"model: {'9' * 5000}\n", "cannot be read"),
    "a date that is none": ("model: 2020-13-45\n", "cannot be read"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_config_that_is_no_settings_is_refused_at_once(run, kind):
    text, sentence = TEXTS[kind]
    (run / "config.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    began = time.monotonic()
    assert len(refused(run, "config.yaml", sentence)) < 600
    assert time.monotonic() - began < 5


WRONG = {
    "no model": lambda c: c.pop("model"),
    "an unknown model": lambda c: c.update(model="ganz"),
    "a number as model": lambda c: c.update(model=3),
    "a list as facts": lambda c: c.update(facts=[1, 2]),
    "no height": lambda c: c["facts"].update(height=0),
    "a huge height": lambda c: c["facts"].update(height=2**40),
    "numbers as labels": lambda c: c["facts"].update(labels=[1, 2]),
    "words as steps": lambda c: c["run"].update(steps="many"),
    "an unknown option": lambda c: c["run"].update(speed=1),
    "no data": lambda c: c.update(data={}),
    "a list as reading": lambda c: c["data"].update(reading=[]),
    "an unknown direction": lambda c: c["data"].update(reading={"direction": "up"}),
    "a newer format": lambda c: c.update(format=99),
    "an unknown setting": lambda c: c["config"].update(depth=3),
    "words as a width": lambda c: c["config"].update(latent="wide"),
    "a negative width": lambda c: c["config"].update(latent=-3),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_value_that_does_not_fit_is_refused(run, kind):
    edited(run, WRONG[kind])
    with pytest.raises(GANForgeError) as load:
        ganforge.load(run, device="cpu")
    assert "config.yaml" in str(load.value) or "ganz" in str(load.value)
    with pytest.raises(GANForgeError):
        ganforge.resume(run, steps=3, quiet=True)


STATES = {
    "a list": "[]",
    "deep": "[" * 5000,
    "nothing": "",
    "no format": "{}",
    "a word as format": '{"format": "x"}',
    "another file": '{"format": 1, "sha256": {"../../config.yaml": "0"}, "aliases": {}}',
    "a device": '{"format": 1, "sha256": {"/dev/zero": "0"}, "aliases": {}}',
    "a list of sums": '{"format": 1, "sha256": [], "aliases": {}}',
    "no files": '{"format": 1, "sha256": {}, "aliases": {}}',
}


@pytest.mark.parametrize("kind", STATES)
def test_a_state_that_is_none_is_refused(run, kind):
    (run / "checkpoints" / "step-000000002" / "state.json").write_text(STATES[kind])
    with pytest.raises(CheckpointError, match=r"step-000000002 is damaged|checkpoint has no weights"):
        ganforge.load(run, device="cpu")


@pytest.mark.parametrize("address", ["@²", "@٣", "@-1", "@" + "9" * 5000, "@", "@x", "\0"])
def test_an_address_that_names_nothing_is_refused(run, address):
    with pytest.raises(RunError):
        ganforge.load(f"{run}{address}", device="cpu")


# Other things in the place of files -----------------------------------------------------------------

FILES = ["config.yaml", "checkpoints/step-000000002/state.json", "checkpoints/step-000000002/game.safetensors"]
FILES += [".lock", "log.jsonl", "checkpoints/latest", "checkpoints/best", "checkpoints", "checkpoints/step-000000002"]
PLACES = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
}


def said_by(act) -> str:
    """The sentence of a refusal; empty where it is done."""
    try:
        act()
    except GANForgeError as error:
        return str(error)
    return ""


@POSIX
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", PLACES)
def test_a_pipe_a_folder_or_a_device_in_the_place_of_a_file_is_one_sentence(run, file, kind):
    path = run / file
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    PLACES[kind](path)
    alarm = threading.Timer(20, os._exit, (1,))  # a pipe would be waited for
    alarm.start()
    try:
        for act in (lambda: ganforge.load(run, device="cpu"), lambda: ganforge.resume(run, steps=3, quiet=True)):
            sentence = said_by(act)
            assert not sentence or str(run) in sentence
            assert "\n" not in sentence
    finally:
        alarm.cancel()


@POSIX
def test_reading_waits_for_no_pipe_and_ends_at_a_limit(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(1001))
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path, tmp_path / "nothing"):
        for read in (read_bytes, hash_file):
            with pytest.raises(RunError, match=str(path)):
                read(path)
    with pytest.raises(RunError, match="more than 1,000 bytes"):
        read_bytes(tmp_path / "large", 1000)


@POSIX
def test_a_run_writes_through_no_link(run, tmp_path):
    (tmp_path / "precious").write_text("kept")
    for name in ("log.jsonl", ".lock"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(tmp_path / "precious")
        with pytest.raises(RunError, match=rf"{name} is a link"):
            ganforge.resume(run, steps=3, quiet=True)
        (run / name).unlink()
    assert (tmp_path / "precious").read_text() == "kept"


def test_parts_within_parts_within_parts_end(tmp_path, run):
    """A link from parts/ to the run itself is a run of endless depth."""
    from tests.runs.test_trust import PART

    (tmp_path / "part.py").write_text(PART.replace('Part("mine")', f"Part({str(tmp_path / 'part.py')!r})"))
    values = yaml.safe_load((run / "config.yaml").read_text())
    values |= {"model": str(tmp_path / "part.py"), "source": hash_file(tmp_path / "part.py")}
    (run / "config.yaml").write_text(yaml.safe_dump(values | {"config": {"generator": "x", "lr": 0.1}}))
    RunFolder(run).accept_config()
    (run / "parts").mkdir()
    (run / "parts" / "generator").symlink_to(run)
    with pytest.raises(GANForgeError, match="parts deep"):
        ganforge.load(run, device="cpu", trust=True)


# Rows -----------------------------------------------------------------------------------------------


def test_a_damaged_row_is_left_out_with_a_note_and_the_others_stay(tmp_path, caplog):
    path = tmp_path / "scores.jsonl"
    good = [{"step": step, "fid": 1.5} for step in range(6)]
    append_rows(path, good)
    lines = path.read_text().splitlines(keepends=True)
    bad = ['{"step": 1, "fid": 1.5', "[1]", '{"step": "x", "fid": 1}', '{"step": 3, "fid": "1"}', "[" * 5000, "null"]
    for line in bad:
        path.write_text("".join([*lines[:3], line + "\n", *lines[3:]]))
        caplog.clear()
        assert read_rows(path) == good
        assert "scores.jsonl is damaged in line 4: 1 of 7 rows" in caplog.text or line != bad[0]
    path.write_text("".join(lines) + '{"step": 6, "f')  # what a power cut leaves
    caplog.clear()
    assert read_rows(path) == good
    assert not caplog.text
    path.write_text("".join([*lines[:2], '{"st\n', *lines[2:]]) + '{"step": 6, "f')  # and damage before it
    assert read_rows(path) == good
    assert "damaged in line 3" in caplog.text
    assert read_rows(tmp_path / "log.jsonl") == []


def test_rows_of_another_shape_are_not_advice(tmp_path):
    (tmp_path / "doctor.jsonl").write_text('{"step": 1}\n{"step": 2, "cause": 3, "says": "a", "attempt": "b"}\n')
    assert read_advice(tmp_path / "doctor.jsonl") == []


# Checkpoints ----------------------------------------------------------------------------------------


def test_a_pointer_that_cannot_be_read_deletes_no_checkpoint(tmp_path):
    kept = Checkpoints(tmp_path, keep=1)
    kept.save(1, state())
    kept.point("best", 1)
    (tmp_path / "best").write_text("step-00000000x\n")
    kept.save(2, state())
    kept.save(3, state())
    assert kept.steps() == [1, 2, 3]
    with pytest.raises(CheckpointError, match="best names no checkpoint"):
        kept.find("best")


def test_names_that_only_look_like_steps_are_none(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(3, state())
    for name in ("step-²", "step-٣", "step-", "step-1", "step-" + "9" * 200):
        (tmp_path / name).mkdir()
    assert kept.steps() == [3]


# Files that cannot be written -----------------------------------------------------------------------


@pytest.fixture
def full_disk():
    """A disk on which no file can grow beyond 2,000 bytes."""
    resource = pytest.importorskip("resource")
    previous, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, previous)


@POSIX
@pytest.mark.parametrize("kind", ["safetensors", "pt2"])
def test_export_on_a_full_disk_is_one_sentence(run, full_disk, kind):
    with pytest.raises(RunError, match=rf"\.{kind} cannot be written: File too large\."):
        ganforge.export(run, formats=[kind])
    assert not [path for path in (run / "export").iterdir() if path.is_file()]


@pytest.mark.parametrize("verb", ["export", "sample", "resume"])
def test_a_run_folder_that_cannot_be_written_to_is_one_sentence(run, verb, capsys, monkeypatch):
    """The tests may run as root, who may write everywhere: so the operating system's answer is played."""
    import builtins
    import io

    for name in ("mkdir", "open"):
        real = getattr(os, name)

        def no(path, *more, real=real, **options):
            writes = not more or more[0] & (os.O_WRONLY | os.O_RDWR) or real is os.mkdir
            if writes and str(path).startswith(str(run)):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *more, **options)

        monkeypatch.setattr(os, name, no)
    real_open = io.open

    def no_open(file, mode="r", *more, **options):
        if set(mode) & set("wax+") and str(file).startswith(str(run)):
            raise PermissionError(13, "Permission denied", str(file))
        return real_open(file, mode, *more, **options)

    monkeypatch.setattr(io, "open", no_open)
    monkeypatch.setattr(builtins, "open", no_open)
    more = {"export": ["--format", "safetensors"], "resume": ["--steps", "3"], "sample": ["-n", "1"]}[verb]
    assert command([verb, str(run), *more]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(run) in said
    assert "Permission denied" in said
