"""Open a run folder: from an address to the trained game."""

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
from ganforge.serialize import from_plain


def load(run: str | Path, device: str = "auto") -> Trained:
    """The trained game of a run folder; `RUN@best` and `RUN@12000` name a checkpoint of it."""
    path, which = address(run)
    card = RunFolder.open(path).card
    model = model_of(card)
    config = from_plain(model.game.Config, card.config)
    loaded = parts.kept(config, path, load_part)
    game = built(model, config, facts_of(card), 0, loaded)
    step, state = Checkpoints(path / "checkpoints").load(which)
    load_weights(game, state, averaged=game)
    chosen = system.pick_device(device)
    return Trained(game.to(chosen).eval(), path, model.name, step, chosen)


def load_part(run: str) -> Trained:
    """A pretrained part, where its new game is built."""
    return load(run, device="cpu")


def model_of(card: RunConfig) -> Model:
    """The model of a run; a person's own file must be where it was, as it was."""
    if card.source:
        path = Path(card.model)
        if not path.is_file():
            raise ModelError(f"The run was trained from {path}, which is not there any more: put the file back.")
        if sha256(path) != card.source:
            raise ModelError(f"{path} has changed since the run was trained: put the former version back.")
    return find(card.model)


def address(run: str | Path) -> tuple[Path, str]:
    """`RUN`, `RUN@best`, `RUN@12000` -> folder and checkpoint."""
    text = str(run)
    head, _, tail = text.rpartition("@")
    if head and (tail in ("best", "latest") or tail.isdigit()) and not Path(text).exists():
        return Path(head), tail
    return Path(text), "latest"


def built(model: Model, config: Any, facts: Facts, seed: int, loaded: Mapping[str, Trained]) -> Game[Any, Any]:
    """The game with its first weights, which follow from the seed."""
    torch.manual_seed(seed)
    return model.game(config, facts, **{name: part.game for name, part in loaded.items()})
