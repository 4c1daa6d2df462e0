"""`kill -9` a hundred times in five games on files: every tensor, row and picture is that of a run left in peace."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganforge.callbacks.log import read_rows
from ganforge.runs.checkpoint import Checkpoints

pytestmark = pytest.mark.quality
ROOT = Path(__file__).parents[2]
KILLS = 20
DRAFT = re.compile(r"\..+\.([0-9a-f]{32}|partial)")


@pytest.mark.parametrize("model", ["dcgan", "wgan_gp", "cgan", "pix2pix", "cyclegan"])
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_is_not(tmp_path, model):
    said = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_runs", str(tmp_path), model, str(KILLS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert said.returncode == 0, said.stderr[-2000:]
    kills, _ = map(int, said.stdout.split()[-2:])
    assert kills == KILLS
    quiet, killed = tmp_path / "quiet" / "00000-run", tmp_path / "killed" / "00000-run"
    (step, one), (other, two) = (Checkpoints(run / "checkpoints").load() for run in (quiet, killed))
    assert step == other == 60
    assert one.facts == two.facts
    assert {group: set(tensors) for group, tensors in one.tensors.items()} == {
        g: set(t) for g, t in two.tensors.items()
    }
    for group, tensors in one.tensors.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, two.tensors[group][name]), f"{group}: {name}"
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_rows(run / "log.jsonl")]
        for run in (quiet, killed)
    ]
    assert rows[0] == rows[1]
    pictures = sorted(path.relative_to(quiet) for path in (quiet / "samples").rglob("*.*"))
    assert len(pictures) > 6
    assert pictures == sorted(path.relative_to(killed) for path in (killed / "samples").rglob("*.*"))
    for name in pictures:
        assert (quiet / name).read_bytes() == (killed / name).read_bytes(), name
    assert not [path for path in killed.rglob(".*") if DRAFT.fullmatch(path.name)]
