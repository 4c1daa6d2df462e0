"""Read the tensors of networks in NVIDIA's pickles, without running any of their code.

A pickle of stylegan2-ada-pytorch or stylegan3 holds each network with the source of its class, which the original
loader executes; one of R3GAN names classes to import; one of TensorFlow holds networks of numpy arrays.  Here every
class becomes an empty object that keeps its state, nothing is imported by name, and only the functions that make a
tensor from bytes are answered, by their counterparts below.
"""

import io
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ganforge.errors import WeightsError
from ganforge.nn.upfirdn import TAPS, make_filter

REFUSED = {"SynthesisInput": "StyleGAN3", "MappingNetworkXL": "StyleGAN-XL"}
"""{class inside of a network: the paper whose network it is}, for networks that would otherwise be near misses."""


class Opaque:
    """An object of a class that is not imported: its arguments and its state, and nothing more."""

    called = ""

    def __new__(cls, *args: Any, **_named: Any) -> Self:
        made = super().__new__(cls)
        made.args, made.state = args, {}
        return made

    def __init__(self, *_args: Any, **_named: Any) -> None:
        self.args: tuple[Any, ...]
        self.state: dict[str, Any]

    def __setstate__(self, state: Any) -> None:
        self.state = dict(state) if isinstance(state, Mapping) else {"": state}

    def append(self, _value: Any) -> None:
        """Items of an unknown list are left out."""

    def extend(self, _values: Any) -> None:
        """Items of an unknown list are left out."""

    def __setitem__(self, key: Any, value: Any) -> None:
        self.state[key] = value

    def __hash__(self) -> int:
        return id(self)


class ItemsOnly(dict[Any, Any]):
    """A dictionary with attributes, whose items alone are kept."""

    def __setstate__(self, _state: Any) -> None:
        """Attributes are left out."""


def make_network(meta: Any, *_more: Any) -> Opaque:
    """A network that its pickle describes with the source of its class, which is left unread."""
    made = Opaque()
    fields = meta if isinstance(meta, Mapping) else {}
    made.called = str(fields.get("class_name", ""))
    made.__setstate__(fields.get("state"))
    return made


def read_storage(stored: bytes) -> Any:
    """A tensor's numbers, by torch's own reader without code."""
    return torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)


def rebuild_tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_more: Any) -> Tensor:
    """A view of a storage; it must lie inside of it."""
    return torch.empty(0, dtype=storage.dtype).set_(storage, offset, tuple(size), tuple(stride)).clone()


def rebuild_parameter(tensor: Tensor, *_more: Any) -> Tensor:
    return tensor


def rebuild_array(_kind: Any, _shape: Any, _code: Any) -> Opaque:
    return NumpyArray()


class NumpyArray(Opaque):
    """An array of numpy's own pickles: its state is (version, shape, type, order of Fortran, bytes)."""

    def array(self) -> Tensor | None:
        """The floats as a tensor; None for other types."""
        state = self.state.get("")
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[4], bytes):
            return None
        _, shape, kind, fortran, stored = state
        code = kind.args[0] if isinstance(kind, Opaque) and kind.args else ""
        if code not in ("f4", "f8", "f2"):
            return None
        values = np.frombuffer(stored, np.dtype(f"<{code}")).reshape(shape, order="F" if fortran else "C")
        return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))


ANSWERED: dict[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "set"): set,
    ("collections", "OrderedDict"): OrderedDict,
    ("dnnlib.util", "EasyDict"): ItemsOnly,
    ("dnnlib", "EasyDict"): ItemsOnly,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): make_network,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    ("torch.storage", "_load_from_bytes"): read_storage,
    ("numpy.core.multiarray", "_reconstruct"): rebuild_array,
    ("numpy._core.multiarray", "_reconstruct"): rebuild_array,
    ("_codecs", "encode"): lambda text, _code="latin1": text.encode("latin1"),
}


PACKAGES = ("training", "torch_utils", "dnnlib", "R3GAN", "torch", "numpy", "collections", "copyreg")
"""Packages whose names may stand in such a file.  None is imported; a network's pickle needs no others."""


class RefusedError(Exception):
    """A pickle names something that no network needs."""


class Reader(pickle.Unpickler):
    """An unpickler that imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        found = ANSWERED.get((module, name))
        if found is None and module.partition(".")[0] not in PACKAGES:
            raise RefusedError(f"{module}.{name}")
        return type(name, (Opaque,), {"called": name}) if found is None else found

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to another file")


def read_networks(path: Path) -> dict[str, dict[str, Tensor]]:
    """{entry: state dict} of every network in a pickle, such as G, D and G_ema.

    Raises WeightsError for a file that is damaged or holds no network, and for networks of other papers.
    """
    try:
        with path.open("rb") as file:
            held = Reader(file, encoding="latin1").load()
    except RefusedError as error:
        raise WeightsError(
            f"{path} was not read: it asks for {error}, which a network's pickle does not need."
        ) from error
    except Exception as error:  # damaged pickles raise many kinds of errors
        raise WeightsError(
            f"{path} is damaged, or not a pickle of networks ({type(error).__name__}: {error})."
        ) from error
    if isinstance(held, tuple | list) and len(held) == 3:  # TensorFlow's (G, D, Gs)
        held = dict(zip(("G", "D", "G_ema"), held, strict=True))
    entries = held.items() if isinstance(held, Mapping) else ()
    networks = {str(name): network for name, network in entries if isinstance(network, Opaque)}
    states = {name: state for name, network in networks.items() if (state := read_state(network, path))}
    if not states:
        raise WeightsError(f"{path} is a pickle without networks: it holds {type(held).__name__}.")
    return states


def read_state(network: Opaque, path: Path) -> dict[str, Tensor]:
    """The state dict of a network: of torch, or of TensorFlow under the names of its variables."""
    if "variables" in network.state:
        return collect_variables(network.state)
    state: dict[str, Tensor] = {}

    def collect(module: Opaque, prefix: str) -> None:
        if paper := REFUSED.get(module.called):
            raise WeightsError(
                f"{path} holds a network of {paper} ({module.called}), which GANForge does not have: take one of "
                "StyleGAN2, such as those that stylegan3's page lists as stylegan2-ffhq."
            )
        for group in ("_parameters", "_buffers"):
            for name, value in (module.state.get(group) or {}).items():
                if isinstance(value, Tensor) and name not in (module.state.get("_non_persistent_buffers_set") or ()):
                    state[prefix + name] = value
        for name, child in (module.state.get("_modules") or {}).items():
            if isinstance(child, Opaque):
                collect(child, f"{prefix}{name}.")

    collect(network, "")
    return state


# TensorFlow's names ------------------------------------------------------------------------------


def collect_variables(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Tensor]:
    """{name: value} of a TensorFlow network and its components, under NVIDIA's names for torch."""
    found: dict[str, Tensor] = {}

    def walk(own: Mapping[str, Any], start: str) -> None:
        for name, value in own.get("variables") or ():
            array = value.array() if isinstance(value, NumpyArray) else None
            if array is not None:
                found[start + name] = array
        for name, component in (own.get("components") or {}).items():
            if isinstance(component, Opaque):
                walk(component.state, f"{start}{name}/")

    walk(fields, prefix)
    renamed = {key: tensor for name, value in found.items() for key, tensor in rename_variable(name, value, found)}
    return renamed | dict.fromkeys(list_filters(renamed), make_filter(TAPS))


def list_filters(state: Mapping[str, Tensor]) -> list[str]:
    """The keys of filters, which TensorFlow's networks have as constants, in torch's state dict."""
    layers = [key.removesuffix(".weight") for key in state if key.endswith(".weight")]
    filtered = [layer for layer in layers if layer.rpartition(".")[2] in FILTERED]
    blocks = {re.sub(r"(b\d+)\..*", r"\1", layer) for layer in filtered if layer != "b4.conv"}
    return [f"{name}.resample_filter" for name in (*filtered, *sorted(blocks))]


LAYERS = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb", "Skip": "skip"}
JUDGES = {"Conv": "conv", "Conv0": "conv0", "Conv1_down": "conv1", "Skip": "skip", "FromRGB": "fromrgb", "Dense0": "fc"}
FILTERED = ("conv", "conv0", "conv1", "skip", "fromrgb")


def rename_variable(name: str, value: Tensor, every: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    """A variable of TensorFlow under its torch name and in torch's layout; nothing for one that has no counterpart.

    Filters turn from (h, w, in, out) to (out, in, h, w), those of doublings are also mirrored, matrices are transposed,
    and modulations count from 1.
    """
    maker = any(key.startswith("synthesis/") for key in every)
    if name == "dlatent_avg":
        return [("mapping.w_avg", value)]
    if match := re.fullmatch(r"(?:mapping/Dense|Mapping)(\d+)/(weight|bias)", name):
        return [(f"mapping.fc{match[1]}.{match[2]}", value.T if value.ndim == 2 else value)]
    if match := re.fullmatch(r"(?:mapping/)?LabelEmbed/(weight|bias)", name):
        return [(f"mapping.embed.{match[1]}", value.T if value.ndim == 2 else value)]
    if name == "synthesis/4x4/Const/const":
        return [("synthesis.b4.const", value[0])]
    if match := re.fullmatch(r"synthesis/noise(\d+)", name):
        number = int(match[1])
        layer = f"b{4 << (number + 1) // 2}.conv{(number + 1) % 2}"
        return [(f"synthesis.{layer}.noise_const", value[0, 0])]
    if match := re.fullmatch(r"Output/(weight|bias)", name):
        return [(f"b4.out.{match[1]}", value.T if value.ndim == 2 else value)]
    match = re.fullmatch(r"(?:synthesis/)?(\d+)x\1/(\w+)/(\w+)", name)
    layer = (LAYERS if maker else JUDGES).get(match[2]) if match else None
    if match is None or layer is None:
        return []
    key = f"{'synthesis.' if maker else ''}b{match[1]}.{layer}"
    renamed = {"mod_weight": "affine.weight", "mod_bias": "affine.bias"}.get(match[3], match[3])
    if match[3] == "mod_bias":
        value = value + 1
    elif value.ndim == 4:
        doubles = maker and match[2] in ("Conv0_up", "Skip")
        value = (value.flip(0, 1) if doubles else value).permute(3, 2, 0, 1)
    elif value.ndim == 2:
        value = value.T
    return [(f"{key}.{renamed}", value.contiguous())]
