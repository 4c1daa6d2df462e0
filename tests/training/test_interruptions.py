"""A run outlives its terminal and a disk that is full, or leaves a checkpoint; exit codes and refusals are honest."""

import errno
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import ganforge
from ganforge.callbacks.log import Log, read_rows
from ganforge.cli import run as command
from ganforge.engine import Callback, Engine
from ganforge.errors import CheckpointError, OptionError, RunError
from ganforge.files import write_atomic
from ganforge.runs import rows
from ganforge.runs.checkpoint import Checkpoints
from ganforge.runs.folder import RunFolder, run_of
from tests.support.toys import FACTS, Config, Toy, make_loader, weights
from tests.support.toys import run as run_of_toy

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has neither SIGHUP nor ENOSPC on /dev/full")
LONG = ["train", "gan", "--preset", "tiny", "--log-every", "1", "--sample-every", "0", "--no-tensorboard"]
TINY = {"preset": "tiny", "sample_every": 0, "quiet": True}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 30 steps that nothing disturbed."""
    return ganforge.train("gan", steps=30, log_every=1, outdir=tmp_path_factory.mktemp("whole"), **TINY)


def started(folder: Path, *words: str, **streams) -> subprocess.Popen:
    """A training in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-m", "ganforge", *LONG, "--outdir", str(folder), "--name", "run", *words],
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        start_new_session=True,
        **streams,
    )


def wait_for(path: Path, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not come"
        time.sleep(0.02)


# The terminal goes ----------------------------------------------------------------------------------


@POSIX
def test_a_run_goes_on_without_its_terminal_to_the_same_end(tmp_path, whole):
    """The window is closed: SIGHUP comes, and every later letter on the screen is an error."""
    master, slave = pty.openpty()
    process = started(tmp_path, "--steps", "30", stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    wait_for(tmp_path / "00000-run" / "log.jsonl")
    os.close(master)
    process.send_signal(signal.SIGHUP)
    assert process.wait(90) == 0
    assert torch.equal(weights(ganforge.load(tmp_path / "00000-run", device="cpu").game), weights(whole.game))
    assert [row["step"] for row in read_rows(tmp_path / "00000-run" / "log.jsonl")] == [*range(1, 31)]


@POSIX
@pytest.mark.parametrize("reader", ["head", "full disk"])
def test_a_run_goes_on_when_nobody_takes_its_output(tmp_path, whole, reader):
    if reader == "head":
        process = started(tmp_path, "--steps", "30", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
    else:
        with Path("/dev/full").open("w") as full:
            process = started(tmp_path, "--steps", "30", stdout=full, stderr=full)
    assert process.wait(90) == 0
    assert torch.equal(weights(ganforge.load(tmp_path / "00000-run", device="cpu").game), weights(whole.game))


# The disk is full -----------------------------------------------------------------------------------


def test_rows_wait_where_the_disk_of_the_log_is_full(tmp_path, monkeypatch, caplog):
    """The third and the fourth row find no room: they are written with the fifth, and half a row is taken back."""
    real = Path.open

    class Full:
        def __init__(self, file) -> None:
            self.file = file

        def __enter__(self):
            return self

        def write(self, text: str) -> int:
            self.file.write(text[:9])
            self.file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

        def __exit__(self, *_: object) -> None:
            self.file.close()

    def opened(path, mode="r", *more, **options):
        file = real(path, mode, *more, **options)
        return Full(file) if path.name == "log.jsonl" and mode == "a" and engine.step in (3, 4) else file

    monkeypatch.setattr(rows.Path, "open", opened)
    game = Toy(Config(), FACTS)
    engine = Engine(game, run_of_toy(steps=5, log_every=1), make_loader(), callbacks=[Log(tmp_path / "log.jsonl")])
    engine.train()
    assert [row["step"] for row in read_rows(tmp_path / "log.jsonl")] == [1, 2, 3, 4, 5]
    assert "No space left on device" in caplog.text
    assert engine.step == 5


def test_rows_that_find_no_room_until_the_end_are_said_to_be_lost(tmp_path, monkeypatch, caplog):
    def refuse(path: Path, waiting: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ganforge.callbacks.log.append_rows", refuse)
    game = Toy(Config(), FACTS)
    engine = Engine(game, run_of_toy(steps=3, log_every=1), make_loader(), callbacks=[Log(tmp_path / "log.jsonl")])
    engine.train()
    assert engine.step == 3
    assert "The last 3 rows of the log are lost" in caplog.text


class Fails(Callback):
    """Cannot write its file at a step."""

    def __init__(self, error: Exception, step: int = 3) -> None:
        self.error, self.step = error, step

    def after_step(self, engine: Engine) -> None:
        if engine.step == self.step:
            raise self.error


def test_a_picture_that_finds_no_room_ends_no_run(caplog):
    full = RunError("x.png cannot be written: No space left on device.")
    full.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    engine = Engine(Toy(Config(), FACTS), run_of_toy(), make_loader(), callbacks=[Fails(full)])
    engine.train()
    assert engine.step == 6
    assert "x.png cannot be written: No space left on device.  The run goes on" in caplog.text
    with pytest.raises(RunError, match="something else"):
        Engine(Toy(Config(), FACTS), run_of_toy(), make_loader(), callbacks=[Fails(RunError("something else"))]).train()


def test_a_run_that_ends_by_a_file_leaves_the_checkpoint_of_its_step(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "ganforge.training.train.default_callbacks", lambda *_: [Fails(RunError("log.jsonl is a link"), step=3)]
    )
    with pytest.raises(RunError, match="is a link"):
        ganforge.train("gan", steps=30, outdir=tmp_path, name="run", **TINY)
    assert Checkpoints(tmp_path / "00000-run" / "checkpoints").steps() == [3]


# Exit codes and farewells ---------------------------------------------------------------------------


def stop_at(monkeypatch, step: int, number: int) -> None:
    """Send this process a signal at a step."""
    real = Engine.train_step

    def train_step(engine: Engine) -> None:
        real(engine)
        if engine.step == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Engine, "train_step", train_step)


@POSIX
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_says_only_how_to_go_on(tmp_path, monkeypatch, capsys, number, code):
    stop_at(monkeypatch, 7, number)
    words = [*LONG, "--outdir", str(tmp_path), "--name", "run", "--steps"]
    assert command([*words, "30"]) == code
    said = capsys.readouterr().out.rstrip()
    assert said.endswith(f"Stopped at step 7 of 30. Continue with: ganforge resume {tmp_path / '00000-run'}")
    assert "--steps" not in said
    stop_at(monkeypatch, -1, number)
    assert command(["resume", str(tmp_path / "00000-run"), "--no-tensorboard"]) == 0
    assert "--steps 60" in capsys.readouterr().out


def test_a_signal_in_the_last_step_finds_a_finished_run(tmp_path, monkeypatch, capsys):
    stop_at(monkeypatch, 30, signal.SIGTERM)
    assert command([*LONG, "--outdir", str(tmp_path), "--name", "run", "--steps", "30"]) == 0
    assert "Stopped" not in capsys.readouterr().out


# Refused resumes ------------------------------------------------------------------------------------


@pytest.fixture
def stopped(tmp_path, monkeypatch) -> Path:
    """A run of 30 steps that was stopped after 7."""
    with monkeypatch.context() as patch:
        stop_at(patch, 7, signal.SIGTERM)
        trained = ganforge.train("gan", steps=30, outdir=tmp_path, **TINY)
    assert (trained.step, trained.stopped_by) == (7, signal.SIGTERM)
    return trained.path


def contents(run: Path) -> dict[str, bytes]:
    files = (path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


@pytest.mark.parametrize("length", [{"steps": 14}, {"kimg": 0.5}, {"epochs": 0.1}])
def test_a_shorter_length_is_a_question_of_its_own(stopped, length):
    before = contents(stopped)
    if "epochs" in length:
        batch = run_of(RunFolder(stopped).run_config).batch
        length = {"epochs": 14 * batch / RunFolder(stopped).run_config.data["images"]}
    if "kimg" in length:
        length = {"kimg": 14 * run_of(RunFolder(stopped).run_config).batch / 1000}
    with pytest.raises(OptionError, match=r"planned for 30 steps, of which 7 are done, and 14 .*--shorten"):
        ganforge.resume(stopped, quiet=True, **length)
    assert contents(stopped) == before
    assert ganforge.resume(stopped, quiet=True, shorten=True, **length).step == 14


def test_a_refused_resume_changes_nothing(stopped):
    holder = RunFolder(stopped)
    before = contents(stopped)
    holder.lock()
    with pytest.raises(RunError, match="Another process is training"):
        ganforge.resume(stopped, steps=60, quiet=True)
    holder.unlock()
    assert contents(stopped) == before
    state = stopped / "checkpoints" / "step-000000007" / "players.safetensors"
    state.write_bytes(state.read_bytes()[:-1])
    before = contents(stopped)
    with pytest.raises(CheckpointError, match="damaged"):
        ganforge.resume(stopped, steps=60, quiet=True)
    assert contents(stopped) == before
    holder.lock()  # and it holds no lock
    holder.unlock()


def test_drafts_of_a_killed_process_are_removed(stopped, monkeypatch):
    for place in (stopped / "config.yaml", stopped / "checkpoints" / "latest"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", lambda *_: None)
            patch.setattr(Path, "unlink", lambda *_, **options: None)
            write_atomic(place, "half")
    assert len([path for path in stopped.rglob(".*") if len(path.suffix) == 33]) == 2
    ganforge.resume(stopped, quiet=True)
    assert not [path for path in stopped.rglob(".*") if path.name != ".lock"]
