"""Load the trained game of a run folder."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ganforge import system
from ganforge.batches import Facts
from ganforge.catalogue import Model, find, is_own
from ganforge.errors import CheckpointError, ContractError, GANForgeError, RunError
from ganforge.files import reason
from ganforge.game import Game, rest
from ganforge.inference import parts
from ganforge.inference.trained import Trained
from ganforge.runs.checkpoint import POINTERS, Checkpoints, State, is_step, load_weights
from ganforge.runs.fitting import find_not_finite
from ganforge.runs.folder import RunConfig, RunFolder, facts_of, run_of
from ganforge.runs.run_data import load_run_tokeniser, ranges_of
from ganforge.runs.trust import read_trusted
from ganforge.serialize import from_plain

RunLike = str | PathLike[str]
"""What names a run: its path, with `@best` or `@12000` behind it where wanted, or a loaded game."""

DEEPEST = 8  # runs within runs


def load(run: RunLike, device: str = "auto", *, trust: bool = False) -> Trained:
    """The trained game of a run folder; `RUN@best` and `RUN@12000` name a checkpoint of it.

    A game that is loaded already is returned as it is, unless another device is asked for.  A model in a Python file is
    run where it was trained on this machine, or with `trust` (docs/security.md).

    Raises RunError, CheckpointError, ModelError or OptionError where run, checkpoint, model or device do not exist.
    """
    if isinstance(run, Trained) and device in ("auto", str(run.device)):
        return run
    chosen = system.pick_device(device)
    path, which = parse_run_address(run)
    trained = load_nested(path, which, trust, depth=0)
    return replace(trained, game=trained.game.to(chosen), device=chosen)


def load_nested(path: Path, which: str, trust: bool, depth: int) -> Trained:
    """The trained game of a run folder, on the CPU, that lies `depth` folders of parts deep in another one."""
    if depth > DEEPEST:
        raise RunError(f"{path} lies more than {DEEPEST} parts deep: no run is built of so many.")
    run_config = RunFolder.open(path).run_config
    model = model_of(run_config, trust)
    config = config_of(path, run_config, model)

    def load_deeper(run: str) -> Trained:
        return load_nested(*parse_run_address(run), trust, depth + 1)

    loaded = parts.load_kept(config, path, load_deeper, run_config.parts, model.name)
    with name_folder(path, model):
        game = build_game(model, config, facts_of(run_config), 0, loaded)
    step, state = Checkpoints(path / "checkpoints").load(which)
    check_finite(state, path, step)
    load_weights(game, state, averaged=game)
    tokeniser, captions = load_run_tokeniser(path, facts_of(run_config))
    read = {"ranges": ranges_of(run_config) or {}, "tokeniser": tokeniser, "captions": captions}
    return Trained(game.eval(), path, model.name, step, **read, native=run_of(run_config).native)


def config_of(path: Path, run_config: RunConfig, model: Model) -> Any:
    """The model's Config of a run.  Raises RunError naming its config.yaml where a value does not fit."""
    try:
        return from_plain(model.game.Config, run_config.config)
    except (GANForgeError, TypeError, ValueError) as error:
        raise RunError(f"{path / 'config.yaml'} does not fit {model.name}: {error}") from error


@contextmanager
def name_folder(path: Path, model: Model) -> Iterator[None]:
    """Turn whatever goes wrong when a run's game is built from its settings into a RunError that names the folder."""
    try:
        yield
    except ContractError:
        raise
    except GANForgeError as error:
        raise RunError(f"{path / 'config.yaml'} does not fit {model.name}: {error}") from error
    except Exception as error:  # networks fail in as many ways as there are layers
        if system.is_memory_error(error):
            raise
        problem = f"{type(error).__name__}: {reason(error)}"
        raise RunError(f"{path / 'config.yaml'} does not fit {model.name}: {problem}") from error


def load_part(run: str, *, trust: bool = False) -> Trained:
    """Load a pretrained part, on the CPU, where the new game is built."""
    return load(run, device="cpu", trust=trust)


def model_of(run_config: RunConfig, trust: bool = False) -> Model:
    """The model of a run.  Every verb that opens a run comes through here before any code of the run's is imported.

    Raises ModelError where a user's own file was moved or changed since, or may not be run (runs/trust.py).
    """
    if is_own(run_config.model):
        return find(run_config.model, read_trusted(Path(run_config.model), run_config.source, trust))
    return find(run_config.model)


def parse_run_address(run: RunLike) -> tuple[Path, str]:
    """Split `RUN`, `RUN@best` or `RUN@12000` into folder and checkpoint; of a loaded game these are its own."""
    if isinstance(run, Trained):
        saved = Checkpoints(run.path / "checkpoints").steps()
        return run.path, "latest" if saved[-1:] in ([], [run.step]) else str(run.step)
    text = str(run)
    head, _, tail = text.rpartition("@")
    if head and (tail in POINTERS or is_step(tail)) and not os.path.lexists(text):
        return Path(head), tail
    return Path(text), "latest"


def check_finite(state: State, path: Path, step: int) -> None:
    """Raise CheckpointError where a weight of the checkpoint is not finite, naming an earlier one that is whole."""
    name = next(filter(None, (find_not_finite(state.tensors.get(group, {})) for group in ("game", "averaged"))), "")
    if not name:
        return
    checkpoints = Checkpoints(path / "checkpoints")
    for earlier in reversed([s for s in checkpoints.steps() if s < step]):
        with suppress(CheckpointError):
            if not any(map(find_not_finite, checkpoints.load(str(earlier))[1].tensors.values())):
                remedy = f"use an earlier checkpoint, {path}@{earlier}"
                break
    else:
        remedy = "there is no earlier checkpoint with finite ones, so train it again, with a lower learning rate"
    raise CheckpointError(f"The weights of {path}@{step} are not finite ({name} holds NaN or infinity): {remedy}.")


def build_game(model: Model, config: Any, facts: Facts, seed: int, loaded: Mapping[str, Trained]) -> Game[Any, Any]:
    """Build the game; its initial weights follow from the seed.  Its parts rest (see game.Part).

    Raises ContractError where the game's constructor changes the weights of a part.
    """
    for part in loaded.values():
        part.game.eval().requires_grad_(False)
    before = {name: {k: v.clone() for k, v in part.game.state_dict().items()} for name, part in loaded.items()}
    torch.manual_seed(seed)
    game = model.game(config, facts, **{name: part.game for name, part in loaded.items()})
    modules: dict[str, nn.Module] = {name: part.game for name, part in loaded.items()}
    for name, part in loaded.items():
        if any(not torch.equal(before[name][key], value) for key, value in part.game.state_dict().items()):
            raise ContractError(
                f"The constructor of {type(game).__name__} changes the weights of its part {name!r}, and a part rests: "
                "initialise the game's own networks alone, or copy the part first, copy.deepcopy(part)."
            )
    return rest(game, modules)
