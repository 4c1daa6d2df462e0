"""Start a run from the weights of another run or of a file: `train --init-from RUN[@best] | FILE`.

A network is taken where its name and the names and shapes of all its tensors are those of the source.  Of a run these
are the live weights, which the next step continues; optimisers and averages start anew.  A file is a .safetensors, such
as a checkpoint's game.safetensors or one that `ganforge export` wrote, or a torch file of tensors.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ganforge import official
from ganforge.console import Say
from ganforge.errors import OptionError, WeightsError
from ganforge.files import sha256
from ganforge.game import Game, resting_ids
from ganforge.inference.load import parse_run_address
from ganforge.runs.fitting import find_not_finite
from ganforge.runs.folder import RunFolder


def init_weights(game: Game[Any, Any], source: str | Path, say: Say) -> dict[str, Any]:
    """Copy the networks of `source` that fit into `game`; returns the source, its hash and the names of the networks.

    Raises OptionError where fewer than half of the game's networks fit, WeightsError or RunError where the source
    cannot be read or its weights are not finite.
    """
    path, tensors = read_source(source)
    if name := find_not_finite(tensors):
        raise WeightsError(f"The weights of {source} are not finite ({name} holds NaN or infinity): take others.")
    resting = {id(module) for module in game.resting}
    networks = {
        name: network
        for name, network in game.named_children()
        if id(network) not in resting and [*network.parameters()]
    }
    problems = {name: find_misfit(game, name, network, tensors) for name, network in networks.items()}
    fitting = [name for name, problem in problems.items() if not problem]
    rest = "; ".join(f"{name} ({problem})" for name, problem in problems.items() if problem)
    if 2 * len(fitting) < len(networks) or not fitting:
        raise OptionError(
            f"Only {len(fitting)} of the {len(networks)} networks of {type(game).__name__} fit {source}: {rest}. "
            "Train from the beginning, or with the settings of the source."
        )
    for name in fitting:
        own = {key: value for key, value in tensors.items() if key.startswith(f"{name}.")}
        kept = part_tensors(game, networks[name])
        networks[name].load_state_dict({**kept, **{key.removeprefix(f"{name}."): value for key, value in own.items()}})
    say(f"Started from {source}: {', '.join(fitting)}.{f' Not taken: {rest}.' if rest else ''}")
    return {"source": str(source), "sha256": sha256(path), "networks": fitting}


def read_source(source: str | Path) -> tuple[Path, dict[str, Tensor]]:
    """The file of a source, and its tensors by `network.key`."""
    folder, which = parse_run_address(source)
    if folder.is_dir():
        checkpoints = RunFolder.open(folder).checkpoints()
        step, state = checkpoints.load(which)
        return checkpoints.folder / f"step-{step:09d}" / "game.safetensors", state.tensors["game"]
    path = Path(source)
    if not path.exists():
        raise WeightsError(f"--init-from: there is no run and no file {source}.")
    tensors, network = official.read(path), ""
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, "pt") as file:
                network = (file.metadata() or {}).get("network", "")  # a network alone, as `export` writes it
        except (SafetensorError, OSError, json.JSONDecodeError) as error:
            raise WeightsError(f"{path} is damaged, or not a safetensors file ({error}).") from error
    return path, {f"{network}.{key}" if network else key: value for key, value in tensors.items()}


def part_tensors(game: Game[Any, Any], network: nn.Module) -> dict[str, Tensor]:
    """The tensors in a network that belong to a part, which no source replaces."""
    resting = resting_ids(game)
    return {key: t.detach() for key, t in network.state_dict(keep_vars=True).items() if id(t) in resting}


def find_misfit(game: Game[Any, Any], name: str, network: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Why a network cannot be taken from a source; empty where it can."""
    kept = part_tensors(game, network)
    wanted = {f"{name}.{key}": value for key, value in network.state_dict().items() if key not in kept}
    found = {key: value for key, value in tensors.items() if key.startswith(f"{name}.")}
    if not found:
        return "not in the source"
    for key, value in wanted.items():
        if key not in found:
            return f"the source has no {key}"
        if found[key].shape != value.shape:
            return f"{key} is {tuple(value.shape)} here and {tuple(found[key].shape)} in the source"
    more = [key for key in found if key not in wanted and key.removeprefix(f"{name}.") not in kept]
    return f"it has no {more[0]}" if more else ""
