"""Codes of photographs: found by a game, stored in a file each, and drawn again.

A file holds the tensors of the game's `Codes`, without the row's dimension, the weights that were tuned to the
photograph, and the SHA-256 of what the run's answers follow from: another run refuses it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ganforge.capabilities import Codes
from ganforge.errors import DataError, OptionError
from ganforge.files import replacing
from ganforge.game import Game
from ganforge.inference.inference_mode import inference_mode

TUNED = "tuned."


@dataclass(frozen=True)
class Photograph:
    """The code of one photograph."""

    codes: Codes
    """One row."""
    tuned: Mapping[str, Tensor] = field(default_factory=dict)
    """{name in the game: a weight tuned to this photograph}; empty where none was."""
    seconds: float = 0.0
    """How long the code took."""

    def move(self, step: Tensor) -> "Photograph":
        """The photograph with its w moved by a step (L, K); all else stays."""
        return replace(self, codes=replace(self.codes, w=self.codes.w + step.to(self.codes.w)))


def codes_type(game: Any) -> type[Codes]:
    """The class of a game's codes."""
    method = getattr(game, "invert", None) or game.code
    return get_type_hints(method)["return"]


def tensors_of(codes: Codes) -> dict[str, Any]:
    """{field: its tensor, or None}."""
    return {f.name: getattr(codes, f.name) for f in fields(codes)}


def split_codes(codes: Codes) -> list[Codes]:
    """Codes of N images as N of one image."""

    def row(k: int) -> dict[str, Any]:
        return {name: None if t is None else t[k : k + 1] for name, t in tensors_of(codes).items()}

    return [type(codes)(**row(k)) for k in range(len(codes))]


def join_codes(parts: Sequence[Codes]) -> Codes:
    """The inverse of `split_codes`."""
    columns = {name: [getattr(part, name) for part in parts] for name in tensors_of(parts[0])}
    joined: dict[str, Any] = {name: None if rows[0] is None else torch.cat(rows) for name, rows in columns.items()}
    return type(parts[0])(**joined)


@contextmanager
def tuned_weights(game: Game[Any, Any], tuned: Mapping[str, Tensor]) -> Iterator[None]:
    """The game with other values of some weights, which are put back afterwards.

    Raises OptionError for a weight that the game does not have.
    """
    own = dict(game.named_parameters())
    if missing := [name for name, value in tuned.items() if name not in own or own[name].shape != value.shape]:
        raise OptionError(f"These codes come with a weight {missing[0]} that {type(game).__name__} does not have.")
    kept = {name: own[name].detach().clone() for name in tuned}
    try:
        with torch.no_grad():
            for name, value in tuned.items():
                own[name].copy_(value)
        yield
    finally:
        with torch.no_grad():
            for name, value in kept.items():
                own[name].copy_(value)


def draw_photographs(game: Game[Any, Any], photographs: Sequence[Photograph], device: torch.device) -> Tensor:
    """Images (N, C, H, W) in [-1, 1] of photographs, on the CPU."""
    images = []
    for one in photographs:
        with tuned_weights(game, one.tuned), inference_mode(game):
            images.append(game.decode(move_codes(one.codes, device)).float().cpu())  # pyright: ignore
    return torch.cat(images)


def move_codes(codes: Codes, device: torch.device | str) -> Codes:
    """The codes on a device."""
    moved: dict[str, Any] = {name: None if t is None else t.to(device) for name, t in tensors_of(codes).items()}
    return type(codes)(**moved)


def save_photograph(path: Path, one: Photograph, run_hash: str) -> None:
    """Write the code of a photograph, found by the run of this hash (hashes.py)."""
    codes = move_codes(one.codes, "cpu")
    tensors = {name: t[0].contiguous() for name, t in tensors_of(codes).items() if t is not None}
    tensors |= {f"{TUNED}{name}": value.cpu().contiguous() for name, value in one.tuned.items()}
    with replacing(path) as file:
        file.write(save(tensors, {"run": run_hash, "seconds": repr(one.seconds)}))


def load_photograph(path: Path, game: Game[Any, Any], run_hash: str, run: str) -> Photograph:
    """The code of a photograph in a file; `run` is the run of this hash in words.

    Raises DataError for a file that is damaged or holds no code, and for the code of another run.
    """
    kind = codes_type(game)
    try:
        with safe_open(path, "pt") as file:
            notes = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path} is damaged, or no file of a code ({error}).") from error
    if "w" not in tensors or "run" not in notes:
        raise DataError(f"{path} holds no code: `ganforge invert` writes such files.")
    if notes["run"] != run_hash:
        raise DataError(
            f"{path} holds a code of another run or checkpoint than {run}: find it anew with `ganforge invert`."
        )
    own = {f.name: tensors[f.name][None] for f in fields(kind) if f.name in tensors}
    tuned = {key.removeprefix(TUNED): value for key, value in tensors.items() if key.startswith(TUNED)}
    return Photograph(kind(**own), tuned, float(notes.get("seconds", 0)))
