"""Checkpoints: written atomically, verified by hash, and never a pickle.

    checkpoints/step-000012000/
        game.safetensors       every parameter and buffer
        averaged.safetensors   the averaged networks, where the run has them
        players.safetensors    the optimisers' tensors
        state.json             the clock, the optimisers' numbers, aliases, a SHA-256 of each file

A checkpoint is written under another name, flushed to the disk and renamed: it is complete or it does not
exist.  `latest` and `best` beside it are files of one line.
"""

import os
import re
import shutil
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, load_file, save, save_file
from torch import Tensor

from ganforge.console import note
from ganforge.errors import CheckpointError, RunError
from ganforge.files import flush, reason, sha256, write_atomic
from ganforge.game import Game, resting_ids
from ganforge.runs.fitting import check_tensors
from ganforge.runs.reading import dump_sealed_json, hash_file, read_sealed_json, read_word

FORMAT = 2  # 1: state.json without a checksum


POINTERS = ("latest", "best")
STEP = re.compile(r"step-([0-9]{1,18})")
GROUP = re.compile(r"[a-z_]{1,40}\.safetensors")


@dataclass
class State:
    """What a checkpoint holds: groups of named tensors, and JSON for the rest."""

    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class Checkpoints:
    """The `checkpoints/` folder of a run."""

    def __init__(self, folder: Path, keep: int = 3) -> None:
        self.folder, self.keep = folder, keep

    def save(self, step: int, state: State, *, passing: bool = False, replaces: int = -1) -> Path:
        """Write the checkpoint of `step`, point `latest` to it and delete old ones; that of step `replaces` as well.

        A `passing` one does not count among the newest that are kept.

        Raises CheckpointError when it cannot be written; earlier checkpoints are not touched.
        """
        final = self.folder / f"step-{step:09d}"
        partial = self.folder / f".{final.name}.partial"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for stale in self.folder.glob(".*.partial"):
                shutil.rmtree(stale, ignore_errors=True)
            partial.mkdir()
            write_state(partial, state)
            if final.exists():  # trained again after a resume: the same content
                shutil.rmtree(final)
            partial.rename(final)
            flush(self.folder)
            self.point("latest", step)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            last = self.steps()
            kept = f"The last complete checkpoint is step {last[-1]}" if last else "There is no earlier checkpoint"
            raise CheckpointError(
                f"The checkpoint of step {step} could not be written to {self.folder} ({reason(error)}). {kept}; "
                "free some space or choose another disk, then resume the run."
            ) from error
        self.drop_old({step} if passing else set(), {replaces} - {step})
        return final

    def load(self, which: str = "latest") -> tuple[int, State]:
        """Read `latest`, `best` or a step.  Raises CheckpointError when it is missing or damaged."""
        step = self.find(which)
        folder = self.folder / f"step-{step:09d}"
        try:
            return step, read_state(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RunError, SafetensorError) as error:
            others = [s for s in self.steps() if s != step]
            remedy = f" There is an earlier one: RUN@{others[-1]}." if others else ""
            raise CheckpointError(
                f"The checkpoint {folder} is damaged ({reason(error).rstrip('.')}).{remedy}"
            ) from error

    def find(self, which: str = "latest") -> int:
        """The step that `latest`, `best` or a number names.  Raises CheckpointError when there is none."""
        steps = self.steps()
        if not steps:
            raise CheckpointError(f"There is no checkpoint in {self.folder} yet.")
        if which in POINTERS:
            step = self.pointed(which)
            if step in steps:
                return step
            if which == "latest":
                return steps[-1]
            if os.path.lexists(self.folder / which):
                raise CheckpointError(
                    f"{self.folder / which} names no checkpoint that is there; there are {format_steps(steps)}."
                )
            raise CheckpointError(f"{self.folder} has no best checkpoint: training with --select METRIC keeps one.")
        if is_step(which) and int(which) in steps:
            return int(which)
        raise CheckpointError(f"There is no checkpoint {which!r} in {self.folder}; there are {format_steps(steps)}.")

    def pointed(self, name: str) -> int | None:
        """The step that the file `latest` or `best` names; None where it cannot be read or names none."""
        try:
            found = STEP.fullmatch(read_word(self.folder / name))
        except RunError:
            return None
        return int(found[1]) if found else None

    def steps(self) -> list[int]:
        """The steps of all checkpoints, oldest first.  Raises CheckpointError where the folder cannot be read."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{self.folder} cannot be read ({reason(error)}).") from error
        found = (STEP.fullmatch(name) for name in names)
        return sorted(int(match[1]) for match in found if match and match[0] == f"step-{int(match[1]):09d}")

    def point(self, name: str, step: int) -> None:
        """Make `latest` or `best` name the checkpoint of `step`.  Raises CheckpointError where that is not possible."""
        try:
            write_atomic(self.folder / name, f"step-{step:09d}\n")
        except OSError as error:
            raise CheckpointError(f"{self.folder / name} cannot be written ({reason(error)}).") from error

    def drop_old(self, passing: Set[int] = frozenset(), replaced: Set[int] = frozenset()) -> None:
        """Delete all checkpoints but the newest, the best and the `passing` one, and the one that is `replaced`."""
        best = self.pointed("best")
        if best is None and os.path.lexists(self.folder / "best"):
            return  # which one is the best cannot be read: none may go
        counted = [step for step in self.steps() if step not in passing | replaced]
        for step in (*counted[: -self.keep or None], *replaced):
            if step != best:
                shutil.rmtree(self.folder / f"step-{step:09d}", ignore_errors=True)


def write_state(folder: Path, state: State) -> None:
    """Write a State into an existing folder and flush it to the disk."""
    sums, aliases = {}, {}
    for group, tensors in state.tensors.items():
        own, aliases[group] = without_aliases(tensors)
        path = folder / f"{group}.safetensors"
        save_tensors(own, path)
        flush(path)
        sums[path.name] = sha256(path)
    facts = {"format": FORMAT, "sha256": sums, "aliases": aliases, **state.facts}
    path = folder / "state.json"
    path.write_text(dump_sealed_json(facts), encoding="utf-8")
    flush(path)
    flush(folder)


def read_state(folder: Path) -> State:
    """Read a State.

    Raises ValueError, KeyError, TypeError, AttributeError, RunError, OSError or SafetensorError when it is damaged.
    """
    facts = read_sealed_json(folder / "state.json", sealed=2, newest=FORMAT)
    if facts["format"] < FORMAT:
        note(f"{folder / 'state.json'} has no checksum, for an older GANForge wrote it.")
    tensors = {}
    for name, expected in facts["sha256"].items():
        if not GROUP.fullmatch(name):
            raise ValueError(f"state.json names {name!r}, which is no file of a checkpoint")
        if hash_file(folder / name) != expected:
            raise ValueError(f"the hash of {name} is wrong")
        group = name.removesuffix(".safetensors")
        tensors[group] = load_tensors(folder / name)
        for alias, target in facts["aliases"].get(group, {}).items():
            if target not in tensors[group]:
                raise ValueError(f"{name} lacks {target}, which state.json names")
            tensors[group][alias] = tensors[group][target]
    return State(tensors, {k: v for k, v in facts.items() if k not in ("format", "sha256", "aliases")})


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors to a file."""
    save_file(tensors, path) if is_unicode(path) else path.write_bytes(save(tensors))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file."""
    return load_file(path) if is_unicode(path) else load(path.read_bytes())


def is_unicode(path: Path) -> bool:
    """Whether a path is Unicode: safetensors opens no other, and such files pass through memory."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def is_step(word: str) -> bool:
    """Whether a word is a number of steps, in the digits 0 to 9."""
    return STEP.fullmatch(f"step-{word}") is not None


def without_aliases(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Contiguous copies of the distinct tensors, and {name: name of the tensor it equals} for the others."""
    own: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    first: dict[tuple[Any, ...], str] = {}
    for name, tensor in tensors.items():
        view = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and view in first:
            aliases[name] = first[view]
        else:
            first[view] = name
            own[name] = tensor.detach().cpu().contiguous().clone()
    return own, aliases


def flatten_optimiser(state: Mapping[str, Any], player: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimiser's state_dict into named tensors and JSON."""
    tensors, numbers = {}, {}
    for index, values in state["state"].items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{player}.{index}.{key}"] = value
            else:
                numbers[f"{index}.{key}"] = value
    return tensors, {"numbers": numbers, "groups": state["param_groups"]}


def unflatten_optimiser(tensors: Mapping[str, Tensor], facts: Mapping[str, Any], player: str) -> dict[str, Any]:
    """The inverse of `flatten_optimiser`."""
    state: dict[int, dict[str, Any]] = {}
    found = {k.removeprefix(f"{player}."): v for k, v in tensors.items() if k.startswith(f"{player}.")}
    for name, value in {**found, **facts["numbers"]}.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    return {"state": state, "param_groups": facts["groups"]}


def format_steps(steps: list[int]) -> str:
    """A list of steps as text."""
    return ", ".join(str(s) for s in steps)


def load_weights(game: Game[Any, Any], state: State, averaged: Game[Any, Any]) -> None:
    """Load a checkpoint's live weights into `game`, then its averages into `averaged`, which may be the same game.

    Parts keep the weights that they have, unless the checkpoint holds some, as those of GANForge 0.1 do: such a run
    goes on with these, and so do its next checkpoints.

    Raises CheckpointError where keys do not fit, and before anything is loaded where a shape or a type does not.
    """
    live, means, resting = state.tensors.get("game"), state.tensors.get("averaged", {}), resting_ids(game)
    if live is None:
        raise CheckpointError("The checkpoint has no weights: its state.json names no game.safetensors.")
    parts = {key: t.detach() for key, t in game.state_dict(keep_vars=True).items() if id(t) in resting}
    owner = type(game).__name__
    own = {name: split_prefix({**parts, **means}, name) for name in game.averaged if means}
    check_tensors(owner, "game", live, game.state_dict())
    for name, tensors in own.items():
        check_tensors(owner, "averaged", tensors, getattr(averaged, name).state_dict(), f"{name}.")
    try:
        game.load_state_dict({**parts, **live})
        game.stores_parts = averaged.stores_parts = bool(parts.keys() & live.keys())
        for name, tensors in own.items():
            getattr(averaged, name).load_state_dict(tensors)
    except RuntimeError as error:
        problems = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise CheckpointError(f"The checkpoint's weights are not those of this {owner}: {problems}") from error


def split_prefix(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one network, under its own names for them."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
