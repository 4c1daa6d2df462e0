"""Ranger: rectified Adam (Liu et al. 2019), Lookahead (Zhang et al. 2019) and centred gradients (Yong et al. 2020).

https://arxiv.org/abs/1908.03265, https://arxiv.org/abs/1907.08610, https://arxiv.org/abs/2004.01461; the combination
and its constants are those of Wright 2019, as encoders of StyleGAN2 use them.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Ranger(Optimizer):
    """Rectified Adam on gradients without their mean; every `every` steps the weights go back towards slow ones.

    A gradient of more than one dimension loses its mean over all dimensions but the first.  `share` is how far the
    slow weights follow.  Where the variance of Adam's step size is not yet tractable (at most `tractable` degrees of
    freedom), a step is that of momentum alone.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.95, 0.999),
        eps: float = 1e-5,
        share: float = 0.5,
        every: int = 6,
        tractable: float = 5.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps})
        self.share, self.every, self.tractable = share, every, tractable

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step; `closure` is not called."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.move(parameter, self.state[parameter], group)

    def move(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Move one parameter along its gradient."""
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
            state["slow"] = parameter.detach().clone()
        (beta1, beta2), gradient = group["betas"], parameter.grad
        assert gradient is not None
        if gradient.ndim > 1:
            gradient = gradient - gradient.mean(dim=tuple(range(1, gradient.ndim)), keepdim=True)
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - beta1)
        square = state["square"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        size, rectified = self.rectify(state["step"], beta1, beta2)
        if rectified:
            parameter.addcdiv_(mean, square.sqrt().add_(group["eps"]), value=-size * group["lr"])
        else:
            parameter.add_(mean, alpha=-size * group["lr"])
        if state["step"] % self.every == 0:
            parameter.copy_(state["slow"].lerp_(parameter, self.share))

    def rectify(self, step: int, beta1: float, beta2: float) -> tuple[float, bool]:
        """(the step size's factor, whether the step is divided by the deviation): Liu et al. 2019, algorithm 2."""
        most, power = 2 / (1 - beta2) - 1, beta2**step
        freedom = most - 2 * step * power / (1 - power)
        unbiased = 1 / (1 - beta1**step)
        if freedom <= self.tractable:
            return unbiased, False
        ratio = (freedom - 4) / (most - 4) * (freedom - 2) / freedom * most / (most - 2)
        return math.sqrt((1 - power) * ratio) * unbiased, True
