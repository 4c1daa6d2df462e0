"""InceptionV3 of FID: the network that TensorFlow published in December 2015, under the keys of its two PyTorch ports.

Szegedy et al. 2016; Heusel et al. 2017 use its 2,048 pooled features.  The file that torch-fidelity and pytorch-fid
publish (the same one) loads by key.  Three differences from the paper's and torchvision's network are kept: 1,008
outputs, average pooling that excludes the padding, and one block with max pooling where all others average.

For speed the same function is computed with less work: batch normalisation is folded into the convolutions; 1 x 1
convolutions of the same input are merged into one; average pooling and a 1 x 1 convolution are swapped, so that the
pooling runs over fewer channels.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.error import URLError

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge.data.paths import cache_home
from ganforge.errors import WeightsError
from ganforge.metrics.extractors.base import Features, hash_weights
from ganforge.metrics.extractors.resize import Rule, resize_images, to_255, to_colour

ADDRESS = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
DIGEST = "6726825d"  # the file's SHA-256 begins with it
SIDE = 299
FEATURES = 2_048


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, same: bool = True
    ) -> None:
        super().__init__()
        tall, wide = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = (tall // 2, wide // 2) if same else (0, 0)
        self.conv = nn.Conv2d(inputs, outputs, (tall, wide), stride, padding, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.bn(self.conv(x)))

    @torch.no_grad()
    def fold(self) -> None:
        """Fold the batch normalisation (in evaluation mode a scale and a shift) into the convolution."""
        norm, conv = self.bn, self.conv
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        shift = norm.bias.double() - norm.running_mean.double() * scale
        conv.weight = nn.Parameter((conv.weight.double() * scale[:, None, None, None]).float(), requires_grad=False)
        conv.bias = nn.Parameter(shift.float(), requires_grad=False)
        self.bn = nn.Identity()


class Block(nn.Module):
    """Parallel branches over one input.  `heads` are the 1 x 1 convolutions of that input, by name."""

    heads: tuple[str, ...] = ()
    pooled: tuple[str, ...] = ()
    """The heads that average-pool their input first."""

    def __init__(self) -> None:
        super().__init__()
        self.joint: nn.Conv2d | None = None

    def head(self, x: Tensor) -> list[Tensor]:
        """The output of each head for x."""
        if self.joint is not None:
            widths = [self.convolution(name).conv.out_channels for name in self.heads]
            parts = self.joint(x).split(widths, 1)
            return [F.relu(average(p) if n in self.pooled else p) for n, p in zip(self.heads, parts, strict=True)]
        return [self.convolution(name)(average(x) if name in self.pooled else x) for name in self.heads]

    def convolution(self, name: str) -> Convolution:
        """The convolution called `name`."""
        part = getattr(self, name)
        assert isinstance(part, Convolution)
        return part

    @torch.no_grad()
    def join(self) -> None:
        """Merge the heads into one convolution, after they are folded."""
        convolutions = [self.convolution(name).conv for name in self.heads]
        weight = torch.cat([c.weight for c in convolutions])
        joint = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
        joint.weight = nn.Parameter(weight, requires_grad=False)
        joint.bias = nn.Parameter(torch.cat([c.bias for c in convolutions if c.bias is not None]), requires_grad=False)
        self.joint = joint


def average(x: Tensor) -> Tensor:
    """3 x 3 average pooling that excludes the padding."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class BlockA(Block):
    """35 x 35: branches of 1 x 1, 5 x 5, two 3 x 3, average pooling."""

    heads, pooled = ("branch1x1", "branch5x5_1", "branch3x3dbl_1", "branch_pool"), ("branch_pool",)

    def __init__(self, inputs: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(inputs, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = Convolution(inputs, 48, 1), Convolution(48, 64, 5)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Convolution(inputs, 64, 1), Convolution(64, 96, 3)
        self.branch3x3dbl_3 = Convolution(96, 96, 3)
        self.branch_pool = Convolution(inputs, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        one, five, three, pool = self.head(x)
        return torch.cat([one, self.branch5x5_2(five), self.branch3x3dbl_3(self.branch3x3dbl_2(three)), pool], 1)


class BlockB(Block):
    """35 x 35 to 17 x 17."""

    heads = ("branch3x3dbl_1",)

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = Convolution(inputs, 384, 3, 2, same=False)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Convolution(inputs, 64, 1), Convolution(64, 96, 3)
        self.branch3x3dbl_3 = Convolution(96, 96, 3, 2, same=False)

    def forward(self, x: Tensor) -> Tensor:
        (three,) = self.head(x)
        return torch.cat([self.branch3x3(x), self.branch3x3dbl_3(self.branch3x3dbl_2(three)), F.max_pool2d(x, 3, 2)], 1)


class BlockC(Block):
    """17 x 17: branches of 1 x 7 and 7 x 1 convolutions."""

    heads, pooled = ("branch1x1", "branch7x7_1", "branch7x7dbl_1", "branch_pool"), ("branch_pool",)

    def __init__(self, inputs: int, inner: int) -> None:
        super().__init__()
        self.branch1x1 = Convolution(inputs, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = Convolution(inputs, inner, 1), Convolution(inner, inner, (1, 7))
        self.branch7x7_3 = Convolution(inner, 192, (7, 1))
        self.branch7x7dbl_1, self.branch7x7dbl_2 = Convolution(inputs, inner, 1), Convolution(inner, inner, (7, 1))
        self.branch7x7dbl_3, self.branch7x7dbl_4 = Convolution(inner, inner, (1, 7)), Convolution(inner, inner, (7, 1))
        self.branch7x7dbl_5 = Convolution(inner, 192, (1, 7))
        self.branch_pool = Convolution(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        one, seven, double, pool = self.head(x)
        seven = self.branch7x7_3(self.branch7x7_2(seven))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(double))
        return torch.cat([one, seven, self.branch7x7dbl_5(self.branch7x7dbl_4(double)), pool], 1)


class BlockD(Block):
    """17 x 17 to 8 x 8."""

    heads = ("branch3x3_1", "branch7x7x3_1")

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Convolution(inputs, 192, 1), Convolution(192, 320, 3, 2, same=False)
        self.branch7x7x3_1, self.branch7x7x3_2 = Convolution(inputs, 192, 1), Convolution(192, 192, (1, 7))
        self.branch7x7x3_3 = Convolution(192, 192, (7, 1))
        self.branch7x7x3_4 = Convolution(192, 192, 3, 2, same=False)

    def forward(self, x: Tensor) -> Tensor:
        three, seven = self.head(x)
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(seven)))
        return torch.cat([self.branch3x3_2(three), seven, F.max_pool2d(x, 3, 2)], 1)


class BlockE(Block):
    """8 x 8: branches that split once more.  The last of the two blocks uses max pooling, as TensorFlow's did."""

    def __init__(self, inputs: int, averages: bool) -> None:
        super().__init__()
        self.heads = ("branch1x1", "branch3x3_1", "branch3x3dbl_1", *(["branch_pool"] if averages else []))
        self.pooled = ("branch_pool",)
        self.branch1x1 = Convolution(inputs, 320, 1)
        self.branch3x3_1, self.branch3x3dbl_1 = Convolution(inputs, 384, 1), Convolution(inputs, 448, 1)
        self.branch3x3_2a, self.branch3x3_2b = Convolution(384, 384, (1, 3)), Convolution(384, 384, (3, 1))
        self.branch3x3dbl_2 = Convolution(448, 384, 3)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = Convolution(384, 384, (1, 3)), Convolution(384, 384, (3, 1))
        self.branch_pool = Convolution(inputs, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        one, three, double, *pooled = self.head(x)
        pool = pooled[0] if pooled else self.branch_pool(F.max_pool2d(x, 3, 1, 1))
        double = self.branch3x3dbl_2(double)
        three = [self.branch3x3_2a(three), self.branch3x3_2b(three)]
        return torch.cat([one, *three, self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), pool], 1)


class Network(nn.Module):
    """Images (N, 3, 299, 299), (0 ... 255 - 128) / 128 -> features (N, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, 2, same=False)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3, same=False)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3, same=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = BlockA(192, 32), BlockA(256, 64), BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b, self.Mixed_6c = BlockC(768, 128), BlockC(768, 160)
        self.Mixed_6d, self.Mixed_6e = BlockC(768, 160), BlockC(768, 192)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b, self.Mixed_7c = BlockE(1280, averages=True), BlockE(2048, averages=False)
        self.fc = nn.Linear(FEATURES, 1_008)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, 2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_7a(self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x)))))
        return self.Mixed_7c(self.Mixed_7b(x)).mean((2, 3), dtype=torch.float32)

    def fuse(self) -> "Network":
        """Fold normalisation and merge heads: the same function with less work, for inference only."""
        for module in self.modules():
            if isinstance(module, Convolution):
                module.fold()
        for module in self.modules():
            if isinstance(module, Block):
                module.join()
        return self.requires_grad_(False).eval().to(memory_format=torch.channels_last)  # pyright: ignore


class Inception:
    """The network as an extractor: features (N, 2048), and logits (N, 1008) without their bias."""

    name = "inception"

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        source: str,
        *,
        resize: Rule = "clean",
        precision: Literal["fp32", "bf16"] = "fp32",
        device: torch.device | str = "cpu",
    ) -> None:
        """`source` names the weights in reports.  Raises WeightsError where their keys or shapes do not fit."""
        network = Network()
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{source} does not hold the weights of FID's InceptionV3 ({reason} ...).") from error
        self.device = torch.device(device)
        self.resize: Rule = resize
        self.kind = torch.bfloat16 if precision == "bf16" else torch.float32
        self.classes = network.fc.weight.detach().clone()
        self.network = network.fuse().to(self.device, self.kind)
        self.about = f"FID's InceptionV3 ({source}), {resize} resizing, {precision}"
        self.key = f"inception-{hash_weights(weights)}-{resize}-{precision}"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Features:
        """Features of images (N, 1 or 3, H, W) in [-1, 1] of any size."""
        inputs = resize_images(to_colour(to_255(images.to(self.device))), (SIDE, SIDE), self.resize)
        inputs = inputs.sub_(128).div_(128).to(self.kind, memory_format=torch.channels_last)
        features = self.network(inputs).cpu()
        return Features(features, features @ self.classes.T)


def load_inception(
    weights: str | Path = "",
    *,
    resize: Rule = "clean",
    precision: Literal["fp32", "bf16"] = "fp32",
    device: torch.device | str = "cpu",
) -> Inception:
    """The extractor with the weights in a file, else the published ones: from the cache, or downloaded once.

    Raises WeightsError where they cannot be loaded or do not fit.
    """
    path = Path(weights).expanduser() if str(weights) else download_weights()
    return Inception(read_weights(path), path.name, resize=resize, precision=precision, device=device)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file or of a torch file.  Raises WeightsError."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes raise anything, from IndexError to UnpicklingError
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:120]
        raise WeightsError(f"The weights {path} cannot be read: {reason}.") from error


def weights_path() -> Path:
    """Where downloaded weights are cached."""
    return cache_home() / "weights" / ADDRESS.rpartition("/")[2]


def download_weights() -> Path:
    """Path of the published weights, downloaded unless cached.  Raises WeightsError, which names the alternatives."""
    path = weights_path()
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(ADDRESS, str(path), hash_prefix=DIGEST, progress=False)
    except (URLError, OSError, RuntimeError) as error:
        raise WeightsError(
            f"FID's InceptionV3 could not be downloaded ({' '.join(str(error).split())}): put {ADDRESS} into "
            f"{path.parent}, or name a copy with --weights PATH; without it, --features classifier works "
            "for labelled data and --features pixels for any data."
        ) from error
    return path
