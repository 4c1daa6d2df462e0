"""Checkpoints that were damaged, or crafted by somebody who means harm: state.json and the files of tensors."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.fuzz.case import Case, Chance, Kind, Making, Must
from tests.fuzz.runs import RUN, begun, edited, flipped, newest, opened, verb


def run_state(making: Making) -> Case:
    """state.json flipped, cut, edited or replaced."""
    chance = making.chance
    model, path = begun(making)
    file = newest(path) / "state.json"
    before = file.read_bytes()
    kind = chance.choice(("flip", "flip", "flip", "cut", "missing", "type", "type", "type", "extra", "text", "names"))
    must: Must = "either"
    if kind in ("flip", "cut"):
        what, after = (
            flipped(chance, before) if kind == "flip" else ("cut off", before[: chance.randrange(len(before))])
        )
        must = "notice" if as_json(after) != as_json(before) else "either"
    else:
        said = json.loads(before)
        what = chance.choice(("", "null", "[]", "{}", "[" * 5000, "1e999", '"x"', "\ufeff{}", "NaN"))
        if kind == "names":
            what = renamed_tensors(chance, said, making)
        elif kind != "text":
            what = edited(chance, said, kind)
        after = (what if kind == "text" else json.dumps(said)).encode()
    file.write_bytes(after)
    words = verb(making, model)
    if re.search(r"@(0*1|best)$", words[1]) or words[0] == "show":
        must = "either"  # that checkpoint is not the damaged one; and `show` may not look at checkpoints
    return opened(making, f"state.json, {kind}: {what[:100]}", model, must, words=words)


def as_json(content: bytes) -> Any:
    """What JSON says, or None."""
    try:
        return repr(json.loads(content))
    except (ValueError, RecursionError):
        return None


def renamed_tensors(chance: Chance, said: dict[str, Any], making: Making) -> str:
    """Files and aliases that point elsewhere."""
    group = chance.choice(sorted(said["sha256"]))
    other = chance.choice(
        ("../../../../in/x.safetensors", str(making.given / "x.safetensors"), "/dev/zero", "config.yaml", "")
    )
    kind = chance.choice(("elsewhere", "none", "alias", "circle"))
    if kind == "elsewhere":
        said["sha256"][other] = said["sha256"].pop(group)
    elif kind == "none":
        said["sha256"] = {}
    else:
        name = group.removesuffix(".safetensors")
        said.setdefault("aliases", {})[name] = {"a": "b", "b": "a"} if kind == "circle" else {"a": "not there"}
    return f"{kind} {group} {other}"


def run_tensors(making: Making) -> Case:
    """A file of tensors flipped or cut, which its sum tells; or crafted, with the right sum."""
    chance = making.chance
    model, path = begun(making)
    folder = newest(path)
    file = chance.choice(sorted(folder.glob("*.safetensors")))
    kind = chance.choice(("flip", "cut", "empty", "gone", *CRAFTS, *CRAFTS))
    must: Must = "either"
    if kind in CRAFTS:
        tensors = load_file(file)
        what = f"{file.name}, crafted: {CRAFTS[kind](chance, tensors) if tensors else 'nothing'}"
        save_file(tensors, file)
        if chance.often(0.1):
            header = chance.choice((b"\xff" * 8, (2**40).to_bytes(8, "little"), b"\x08" + bytes(7) + b'{"a": 1}'))
            file.write_bytes(header + file.read_bytes()[8:])
        resummed(folder)
        used = "averaged.safetensors" if (folder / "averaged.safetensors").exists() else "game.safetensors"
        if kind == "nan" and file.name == used:
            must = "notice"
    else:
        content = file.read_bytes()
        after = {"flip": flipped(chance, content)[1], "cut": content[: chance.randrange(len(content))], "empty": b""}
        file.unlink() if kind == "gone" else file.write_bytes(after[kind])
        what, must = f"{file.name}, {kind}", "notice"
    words = verb(making, model)
    if kind in CRAFTS and chance.often(0.6):
        words = ["resume", "myrun", "--steps", "3", "--no-tensorboard"]
    if kind == "shape" and words[0] == "resume":
        must = "notice"
    if re.search(r"@(0*1|best)$", words[1]) or words[0] == "show":
        must = "either"
    return opened(making, what, model, must, file.name, words=words, kept=() if kind in CRAFTS else (RUN,))


def resummed(folder: Path) -> None:
    """Write the sums anew, as somebody does who means harm."""
    state = json.loads((folder / "state.json").read_text())
    state["sha256"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in state["sha256"]}
    (folder / "state.json").write_text(json.dumps(state))


Tensors = dict[str, torch.Tensor]


def some(chance: Chance, tensors: Tensors) -> str:
    """One of the names."""
    return chance.choice(sorted(tensors))


def shape(chance: Chance, tensors: Tensors) -> str:
    """Another shape: shorter, longer, a number, with another axis."""
    name = some(chance, tensors)
    old = tensors[name]
    flat = old.reshape(-1)
    new = chance.choice(
        (flat[:1].clone(), torch.cat([flat, flat]), flat.sum() * 0, old[None].clone(), flat[:0].clone())
    )
    tensors[name] = new
    return f"{name} is {tuple(new.shape)}, not {tuple(old.shape)}"


def kind_of_number(chance: Chance, tensors: Tensors) -> str:
    """Another type."""
    name, dtype = (
        some(chance, tensors),
        chance.choice((torch.float64, torch.float16, torch.int64, torch.bool, torch.uint8)),
    )
    tensors[name] = tensors[name].to(dtype)
    return f"{name} is {dtype}"


def not_finite(chance: Chance, tensors: Tensors) -> str:
    """NaN and infinity everywhere."""
    value = chance.choice((float("nan"), float("inf")))
    for name, tensor in tensors.items():
        if tensor.is_floating_point():
            tensors[name] = torch.full_like(tensor, value)
    return f"all are {value}"


def missing(chance: Chance, tensors: Tensors) -> str:
    """One is not there."""
    name = some(chance, tensors)
    del tensors[name]
    return f"{name} is missing"


def unknown(chance: Chance, tensors: Tensors) -> str:
    """One more, of a name that means something elsewhere."""
    name = chance.choice(
        ("x", "generator.0.exp_avg", "judge.9.exp_avg", "__class__", "", "a.b.c.d", "generator.x.step")
    )
    tensors[name] = torch.zeros(3)
    return f"{name!r} is there"


CRAFTS: dict[str, Callable[[Chance, Tensors], str]] = {
    **{"shape": shape, "type": kind_of_number, "nan": not_finite, "missing": missing, "unknown": unknown}
}


KINDS: dict[str, Kind] = {"run-state": run_state, "run-tensors": run_tensors}
