"""No tensor of a checkpoint reaches an optimiser or a network before its shape and type were compared."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

import ganforge
from ganforge.errors import CheckpointError
from ganforge.runs.checkpoint import Checkpoints, State, flatten_optimiser, unflatten_optimiser
from ganforge.runs.fitting import check_counts, check_optimiser

OPTIMISERS: dict[str, Callable[[Any], Optimizer]] = {
    "Adam": lambda p: Adam(p, 0.1, fused=True),
    "AdamW": lambda p: AdamW(p, 0.1, amsgrad=True),
    "RMSprop": lambda p: RMSprop(p, 0.1, momentum=0.5, centered=True),
    "SGD": lambda p: SGD(p, 0.1, momentum=0.9),
}


def stepped(kind: str) -> tuple[Optimizer, dict[str, Tensor], dict[str, Any]]:
    """An optimiser after a step, and its state as a checkpoint has it."""
    net = nn.Linear(3, 4)
    optimiser = OPTIMISERS[kind](net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return optimiser, *flatten_optimiser(optimiser.state_dict(), "one")


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_what_an_optimiser_wrote_fits(kind):
    optimiser, tensors, facts = stepped(kind)
    check_optimiser("one", optimiser, unflatten_optimiser(tensors, facts, "one"))


SHAPES = {
    "shorter": lambda t: t.flatten()[:1],
    "longer": lambda t: torch.cat([t.flatten()] * 2),
    "a number": lambda t: t.sum() if t.ndim else t[None],
    "another axis": lambda t: t[None],
    "empty": lambda t: t.flatten()[:0],
    "doubles": lambda t: t.double(),
    "whole numbers": lambda t: t.long(),
}


@pytest.mark.parametrize("change", SHAPES)
@pytest.mark.parametrize("kind", OPTIMISERS)
def test_a_moment_of_another_shape_or_type_is_named(kind, change):
    optimiser, tensors, facts = stepped(kind)
    for name, tensor in tensors.items():
        crafted = {**tensors, name: SHAPES[change](tensor)}
        with pytest.raises(CheckpointError, match=rf"{name} in players\.safetensors is .*, and its parameter is"):
            check_optimiser("one", optimiser, unflatten_optimiser(crafted, facts, "one"))


def test_missing_and_foreign_moments_are_named():
    optimiser, tensors, facts = stepped("Adam")
    fewer = {name: tensor for name, tensor in tensors.items() if name != "one.1.exp_avg"}
    with pytest.raises(CheckpointError, match=r"it lacks one\.1\.exp_avg"):
        check_optimiser("one", optimiser, unflatten_optimiser(fewer, facts, "one"))
    with pytest.raises(CheckpointError, match=r"moments of a parameter 9"):
        check_optimiser("one", optimiser, unflatten_optimiser({**tensors, "one.9.step": torch.ones(())}, facts, "one"))
    with pytest.raises(CheckpointError, match=r"one\.0\.exp_avg in state\.json cannot be 5"):
        check_optimiser("one", optimiser, unflatten_optimiser(tensors, {**facts, "numbers": {"0.exp_avg": 5}}, "one"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", "fast"),
        ("betas", [0.5]),
        ("betas", [0.5, None]),
        ("amsgrad", True),
        ("capturable", True),
        ("maximize", 1),
        ("fused", "yes"),
        ("params", [0, 1, 2]),
        ("params", [1, 0]),
        ("eps", None),
    ],
)
def test_a_setting_of_another_kind_is_named(name, value):
    optimiser, tensors, facts = stepped("Adam")
    groups = [{**group, name: value} for group in facts["groups"]]
    with pytest.raises(CheckpointError, match=r"player 'one'"):
        check_optimiser("one", optimiser, unflatten_optimiser(tensors, {**facts, "groups": groups}, "one"))


@pytest.mark.parametrize("clock", [None, [], {}, {"step": 1}, {"step": -1, "dealt": 0}, {"step": True, "dealt": 1.0}])
def test_a_clock_without_counts_is_refused(clock):
    with pytest.raises(CheckpointError, match="no clock"):
        check_counts(clock)


@pytest.mark.parametrize("group", ["game", "averaged"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(trained, tmp_path, group, value):
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    step, state = Checkpoints(run / "checkpoints").load()
    name = next(name for name, tensor in state.tensors[group].items() if tensor.is_floating_point())
    state.tensors[group][name] = torch.full_like(state.tensors[group][name], value)
    Checkpoints(run / "checkpoints").save(step, state)
    with pytest.raises(CheckpointError, match=rf"{name} holds NaN"):
        ganforge.load(run, device="cpu")
    with pytest.raises(CheckpointError, match=rf"{name} in the checkpoint's {group}\.safetensors has NaN"):
        ganforge.resume(run, steps=2, quiet=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("runs")
    return ganforge.train("dcgan", preset="tiny", steps=1, augment="ada", ema=10.0, outdir=where, quiet=True).path


@pytest.mark.parametrize("group", ["players", "game", "averaged", "augmentation"])
@pytest.mark.parametrize("change", ["shorter", "whole numbers"])
def test_a_crafted_checkpoint_is_refused_before_it_is_used(tmp_path, trained, group, change):
    """A shorter moment made the fused optimiser write into memory of others: the process crashed."""
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    step, state = Checkpoints(run / "checkpoints").load()
    name = max(state.tensors[group], key=lambda key: state.tensors[group][key].numel())
    tensors = {**state.tensors, group: {**state.tensors[group], name: SHAPES[change](state.tensors[group][name])}}
    Checkpoints(run / "checkpoints").save(step, State(tensors, state.facts))
    words = name.partition(".")[2] if group == "averaged" else name
    with pytest.raises(CheckpointError, match=rf"{words} in {group}\.safetensors is"):
        ganforge.resume(run, steps=2, quiet=True)
    if group in ("game", "averaged"):
        with pytest.raises(CheckpointError, match=rf"{words} in {group}\.safetensors is"):
            ganforge.load(run, device="cpu")
