"""Spectral normalisation (Miyato et al. 2018) as a layer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpectralConv2d(nn.Conv2d):
    """A convolution divided by its largest singular value; every call makes a step of the power iteration."""

    u: Tensor
    v: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, stride, padding, bias=bias)
        self.register_buffer("u", F.normalize(self.weight.detach().flatten(1).sum(1), dim=0))
        self.register_buffer("v", F.normalize(self.weight.detach().flatten(1).sum(0), dim=0))

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast(input.device.type, enabled=False):
            flat = self.weight.flatten(1)
            with torch.no_grad():  # one step of the power iteration; an earlier call's u and v are still in its graph
                v = F.normalize(flat.T @ self.u, dim=0, eps=1e-12)
                u = F.normalize(flat @ v, dim=0, eps=1e-12)
                self.u.copy_(u)
                self.v.copy_(v)
            weight = self.weight / (u @ (flat @ v))
        return self._conv_forward(input, weight, self.bias)
