"""The command: what it prints, how it ends."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from ganforge.__main__ import main
from ganforge.cli import run as command

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert command(["train", "dcgan", "--preset", "tiny", "--outdir", str(out), "--no-tensorboard"]) == 0
    return out / "00000-dcgan-shapes"


def test_help_answers_without_torch_or_rich():
    began = time.perf_counter()
    code = "import sys; from ganforge.cli import run; run(['--help']); assert not {'torch', 'rich'} & {*sys.modules}"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ganforge train dcgan" in finished.stdout
    assert time.perf_counter() - began < 5  # far above the half second it takes, for a busy machine


@pytest.mark.parametrize(
    ("given", "spin"), [({}, "40000"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None), ({"GOMP_SPINCOUNT": "7"}, "7")]
)
def test_threads_that_wait_spin_shortly_unless_set_otherwise(given: dict[str, str], spin: str | None, monkeypatch):
    environ = {**given}
    monkeypatch.setattr(os, "environ", environ)
    monkeypatch.setattr("ganforge.__main__.run", lambda _words: 0)
    with pytest.raises(SystemExit):
        main()
    assert environ.get("GOMP_SPINCOUNT") == spin


def test_a_run_that_scores_images_by_sentences_is_not_offered_score(tmp_path: Path, capsys):
    assert command(["train", "text_encoder", "--preset", "tiny", "--outdir", str(tmp_path), "--no-tensorboard"]) == 0
    (run,) = tmp_path.iterdir()
    assert f"Try next:\n  ganforge evaluate {run}\n  ganforge resume {run} --steps 12\n" in capsys.readouterr().out
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    assert command(["score", str(run), str(tmp_path / "a.png"), str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "text_encoder cannot score; of the models, anogan, autoencoder, f_anogan can.\n" in said
    assert command(["show", str(run)]) == 0
    assert "score" not in capsys.readouterr().out


@pytest.mark.parametrize(("model", "options"), [("stargan", " --to circle"), ("instagan", " --masks path/to/masks")])
def test_what_to_try_next_can_be_typed(model: str, options: str, tmp_path: Path, capsys):
    assert command(["train", model, "--preset", "tiny", "--outdir", str(tmp_path), "--no-tensorboard"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("  ganforge translate")).endswith(f"path/to/results{options}")


def test_verbs_explain_themselves(capsys):
    for verb in ("train", "resume", "sample", "interpolate", "show"):
        with pytest.raises(SystemExit) as left:
            command([verb, "--help"])
        assert left.value.code == 0
        assert f"ganforge {verb}" in capsys.readouterr().out


def test_train_help_lists_the_papers_own_settings(capsys):
    with pytest.raises(SystemExit):
        command(["train", "dcgan", "--help"])
    printed = capsys.readouterr().out
    assert "--config.latent" in printed
    assert "--precision" in printed
    assert "Radford" in printed


@pytest.mark.parametrize("verb", ["train", "sweep"])
def test_help_has_the_new_names_of_flags_only(verb, capsys):
    with pytest.raises(SystemExit):
        command([verb, "dcgan", "--help"])
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert {"--eval-images", "--eval-every", "--native-crops", "--no-native-crops"} <= flags
    assert not {"--judged", "--every", "--native", "--no-native"} & flags


@pytest.mark.parametrize(
    ("words", "notes"),
    [
        (["--eval-every", "4", "--eval-images=9", "--native-crops"], []),
        (["--every", "4", "--judged=9", "--native"], ["every eval-every", "judged eval-images", "native native-crops"]),
    ],
)
def test_old_flags_still_work_and_print_a_note(words, notes, capsys):
    options = ["--preset", "tiny", "--select", "fid:pixels", "--size", "16", "--dry-run"]
    assert command(["train", "dcgan", *options, *words]) == 0
    printed = capsys.readouterr().out
    for setting in ("every: 4", "judged: 9", "native: true"):
        assert f"  {setting}\n" in printed
    pairs = [note.split() for note in notes]
    expected = [f"--{old} is now called --{new}; the old name goes in the next release." for old, new in pairs]
    assert [line for line in printed.splitlines() if "is now called" in line] == expected


def test_the_old_flag_of_a_switch_turned_off(capsys):
    assert command(["train", "srgan", "--preset", "tiny", "--no-native", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert "--no-native is now called --no-native-crops" in printed
    assert "native: false" in printed


def test_list_show_and_env(capsys):
    assert command(["list"]) == 0
    assert "a generator and a discriminator, trained against each other" in capsys.readouterr().out
    assert command(["show", "dcgan"]) == 0
    assert "arxiv.org/abs/1511.06434" in capsys.readouterr().out
    assert command(["env"]) == 0
    assert "torch" in capsys.readouterr().out


def test_a_dry_run_prints_settings_counts_and_a_step(tmp_path, capsys):
    assert command(["train", "dcgan", "--preset", "tiny", "--dry-run", "--outdir", str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr().out
    assert "generator: 1752" in printed
    assert "discriminator descends real + fake" in printed
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("word", "fast"), [("--fast", "true"), ("--exact", "false"), ("--no-fast", "false")])
def test_speed_or_the_last_digit(word, fast, capsys):
    assert command(["train", "dcgan", "--preset", "tiny", word, "--dry-run"]) == 0
    assert f"fast: {fast}" in capsys.readouterr().out


def test_the_verbs_of_a_run_print_their_files(trained, capsys):
    assert command(["sample", str(trained), "-n", "4", "--seed", "1", "-o", str(trained / "four.png")]) == 0
    assert "four.png" in capsys.readouterr().out
    assert command(["interpolate", str(trained), "--rows", "2", "--steps", "2", "-o", str(trained / "walk.png")]) == 0
    assert (trained / "walk.gif").exists()
    assert command(["resume", str(trained), "--steps", "8"]) == 0
    assert "Continuing from step 6 of 8" in capsys.readouterr().out


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
    printed = capsys.readouterr().err
    assert sentence in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_after_the_step_with_a_checkpoint(tmp_path, which):
    words = ["train", "dcgan", "--preset", "tiny", "--steps", "100000", "--save-every", "0", "--no-tensorboard"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ganforge", *words, "--outdir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    folder, deadline = tmp_path / "00000-dcgan-shapes", time.monotonic() + 60
    while time.monotonic() < deadline and not (folder / "log.jsonl").exists():
        time.sleep(0.1)
    process.send_signal(which)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + which, err
    assert "Stopping after this step" in out
    assert out.rstrip().endswith(f"Continue with: ganforge resume {folder}")
    assert list((folder / "checkpoints").glob("step-*"))
