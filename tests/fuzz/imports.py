"""Weights of others: official layouts written by torch, nested, torn, of other shapes, or with code in them."""

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.fuzz.case import Case, Chance, Kind, Making, Must
from tests.fuzz.pictures import Evil, evil_pickle

State = dict[str, Tensor]


def dcgan(seed: int) -> State:
    """The generator of pytorch/examples, narrow."""
    torch.manual_seed(seed)
    rows = [(8, 16, 1, 0), (16, 8, 2, 1), (8, 4, 2, 1), (4, 2, 2, 1)]
    layers: list[nn.Module] = []
    for before, after, stride, padding in rows:
        layers += [nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    layers += [nn.ConvTranspose2d(2, 3, 4, 2, 1, bias=False), nn.Tanh()]
    return {f"main.{key}": value for key, value in nn.Sequential(*layers).state_dict().items()}


def imports(making: Making) -> Case:
    """`ganforge import`, then `ganforge sample` of what it made."""
    chance = making.chance
    state = dcgan(chance.randrange(1000))
    kind = chance.choice(tuple(KINDS_OF_STATE))
    held, must, extra = KINDS_OF_STATE[kind](chance, state)
    ending = chance.choice(("pth", "pth", "pt", "ckpt", "bin", "safetensors"))
    making.given.mkdir(parents=True)
    flat = isinstance(held, Mapping) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in held.items())
    path = making.given / f"{chance.choice(('net_G', '생성기', 'a b', 'x=y', 'generator'))}.{ending if flat else 'pth'}"
    written(path, held, chance)
    disturbance = chance.choice(("", "", "", *DISTURBED)) if kind == "plain" else ""
    if disturbance:
        must = "either"
        DISTURBED[disturbance](path, making, chance)
    name = f"../in/{path.name}"
    words = ["import", name, "--as", "dcgan", "-o", "out/myrun", *extra]
    if disturbance == "other" or kind == "other":
        words[3] = chance.choice(("gan", "pix2pix", "srgan", "x", "", "wgan"))
    then = ["sample", "out/myrun", "-n", "2", "-o", "out/grid.png"]
    what = f"{path.name}: {kind} {disturbance}".rstrip()
    return Case(what, [words, then], must, names=(path.name,), gone=("work/out/myrun",))


def written(path: Path, held: Any, chance: Chance) -> None:
    """The file as torch or safetensors writes it."""
    if path.suffix == ".safetensors":
        save_file({key: value.contiguous().clone() for key, value in held.items()}, path)
    else:
        torch.save(held, path, _use_new_zipfile_serialization=chance.often(0.7))


Held = tuple[Any, Must, list[str]]


def at(state: State, chance: Chance, change: Any) -> State:
    """The state with one tensor changed."""
    key = chance.choice([key for key in state if state[key].is_floating_point()])
    return {**state, key: change(state[key])}


def lightning(chance: Chance, state: State) -> Held:
    """Below state_dict, with a prefix and others beside it."""
    inner: State = {f"generator.{key}": value for key, value in state.items()}
    if chance.often(0.5):
        inner |= {"discriminator.x": torch.zeros(2)}
    return {"state_dict": inner, "epoch": 3, "callbacks": {}}, "either", chance.choice(([], ["--entry", "state_dict"]))


def training(chance: Chance, state: State) -> Held:
    """Several networks and an optimiser in one file."""
    held = {"netG": state, "netD": {"a": torch.zeros(1)}, "optim": {"state": {}, "param_groups": [{"lr": 0.1}]}}
    return held, "either", ["--entry", chance.choice(("netG", "netD", "optim", "x", ""))]


def lone(chance: Chance, state: State) -> Held:
    """One entry, as BasicSR writes it."""
    return {chance.choice(("params_ema", "params", "state_dict", "model")): state}, "accept", []


KINDS_OF_STATE: dict[str, Any] = {
    "plain": lambda chance, state: (state, "accept", []),
    "parallel": lambda chance, state: ({f"module.{key}": value for key, value in state.items()}, "accept", []),
    "prefix": lambda chance, state: ({f"netG.{key}": value for key, value in state.items()}, "accept", []),
    "lone": lone,
    "lightning": lightning,
    "training": training,
    "half": lambda chance, state: (
        {k: v.half() if v.is_floating_point() else v for k, v in state.items()},
        "either",
        [],
    ),
    "double": lambda chance, state: (
        {k: v.double() if v.is_floating_point() else v for k, v in state.items()},
        "either",
        [],
    ),
    "nan": lambda chance, state: (at(state, chance, lambda t: t * torch.nan), "refuse", []),
    "inf": lambda chance, state: (at(state, chance, lambda t: t + torch.inf), "refuse", []),
    "longer": lambda chance, state: (at(state, chance, lambda t: torch.cat([t, t])), "refuse", []),
    "number": lambda chance, state: (at(state, chance, lambda t: t.sum()), "refuse", []),
    "empty tensor": lambda chance, state: (at(state, chance, lambda t: t[:0].clone()), "refuse", []),
    "integers": lambda chance, state: (at(state, chance, lambda t: t.long()), "either", []),
    "complex": lambda chance, state: (at(state, chance, lambda t: t.to(torch.complex64)), "either", []),
    "missing": lambda chance, state: ({k: v for n, (k, v) in enumerate(state.items()) if n != 3}, "refuse", []),
    "more": lambda chance, state: ({**state, "extra.weight": torch.zeros(3)}, "either", []),
    "sparse": lambda chance, state: (at(state, chance, lambda t: t.to_sparse()), "either", []),
    "keys": lambda chance, state: (dict(enumerate(state.values())), "either", []),
    "none": lambda chance, state: (
        chance.choice(({}, [], None, 3, "x", torch.zeros(3), [state], {"a": {}})),
        "refuse",
        [],
    ),
    "deep": lambda chance, state: ({"a": {"b": {"state_dict": state}}}, "either", []),
    "other": lambda chance, state: (state, "either", []),
    "config": lambda chance, state: (state, "either", ["--config", chance.choice(ODD_SETTINGS)]),
    "set": lambda chance, state: (state, "either", ["--set", chance.choice(ODD_SETTINGS)]),
    "class": lambda chance, state: (
        state,
        "either",
        ["--class", chance.choice(("Generator", "X", "", "_netG", "../x"))],
    ),
}
ODD_SETTINGS = (
    *(
        "lr=nan",
        "lr=-1",
        "lr=",
        "lr",
        "=1",
        "latent=0",
        "latent=-1",
        "width=3",
        "lr=1e-5",
        "x=1",
        "lr=[1,2]",
        "lr={a: 1}",
    ),
    *("lr=!!python/object/apply:os.getcwd []", "globals={nz: 8, ngf: 2}", "lr={", "globals=3", "ngpu=x", "latent=1e99"),
)


def torn(path: Path, making: Making, chance: Chance) -> None:
    """Cut off anywhere."""
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def flipped(path: Path, making: Making, chance: Chance) -> None:
    """One bit is another."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(min(len(content), chance.choice((200, 10**6))))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def text(path: Path, making: Making, chance: Chance) -> None:
    """What a download leaves where a login was needed, or git-lfs."""
    path.write_bytes(
        chance.choice((b"", b"<!DOCTYPE html>login", b"version https://git-lfs.github.com/spec/v1\n", b"PK", bytes(64)))
    )


def code(path: Path, making: Making, chance: Chance) -> None:
    """Code that an unpickler would run."""
    if chance.often(0.5):
        path.write_bytes(evil_pickle(making.evil))
        return
    buffer = io.BytesIO()
    torch.save({"main.0.weight": torch.zeros(1), "x": Evil(making.evil)}, buffer)
    path.write_bytes(buffer.getvalue())


def folder(path: Path, making: Making, chance: Chance) -> None:
    """A folder, or nothing, of that name."""
    path.unlink()
    if chance.often(0.5):
        path.mkdir()


def header(path: Path, making: Making, chance: Chance) -> None:
    """A safetensors header that promises too much; a zip that holds another thing."""
    if path.suffix == ".safetensors":
        long = b'{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}'
        path.write_bytes(
            chance.choice((b"\xff" * 8, (2**50).to_bytes(8, "little"), len(long).to_bytes(8, "little") + long))
        )
        return
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"a": 1}, protocol=2))
        archive.writestr("x/version", "3\n")


DISTURBED = {"torn": torn, "flipped": flipped, "text": text, "code": code, "folder": folder, "header": header}
KINDS: dict[str, Kind] = {"imports": imports}
