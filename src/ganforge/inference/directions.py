"""Directions of codes: found without labels in the codes or in the weights that read them, stored in the run folder.

Härkönen et al. 2020 (GANSpace), https://arxiv.org/abs/2004.02546; Shen and Zhou 2021 (SeFa),
https://arxiv.org/abs/2007.06600.  Boundaries of labels (InterFaceGAN) are in evaluation/boundaries.py.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ganforge.draw import RowDraw
from ganforge.errors import OptionError, RunError
from ganforge.files import replacing
from ganforge.game import Game
from ganforge.inference.inference_mode import inference_mode

FOLDER = "directions"
NAME, FORBIDDEN = re.compile(r"[\w .+-]+"), re.compile(r"[^\w .+-]")


@dataclass(frozen=True)
class Direction:
    """A direction of codes; a step of 1 is one standard deviation of the codes along it."""

    name: str
    vector: Tensor
    """(K,), added to the codes of all layers."""
    about: str
    """How it was found, with its figures."""


def sample_codes(game: Game[Any, Any], n: int, device: torch.device, seed: int = 0, batch: int = 256) -> Tensor:
    """The codes w (n, K) of random latents, of the first layer."""
    rows = []
    for first in range(0, n, batch):
        with inference_mode(game, RowDraw(seed, first, device)):
            rows.append(game.code(game.noise(min(batch, n - first))).w[:, 0].float().cpu())  # pyright: ignore
    return torch.cat(rows).clone()


def find_components(codes: Tensor, count: int) -> list[Direction]:
    """GANSpace: the principal components of codes (n, K), in units of their deviations."""
    centred = codes - codes.mean(0)
    _, deviations, axes = torch.linalg.svd(centred, full_matrices=False)
    shares = deviations.square() / deviations.square().sum()
    deviations = deviations / len(codes) ** 0.5
    return [
        Direction(f"component-{k + 1}", axes[k] * deviations[k], f"GANSpace: {shares[k]:.1%} of the codes' variance")
        for k in range(min(count, len(axes)))
    ]


def find_factors(game: Any, codes: Tensor, count: int) -> list[Direction]:
    """SeFa: the directions that move the inputs of all layers most, eigenvectors of A^T A of the layers' weights A.

    Their length is the deviation of codes (n, K) along them.  Raises OptionError for a game that does not show them.
    """
    if not hasattr(game, "style_weights"):
        raise OptionError(f"{type(game).__name__} does not show the weights that read its codes: leave factors out.")
    weights = game.style_weights().detach().float().cpu()
    weights = weights / weights.norm(dim=1, keepdim=True)
    values, axes = torch.linalg.eigh(weights.T @ weights)
    shares = values.flip(0) / values.sum()
    chosen = axes.T.flip(0)[:count]
    spread = ((codes - codes.mean(0)) @ chosen.T).std(0)
    return [
        Direction(f"factor-{k + 1}", axis * spread[k], f"SeFa: {shares[k]:.1%} of what the layers read")
        for k, axis in enumerate(chosen)
    ]


def name_direction(label: str) -> str:
    """The name of a label's direction: the label, with `-` for what no file's name should hold."""
    return FORBIDDEN.sub("-", label).strip(". ") or "label"


def check_name(name: str) -> None:
    """Raise OptionError for a name that no file could have."""
    if not NAME.fullmatch(name) or name.strip(". ") != name:
        raise OptionError(f"A direction cannot be called {name!r}: use letters, digits, spaces, '.', '+', '-' and '_'.")


def save_directions(run: Path, step: int, directions: Iterable[Direction]) -> None:
    """Store directions of checkpoint `step` by their names in a run folder; one of the same name is replaced."""
    for one in directions:
        check_name(one.name)
        (run / FOLDER).mkdir(exist_ok=True)
        with replacing(run / FOLDER / f"{one.name}.safetensors") as file:
            file.write(save({"vector": one.vector.contiguous()}, {"about": one.about, "step": str(step)}))


def list_directions(run: Path) -> list[str]:
    """The names of the directions that a run folder holds."""
    return sorted(path.stem for path in (run / FOLDER).glob("*.safetensors"))


def load_directions(run: Path, step: int, names: Iterable[str]) -> list[Direction]:
    """Directions of checkpoint `step` of a run, by their names.

    Raises OptionError, naming those that are there, for an unknown one, and for one that was found at another step,
    whose codes are others; RunError for a damaged file.
    """
    known, found = list_directions(run), []
    for name in names:
        if name not in known:
            there = f"; it has {', '.join(known)}" if known else ": find some with `ganforge directions RUN`"
            raise OptionError(f"{run} has no direction {name!r}{there}.")
        path = run / FOLDER / f"{name}.safetensors"
        try:
            with safe_open(path, "pt") as file:
                notes = file.metadata() or {}
                found.append(Direction(name, file.get_tensor("vector"), notes.get("about", "")))
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path} is damaged ({error}): find it anew with `ganforge directions RUN`.") from error
        if notes.get("step") != str(step):
            raise OptionError(
                f"The direction {name!r} was found at step {notes.get('step', 'unknown')}, and codes of step {step} "
                f"are others: find it anew with `ganforge directions {run}@{step}`."
            )
    return found


def add_up(directions: Iterable[Direction], sizes: Mapping[str, float]) -> Tensor:
    """The step (1, K) of several directions, each times its size."""
    return torch.stack([one.vector * sizes[one.name] for one in directions]).sum(0)[None]
