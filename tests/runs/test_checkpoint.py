"""Checkpoints: whole or not there, checked, without pickles."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ganforge.engine import Engine
from ganforge.errors import CheckpointError
from ganforge.runs.checkpoint import Checkpoints, State, read_state
from tests.support.toys import FACTS, Config, Toy, make_loader, run, weights

ROOT = Path(__file__).parents[2]


def state(value: float = 1.0) -> State:
    tensors = {"weight": torch.full((3, 4), value), "count": torch.tensor(7)}
    return State({"game": tensors, "players": {}}, {"clock": {"step": 1, "dealt": 1}, "players": {}})


def test_what_is_written_comes_back(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(5, state(2.5))
    step, back = kept.load()
    assert step == 5
    assert torch.equal(back.tensors["game"]["weight"], torch.full((3, 4), 2.5))
    assert back.tensors["game"]["count"].dtype == torch.int64
    assert back.facts == state().facts


def test_shared_tensors_are_written_once_and_come_back_shared(tmp_path):
    one = nn.Linear(50, 50)
    both = nn.ModuleList([one, one])
    kept = Checkpoints(tmp_path)
    kept.save(1, State({"game": dict(both.state_dict())}, {}))
    assert (tmp_path / "step-000000001" / "game.safetensors").stat().st_size < 50 * 50 * 4 * 1.5
    _, back = kept.load()
    assert set(back.tensors["game"]) == set(both.state_dict())


def test_only_the_newest_and_the_best_are_kept(tmp_path):
    kept = Checkpoints(tmp_path, keep=2)
    kept.save(1, state())
    kept.point("best", 1)
    for step in (2, 3, 4, 5):
        kept.save(step, state())
    assert kept.steps() == [1, 4, 5]
    assert kept.find("best") == 1
    assert kept.find("latest") == 5
    assert kept.find("4") == 4


def test_names_that_are_not_there_are_answered_with_those_that_are(tmp_path):
    kept = Checkpoints(tmp_path)
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* yet"):
        kept.load()
    kept.save(3, state())
    with pytest.raises(CheckpointError, match=r"no checkpoint '9' in .*; there are 3"):
        kept.load("9")
    with pytest.raises(CheckpointError, match=r"no best checkpoint"):
        kept.load("best")


def test_a_lost_pointer_is_no_loss(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(3, state())
    (tmp_path / "latest").write_text("step-0000")
    assert kept.load()[0] == 3


@pytest.mark.parametrize("damage", ["truncated", "tampered", "missing", "no json", "half json"])
def test_a_damaged_checkpoint_is_named_and_the_earlier_one_offered(tmp_path, damage):
    kept = Checkpoints(tmp_path)
    kept.save(1, state())
    folder = kept.save(2, state())
    file = folder / "game.safetensors"
    content = bytearray(file.read_bytes())
    if damage == "truncated":
        file.write_bytes(content[:-9])
    elif damage == "tampered":
        content[-1] ^= 1
        file.write_bytes(content)
    elif damage == "missing":
        file.unlink()
    elif damage == "no json":
        (folder / "state.json").unlink()
    else:
        (folder / "state.json").write_text((folder / "state.json").read_text()[:40])
    with pytest.raises(CheckpointError, match=r"step-000000002 is damaged .*There is an earlier one: RUN@1"):
        kept.load()
    assert kept.load("1")[0] == 1


def test_another_games_checkpoint_is_refused(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(1, state())
    engine = Engine(Toy(Config(), FACTS), run(), make_loader())
    with pytest.raises(CheckpointError, match=r"not those of this Toy"):
        engine.restore(kept.load()[1])


def test_nothing_in_a_checkpoint_is_a_pickle(tmp_path):
    engine = Engine(Toy(Config(), FACTS), run(), make_loader(), Checkpoints(tmp_path))
    engine.train()
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {p.suffix for p in files} == {".safetensors", ".json", ""}
    for path in files:
        assert not path.read_bytes().startswith((b"\x80", b"PK"))
    json.loads((tmp_path / "step-000000006" / "state.json").read_text())


def test_a_partial_folder_left_by_a_crash_is_ignored_and_swept(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(1, state())
    (tmp_path / ".step-000000002.partial").mkdir()
    assert kept.load()[0] == 1
    kept.save(2, state())
    assert not list(tmp_path.glob(".*partial"))


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from ganforge.runs.checkpoint import Checkpoints
from ganforge.errors import CheckpointError
from tests.runs.test_checkpoint import state
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
kept = Checkpoints(Path(sys.argv[1]))
kept.save(1, state())
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))  # a disk on which no file can grow past 64 bytes
try:
    kept.save(2, state())
except CheckpointError as error:
    print(error)
print(kept.load()[0], kept.steps())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file size limit to play a full disk with")
def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path):
    said = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "checkpoint of step 2 could not be written" in said.stdout, said.stderr
    assert "last complete checkpoint is step 1" in said.stdout
    assert said.stdout.splitlines()[-1] == "1 [1]"


def test_killed_at_any_moment_a_run_goes_on_to_the_same_end(tmp_path):
    """`kill -9` twenty times, most of them in the middle of a save: the weights at the end are those of a quiet run."""
    torch.manual_seed(0)
    quiet = Toy(Config(), FACTS)
    Engine(quiet, run(steps=600, ema=50.0), make_loader()).train()
    said = subprocess.run(
        [sys.executable, "-m", "tests.support.killed", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert said.returncode == 0, said.stderr[-2000:]
    kills, midway = map(int, said.stdout.split())
    assert kills == 20
    assert midway > 0  # partial folders were found: some kills fell into a save
    step, back = Checkpoints(tmp_path).load()
    assert step == 600
    game = Toy(Config(), FACTS)
    game.load_state_dict(back.tensors["game"])
    assert torch.equal(weights(game), weights(quiet))


def test_read_state_wants_its_own_format(tmp_path):
    kept = Checkpoints(tmp_path)
    folder = kept.save(1, state())
    facts = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(ValueError, match=r"newer GANForge"):
        read_state(folder)
