"""Several processes under torchrun equal one that plays their shares; they speak once, and stop together."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import ganforge
from ganforge import cli
from ganforge.callbacks.log import read_rows
from ganforge.catalogue import names
from ganforge.engine.buffers import Buffers
from ganforge.images import write
from ganforge.metrics.extractors import classifier
from ganforge.models import dcgan
from tests.support.two_processes import train_tiny

HOUSE = Path(__file__).parents[1]
PATIENCE = 300  # seconds: these machines are shared


def torchrun(*words: str) -> subprocess.Popen[str]:
    """Two processes of a module, on a port of their own."""
    path = os.pathsep.join([str(HOUSE / "src"), str(HOUSE), os.environ.get("PYTHONPATH", "")])
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", *words]
    return subprocess.Popen(
        start,
        cwd=HOUSE,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """What two processes leave of every model."""
    folder = tmp_path_factory.mktemp("swept")
    with torchrun("tests.support.two_processes", str(folder)) as run:
        said = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, said[1]
    return folder


def train_apart(name: str, folder: Path) -> dict[str, torch.Tensor]:
    """As `train_tiny`, in a process of its own: after other tests r3gan's first steps, signs of gradients, differ."""
    code = (
        "import sys, torch; from safetensors.torch import save_file; "
        "from tests.support.two_processes import train_tiny; torch.set_num_threads(1); "
        "save_file(train_tiny(sys.argv[1], 2), sys.argv[2])"
    )
    path = os.pathsep.join([str(HOUSE / "src"), str(HOUSE)])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, name, str(folder / "one.safetensors")], env=env, check=True)
    return load_file(folder / "one.safetensors")


@pytest.mark.parametrize("name", names())
def test_two_processes_equal_one_that_plays_both_shares(swept, name):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    two = load_file(swept / f"{name}.safetensors")
    one = train_apart(name, swept) if name == "r3gan" else train_tiny(name, 2)
    torch.set_num_threads(threads)
    assert one.keys() == two.keys()
    for key, tensor in one.items():
        torch.testing.assert_close(two[key], tensor, rtol=1e-4, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}")


def test_a_broken_loss_in_one_process_stops_all(swept):
    said = [(swept / f"said-{rank}.txt").read_text() for rank in range(2)]
    assert said[0] == said[1]
    assert "critic/gap became NaN or infinite in step 3" in said[0]


def test_a_replaced_buffer_is_named_by_all(swept):
    said = [(swept / f"replaced-{rank}.txt").read_text() for rank in range(2)]
    assert said[0] == said[1]
    assert "in the place of its buffer k during a step" in said[0]


def test_the_first_process_decides_when_a_checkpoint_is_due_and_no_bit_changes(swept):
    without, *made = (
        [(swept / f"by-time-{minutes}-{rank}.txt").read_text().split(" ", 1) for rank in range(2)]
        for minutes in (0.0, 1e-9)
    )
    assert made[0][0][1] == made[0][1][1] == "[-1, -1, -1, -1, 4, 4, 4, 4, 8, 8]"
    assert {digest for run in (without, *made) for digest, _ in run} == {without[0][0]}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted through /proc")
def test_no_thread_of_the_others_outlives_the_training(swept):
    """One that does may abort the process at its exit, when it meets an interpreter that is gone."""
    for rank in range(2):
        assert "gloo" not in (swept / f"threads-{rank}.txt").read_text()


def test_each_micro_batch_has_its_own_buffers_in_a_step_and_their_mean_after_it():
    norm = torch.nn.BatchNorm1d(1, momentum=1.0)
    buffers = Buffers(torch.nn.ModuleList([norm]), 2)
    for micro, value in enumerate((1.0, 3.0)):
        buffers.activate(micro)
        assert norm.running_mean == 0
        norm(torch.full((4, 1), value))
    buffers.merge()
    assert norm.running_mean == 2
    assert norm.num_batches_tracked == 1


def test_the_command_prints_once_stops_after_a_step_and_continues_in_one_process(tmp_path):
    options = ["--preset", "tiny", "--steps", "100000", "--save-every", "5", "--log-every", "1", "--sample-every", "0"]
    with torchrun("ganforge", "train", "dcgan", *options, "--outdir", str(tmp_path)) as run:
        awaited(tmp_path, run)
        run.send_signal(signal.SIGTERM)
        out, _ = run.communicate(timeout=PATIENCE)
    (folder,) = tmp_path.iterdir()
    step = ganforge.load(folder).step
    assert out.count(f"Stopped at step {step} of 100000") == 1
    assert out.count("Stopping after this step") == 1
    assert out.count(f"step {step:6}/100000") == 1
    assert [row["step"] for row in read_rows(folder / "log.jsonl")] == [*range(1, step + 1)]
    assert ganforge.resume(folder, steps=step + 2, shorten=True, quiet=True).step == step + 2


def test_a_process_that_dies_ends_the_run_with_a_whole_checkpoint(tmp_path):
    dies = 'if now.step == 7 and os.environ["RANK"] == "1":\n            os.kill(os.getpid(), 9)\n        '
    source = Path(dcgan.__file__).read_text().replace("real = next(batches)", f"{dies}real = next(batches)")
    (tmp_path / "mortal.py").write_text(source.replace("from collections", "import os\nfrom collections", 1))
    options = ["--preset", "tiny", "--steps", "100", "--save-every", "5", "--sample-every", "0"]
    words = (str(tmp_path / "mortal.py"), *options, "--outdir", str(tmp_path / "runs"))
    with torchrun("ganforge", "train", *words) as run:
        _, problems = run.communicate(timeout=PATIENCE)
    assert run.returncode != 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert "Another process of this run has ended, so this one ends too. " in problems
    assert f"Continue from step 5 with: ganforge resume {folder}" in problems
    assert ganforge.load(folder).step == 5


def test_the_first_process_measures_and_all_stop_together(tmp_path):
    np.save(tmp_path / "data.npy", np.random.default_rng(0).integers(0, 256, (40, 6, 6, 1), dtype=np.uint8))
    words = ["--data", str(tmp_path / "data.npy"), "--preset", "tiny", "--size", "6", "--config.lr", "1e-30"]
    words += ["--steps", "50", "--sample-every", "0", "--select", "fid:pixels", "--eval-every", "1", "--patience", "2"]
    with torchrun("ganforge", "train", "gan", *words, "--outdir", str(tmp_path / "runs")) as run:
        out, problems = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, problems
    (folder,) = (tmp_path / "runs").iterdir()
    assert out.count("Stopped at step 3 of 50. Its fid has not improved in 2 measurements") == 1  # nothing moves
    assert [row["step"] for row in read_rows(folder / "scores.jsonl")] == [1, 2, 3]
    assert ganforge.load(f"{folder}@best").step == 1


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("stargan", ["--metrics", "edits", "fid", "kid", "is", "prdc", "modes", "diversity", "--per-class"]),
        ("regression", ["--metrics", "psnr", "l1"]),
    ],
)
def test_two_processes_evaluate_as_one_does_and_print_once(tmp_path, monkeypatch, model, asked):
    monkeypatch.setattr(classifier, "PIXELS", 8 * 8 * 2_000)  # the next process finds it in the cache
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    data, chance = "shapes-pairs", np.random.default_rng(0)
    for k in range(90 if model == "stargan" else 0):
        data = tmp_path / "data"
        shade = ((50, 128, 205)[k % 3] + chance.integers(-40, 40, (8, 8, 1))).astype(np.uint8)
        write(data / ("dark", "grey", "light")[k % 3] / f"{k:02d}.png", shade)
    run = ganforge.train(
        model, data, "tiny", steps=1, size=(8,), outdir=tmp_path / "runs", quiet=True, device="cpu", sample_every=0
    )
    words = ["evaluate", str(run.path), *asked, "-n", "61", "--batch", "20", "--device", "cpu", "-o"]
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "other"))
    assert cli.run([*words, str(tmp_path / "one.json")]) == 0
    if (known := tmp_path / "other" / "classifiers").is_dir():  # the same classifier, but no cached features
        shutil.copytree(known, tmp_path / "cache" / "classifiers")
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    with torchrun("ganforge", *words, str(tmp_path / "two.json")) as process:
        out, problems = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, problems
    assert out.count(" images against ") == out.count("Wrote") == 1
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    assert one["key"] == two["key"]
    assert one["warnings"] == two["warnings"]
    ours, theirs = (
        [*report["figures"], *(figure for row in report["per_class"].values() for figure in row)]
        for report in (one, two)
    )
    assert [figure["name"] for figure in ours] == [figure["name"] for figure in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        for part in ("value", "low", "high"):
            close = mine[part] if mine[part] is None else pytest.approx(mine[part], rel=1e-4, abs=1e-6)
            assert other[part] == close, mine["name"]


def test_a_problem_of_one_share_ends_all_with_its_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    pictures = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 1), dtype=np.uint8)
    np.save(tmp_path / "data.npy", pictures)
    words = [str(tmp_path / "data.npy"), "--against", str(tmp_path / "data.npy"), "--features", "pixels"]
    with torchrun("ganforge", "evaluate", *words, "--metrics", "is", "-o", str(tmp_path / "r.json")) as run:
        _, problems = run.communicate(timeout=PATIENCE)
    assert run.returncode != 0
    assert problems.count("--metrics is needs --features with class logits") == 1
    assert "ganforge/evaluation" not in problems  # no traceback of ours


def awaited(folder: Path, run: subprocess.Popen[str]) -> None:
    """Wait for the first checkpoint."""
    begun = time.monotonic()
    while not [*folder.glob("*/checkpoints/latest")]:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() - begun < PATIENCE
        time.sleep(0.05)
