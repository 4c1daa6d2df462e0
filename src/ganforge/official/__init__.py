"""Adapters for official implementations: their class names, arguments and state dicts, around our networks.

    critic = official.network("wgan", "DCGAN_D", isize=64, nz=100, nc=3, ndf=64, ngpu=1)
    official.load(critic, official.read("netD_epoch_24.pth"))
    critic.network                       # ours, with those weights

A system is a file of this folder, found by its name; each official class is an `Adapter` in it.
"""

import importlib
import inspect
import pickle
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ganforge.errors import ModelError, WeightsError
from ganforge.official._adapter import BESIDE, Adapter
from ganforge.official._pickles import read_networks

__all__ = ["Adapter", "State", "bare", "classes", "load", "network", "read", "systems"]

M = TypeVar("M", bound=nn.Module)
State = Mapping[str, Tensor]


def systems() -> list[str]:
    """Names of all systems.  Imports none of them."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))


def classes(system: str) -> list[type[Adapter]]:
    """The classes of a system, in the order of its file.  Raises ModelError, naming the systems."""
    if system not in systems():
        raise ModelError(f"There is no official system {system!r}; there are {', '.join(systems())}.")
    module: ModuleType = importlib.import_module(f"ganforge.official.{system}")
    named = [c for name, c in vars(module).items() if inspect.isclass(c) and not name.startswith("_")]
    return [c for c in named if issubclass(c, Adapter) and c is not Adapter]


def network(system: str, class_name: str, *args: Any, file: str | None = None, **kwargs: Any) -> Adapter:
    """The network that `system` calls `class_name(*args, **kwargs)`: its interface and its keys around our network.

    `file` is the path of the class in the official repository: needed only where two of its files have a class
    of that name and of such arguments.  Raises ModelError, naming the possible ones, for an unknown system, class, file
    or argument.
    """
    kind = _chosen(system, class_name, file, lambda c: _takes(c, args, kwargs) is None)
    if error := _takes(kind, args, kwargs):
        raise ModelError(
            f"{system}'s {class_name}{inspect.signature(kind)} was given other arguments: {error}."
        ) from error
    return kind(*args, **kwargs)


def _takes(kind: type[Adapter], args: Any, kwargs: Any) -> TypeError | None:
    """The error of these arguments for a class; None if they fit."""
    try:
        inspect.signature(kind).bind(*args, **kwargs)
    except TypeError as error:
        return error
    return None


def _chosen(system: str, class_name: str, file: str | None, suits: Callable[[type[Adapter]], bool]) -> type[Adapter]:
    """The class of that name, in that file; where several files have one, the one that the arguments fit."""
    named = [c for c in classes(system) if class_name in (c.called or (c.__name__,))]
    if not named:
        there = dict.fromkeys(name for c in classes(system) for name in c.called or (c.__name__,))
        raise ModelError(f"{system} has no class {class_name!r}; it has {', '.join(there)}.")
    fit = [c for c in named if file is None or not c.file or c.file == file]
    if len(fit) > 1 and sum(map(suits, fit)) == 1:
        fit = [c for c in fit if suits(c)]
    if len(fit) != 1:
        there = ", ".join(f"file={c.file!r}" for c in named)
        raise ModelError(f"{system} has a {class_name} in {len(named)} files: choose {there}.")
    return fit[0]


def load(network: M, state_dict: State) -> M:
    """Load official weights into `network`; returns it.

    The keys must be the official ones, all of them and no others; a leading `module.`, which DataParallel adds, is
    removed.  Counters of batches, which torch has kept since 0.4.1 only, may be absent from all norms together;
    running statistics of norms without weights, which torch kept before 0.4 also where none are used, may be there.
    Raises WeightsError, naming missing and unexpected keys and different shapes; `network` is then unchanged.
    """
    state_dict = bare(state_dict)
    if isinstance(network, Adapter):
        network.expect(state_dict)
    own = network.state_dict()
    counters = {key for key in own if key.endswith(".num_batches_tracked")}
    needed = set(own) - (set() if counters & set(state_dict) else counters)
    missing = [key for key in own if key in needed and key not in state_dict]
    unexpected = [key for key in state_dict if key not in own and not is_idle(key, state_dict)]
    shapes = [
        f"{key} is {_shape(state_dict[key])} where the network has {_shape(own[key])}"
        for key in own
        if key in state_dict and state_dict[key].shape != own[key].shape
    ]
    wrong = [
        f"{what}: {_some(items)}"
        for what, items in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if items
    ]
    if wrong:
        raise WeightsError(
            f"These weights are not those of this {type(network).__name__}; {'; '.join(wrong)}. "
            "Check the name of the class and its arguments."
        )
    network.load_state_dict({key: state_dict.get(key, own[key]) for key in own})
    return network


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def is_idle(key: str, state_dict: State) -> bool:
    """Whether a key is a statistic of a norm without weights."""
    norm, _, name = key.rpartition(".")
    return name in STATISTICS and f"{norm}.weight" not in state_dict


def bare(state_dict: State) -> State:
    """A state dict without the leading `module.` that DataParallel adds to every key; of ema-pytorch, the averages."""
    if averages := {k.removeprefix("ema_model."): v for k, v in state_dict.items() if k.startswith("ema_model.")}:
        state_dict = averages
    if state_dict and all(key.startswith("module.") for key in state_dict):
        return {key.removeprefix("module."): value for key, value in state_dict.items()}
    return state_dict


def without_prefix(state_dict: State) -> State | None:
    """A state dict without the first word of its keys, where all have the same; else None."""
    words = {key.partition(".")[0] for key in state_dict}
    if len(words) != 1 or not all(key.partition(".")[2] for key in state_dict):
        return None
    return {key.partition(".")[2]: value for key, value in state_dict.items()}


def check_values(state_dict: State, path: Path) -> None:
    """Raise WeightsError for tensors that are no weights: complex, sparse or quantised ones, and those with NaN."""
    for key, value in state_dict.items():
        if value.is_complex() or value.is_quantized or value.layout != torch.strided:
            kind = str(value.dtype if value.is_complex() or value.is_quantized else value.layout)
            raise WeightsError(f"{path} holds no plain weights: {key} is of {kind.removeprefix('torch.')}.")
        if value.is_floating_point() and not value.isfinite().all():
            raise WeightsError(f"{path} holds broken weights: {key} has values that are NaN or infinite.")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _some(items: list[str]) -> str:
    return ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")


def read(path: str | Path, entry: str | None = None, usual: Sequence[str] = ()) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, of a torch file, or of a .pkl of networks, read without running code.

    `entry` names one state dict of a file that holds several; a lone one is taken without, else the first of the
    `usual` ones that the file has.  Raises WeightsError for a file that is missing or damaged, or holds anything but
    tensors and plain values (a .pkl: networks, see `_pickles.py`).
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"There is no file {path}.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise WeightsError(f"{path} is damaged, or not a safetensors file ({error}).") from error
    if path.suffix == ".pkl":
        return _tensors(read_networks(path), path, entry, usual)
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # about pickle protocols: read or refused
            held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is not a torch file of tensors and plain values; anything else could run code, so it was not "
            "opened. If you trust it, save its state_dict() alone, best as safetensors."
        ) from error
    except Exception as error:  # torch.load raises many kinds of errors for damaged files
        raise WeightsError(
            f"{path} is damaged, or not a torch file ({type(error).__name__} while reading it)."
        ) from error
    return _tensors(held, path, entry, usual)


def _tensors(held: Any, path: Path, entry: str | None, usual: Sequence[str]) -> dict[str, Tensor]:
    """The state dict in the contents of a torch file, at the top or one level down."""
    beside = (
        {key: held[key] for key in BESIDE if isinstance(held.get(key), Tensor)} if isinstance(held, Mapping) else {}
    )
    if not entry and isinstance(held, Mapping):
        entry = next((name for name in usual if _is_state(held.get(name))), None)
    inner = held.get(entry) if entry and isinstance(held, Mapping) else held
    if _is_state(inner):
        return {**inner, **beside}
    values = inner.items() if isinstance(inner, Mapping) else ()
    states = [value for _, value in values if _is_state(value)]
    if len(states) == 1:
        return {**states[0], **beside}
    values = held.items() if isinstance(held, Mapping) else ()
    entries = [str(key) for key, value in values if isinstance(value, Mapping)]
    hint = f" Its entries are {', '.join(entries)}: name one of them with --entry." if entries else ""
    raise WeightsError(f"{path}{f' under {entry!r}' if entry else ''} holds no plain dictionary of tensors.{hint}")


def _is_state(held: Any) -> TypeGuard[dict[str, Tensor]]:
    """Whether this is a dictionary of tensors by name."""
    return (
        isinstance(held, Mapping)
        and bool(held)
        and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in held.items())
    )
