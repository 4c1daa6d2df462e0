"""The runs that quality tests keep (tests/support/kept_runs.py)."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import ganforge
from tests.support import kept_runs
from tests.support.kept_runs import PACKAGE, code_of, count_steps, measure_pace, model_files, train_once


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANFORGE_QUALITY_RUNS", str(tmp_path))
    return tmp_path


def test_nothing_is_trained_twice(home: Path):
    first, again = (train_once("gan", preset="tiny", steps=3) for _ in range(2))
    assert first.path == again.path
    assert len([*home.iterdir()]) == 1
    others: tuple[dict[str, Any], ...] = {"lr": 1e-3}, {"steps": 4}, {"data": "shapes-scenes"}, {"changed": "no noise"}
    paths = {train_once("gan", preset="tiny", **{"steps": 3, **other}).path for other in others}
    assert len(paths | {first.path}) == len(others) + 1


def test_a_cut_training_goes_on():
    asked: dict[str, Any] = {"preset": "tiny", "steps": 6, "save_every": 2, "keep": 3}
    whole = train_once("gan", **asked)
    shutil.rmtree(whole.path / "checkpoints" / "step-000000006")
    again = train_once("gan", **asked)
    assert (again.path, again.step) == (whole.path, 6)
    torch.testing.assert_close(again.sample(2, seed=0), whole.sample(2, seed=0), rtol=0, atol=0)


def test_a_training_that_was_stopped_is_none(monkeypatch: pytest.MonkeyPatch):
    train = ganforge.train
    stop = {"stopped_by": 15}
    monkeypatch.setattr(ganforge, "train", lambda *a, **k: dataclasses.replace(train(*a, **k), **stop))
    with pytest.raises(KeyboardInterrupt):
        train_once("gan", preset="tiny", steps=2)


def test_a_pace_is_measured_once(monkeypatch: pytest.MonkeyPatch):
    """What is trained for a time has the same steps, and so the same run, in the next call."""
    monkeypatch.setattr(kept_runs, "LEAST", 0.1)
    pace = measure_pace("gan", preset="tiny")
    assert pace > 0
    monkeypatch.setattr(ganforge, "train", None)
    assert measure_pace("gan", preset="tiny") == pace
    assert count_steps(300 * pace, "gan", preset="tiny") == 300
    assert count_steps(0.0, "gan", preset="tiny") == 100


def test_other_code_is_another_run(tmp_path: Path):
    """Of the model's own file, and of what it imports from nn/."""
    model = tmp_path / "own.py"
    text = (PACKAGE / "models" / "gan.py").read_text(encoding="utf-8")
    paths = []
    for content in (text, f"{text}\nNUMBER = 1\n"):
        model.write_text(content, encoding="utf-8")
        paths.append(train_once(str(model), "shapes", "tiny", steps=2).path)
    assert paths[0] != paths[1]
    assert {PACKAGE / "nn" / "losses.py", PACKAGE / "models" / "gan_cls" / "networks.py"} <= {*model_files("gan_cls")}


def test_prose_is_no_code(tmp_path: Path):
    """Another docstring, comment or preset leaves the hash as it is, another number does not."""
    texts = '"""One."""\nx = 1\n', '"""Two, longer."""\n\n# why\nx = 1\npresets = {}\n', '"""One."""\nx = 2\n'
    for k, text in enumerate(texts):
        (tmp_path / f"{k}.py").write_text(text, encoding="utf-8")
    one, two, three = (code_of([tmp_path / f"{k}.py"]) for k in range(3))
    assert one == two
    assert one != three
