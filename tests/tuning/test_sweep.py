"""ganforge sweep: the search space, complete searches, interruption and resumption."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from ganforge.callbacks.log import read_rows
from ganforge.callbacks.loss_curves import LossCurves
from ganforge.cli import run as command
from ganforge.errors import OptionError
from ganforge.images import read
from ganforge.models import gan
from ganforge.tuning.space import Setting, parse_setting, parse_settings
from ganforge.tuning.table import Sweep, Trial, format_table, plot_trials, write_csv


@dataclasses.dataclass(frozen=True)
class Config:
    lr: float = 1e-3
    width: int = 4
    size: int = 3
    norm: Literal["batch", "none"] = "batch"
    bias: bool = True


# -- the search space ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("lr=1e-5..1e-3", Setting("lr", False, low=1e-5, high=1e-3)),
        ("width=4..64", Setting("width", False, low=4, high=64, whole=True)),
        ("batch=32,64", Setting("batch", True, choices=(32, 64))),
        ("norm=batch,none", Setting("norm", False, choices=("batch", "none"))),
        ("bias=true,false", Setting("bias", False, choices=(True, False))),
        ("lr=1,0.5", Setting("lr", False, choices=(1, 0.5))),
        ("size=2,3", Setting("size", False, choices=(2, 3))),  # that of the model takes precedence
        ("run.size=16,32", Setting("size", True, choices=(16, 32), many=True)),
        ("flip=true,false", Setting("flip", True, choices=(True, False))),
        ("native_crops=true,false", Setting("native", True, choices=(True, False))),
        ("native=true,false", Setting("native", True, choices=(True, False))),
        ("ema=none,100", Setting("ema", True, choices=(None, 100))),
    ],
)
def test_specs_become_settings(spec, expected):
    assert parse_setting(spec, Config) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lr", "is no setting"),
        ("lrr=1..2", "did you mean lr"),
        ("run.lr=1..2", "no setting 'run.lr'"),
        ("lr=2..1", "smaller number first"),
        ("lr=a..b", "smaller number first"),
        ("width=1.5..3", "whole number"),
        ("norm=a..b", "has no range"),
        ("norm=batch,layer", "cannot be 'layer'"),
        ("width=4,none", "cannot be 'none'"),
        ("seed=1,2", "same in all trials"),
    ],
)
def test_invalid_specs_are_refused(spec, message):
    with pytest.raises(OptionError, match=message):
        parse_setting(spec, Config)


def test_settings_are_required_and_unique():
    with pytest.raises(OptionError, match="settings to search over"):
        parse_settings([], Config)
    with pytest.raises(OptionError, match="width twice"):
        parse_settings(["width=1,2", "lr=1,2", "config.width=3..4"], Config)


def test_wide_ranges_are_searched_logarithmically():
    assert parse_setting("lr=1e-5..1e-3", Config).logarithmic
    assert not parse_setting("lr=0.1..0.5", Config).logarithmic
    assert not parse_setting("lr=0..1", Config).logarithmic
    assert parse_setting("run.size=16,32", Config).to_field(16) == (16,)


# -- the table ------------------------------------------------------------------------------------


def make_sweep(folder: Path) -> Sweep:
    trials = (
        Trial(1, "complete", 2.0, {"lr": 0.01, "norm": "none"}, "runs/1"),
        Trial(0, "pruned", 5.0, {"lr": 0.001, "norm": "batch"}, "runs/0"),
        Trial(2, "failed", None, {"lr": 0.1, "norm": "batch"}, "", "It broke."),
    )
    return Sweep(folder, "fid", "lower", trials)


def test_the_table_and_the_plot(tmp_path):
    sweep = make_sweep(tmp_path)
    with write_csv(sweep, ["lr", "norm"]).open() as file:
        table = [*csv.DictReader(file)]
    assert [(row["trial"], row["fid"], row["lr"], row["state"]) for row in table] == [
        ("1", "2.0", "0.01", "complete"),
        ("0", "5.0", "0.001", "pruned"),
        ("2", "", "0.1", "failed"),
    ]
    assert table[2]["why"] == "It broke."
    space = [parse_setting("lr=1e-5..1", Config), parse_setting("norm=batch,none", Config)]
    assert read(plot_trials(sweep, space)).std() > 10
    text = format_table(sweep, most=2)
    assert text.splitlines()[1].split() == ["1", "2", "0.01", "none", "complete"]
    assert "1 more" in text


# -- a search -------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    """Forty small grey images."""
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(LossCurves, "end", lambda self, engine: None)  # the slowest part of so small a run
    np.save(tmp_path / "data.npy", np.random.default_rng(0).integers(0, 256, (40, 6, 6, 1), dtype=np.uint8))
    return tmp_path / "data.npy"


def search(data: Path, trials: int, out: Path, **more):
    from ganforge.tuning.trials import sweep

    given = {"over": ["lr=1e-4..1e-1", "batch=8,10"], "metric": "fid:pixels", "steps": 4}
    given |= {"eval_every": 2, "eval_images": 8}
    return sweep("gan", data, "tiny", trials=trials, outdir=out, **{**given, "size": (6,), "sample_every": 0, **more})


def test_a_search_resumes_and_ends_in_a_table(data, tmp_path):
    pytest.importorskip("optuna")
    said = []
    first = search(data, 1, tmp_path / "cut", say=said.append)
    assert sum("Trial" in sentence for sentence in said) == 1
    both = search(data, 3, tmp_path / "cut")
    whole = search(data, 3, tmp_path / "whole")
    assert [(t.number, t.value, t.settings) for t in both.trials] == [
        (t.number, t.value, t.settings) for t in whole.trials
    ]
    assert {t.number for t in first.trials} <= {t.number for t in both.trials}
    values = [t.value for t in both.trials]
    assert values == sorted(values)
    for trial in both.trials:
        scores = [row["fid"] for row in read_rows(Path(trial.run) / "scores.jsonl")]
        assert trial.value == min(scores)
        assert 1e-4 <= trial.settings["lr"] <= 1e-1
        assert trial.settings["batch"] in (8, 10)
    assert len({t.settings["lr"] for t in both.trials}) == 3
    assert (both.path / "trials.png").exists()
    with pytest.raises(OptionError, match=r"another kind \(its over differs"):
        search(data, 3, tmp_path / "cut", over=["lr=1e-4..1e-2"])


def test_an_interrupted_trial_resumes_in_its_own_folder(data, tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    from ganforge.engine import Engine

    play = Engine.train_step

    def once(engine: Engine) -> None:
        play(engine)
        if engine.step == 3:
            engine.stopping = "Ctrl-C was pressed."

    monkeypatch.setattr(Engine, "train_step", once)
    with pytest.raises(KeyboardInterrupt):
        search(data, 2, tmp_path / "cut")
    monkeypatch.setattr(Engine, "train_step", play)
    cut, whole = search(data, 2, tmp_path / "cut"), search(data, 2, tmp_path / "whole")
    assert [t.settings for t in cut.trials] == [t.settings for t in whole.trials]
    assert [t.value for t in cut.trials] == [t.value for t in whole.trials]
    assert len([*(tmp_path / "cut").glob("*/*-trial")]) == 2


def test_trials_that_fall_behind_are_pruned(data, tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    from ganforge.tuning import trials as module

    monkeypatch.setattr(module, "WARM", 1)
    over = ["lr=1e-30,1e-1"]  # not training is worse than training, or the other way round: they differ
    cut = search(data, 4, tmp_path / "cut", over=over, steps=6, eval_every=2)
    assert any(t.state == "pruned" and len(read_rows(Path(t.run) / "scores.jsonl")) < 3 for t in cut.trials)
    whole = search(data, 4, tmp_path / "whole", over=over, steps=6, eval_every=2, prune=False)
    assert {t.state for t in whole.trials} == {"complete"}


def test_a_failed_trial_is_reported_and_the_search_continues(data, tmp_path):
    pytest.importorskip("optuna")
    said = []
    mixed = search(data, 3, tmp_path, over=["batch=8,9", "lr=1e-3,1e-2"], accumulate=2, say=said.append)
    states = {t.settings["batch"]: t.state for t in mixed.trials}
    assert states[9] == "failed"
    assert any("equal micro-batches" in t.why for t in mixed.trials)
    assert any("failed. A batch of 9" in sentence for sentence in said)
    with pytest.raises(OptionError, match="None of the 2 trials"):
        search(data, 2, tmp_path / "none", over=["batch=7,9"], accumulate=2)


def test_invalid_sweeps_are_refused(data, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="--patience"):
        search(data, 2, tmp_path, patience=2)
    with pytest.raises(OptionError, match="psnr cannot compare"):
        search(data, 2, tmp_path, metric="psnr")
    with pytest.raises(OptionError, match="one or more"):
        search(data, 0, tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(OptionError, match="torchrun"):
        search(data, 2, tmp_path)


def test_the_command(data, tmp_path, capsys):
    pytest.importorskip("optuna")
    words = ["--over", "lr=1e-3..1e-1", "batch=8,10", "--trials", "2", "--metric", "fid:pixels", "--data", str(data)]
    words += [
        "--steps",
        "2",
        "--eval-every",
        "1",
        "--eval-images",
        "8",
        "--preset",
        "tiny",
        "--size",
        "6",
        "--sample-every",
        "0",
    ]
    assert command(["sweep", "gan", *words, "--outdir", str(tmp_path / "runs"), "--name", "mine"]) == 0
    said = capsys.readouterr().out
    assert "@best -n 64" in said
    assert (tmp_path / "runs" / "sweep-mine" / "trials.csv").exists()
    assert command(["sweep", "gan", *words, "--outdir", str(tmp_path / "runs"), "--name", "mine", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(trial["number"] for trial in found["trials"]) == [0, 1]
    assert command(["sweep", "gan", "--trials", "2"]) == 1
    assert "--over lr=" in capsys.readouterr().err


def test_presets_can_be_searched():
    assert parse_settings(["lr=1e-5..1e-3", "batch=32,64"], gan.GAN.Config)


def test_a_translator_is_searched_on_synthetic_pairs_by_its_own_metric(tmp_path, capsys):
    pytest.importorskip("optuna")
    words = ["sweep", "pix2pix", "--preset", "tiny", "--over", "lr=1e-4,1e-3", "--trials", "1"]
    assert command([*words, "--steps", "2", "--outdir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "psnr" in said
    assert "ganforge evaluate" in said
    assert (tmp_path / "sweep-pix2pix-shapes-pairs" / "trials.csv").is_file()
