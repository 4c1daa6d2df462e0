"""Load the trained game of a run folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ganforge import system
from ganforge.batches import Facts
from ganforge.catalogue import Model, find
from ganforge.errors import ModelError
from ganforge.files import sha256
from ganforge.game import Game
from ganforge.inference import parts
from ganforge.inference.trained import Trained
from ganforge.runs.checkpoint import Checkpoints, load_weights
from ganforge.runs.folder import RunConfig, RunFolder, facts_of
from ganforge.runs.run_data import ranges_of
from ganforge.serialize import from_plain


def load(run: str | Path, device: str = "auto") -> Trained:
    """The trained game of a run folder; `RUN@best` and `RUN@12000` name a checkpoint of it.

    Raises RunError, CheckpointError, ModelError or OptionError where run, checkpoint, model or device do not exist.
    """
    path, which = parse_run_address(run)
    run_config = RunFolder.open(path).run_config
    model = model_of(run_config)
    config = from_plain(model.game.Config, run_config.config)
    loaded = parts.load_kept(config, path, load_part)
    game = build_game(model, config, facts_of(run_config), 0, loaded)
    step, state = Checkpoints(path / "checkpoints").load(which)
    load_weights(game, state, averaged=game)
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


def parse_run_address(run: str | Path) -> tuple[Path, str]:
    """Split `RUN`, `RUN@best` or `RUN@12000` into folder and checkpoint."""
    text = str(run)
    head, _, tail = text.rpartition("@")
    if head and (tail in ("best", "latest") or tail.isdigit()) and not Path(text).exists():
        return Path(head), tail
    return Path(text), "latest"


def build_game(model: Model, config: Any, facts: Facts, seed: int, loaded: Mapping[str, Trained]) -> Game[Any, Any]:
    """Build the game; its initial weights follow from the seed."""
    torch.manual_seed(seed)
    return model.game(config, facts, **{name: part.game for name, part in loaded.items()})
