"""Learning rates and momenta that change with time."""

from collections.abc import Iterable

from torch.optim import Optimizer

LEAST = 1e-6  # the learning rate at which it stops to fall
EPOCHS = 250  # in which the momentum reaches its last value


def anneal(optimisers: Iterable[Optimizer], step: int, epoch: int, decay: float, momenta: tuple[float, float]) -> None:
    """Divide the learning rates by `decay` once a step so far; move SGD's momentum from the first value to the second.

    As in the code for the first GANs (goodfeli/adversarial).  A second momentum of 0 leaves the first one as it is, as
    Adam's betas are.
    """
    first, last = momenta
    for group in (group for optimiser in optimisers for group in optimiser.param_groups):
        if decay != 1:
            group["lr"] = max(group["lr"] / decay**step, min(group["lr"], LEAST))
        if "momentum" in group and last:
            share = min(1.0, max(0.0, (epoch - 1) / (EPOCHS - 1)))
            group["momentum"] = first + share * (last - first)


def halve_rates(optimisers: Iterable[Optimizer], epoch: int, every: int) -> None:
    """Halve the learning rates once for every `every` epochs so far; 0: never."""
    for group in (group for optimiser in optimisers for group in optimiser.param_groups):
        group["lr"] *= 0.5 ** (epoch // every) if every else 1.0
