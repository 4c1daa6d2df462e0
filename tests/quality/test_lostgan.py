"""LostGAN generates what a layout asks for, where it asks for it, and moves one object without the others."""

import time
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.data.loader import to_images
from ganforge.data.open import open_data
from ganforge.draw import RowDraw
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.trained import Trained
from ganforge.models.lostgan import presets
from ganforge.models.lostgan.roi_align import roi_align
from tests.support.kept_runs import train_once

pytestmark = pytest.mark.quality
SIZE = presets["small"].run.size * 2
SIDE = 24
"""Sides of the cuts that the classifier reads."""
DATA, UNSEEN = "shapes-layouts", "shapes-layouts-unseen"


@dataclass(frozen=True)
class Layouts:
    """Images (n, 3, H, W) with boxes (n, M, 4) and labels (n, M)."""

    images: Tensor
    boxes: Tensor
    labels: Tensor


def scenes(count: int, held_out: bool, name: str = DATA) -> Layouts:
    """The first scenes of the data."""
    needed = ("images", "boxes", "box_labels")
    columns = open_data(name, size=SIZE, channels=3, held_out=held_out, needed=needed).columns
    boxes, labels = (torch.from_numpy(columns[key][:count].copy()) for key in needed[1:])
    return Layouts(to_images(columns["images"][:count].copy()), boxes, labels)


def cut_objects(images: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The insides of all boxes at one size (k, 3, SIDE, SIDE), and their labels (k,)."""
    cuts = roi_align(images, boxes * images.shape[-1], SIDE, 1.0)
    return cuts[labels > 0], labels[labels > 0]


@pytest.fixture(scope="module")
def classifier() -> nn.Module:
    """Reads the class of a cut, trained on real images alone; colours are mixed, so that only the shape tells."""
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for a, b in ((3, 32), (32, 64), (64, 96)):
        layers += [nn.Conv2d(a, b, 3, 1, 1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * (SIDE // 8) ** 2, 11))
    real, optimiser = scenes(4_000, held_out=False), torch.optim.Adam(network.parameters(), 2e-3)
    cuts, labels = cut_objects(real.images, real.boxes, real.labels)
    for step in range(900):
        rows = torch.randint(len(cuts), (64,))
        seen = cuts[rows][:, torch.randperm(3)]
        F.cross_entropy(network(seen.flip(3) if step % 2 else seen), labels[rows]).backward()
        optimiser.step()
        optimiser.zero_grad()
    network.eval()
    new = scenes(500, held_out=True)
    assert read(network, new.images, new.boxes, new.labels) > 0.95
    return network


@torch.no_grad()
def read(classifier: nn.Module, images: Tensor, boxes: Tensor, labels: Tensor) -> float:
    """The share of objects that are read as what their label says."""
    cuts, asked = cut_objects(images, boxes, labels)
    share = float((classifier(cuts).argmax(1) == asked).float().mean())
    print(f"{share:.1%} of {len(asked)} objects are read")
    return share


def answer(run: Trained, boxes: Tensor, labels: Tensor, seed: int = 0) -> Tensor:
    with inference_mode(run.game) as game:
        game.draw = RowDraw(seed)
        return game.translate(boxes, labels)  # pyright: ignore


@pytest.fixture(scope="module")
def run() -> Trained:
    return train_once("lostgan", DATA)


def test_the_asked_class_is_read_in_the_box(run: Trained, classifier: nn.Module):
    """Chance is 10 %.  The goal is 85 %."""
    real = scenes(300, held_out=True)
    assert read(classifier, answer(run, real.boxes, real.labels), real.boxes, real.labels) >= 0.85
    names = torch.randint(1, 11, real.labels.shape, generator=torch.Generator().manual_seed(0))
    other = names * (real.labels > 0)  # the same boxes of other classes: what is read follows the label, not the box
    assert read(classifier, answer(run, real.boxes, other), real.boxes, other) >= 0.85


def test_without_object_scores_the_class_is_not_read(classifier: nn.Module):
    """The broken version: the discriminator sees whole images alone, so nothing ties a label to its box."""
    blind = train_once("lostgan", DATA, config={"object_weight": 0.0})
    real = scenes(300, held_out=True)
    assert read(classifier, answer(blind, real.boxes, real.labels), real.boxes, real.labels) < 0.3


def inside(boxes: Tensor, side: int) -> Tensor:
    """bool (n, M, side, side): the pixels in each box."""
    pixels = (torch.arange(side) + 0.5) / side
    rows, columns = ((pixels >= boxes[..., a, None]) & (pixels <= boxes[..., a + 2, None]) for a in (1, 0))
    return rows[..., :, None] & columns[..., None, :]


def move_first(boxes: Tensor) -> Tensor:
    """The boxes with the first of each image moved sideways by 0.3 of the image, or as far as there is room."""
    left, right = boxes[:, 0, 0], 1 - boxes[:, 0, 2]
    by = torch.where(right > left, right.clamp(max=0.3), -left.clamp(max=0.3))
    moved = boxes.clone()
    moved[:, 0, 0::2] += by[:, None]
    return moved


def touches_others(boxes: Tensor, labels: Tensor) -> Tensor:
    """bool (n,): whether the first box shares pixels with the box of another object."""
    first, others = boxes[:, :1], boxes[:, 1:]
    sides = torch.minimum(first[..., 2:], others[..., 2:]) - torch.maximum(first[..., :2], others[..., :2])
    return ((sides > 0).all(-1) & (labels[:, 1:] > 0)).any(1)


def test_moving_a_box_moves_its_object_and_no_other(run: Trained, classifier: nn.Module):
    real = scenes(300, held_out=True)
    moved = move_first(real.boxes)
    before, after = answer(run, real.boxes, real.labels), answer(run, moved, real.labels)
    only = real.labels * (torch.arange(real.labels.shape[1]) == 0)
    assert read(classifier, after, moved, only) >= 0.6  # read at the new place, where others may lie in front of it
    alone = only * ~touches_others(moved, real.labels)[:, None]
    assert read(classifier, after, moved, alone) >= 0.85
    assert read(classifier, after, real.boxes, only) < 0.25  # and gone from the old

    change, own = (after - before).abs().mean(1), inside(real.boxes, SIZE[0])
    place = own[:, 0] | inside(moved, SIZE[0])[:, 0]
    others = (own[:, 1:] & (real.labels[:, 1:] > 0)[..., None, None]).any(1) & ~place
    of_place, of_others = (float(change[where].mean()) for where in (place, others))
    print(f"mean change {of_place:.3f} where the object was and is, {of_others:.3f} in the boxes of others")
    assert of_others < of_place / 3


def test_new_codes_change_more_than_the_move_of_an_object(run: Trained):
    """The broken version of moving: another seed draws all codes again, and every box changes."""
    real = scenes(100, held_out=True)
    first, second = (answer(run, real.boxes, real.labels, seed) for seed in (0, 1))
    moved = answer(run, move_first(real.boxes), real.labels)
    others = (inside(real.boxes, SIZE[0])[:, 1:] & (real.labels[:, 1:] > 0)[..., None, None]).any(1)
    others &= ~(inside(real.boxes, SIZE[0])[:, 0] | inside(move_first(real.boxes), SIZE[0])[:, 0])
    by_seed, by_move = (float((image - first).abs().mean(1)[others].mean()) for image in (second, moved))
    print(f"mean change in the boxes of others: {by_seed:.3f} by another seed, {by_move:.3f} by the move")
    assert by_seed > 2 * by_move


def test_objects_that_were_never_seen_together(classifier: nn.Module):
    run = train_once("lostgan", UNSEEN)
    new = scenes(300, held_out=True, name=UNSEEN)
    assert read(classifier, answer(run, new.boxes, new.labels), new.boxes, new.labels) >= 0.8


def test_own_roi_align_is_no_slower_than_torchvisions():
    ops = pytest.importorskip("torchvision.ops", exc_type=ImportError)
    source = torch.Generator().manual_seed(0)
    boxes = (torch.rand(16, 8, 2, 2, generator=source).sort(2).values * 64).flatten(2)
    features = torch.randn(16, 64, 32, 32, generator=source, requires_grad=True)
    rows = torch.cat([torch.arange(16).repeat_interleave(8)[:, None], boxes.flatten(0, 1)], 1)
    forms = {
        "own": lambda: roi_align(features, boxes, 8, 0.5),
        "torchvision": lambda: ops.roi_align(features, rows, (8, 8), 0.5, -1, False),
    }
    times = dict.fromkeys(forms, float("inf"))
    for _ in range(10):
        for name, form in forms.items():
            start = time.perf_counter()
            form().sum().backward()
            times[name] = min(times[name], time.perf_counter() - start)
    print({name: f"{1000 * seconds:.1f} ms" for name, seconds in times.items()})
    assert times["own"] <= times["torchvision"]
