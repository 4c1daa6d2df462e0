"""The command: what it prints, how it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ganforge.__main__ import main
from ganforge.cli import run as command

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert command(["train", "dcgan", "--preset", "tiny", "--outdir", str(out), "--no-tensorboard"]) == 0
    return out / "00000-dcgan-shapes"


def test_help_answers_without_torch():
    began = time.perf_counter()
    code = "import sys; from ganforge.cli import run; run(['--help']); assert 'torch' not in sys.modules"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ganforge train dcgan" in said.stdout
    assert time.perf_counter() - began < 5  # far above the half second it takes, for a busy machine


@pytest.mark.parametrize(
    ("told", "spin"), [({}, "40000"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None), ({"GOMP_SPINCOUNT": "7"}, "7")]
)
def test_threads_that_wait_spin_shortly_unless_told_otherwise(told: dict[str, str], spin: str | None, monkeypatch):
    environ = {**told}
    monkeypatch.setattr(os, "environ", environ)
    monkeypatch.setattr("ganforge.__main__.run", lambda _words: 0)
    with pytest.raises(SystemExit):
        main()
    assert environ.get("GOMP_SPINCOUNT") == spin


@pytest.mark.parametrize(("model", "said"), [("stargan", " --to circle"), ("instagan", " --masks path/to/masks")])
def test_what_to_try_next_can_be_typed(model: str, said: str, tmp_path: Path, capsys):
    assert command(["train", model, "--preset", "tiny", "--outdir", str(tmp_path), "--no-tensorboard"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("  ganforge translate")).endswith(f"path/to/results{said}")


def test_verbs_explain_themselves(capsys):
    for verb in ("train", "resume", "sample", "interpolate", "show"):
        with pytest.raises(SystemExit) as left:
            command([verb, "--help"])
        assert left.value.code == 0
        assert f"ganforge {verb}" in capsys.readouterr().out


def test_train_help_lists_the_papers_own_settings(capsys):
    with pytest.raises(SystemExit):
        command(["train", "dcgan", "--help"])
    said = capsys.readouterr().out
    assert "--config.latent" in said
    assert "--precision" in said
    assert "Radford" in said


def test_list_show_and_env(capsys):
    assert command(["list"]) == 0
    assert "a forger and a detective" in capsys.readouterr().out
    assert command(["show", "dcgan"]) == 0
    assert "arxiv.org/abs/1511.06434" in capsys.readouterr().out
    assert command(["env"]) == 0
    assert "torch" in capsys.readouterr().out


def test_a_dry_run_prints_settings_counts_and_the_round(tmp_path, capsys):
    assert command(["train", "dcgan", "--preset", "tiny", "--dry-run", "--outdir", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().out
    assert "generator: 1752" in said
    assert "discriminator descends real + fake" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("word", "fast"), [("--fast", "true"), ("--exact", "false"), ("--no-fast", "false")])
def test_speed_or_the_last_digit(word, fast, capsys):
    assert command(["train", "dcgan", "--preset", "tiny", word, "--dry-run"]) == 0
    assert f"fast: {fast}" in capsys.readouterr().out


def test_training_tells_where_everything_is(trained, capsys):
    assert command(["sample", str(trained), "-n", "4", "--seed", "1", "-o", str(trained / "four.png")]) == 0
    assert "four.png" in capsys.readouterr().out
    assert command(["interpolate", str(trained), "--rows", "2", "--steps", "2", "-o", str(trained / "walk.png")]) == 0
    assert (trained / "walk.gif").exists()
    assert command(["resume", str(trained), "--steps", "8"]) == 0
    assert "Going on from step 6 of 8" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence", "code"),
    [
        (["trian"], "There is no verb 'trian'. Did you mean train?", 2),
        (["train", "dcgann"], "Did you mean dcgan", 1),
        (["train", "dcgan", "--data", "nowhere/at/all"], "There is no data called", 1),
        (["train", "--steps", "3"], "The first word after the verb is the model's name", 1),
        (["resume", "nowhere"], "There is no run folder nowhere", 1),
        (["sample", "nowhere"], "There is no run folder nowhere", 1),
        (["show", "nothing"], "There is no model 'nothing'", 1),
        (["train", "dcgan", "--preset", "tiny", "--size", "9"], "Near are --size", 1),
    ],
)
def test_wrong_words_get_one_sentence(words, sentence, code, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(words) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_round_and_resume_finishes(tmp_path, which):
    words = ["train", "dcgan", "--preset", "tiny", "--steps", "100000", "--save-every", "0", "--no-tensorboard"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ganforge", *words, "--outdir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    folder, patience = tmp_path / "00000-dcgan-shapes", time.monotonic() + 60
    while time.monotonic() < patience and not (folder / "log.jsonl").exists():
        time.sleep(0.1)
    process.send_signal(which)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Stopping after this round" in out
    assert f"ganforge resume {folder}" in out
    assert list((folder / "checkpoints").glob("step-*"))
