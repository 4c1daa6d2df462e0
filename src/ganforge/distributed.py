"""Several processes under torchrun: who I am, and how gradients, running statistics and logs become one.

No wrapper around the networks: they are called any number of times a round, and differentiated
twice, as the paper likes.  One `all_reduce` a move, and few a round, are all that training needs.
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

PATIENCE = timedelta(days=1)  # with the process that prepares the data; one that died is noticed at once


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Inside, together with the other processes if torchrun started this one; gives this one's own device.

    Tensors on GPUs travel by nccl, those on the CPU by gloo: a vote makes nobody wait for a GPU.
    Raises OptionError where there are fewer GPUs than processes.
    """
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
    # It takes the group of the moment of its import as a default, for ever; imported later, by an optimiser, it
    # would keep the group's threads alive beyond destroy_process_group, and they may abort a process that exits.
    import_module("torch.distributed.nn")
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """This process's number; 0 writes the log, the samples and the checkpoints."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def local_rank() -> int:
    """This process's number on its own machine: the GPU it takes."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def add_up(values: Tensor, op: dist.ReduceOp.RedOpType = dist.ReduceOp.SUM) -> None:
    """Replace `values` by their sum over the processes.  Raises ProcessError when one of them has ended."""
    try:
        dist.all_reduce(values, op)
    except RuntimeError as error:
        raise ProcessError("Another process of this run has ended, so this one ends too.") from error


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Replace every gradient by its mean over the processes; a missing one counts as zero."""
    if world() == 1:
        return
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    put_back(gradients, average(torch.cat([g.flatten() for g in gradients])))
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def put_back(tensors: Sequence[Tensor], flat: Tensor) -> None:
    """Fill `tensors` from one row of all their values; each keeps its memory layout, which fused optimisers rely on."""
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def average(values: Tensor) -> Tensor:
    """Mean of a tensor of figures over the processes."""
    if world() > 1:
        add_up(values)
        values /= world()
    return values


def the_first(values: Tensor) -> Tensor:
    """The first process's whole numbers."""
    if world() > 1:
        values = values.long() * (rank() == 0)
        add_up(values)
    return values


def largest(value: Tensor) -> Tensor:
    """The largest of the processes' values of one number."""
    if world() > 1:
        add_up(value := value.clone(), dist.ReduceOp.MAX)
    return value


def agree(flag: bool) -> bool:
    """True everywhere as soon as it is true anywhere: all processes stop after the same round."""
    return bool(largest(torch.tensor(int(flag))))


def share_from_first(tensors: Iterable[Tensor]) -> None:
    """Give every process the first one's values."""
    if world() > 1:
        for tensor in tensors:
            dist.broadcast(tensor.data, 0)


def from_first(make: Callable[[], str]) -> str:
    """The text that the first process makes, in all of them."""
    text = [*make().encode()] if rank() == 0 else []
    size = int(the_first(torch.tensor(len(text))))
    return bytes(the_first(torch.tensor(text or [0] * size)).tolist()).decode()


@contextmanager
def one_prepares() -> Iterator[None]:
    """Inside, one process of each machine goes first; the others follow and find what it left in the cache.

    Raises ProcessError in the others when it failed: what it says is the reason.
    """
    first, failed = local_rank() == 0, True
    if not first and agree(False):
        raise ProcessError("The process that prepares this run failed, so this one ends too.")
    try:
        yield
        failed = False
    finally:
        if first:
            agree(failed)


def wait() -> None:
    """Go on when all processes have come here."""
    agree(False)
