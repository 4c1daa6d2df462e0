"""Sample-adaptive convolutions: every image has a kernel of its own, mixed from a bank (section 3.2, figure 4)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAST = 1e-8
"""The least sum of squares that a kernel is divided by the root of."""
SMALL = 128
"""Up to so many pixels, times the kernels beyond the first, convolving with the whole bank is the faster form."""


class AdaptiveConv2d(nn.Module):
    """x (N, in, H, W), style (N, in), choice (N, bank) -> (N, out, H, W), by a k x k convolution of stride 1.

    The kernel of an image is the mean of the bank by the weights softmax(choice); its inputs are multiplied by
    1 + style, and each output is divided by the norm of its weights (`demodulate`), as in StyleGAN2.  A bank of one
    kernel takes no choice.  `style` may have fewer rows, of which x holds several copies, one after the other.

    Two equal forms.  `convolve_grouped` makes the kernel of each image, and groups the images.  `convolve_bank` uses
    that a convolution is linear in its kernel: sum_i a_i conv(s x, K_i), one plain convolution whose results are
    mixed, and the norms follow from the products of the bank's kernels.  It makes no kernels for images, which on a
    CPU takes longer than convolving small images with all of the bank.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, bank: int = 1, demodulate: bool = True, bias: bool = False
    ) -> None:
        super().__init__()
        self.demodulate, self.kernel, self.bank = demodulate, kernel, bank
        self.weight = nn.Parameter(torch.empty(bank * outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.normal_(self.weight, std=(inputs * kernel * kernel) ** -0.5)

    def forward(self, x: Tensor, style: Tensor, choice: Tensor | None = None) -> Tensor:
        shares = x.new_ones(len(style), 1) if choice is None else choice.softmax(1)
        copies = len(x) // len(style)
        if copies > 1:
            style, shares = style.repeat(copies, 1), shares.repeat(copies, 1)
        plain = torch.compiler.is_exporting() or self.has_small_images(x)
        y = (self.convolve_bank if plain else self.convolve_grouped)(x, 1 + style, shares)
        return y if self.bias is None else y + self.bias[:, None, None]

    def has_small_images(self, x: Tensor) -> bool:
        """Whether the bank's form is the faster one."""
        return (self.bank - 1) * x.shape[2] * x.shape[3] <= SMALL

    def convolve_grouped(self, x: Tensor, scale: Tensor, shares: Tensor) -> Tensor:
        """With a kernel for each image: scale (N, in), shares (N, bank)."""
        kernels = self.weight.unflatten(0, (self.bank, -1))
        kernels = (shares @ kernels.flatten(1)).unflatten(1, kernels.shape[1:])
        kernels = kernels * scale[:, None, :, None, None]
        if self.demodulate:
            kernels = kernels * kernels.square().sum((2, 3, 4), keepdim=True).clamp(min=LEAST).rsqrt()
        y = F.conv2d(x.flatten(0, 1)[None], kernels.flatten(0, 1), padding=self.kernel // 2, groups=len(x))
        return y[0].unflatten(0, (len(x), -1))

    def convolve_bank(self, x: Tensor, scale: Tensor, shares: Tensor) -> Tensor:
        """With all kernels for every image; the results are mixed."""
        bank = self.bank
        y = F.conv2d(x * scale[..., None, None], self.weight, padding=self.kernel // 2)
        if self.demodulate:
            shares = shares[..., None] * self.norms(scale, shares)[:, None].rsqrt()  # (N, bank, out)
        elif bank > 1:
            shares = shares[..., None]
        if bank == 1:
            return y * shares[:, 0, :, None, None] if self.demodulate else y
        return (y.unflatten(1, (bank, -1)) * shares[..., None, None]).sum(1)

    def norms(self, scale: Tensor, shares: Tensor) -> Tensor:
        """(N, out): the sums of squares of the images' kernels, from the products of all pairs of the bank's."""
        weight = self.weight.flatten(2).unflatten(0, (self.bank, -1))
        products = torch.einsum("aoik,boik->aboi", weight, weight).flatten(0, 1).flatten(1)
        pairs = (shares[:, :, None] * shares[:, None]).flatten(1)
        of_inputs = (pairs @ products).unflatten(1, weight.shape[1:3])  # (N, out, in)
        return (of_inputs @ scale.square()[..., None])[..., 0].clamp(min=LEAST)


class Modulations(nn.Module):
    """A style (N, width) -> for each convolution its style (N, in) and its choice (N, bank), None of a bank of one."""

    def __init__(self, width: int, convolutions: list[tuple[int, int]]) -> None:
        """`convolutions`: (inputs, bank) of each."""
        super().__init__()
        self.banks = [bank for _, bank in convolutions]
        self.sizes = [size for inputs, bank in convolutions for size in (inputs, bank if bank > 1 else 0)]
        self.read = nn.Linear(width, sum(self.sizes))
        nn.init.normal_(self.read.weight, std=width**-0.5)
        nn.init.zeros_(self.read.bias)

    def forward(self, style: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        parts = self.read(style).split(self.sizes, 1)
        return [
            (inputs, choice if bank > 1 else None)
            for inputs, choice, bank in zip(parts[::2], parts[1::2], self.banks, strict=True)
        ]
