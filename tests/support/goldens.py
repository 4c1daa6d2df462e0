"""Read the recorded numbers of official implementations; they are outside the repository, in `GANFORGE_SHARED`."""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

SHARED = Path(os.environ.get("GANFORGE_SHARED", Path(__file__).parents[2] / ".." / "shared"))
FOLDERS = ("translation", "generation")
needed = pytest.mark.skipif(not (SHARED / "golden").is_dir(), reason="no golden numbers: set GANFORGE_SHARED")
Keys = list[tuple[str, tuple[int, ...]]]  # a state dict's keys and shapes, in order


@dataclass(frozen=True)
class Golden:
    """One official network: how to build it, its weights, its inputs and outputs."""

    path: Path  # without a suffix
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.facts['system']}/{self.path.name}"

    @property
    def class_name(self) -> str:
        return self.facts.get("class") or self.facts.get("class_name") or ""

    @property
    def file(self) -> str:
        return self.facts.get("source_file") or self.facts.get("file") or ""

    @property
    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        given = self.facts.get("constructor_args", self.facts.get("constructor")) or {}
        return (given, {}) if isinstance(given, list) else ([], given)

    @property
    def modes(self) -> list[str]:
        return self.facts.get("modes") or [self.facts.get("mode", "eval")]

    @property
    def calls(self) -> int:
        """How often the network was called: twice where a call changes the next one's output."""
        return 2 if any(name.endswith("second_call") for name in self.facts.get("outputs", ())) else 1

    @property
    def tolerance(self) -> dict[str, float]:
        if "recommended_tolerance" in self.facts:
            return self.facts["recommended_tolerance"]
        deep = self.facts["weights"] == "recipe"
        return {"rtol": 1e-4, "atol": 1e-4} if deep else {"rtol": 0.0, "atol": 1e-5}

    @property
    def parameters(self) -> int:
        return self.facts.get("param_count") or self.facts["parameter_count"]

    def defaults(self) -> Iterator[tuple[dict[str, Any], int, Keys]]:
        """(arguments, parameters, keys) at the sizes of the official programs."""
        for size in self.facts.get("official_defaults") or [self.facts.get("official_default")]:
            if size:
                keys = size.get("keys") or size["state_dict"]
                count = size.get("param_count") or size["parameter_count"]
                yield size["args"], count, [(key, tuple(shape)) for key, shape in keys]

    def weights(self, network: nn.Module) -> dict[str, Tensor]:
        """The official state dict; large tensors are drawn again, constants are those of `network`."""
        stored = self.path.with_name(f"{self.path.name}.weights.safetensors")
        weights = load_file(stored) if stored.exists() else {}
        for key, recipe in self.facts.get("recipe_keys", {}).items():
            weights[key] = normal(key, recipe["shape"]).float() * recipe["scale"]
        for key, (shape, kind, *numbers) in self.facts.get("weight_spec", {}).items():
            if kind == "const":
                weights[key] = network.state_dict()[key]
                continue
            drawn = normal(self.facts["weight_spec_tag_prefix"] + key, shape)
            weights[key] = (numbers[0] + numbers[1] * (drawn.abs() if kind == "absn" else drawn)).float()
        return weights

    def io(self, start: str) -> dict[str, Tensor]:
        """Recorded tensors whose names begin with `start`, which is removed, in the order in which they are listed."""
        stored = pick(load_file(self.path.with_name(f"{self.path.name}.io.safetensors")), start)
        listed = [*self.facts.get("inputs", ()), *(key.removeprefix(start) for key in self.facts.get("io", ()))]
        listed += [f"out.{key}".removeprefix(start) for key in self.facts.get("outputs", ())]
        return {
            key: stored[key] for key in sorted(stored, key=lambda k: listed.index(k) if k in listed else len(listed))
        }

    def inputs(self) -> list[Tensor]:
        return list(self.io("in.").values())

    def outputs(self, mode: str) -> list[Tensor]:
        start = f"out.{mode}." if "modes" in self.facts else "out."
        return [value for key, value in self.io(start).items() if not key.startswith("grad_in.")]


@dataclass(frozen=True)
class Table:
    """A recorded stretch of training: inputs, weights at its start, every number on the way."""

    inputs: dict[str, Tensor]
    weights: dict[str, dict[str, Tensor]]
    values: dict[str, Tensor]
    tolerance: dict[str, float]


def goldens(system: str) -> list[Golden]:
    """Every network of `system` that has the name of one class."""
    paths = [p for folder in FOLDERS for p in sorted((SHARED / "golden" / folder / system).glob("*.json"))]
    found = [Golden(p.with_suffix(""), json.loads(p.read_text(encoding="utf-8"))) for p in paths]
    return [golden for golden in found if golden.class_name.isidentifier()]


def table(system: str, name: str) -> Table:
    """The table NAME of `system`."""
    path = next(p for folder in FOLDERS if (p := SHARED / "golden" / folder / system / f"{name}.json").exists())
    io, stored = load_file(path.with_suffix(".safetensors")), path.with_suffix(".weights.safetensors")
    weights = load_file(stored) if stored.exists() else {}
    networks = {key.split(".")[0] for key in weights}
    tolerance = json.loads(path.read_text(encoding="utf-8"))["recommended_tolerance"]
    own = {network: pick(weights, f"{network}.") for network in networks}
    return Table(pick(io, "in."), own, pick(io, "out."), tolerance)


def pick(tensors: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    """The tensors whose keys begin with `start`, which is removed."""
    return {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}


def normal(tag: str, shape: list[int]) -> Tensor:
    """Standard normal numbers that follow from `tag`, in double precision."""
    source = np.random.RandomState(zlib.crc32(tag.encode()))
    return torch.from_numpy(np.asarray(source.standard_normal(tuple(shape))))
