"""A segmentation network for the FCN-score, trained on (photograph, label map) pairs of the data.

The architecture follows FCN-8s (Long, Shelhamer, Darrell 2015, https://arxiv.org/abs/1411.4038): class scores at
several strides, each upsampled and added to the next finer one.  It is small and trained from random weights, where
the paper starts from a VGG-16 trained on ImageNet and stops at stride 8: so its scores compare translators with each
other and with the real photographs, but not with published scores.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ganforge.data.cache import fingerprint
from ganforge.data.paths import cache_home
from ganforge.draw import mix
from ganforge.errors import DataError, RunError
from ganforge.files import reason, replacing
from ganforge.metrics.label_colours import VOID

FORMAT = 1  # of a segmenter in the cache: raise it when the network or its training changes


@dataclass(frozen=True)
class SegmenterConfig:
    """Training settings.  The field names are part of the cache key."""

    rounds: int = 800
    batch: int = 16
    window: int = 128
    """Side of the random training crops, where photographs are larger."""
    widths: tuple[int, ...] = (24, 48, 96, 192, 192)
    lr: float = 2e-3
    """Adam's learning rate, annealed to zero by a half cosine."""
    seed: int = 0


class Segmenter(nn.Module):
    """Photographs (N, C, H, W) in [-1, 1] -> class scores (N, K, H, W)."""

    def __init__(self, channels: int, classes: int, widths: Sequence[int], first_stride: int) -> None:
        """`first_stride`: 1 where single pixels matter, 2 for large photographs, at a quarter of the compute."""
        super().__init__()
        self.arguments = {"channels": channels, "classes": classes, "widths": [*widths], "first_stride": first_stride}
        steps = [(channels, widths[0], first_stride), *((a, b, 2) for a, b in pairwise(widths))]
        self.stages = nn.ModuleList(build_stage(*step) for step in steps)
        self.scores = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in widths)

    def forward(self, photographs: Tensor) -> Tensor:
        features = [photographs]
        for stage in self.stages:
            features.append(stage(features[-1]))
        scores = self.scores[-1](features[-1])
        for maps, head in zip(features[-2:0:-1], [*self.scores][-2::-1], strict=True):
            scores = head(maps) + upsample(scores, maps)
        return scores if scores.shape[2:] == photographs.shape[2:] else upsample(scores, photographs)


def build_stage(before: int, after: int, stride: int) -> nn.Sequential:
    """Two 3 x 3 convolutions with batch normalisation and ReLU, the first with a stride."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, 1, 1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


def upsample(scores: Tensor, like: Tensor) -> Tensor:
    """Scores resized to the height and width of `like`, bilinearly."""
    return F.interpolate(scores, like.shape[2:], mode="bilinear")


def train_segmenter(
    photographs: Tensor,
    label_maps: Tensor,
    classes: int,
    config: SegmenterConfig = SegmenterConfig(),
    say: Callable[[str], None] = lambda _: None,
) -> Segmenter:
    """A segmenter trained on photographs (N, C, H, W) and integer label maps (N, H, W), 255: no class.

    Photographs are floats in [-1, 1], or uint8 at a quarter of the memory.
    The result depends on the pairs and the config alone; torch's global random state is left unchanged.
    Raises DataError where shapes do not match, or a class is outside 0 ... classes - 1.
    """
    check_pairs(photographs, label_maps, classes)
    stride = 1 if min(photographs.shape[2:]) <= 64 else 2
    with torch.random.fork_rng([]):
        torch.manual_seed(config.seed)
        net = Segmenter(photographs.shape[1], classes, config.widths, stride).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    adam = torch.optim.Adam(net.parameters(), config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, config.rounds)
    for number in range(config.rounds):
        source = torch.Generator().manual_seed(mix(config.seed, number))
        photos, maps = sample_windows(photographs, label_maps, config, source)
        total = F.cross_entropy(net(photos), maps, ignore_index=VOID, reduction="sum")
        loss = total / (maps != VOID).sum().clamp(min=1)  # a crop may contain no labelled pixel
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        if (number + 1) % max(1, config.rounds // 8) == 0:
            say(f"Training the FCN-score segmenter: step {number + 1} of {config.rounds}, loss {loss.item():.3f}.")
    return net.eval().requires_grad_(False)


def check_pairs(photographs: Tensor, label_maps: Tensor, classes: int) -> None:
    """Raise DataError unless photographs and label maps match in shape, and classes are valid."""
    if photographs.ndim != 4 or label_maps.shape != (len(photographs), *photographs.shape[2:]) or not len(label_maps):
        raise DataError(
            f"Photographs {tuple(photographs.shape)} and label maps {tuple(label_maps.shape)} do not match: "
            "they are (N, C, H, W) and (N, H, W), one or more, with the same height and width."
        )
    known = label_maps[label_maps != VOID]
    if not len(known) or not 0 <= int(known.min()) <= int(known.max()) < classes:
        raise DataError(f"Label maps must hold classes 0 to {classes - 1}, and {VOID} for none.")


def sample_windows(
    photographs: Tensor, label_maps: Tensor, config: SegmenterConfig, source: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A training batch: random rows, random crops, random horizontal flips."""
    height, width = photographs.shape[2:]
    h, w = min(height, config.window), min(width, config.window)

    def draw(options: int) -> list[int]:
        return torch.randint(options, (config.batch,), generator=source).tolist()

    photos, maps = [], []
    places = zip(draw(len(photographs)), draw(height - h + 1), draw(width - w + 1), draw(2), strict=True)
    for row, top, left, flipped in places:
        photo = photographs[row, :, top : top + h, left : left + w]
        labels = label_maps[row, top : top + h, left : left + w]
        photos.append(photo.flip(-1) if flipped else photo)
        maps.append(labels.flip(-1) if flipped else labels)
    batch = torch.stack(photos)
    return batch / 127.5 - 1 if batch.dtype == torch.uint8 else batch, torch.stack(maps).long()


def load_or_train_segmenter(
    key: str,
    pairs: Callable[[], tuple[Tensor, Tensor]],
    classes: int,
    config: SegmenterConfig = SegmenterConfig(),
    say: Callable[[str], None] = lambda _: None,
) -> Segmenter:
    """The segmenter of the data with fingerprint `key`: from the cache, or trained now on `pairs()` and cached."""
    name = fingerprint("reader", FORMAT, key, classes, asdict(config))
    path = cache_home() / "judges" / f"{name}.safetensors"
    if path.is_file():
        try:
            return load_segmenter(path)
        except (OSError, SafetensorError, ValueError, TypeError, RuntimeError) as error:
            say(f"The segmenter in {path} is damaged ({reason(error)}): training it again.")
    net = train_segmenter(*pairs(), classes, config, say)
    try:
        with replacing(path) as file:
            file.write(
                save(
                    {key: value.contiguous() for key, value in net.state_dict().items()},
                    {k: json.dumps(v) for k, v in net.arguments.items()},
                )
            )
    except RunError as error:
        say(f"{error} The segmenter will be trained again next time.")
    return net


def load_segmenter(path: Path) -> Segmenter:
    """A segmenter from its file.  Raises one of several errors where the file is damaged."""
    with safe_open(path, "pt") as file:
        arguments = file.metadata()
    net = Segmenter(*(json.loads(arguments[name]) for name in ("channels", "classes", "widths", "first_stride")))
    net.load_state_dict(load_file(path))
    return net.eval().requires_grad_(False)
