"""A model whose parts nobody has trained yet: they are trained first, and the whole goes on wherever it was cut."""

import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ganforge
from ganforge.catalogue import find, part_preset
from ganforge.cli import run as command
from ganforge.errors import ContractError, ModelError, OptionError, RunError
from ganforge.runs.folder import RunFolder
from ganforge.training import chain
from ganforge.training import plan as planning
from ganforge.training import train as training
from tests.support.parts import BASE, STAGE
from tests.support.toys import weights

SMALL = 'presets["small"] = presets["tiny"]\n'
OPTIONS = {"preset": "tiny", "quiet": True, "tensorboard": False, "doctor": False}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few images in the place of the embedded ones, which take seconds to draw."""
    np.save(tmp_path / "data.npy", np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), np.uint8))
    monkeypatch.setattr(planning, "choose_embedded", lambda *asked: str(tmp_path / "data.npy"))


@pytest.fixture
def stage(tmp_path: Path) -> str:
    """A model that needs a part, `first`, which is named by a path beside its own."""
    (tmp_path / "base.py").write_text(BASE + SMALL)
    text = (STAGE + SMALL).replace('Part("BASE")', 'Part("./base.py", needed=True)')
    (tmp_path / "stage.py").write_text(text.replace("    copies: bool", "    lr: float = 0.1\n    copies: bool"))
    return str(tmp_path / "stage.py")


@pytest.fixture
def third(stage: str) -> str:
    """A model that needs two parts: a stage, which needs a base, and a base, which is the same run."""
    text = Path(stage).read_text().replace("class Stage", "class Third")
    fields = '    first: Annotated[str, Part("./base.py", needed=True)] = ""\n'
    both = fields + '    second: Annotated[str, Part("./stage.py", needed=True)] = ""\n'
    text = text.replace(fields, both).replace("first: Game | None = None)", "first: Game, second: Game)")
    (Path(stage).parent / "third.py").write_text(text)
    return str(Path(stage).parent / "third.py")


def test_a_missing_part_is_trained_first_at_the_same_preset_and_size(tmp_path, stage):
    said = []
    run = ganforge.train(stage, outdir=tmp_path / "runs", size=24, say=said.append, lr=0.2, **OPTIONS)
    assert any("Part 1 of 1, 'first', is a run of base: it is trained first." in sentence for sentence in said)
    part = RunFolder.open(run.path / "parts-made" / "00000-first").run_config
    own = RunFolder.open(run.path).run_config
    assert (part.preset, part.run["size"], own.run["size"], own.config["lr"]) == ("tiny", [24], [24], 0.2)
    assert own.config["first"] == str(run.path / "parts-made" / "00000-first")
    by_hand = ganforge.train(
        stage, outdir=tmp_path / "runs", size=24, config={"first": own.config["first"], "lr": 0.2}, **OPTIONS
    )
    assert torch.equal(weights(run.game), weights(by_hand.game))
    moved = run.path.rename(tmp_path / "elsewhere")
    assert ganforge.load(moved, device="cpu").step == 6
    assert ganforge.resume(moved, steps=7, quiet=True).step == 7


def test_two_parts_of_one_name_and_model_are_one_run(tmp_path, third):
    run = ganforge.train(third, outdir=tmp_path / "runs", **OPTIONS)
    assert sorted(path.name for path in (run.path / "parts-made").iterdir()) == ["00000-first", "00001-second"]
    second = RunFolder.open(run.path / "parts-made" / "00001-second").run_config
    assert second.config["first"] == RunFolder.open(run.path).run_config.config["first"]


@pytest.mark.parametrize("cut", ["first", "second", "between", "last"])
def test_a_chain_goes_on_wherever_it_was_cut(tmp_path, third, cut, monkeypatch):
    whole = ganforge.train(third, outdir=tmp_path / "whole", **OPTIONS)
    monkeypatch.setenv("GANFORGE_HOME", str(tmp_path / "home"))
    run_training, begun = training.run_training, []

    def cut_off(plan, folder, *more, **options):
        begun.append(folder.path.name)
        place = {"first": "00000-first", "second": "00001-second", "between": "00001-second", "last": "00000-third"}[
            cut
        ]
        if folder.path.name != place or cut == "last":
            trained = run_training(plan, folder, *more, **options)
            if folder.path.name == place:
                raise KeyboardInterrupt
            return trained
        if cut != "between":  # the step after which it is killed is in the middle
            run_training(replace(plan, run=replace(plan.run, steps=1)), folder, *more, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "run_training", cut_off)
    with pytest.raises(KeyboardInterrupt):
        ganforge.train(third, outdir=tmp_path / "cut", **OPTIONS)
    monkeypatch.setattr(training, "run_training", run_training)
    path = tmp_path / "cut" / "00000-third"
    if cut != "last":
        with pytest.raises(RunError, match=r"parts of .* are not all trained: `ganforge resume .*00000-third` goes on"):
            ganforge.load(path)
        with pytest.raises(OptionError, match="goes on as it was asked for"):
            ganforge.resume(path, steps=3)
    again = ganforge.resume(path, quiet=True)
    assert again.step == whole.step
    assert torch.equal(weights(whole.game), weights(again.game))


def test_with_data_the_commands_are_printed_and_can_be_pasted(tmp_path, third, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", third, "--data", "data.npy", "--preset", "tiny", "--steps", "2", "--config.copies"]
    assert command(words) == 1
    lines = [line.strip() for line in capsys.readouterr().err.splitlines() if line.startswith("  ganforge ")]
    assert len(lines) == 3
    assert not (tmp_path / "runs").exists()
    for line in lines:
        assert command(shlex.split(line)[1:]) == 0, line
    made = RunFolder.open(tmp_path / "runs" / "00002-third-data").run_config
    assert (made.run["steps"], made.config["copies"]) == (2, True)
    assert {Path(origin).name for origin in made.parts.values()} == {"00000-first", "00001-second"}


def test_the_commands_of_parts_have_the_options_that_a_chain_passes_on(tmp_path, stage, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for taken in ("00007-other", "runs"):
        (tmp_path / "runs" / taken).mkdir(parents=True)
    more = ["--device", "cpu", "--threads", "1", "--data-home", str(tmp_path / "home"), "--size", "24"]
    assert command(["train", stage, "--data", "data.npy", "--preset", "tiny", *more]) == 1
    part, last = [shlex.split(line) for line in capsys.readouterr().err.splitlines() if line.startswith("  ganforge ")]
    for flag, value in zip(more[::2], more[1::2], strict=True):
        assert (part[part.index(flag) + 1], last[last.index(flag) + 1]) == (value, value)
    assert last[-2:] == ["--config.first", "runs/00008-first"]


def test_a_dry_run_stands_on_untrained_parts(tmp_path, stage, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command(["train", stage, "--preset", "tiny", "--dry-run"]) == 0
    assert "generator descends distance" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
    assert command(["explain", stage, "--preset", "tiny"]) == 0


def test_an_edited_chain_is_refused_and_so_is_a_part_of_any_model(tmp_path, stage, monkeypatch):
    monkeypatch.setattr(chain, "train_stages", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ganforge.train(stage, outdir=tmp_path / "runs", **OPTIONS)
    file = tmp_path / "runs" / "00000-stage" / "chain.yaml"
    file.write_text(file.read_text().replace("tiny", "small"))
    with pytest.raises(RunError, match=r"chain.yaml was changed after it was written"):
        ganforge.resume(file.parent)
    Path(stage).write_text(Path(stage).read_text().replace("./base.py", "*"))
    with pytest.raises(ContractError, match=r"part 'first' of .* is needed, and of any model"):
        ganforge.train(stage, outdir=tmp_path / "runs", **OPTIONS)


def test_a_part_that_depends_on_the_settings(tmp_path, stage):
    text = Path(stage).read_text().replace("needed=True", "needed=lambda config: config.copies")
    Path(stage).write_text(text.replace("else first.generator", "else nn.Identity()"))
    alone = ganforge.train(stage, outdir=tmp_path / "runs", **{**OPTIONS, "config": {}})
    assert not (alone.path / "parts-made").exists()


def test_two_processes_train_a_chain(tmp_path, stage):
    program = (
        "import ganforge\nfrom ganforge.training import plan\n"
        f"plan.choose_embedded = lambda *asked: {str(tmp_path / 'data.npy')!r}\n"
        f"run = ganforge.train({stage!r}, outdir={str(tmp_path / 'two')!r}, preset='tiny', quiet=True, "
        "tensorboard=False, doctor=False, device='cpu')\nassert run.step == 6\n"
    )
    (tmp_path / "program.py").write_text(program)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*torchrun, str(tmp_path / "program.py")],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["00000-stage"]
    two = RunFolder.open(tmp_path / "two" / "00000-stage")
    assert (two.checkpoints().steps()[-1], sorted(two.run_config.parts)) == (6, ["first"])
    assert [path.name for path in (two.path / "parts-made").iterdir()] == ["00000-first"]


def test_refusals_of_python(tmp_path, stage):
    from ganforge.inference.load import load_part
    from ganforge.training.plan import plan

    with pytest.raises(ModelError, match=r"stage is built on the part 'first', and none is named: `ganforge train"):
        plan(stage, preset="tiny", load=load_part)


@pytest.mark.parametrize(
    ("preset", "of_part"),
    [("paper-stage-2", "paper"), ("small-stage-2", "small"), ("paper", "paper"), ("tiny", "tiny"), ("auto", "small")],
)
def test_a_part_has_the_preset_that_begins_the_one_of_the_run(preset, of_part):
    assert part_preset(find("stackgan"), preset) == of_part
