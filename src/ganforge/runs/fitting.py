"""Compare the tensors of a checkpoint with those of a game and its optimisers, before any is used.

PyTorch hands the moments of an optimiser to fused kernels as they are: one of another shape than its parameter makes
them read and write memory that belongs to others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ganforge.errors import CheckpointError

SCALARS = ("step", "eta", "mu", "mu_product")
"""Entries of an optimiser's state that are one number."""
ELEMENTWISE = (
    *("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "square_avg", "grad_avg", "acc_delta", "momentum_buffer"),
    *("sum", "prev", "step_size", "ax"),
)
"""Entries that have the shape of their parameter."""
NEEDED = {"Adam": ("step", "exp_avg", "exp_avg_sq"), "AdamW": ("step", "exp_avg", "exp_avg_sq")}
NEEDED |= {"RMSprop": ("step", "square_avg"), "Adagrad": ("step", "sum")}
"""What the state of a parameter needs, by the name of the optimiser, where it has any."""
CHOICES = ("fused", "foreach")
"""Settings of a group that only say how it is computed: the machine that wrote the checkpoint chose them."""


def describe(tensor: Tensor) -> str:
    """Type and shape of a tensor: `float32 (3, 4)`."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def check_tensors(
    owner: str, group: str, found: Mapping[str, Tensor], wanted: Mapping[str, Any], prefix: str = ""
) -> None:
    """Raise CheckpointError naming the first tensor of `found` whose shape or type is not that in `wanted`.

    `owner` is the game's name, `group` the file's, `prefix` stands before the tensors' names in the sentence.  Names
    that are in one of both only are left to `load_state_dict`, which lists them.
    """
    for name, tensor in found.items():
        target = wanted.get(name)
        if isinstance(target, Tensor) and (tensor.shape, tensor.dtype) != (target.shape, target.dtype):
            raise CheckpointError(
                f"The checkpoint's weights are not those of this {owner}: {prefix}{name} in {group}.safetensors is "
                f"{describe(tensor)}, and here it is {describe(target)}."
            )


def find_not_finite(tensors: Mapping[str, Tensor]) -> str:
    """The name of the first tensor with NaN or infinity in it; empty where all are finite."""
    for name, tensor in tensors.items():
        # the extremes reveal NaN and infinity in one pass over the weights, isfinite() would take five
        if tensor.is_floating_point() and tensor.numel() and not torch.stack(tensor.aminmax()).isfinite().all():
            return name
    return ""


def check_finite(group: str, tensors: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError naming the first tensor with NaN or infinity, which GANForge never writes."""
    if name := find_not_finite(tensors):
        raise CheckpointError(
            f"{name} in the checkpoint's {group}.safetensors has NaN or infinite values: name another checkpoint, "
            "RUN@STEP."
        )


def check_optimiser(player: str, optimiser: Optimizer, state: Mapping[str, Any]) -> None:
    """Raise CheckpointError where a state_dict of an optimiser, read from a checkpoint, is not one of this optimiser.

    Every tensor is compared with its parameter, every setting of a group with the present one: its kind, and for
    switches its value.
    """
    check_groups(player, state["param_groups"], optimiser.state_dict()["param_groups"])
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    needed = NEEDED.get(type(optimiser).__name__, ())
    for index, entries in state["state"].items():
        if not 0 <= index < len(parameters):
            raise CheckpointError(
                f"The checkpoint's player {player!r} has moments of a parameter {index}, which is not there."
            )
        for key, value in entries.items():
            check_entry(f"{player}.{index}.{key}", key, value, parameters[index])
        if missing := [key for key in needed if key not in entries]:
            raise CheckpointError(f"The checkpoint does not fit: it lacks {player}.{index}.{missing[0]}.")


def check_entry(name: str, key: str, value: Any, parameter: Tensor) -> None:
    """Raise CheckpointError unless an entry of an optimiser's state fits its parameter."""
    if isinstance(value, Tensor):
        if key in SCALARS:
            fits = value.ndim == 0 and value.dtype in (torch.float32, torch.get_default_dtype())
        elif key in ELEMENTWISE:
            fits = (value.shape, value.dtype) == (parameter.shape, parameter.dtype)
        else:  # an optimiser of a person's own, or one that factorises its moments
            sides = zip(value.shape[::-1], parameter.shape[::-1], strict=False)
            fits = value.ndim <= parameter.ndim and all(own in (1, side) for own, side in sides)
        if not fits:
            raise CheckpointError(
                f"The checkpoint does not fit: {name} in players.safetensors is {describe(value)}, and its parameter "
                f"is {describe(parameter)}."
            )
    elif (key in ELEMENTWISE and value is not None) or not is_plain(value):
        raise CheckpointError(f"The checkpoint does not fit: {name} in state.json cannot be {value!r}.")


def check_counts(clock: Any) -> tuple[int, int]:
    """(steps, batches drawn) of a checkpoint's clock.  Raises CheckpointError unless they are counts."""
    counts = [clock.get(name) for name in ("step", "dealt")] if isinstance(clock, dict) else []
    whole = [count for count in counts if type(count) is int and 0 <= count < 2**62]
    if len(whole) != 2:
        raise CheckpointError("The checkpoint's state.json has no clock: its step and dealt are no numbers of steps.")
    return whole[0], whole[1]


def check_groups(player: str, found: Any, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Raise CheckpointError unless an optimiser's groups have the same parameters and settings of the same kind."""
    if not isinstance(found, list) or len(found) != len(wanted):
        raise CheckpointError(f"The checkpoint's player {player!r} has other groups of parameters than this game's.")
    for own, group in zip(found, wanted, strict=True):
        if not isinstance(own, dict) or own.get("params") != group["params"]:
            raise CheckpointError(f"The checkpoint's player {player!r} has other parameters than this game's.")
        for name, value in group.items():
            if name in own and name != "params" and not is_same_kind(name, own[name], value):
                raise CheckpointError(f"The checkpoint's player {player!r} cannot have {name} {str(own[name])[:40]}.")


def is_same_kind(name: str, found: Any, wanted: Any) -> bool:
    """Whether a setting of a group may be `found` where it is now `wanted`."""
    if name in CHOICES:
        return found is None or isinstance(found, bool)
    if wanted is None or isinstance(wanted, (bool, str)):
        return found == wanted and type(found) is type(wanted)
    if isinstance(wanted, (tuple, list)):
        return isinstance(found, (tuple, list)) and len(found) == len(wanted) and all(map(is_number, found))
    return is_number(found)


def is_number(value: Any) -> bool:
    """Whether a value is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_plain(value: Any) -> bool:
    """Whether a value of an optimiser's state is a number, a word or nothing."""
    return value is None or isinstance(value, (int, float, str))
