"""Training in several processes under torchrun: ranks, and averages of gradients, buffers and logs.

The networks are not wrapped (no DistributedDataParallel): a paper may call them any number of times per step and
differentiate them twice.  Training needs one `all_reduce` per move, and a few per step.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module

import torch
import torch.distributed as dist
from torch import Tensor

from ganforge.errors import OptionError, ProcessError

TIMEOUT = timedelta(days=1)  # one process may prepare data for long; one that died is noticed at once


@contextmanager
def join_processes(device: torch.device) -> Iterator[torch.device]:
    """Join the process group inside the block if torchrun started this process; yields this process's device.

    Tensors on GPUs are sent by nccl, those on the CPU by gloo, so that flags need no GPU synchronisation.
    A block inside of another one stays in its group.  Raises OptionError where there are fewer GPUs than processes.
    """
    if dist.is_initialized():
        yield torch.device("cuda", local_rank()) if device.type == "cuda" else device
        return
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.type == "cuda":
        if device.index is not None or local_rank() >= torch.cuda.device_count():
            raise OptionError(
                f"Every process needs a GPU of its own, and --device {device} does not give process {local_rank()} "
                f"one: ask for --device cuda and --nproc-per-node {torch.cuda.device_count()}."
            )
        device = torch.device("cuda", local_rank())
        torch.cuda.set_device(device)
    # On import it stores the current group as a default argument; imported later, by an optimiser, it would keep
    # the group's threads alive beyond destroy_process_group, and they may abort a process that exits.
    import_module("torch.distributed.nn")
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """This process's number; 0 writes the log, the samples and the checkpoints."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def local_rank() -> int:
    """This process's number on its own machine: the index of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def all_reduce(values: Tensor, op: dist.ReduceOp.RedOpType = dist.ReduceOp.SUM) -> None:
    """Replace `values` by their sum over the processes.  Raises ProcessError when one of them has ended."""
    try:
        dist.all_reduce(values, op)
    except RuntimeError as error:
        raise ProcessError("Another process of this run has ended, so this one ends too.") from error


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Replace every gradient by its mean over the processes; a missing one counts as zero.

    What has none in any process gets none: an optimiser passes it over, as in one process.
    """
    if world_size() == 1:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    there = gradients[0].new_tensor([float(p.grad is not None) for p in parameters])
    mean = average(torch.cat([*(g.flatten() for g in gradients), there]))
    unflatten_into(gradients, mean[: -len(there)])
    for parameter, gradient, share in zip(parameters, gradients, mean[-len(there) :].tolist(), strict=True):
        parameter.grad = gradient if share else None


def unflatten_into(tensors: Sequence[Tensor], flat: Tensor) -> None:
    """Copy a flat tensor of all values into `tensors`; each keeps its memory layout, which fused optimisers need."""
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def average(values: Tensor) -> Tensor:
    """Mean of a tensor over the processes."""
    if world_size() > 1:
        all_reduce(values)
        values /= world_size()
    return values


def broadcast_integers(values: Tensor) -> Tensor:
    """The first process's integers, in all processes."""
    if world_size() > 1:
        values = values.long() * (rank() == 0)
        all_reduce(values)
    return values


def all_max(value: Tensor) -> Tensor:
    """Elementwise maximum over the processes."""
    if world_size() > 1:
        all_reduce(value := value.clone(), dist.ReduceOp.MAX)
    return value


def any_process(flag: bool) -> bool:
    """Whether `flag` is true in any process, in all processes."""
    return any_of_each(flag)[0]


def any_of_each(*flags: bool) -> list[bool]:
    """For each flag whether it is true in any process, in all processes: several questions in one collective."""
    return [bool(flag) for flag in all_max(torch.tensor([int(flag) for flag in flags])).tolist()]


def broadcast_tensors(tensors: Iterable[Tensor]) -> None:
    """Copy the first process's values to all others."""
    if world_size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor.data, 0)


def broadcast_text(make: Callable[[], str]) -> str:
    """The text that `make` returns in the first process, in all processes."""
    text = [*make().encode("utf-8", "surrogateescape")] if rank() == 0 else []  # a path may be no Unicode
    size = int(broadcast_integers(torch.tensor(len(text))))
    return bytes(broadcast_integers(torch.tensor(text or [0] * size)).tolist()).decode("utf-8", "surrogateescape")


@contextmanager
def main_process_first() -> Iterator[None]:
    """Run the block in the first process of each machine, then in the others, which find its results in the cache.

    Raises ProcessError in the others when the first one failed.
    """
    first, failed = local_rank() == 0, True
    if not first and any_process(False):
        raise ProcessError("The process that prepares this run failed, so this one ends too.")
    try:
        yield
        failed = False
    finally:
        if first:
            any_process(failed)


def barrier() -> None:
    """Wait for all processes."""
    any_process(False)
