"""A run folder that GANForge 0.1 wrote still opens, holds the same weights, draws the same images, and goes on.

`fixtures/run-0.1.json` has the commands that made the run and the images, and the digests of all tensors.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import ganforge

FIXTURES = Path(__file__).parent / "fixtures"
RECORD = json.loads((FIXTURES / "run-0.1.json").read_text(encoding="utf-8"))
STEPS = [*RECORD["tensors"]]


@pytest.fixture
def old(tmp_path):
    """A copy of the old run, which may be written to.  Resuming sets the number of threads; it is put back."""
    threads = torch.get_num_threads()
    yield Path(shutil.copytree(FIXTURES / "run-0.1", tmp_path / "run"))
    torch.set_num_threads(threads)


def digests(tensors) -> dict[str, str]:
    """{key: SHA-256 of the values}."""
    return {key: hashlib.sha256(t.contiguous().numpy().tobytes()).hexdigest() for key, t in tensors.items()}


@pytest.mark.parametrize("step", STEPS)
def test_the_files_hold_the_tensors_that_were_recorded(step):
    files = sorted((FIXTURES / "run-0.1" / "checkpoints" / step).glob("*.safetensors"))
    assert {file.stem: digests(load_file(file)) for file in files} == RECORD["tensors"][step]


@pytest.mark.parametrize("step", STEPS)
def test_an_old_checkpoint_opens_with_its_averaged_networks(old, step):
    trained = ganforge.load(f"{old}@{int(step.removeprefix('step-'))}", device="cpu")
    recorded = RECORD["tensors"][step]
    assert (trained.model, f"step-{trained.step:09d}") == ("dcgan", step)
    assert recorded["averaged"].items() - recorded["game"].items()  # averaging made a difference
    assert digests(trained.game.state_dict()) == {**recorded["game"], **recorded["averaged"]}


def test_an_old_run_gives_the_same_samples(old):
    drawn = ganforge.load(old, device="cpu").sample(4, seed=0)
    ganforge.sample(old, 4, seed=0, out=old / "drawn.npz", depth="float")
    with np.load(FIXTURES / "run-0.1-samples.npz") as stored, np.load(old / "drawn.npz") as written:
        assert stored["images"].std() > 0.1
        np.testing.assert_allclose(drawn.permute(0, 2, 3, 1).numpy(), stored["images"], rtol=0, atol=1e-4)
        assert [(key, a.shape, a.dtype) for key, a in written.items()] == [
            (key, a.shape, a.dtype) for key, a in stored.items()
        ]


def test_an_old_run_goes_on_where_it_stood(old):
    """Without the optimisers' moments the losses of the next steps would differ by 0.03; rounding makes 1e-6."""
    before = (old / "log.jsonl").read_text().splitlines()
    trained = ganforge.resume(old, steps=RECORD["resumed"]["step"], quiet=True)
    after = (old / "log.jsonl").read_text().splitlines()
    row = json.loads(after[-1])
    assert trained.step == RECORD["resumed"]["step"]
    assert after[:-1] == before
    assert {key: value for key, value in row.items() if key != "seconds"} == pytest.approx(
        RECORD["resumed"], rel=0, abs=1e-3
    )
