"""Load the trained game of a run folder."""

from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from ganforge import system
from ganforge.batches import Facts
from ganforge.catalogue import Model, find
from ganforge.errors import CheckpointError, ContractError, ModelError
from ganforge.files import sha256
from ganforge.game import Game
from ganforge.inference import parts
from ganforge.inference.trained import Trained
from ganforge.runs.checkpoint import Checkpoints, find_not_finite, load_weights
from ganforge.runs.folder import RunConfig, RunFolder, facts_of
from ganforge.runs.run_data import ranges_of
from ganforge.serialize import from_plain

RunLike = str | PathLike[str]
"""What names a run: its path, with `@best` or `@12000` behind it where wanted, or a loaded game."""


def load(run: RunLike, device: str = "auto") -> Trained:
    """The trained game of a run folder; `RUN@best` and `RUN@12000` name a checkpoint of it.

    A game that is loaded already is returned as it is, unless another device is asked for.

    Raises RunError, CheckpointError, ModelError or OptionError where run, checkpoint, model or device do not exist.
    """
    if isinstance(run, Trained) and device in ("auto", str(run.device)):
        return run
    path, which = parse_run_address(run)
    run_config = RunFolder.open(path).run_config
    model = model_of(run_config)
    config = from_plain(model.game.Config, run_config.config)
    loaded = parts.load_kept(config, path, load_part, run_config.parts)
    game = build_game(model, config, facts_of(run_config), 0, loaded)
    step, state = Checkpoints(path / "checkpoints").load(which)
    load_weights(game, state, averaged=game)
    check_finite(game, path, step)
    chosen = system.pick_device(device)
    return Trained(game.to(chosen).eval(), path, model.name, step, chosen, ranges_of(run_config) or {})


def load_part(run: str) -> Trained:
    """Load a pretrained part, on the CPU, where the new game is built."""
    return load(run, device="cpu")


def model_of(run_config: RunConfig) -> Model:
    """The model of a run.  Raises ModelError where a user's own file was moved or changed since."""
    if run_config.source:
        path = Path(run_config.model)
        if not path.is_file():
            raise ModelError(f"The run was trained from {path}, which does not exist any more: restore the file.")
        if sha256(path) != run_config.source:
            raise ModelError(f"{path} has changed since the run was trained: restore the former version.")
    return find(run_config.model)


def parse_run_address(run: RunLike) -> tuple[Path, str]:
    """Split `RUN`, `RUN@best` or `RUN@12000` into folder and checkpoint; of a loaded game these are its own."""
    if isinstance(run, Trained):
        saved = Checkpoints(run.path / "checkpoints").steps()
        return run.path, "latest" if saved[-1:] in ([], [run.step]) else str(run.step)
    text = str(run)
    head, _, tail = text.rpartition("@")
    if head and (tail in ("best", "latest") or tail.isdigit()) and not Path(text).exists():
        return Path(head), tail
    return Path(text), "latest"


def check_finite(game: Game[Any, Any], path: Path, step: int) -> None:
    """Raise CheckpointError where a weight of the checkpoint is not finite, naming an earlier one that is whole."""
    name = find_not_finite(game.state_dict())
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
    for name, part in loaded.items():
        if any(not torch.equal(before[name][key], value) for key, value in part.game.state_dict().items()):
            raise ContractError(
                f"The constructor of {type(game).__name__} changes the weights of its part {name!r}, and a part rests: "
                "initialise the game's own networks alone, or copy the part first, copy.deepcopy(part)."
            )
        part.game.eval().requires_grad_(False)
    game.resting = tuple(module for part in loaded.values() for module in part.game.modules())
    return game
