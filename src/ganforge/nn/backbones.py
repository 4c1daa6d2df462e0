"""Bodies of the encoders of StyleGAN2: residual units of face recognition, and ResNet34 with learned slopes.

Deng et al. 2018 (ArcFace), https://arxiv.org/abs/1801.07698, with squeeze and excitation (Hu et al. 2017,
https://arxiv.org/abs/1709.01507); He et al. 2015, https://arxiv.org/abs/1512.03385.
"""

from collections.abc import Sequence

from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """x (N, C, H, W) scaled by a gate (N, C) that follows from its channels' means."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.fc1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.fc2 = nn.Conv2d(inner, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class FaceUnit(nn.Module):
    """x (N, inputs, H, W) -> (N, outputs, H / stride, W / stride): the residual unit IR, with `excite` IR-SE."""

    def __init__(self, inputs: int, outputs: int, stride: int, excite: bool = True) -> None:
        super().__init__()
        self.shortcut = (
            nn.MaxPool2d(1, stride)
            if inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )
        self.residual = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            *([SqueezeExcite(outputs)] if excite else []),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.residual(x)


class FaceBody(nn.Module):
    """images (N, inputs, H, W) -> the last map of each stage, each of half the sides of the one before.

    `widths` and `depths` are the channels and the units of the stages.
    """

    def __init__(self, inputs: int, widths: Sequence[int], depths: Sequence[int], excite: bool = True) -> None:
        super().__init__()
        first = widths[0]
        self.enter = nn.Sequential(
            nn.Conv2d(inputs, first, 3, 1, 1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first)
        )
        units, before, self.ends = [], first, list[int]()
        for width, depth in zip(widths, depths, strict=True):
            for number in range(depth):
                units.append(FaceUnit(before, width, 1 if number else 2, excite))
                before = width
            self.ends.append(len(units) - 1)
        self.units = nn.ModuleList(units)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, maps = self.enter(images), []
        for number, unit in enumerate(self.units):
            x = unit(x)
            if number in self.ends:
                maps.append(x)
        return maps


class BasicBlock(nn.Module):
    """x (N, inputs, H, W) -> (N, outputs, H / stride, W / stride): ResNet's block of two convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if stride > 1 or inputs != outputs
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn1(self.conv1(x)).relu()
        return (self.shortcut(x) + self.bn2(self.conv2(inner))).relu()


class ResNetBody(nn.Module):
    """images (N, inputs, H, W) -> a map (N, widths[-1], h, w): halved once, and once a stage after the first.

    Without ResNet's max-pooling, and with a learned slope after the first convolution.
    """

    def __init__(self, inputs: int, widths: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, widths[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.slope = nn.PReLU(widths[0])
        blocks, before = [], widths[0]
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for number in range(depth):
                blocks.append(BasicBlock(before, width, 2 if stage and not number else 1))
                before = width
        self.blocks = nn.Sequential(*blocks)

    def forward(self, images: Tensor) -> Tensor:
        return self.blocks(self.slope(self.bn1(self.conv1(images))))


class ArcFace(nn.Module):
    """Faces (N, 3, 112, 112) in [-1, 1] -> vectors (N, 512) of length 1, which are near for one person."""

    def __init__(self) -> None:
        super().__init__()
        self.body = FaceBody(3, (64, 128, 256, 512), (3, 4, 14, 3))
        self.head = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(0.6), nn.Flatten(), nn.Linear(512 * 7 * 7, 512), nn.BatchNorm1d(512)
        )
        self.eval().requires_grad_(False)

    def forward(self, faces: Tensor) -> Tensor:
        vectors = self.head(self.body(faces)[-1])
        return vectors / vectors.norm(dim=1, keepdim=True)

    def train(self, mode: bool = True) -> "ArcFace":
        """Always in evaluation mode."""
        return super().train(False)
