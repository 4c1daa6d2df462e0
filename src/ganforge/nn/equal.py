"""A linear layer whose weights are scaled when they are used (Karras et al. 2018, section 4.1)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GAIN = math.sqrt(2)  # of a leaky ReLU, so that the variance stays
SLOPE = 0.2


class EqualLinear(nn.Module):
    """(N, inputs) -> (N, outputs); `rate` scales the learning rate of its weights; `active`: followed by leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, bias: float = 0.0, active: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        nn.init.normal_(self.weight, 0.0, 1 / rate)
        self.active, self.rate = active, rate

    def forward(self, x: Tensor) -> Tensor:
        gain = self.rate * (GAIN if self.active else 1.0)
        x = F.linear(x * (gain / math.sqrt(x.shape[1])), self.weight, self.bias * gain)  # cheaper than to scale weights
        return F.leaky_relu(x, SLOPE) if self.active else x
