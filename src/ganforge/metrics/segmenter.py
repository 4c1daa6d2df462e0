"""A network that learns to read photographs: from (photograph, label map) pairs to a judge for the FCN-score.

The form is that of the FCN-8s (Long, Shelhamer, Darrell 2015, https://arxiv.org/abs/1411.4038): scores of the classes
at several strides, each enlarged and added to the next finer one.  It is a light one, trained here from random
weights, where the paper's begins with a VGG-16 that was trained on ImageNet and stops at stride 8: so its figures
compare translators with each other and with the real photographs, and not with those printed elsewhere.
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
from ganforge.metrics.fcn import VOID

FORMAT = 1  # of a judge in the cache: raise it when the network or its training changes


@dataclass(frozen=True)
class Lesson:
    """How a reader learns."""

    rounds: int = 800
    batch: int = 16
    window: int = 128
    """Side of the random windows it learns from, where photographs are larger."""
    widths: tuple[int, ...] = (24, 48, 96, 192, 192)
    lr: float = 2e-3
    """Adam's learning rate, which falls to zero as half a cosine."""
    seed: int = 0


class Reader(nn.Module):
    """Photographs (N, C, H, W) in [-1, 1] -> scores of the classes (N, K, H, W)."""

    def __init__(self, channels: int, classes: int, widths: Sequence[int], first_stride: int) -> None:
        """`first_stride` is 1 where single pixels matter, 2 for large photographs: a quarter of the work."""
        super().__init__()
        self.made_of = {"channels": channels, "classes": classes, "widths": [*widths], "first_stride": first_stride}
        steps = [(channels, widths[0], first_stride), *((a, b, 2) for a, b in pairwise(widths))]
        self.stages = nn.ModuleList(stage(*step) for step in steps)
        self.scores = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in widths)

    def forward(self, photographs: Tensor) -> Tensor:
        seen = [photographs]
        for down in self.stages:
            seen.append(down(seen[-1]))
        said = self.scores[-1](seen[-1])
        for maps, score in zip(seen[-2:0:-1], [*self.scores][-2::-1], strict=True):
            said = score(maps) + enlarged(said, maps)
        return said if said.shape[2:] == photographs.shape[2:] else enlarged(said, photographs)


def stage(before: int, after: int, stride: int) -> nn.Sequential:
    """Two convolutions, the first with a stride."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        nn.Conv2d(after, after, 3, 1, 1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


def enlarged(scores: Tensor, like: Tensor) -> Tensor:
    """Scores at the sides of another map."""
    return F.interpolate(scores, like.shape[2:], mode="bilinear")


def reader(
    photographs: Tensor,
    label_maps: Tensor,
    classes: int,
    lesson: Lesson = Lesson(),
    say: Callable[[str], None] = lambda _: None,
) -> Reader:
    """A reader that has learned from photographs (N, C, H, W) and label maps (N, H, W) of whole numbers, 255: no class.

    Photographs are floats in [-1, 1], or uint8: many of them then take a quarter of the memory.
    It follows from the pairs and the lesson alone, and leaves torch's own source of chance as it was.
    Raises DataError where the two do not belong together, or hold a class beyond `classes`.
    """
    check(photographs, label_maps, classes)
    stride = 1 if min(photographs.shape[2:]) <= 64 else 2
    with torch.random.fork_rng([]):
        torch.manual_seed(lesson.seed)
        net = Reader(photographs.shape[1], classes, lesson.widths, stride).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    adam = torch.optim.Adam(net.parameters(), lesson.lr)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, lesson.rounds)
    for number in range(lesson.rounds):
        source = torch.Generator().manual_seed(mix(lesson.seed, number))
        photos, maps = windows(photographs, label_maps, lesson, source)
        sums = F.cross_entropy(net(photos), maps, ignore_index=VOID, reduction="sum")
        loss = sums / (maps != VOID).sum().clamp(min=1)  # a window may lie where nothing has a class
        adam.zero_grad()
        loss.backward()
        adam.step()
        falling.step()
        if (number + 1) % max(1, lesson.rounds // 8) == 0:
            say(f"The judge of the FCN-score learns: round {number + 1} of {lesson.rounds}, loss {loss.item():.3f}.")
    return net.eval().requires_grad_(False)


def check(photographs: Tensor, label_maps: Tensor, classes: int) -> None:
    """Raise DataError unless the two belong together."""
    if photographs.ndim != 4 or label_maps.shape != (len(photographs), *photographs.shape[2:]) or not len(label_maps):
        raise DataError(
            f"Photographs {tuple(photographs.shape)} and label maps {tuple(label_maps.shape)} do not belong together: "
            "they are (N, C, H, W) and (N, H, W), one or more, with the same sides."
        )
    known = label_maps[label_maps != VOID]
    if not len(known) or not 0 <= int(known.min()) <= int(known.max()) < classes:
        raise DataError(f"Label maps hold the classes 0 to {classes - 1}, and {VOID} where there is none.")


def windows(photographs: Tensor, label_maps: Tensor, lesson: Lesson, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch: random rows, windows and mirrors."""
    height, width = photographs.shape[2:]
    h, w = min(height, lesson.window), min(width, lesson.window)

    def chance(options: int) -> list[int]:
        return torch.randint(options, (lesson.batch,), generator=source).tolist()

    photos, maps = [], []
    places = zip(chance(len(photographs)), chance(height - h + 1), chance(width - w + 1), chance(2), strict=True)
    for row, top, left, mirrored in places:
        photo = photographs[row, :, top : top + h, left : left + w]
        labels = label_maps[row, top : top + h, left : left + w]
        photos.append(photo.flip(-1) if mirrored else photo)
        maps.append(labels.flip(-1) if mirrored else labels)
    seen = torch.stack(photos)
    return seen / 127.5 - 1 if seen.dtype == torch.uint8 else seen, torch.stack(maps).long()


def kept_reader(
    key: str,
    pairs: Callable[[], tuple[Tensor, Tensor]],
    classes: int,
    lesson: Lesson = Lesson(),
    say: Callable[[str], None] = lambda _: None,
) -> Reader:
    """The reader of the data called `key`, a fingerprint: out of the cache, or trained now on `pairs` and put there."""
    name = fingerprint("reader", FORMAT, key, classes, asdict(lesson))
    path = cache_home() / "judges" / f"{name}.safetensors"
    if path.is_file():
        try:
            return stored(path)
        except (OSError, SafetensorError, ValueError, TypeError, RuntimeError) as error:
            say(f"The judge in {path} is damaged ({reason(error)}): it is trained again.")
    net = reader(*pairs(), classes, lesson, say)
    try:
        with replacing(path) as file:
            file.write(
                save(
                    {key: value.contiguous() for key, value in net.state_dict().items()},
                    {k: json.dumps(v) for k, v in net.made_of.items()},
                )
            )
    except RunError as error:
        say(f"{error} The judge is trained again next time.")
    return net


def stored(path: Path) -> Reader:
    """A reader from its file; one of several errors where the file is not whole."""
    with safe_open(path, "pt") as file:
        about = file.metadata()
    net = Reader(*(json.loads(about[name]) for name in ("channels", "classes", "widths", "first_stride")))
    net.load_state_dict(load_file(path))
    return net.eval().requires_grad_(False)
