"""StarGAN's edits, read by a classifier that it never met: what was asked for changes, and everything else stays."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.data.loader import to_images
from ganforge.data.open import open_data
from ganforge.metrics.extractors.classifier import load_or_train_classifier
from tests.support.kept_runs import train_once

pytestmark = pytest.mark.quality
COLOURS = 8  # the first attributes: an image has one of them


def attributes_of(held_out: bool) -> tuple[Tensor, Tensor]:
    """Images of the embedded shapes and their attributes."""
    data = open_data("shapes-attributes", size=(32, 32), channels=3, held_out=held_out)
    rows = slice(0, 600 if held_out else 8_000)
    return to_images(data.columns["images"][rows].copy()), torch.from_numpy(data.columns["condition"][rows].copy())


@pytest.fixture(scope="module")
def reader() -> nn.Module:
    """A classifier of attributes, trained on real images alone."""
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for a, b in ((3, 24), (24, 48), (48, 96)):
        layers += [nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * 16, 11))
    images, truth = attributes_of(held_out=False)
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for step in range(1_000):
        rows = torch.arange(step * 64, step * 64 + 64) % len(images)
        F.binary_cross_entropy_with_logits(network(images[rows]), truth[rows]).backward()
        optimiser.step()
        optimiser.zero_grad()
    images, truth = attributes_of(held_out=True)
    right = (read(network.eval(), images) == truth).float().mean()
    print(f"the reader is right about {right:.1%} of held-out attributes")
    assert right > 0.97
    return network


@torch.no_grad()
def read(network: nn.Module, images: Tensor) -> Tensor:
    logits = network(images)
    colour = F.one_hot(logits[:, :COLOURS].argmax(1), COLOURS)
    return torch.cat([colour, (logits[:, COLOURS:] > 0).long()], 1).float()


def test_requested_attributes_change_and_the_others_stay(reader: nn.Module):
    run = train_once("stargan", "shapes-attributes")
    images, truth = attributes_of(held_out=True)
    obeyed, kept = {}, {}
    for k, name in enumerate(run.facts.attributes):
        lacking = truth[:, k] == 0  # so that leaving the image as it is never counts
        said = run.convert_answers(run.game.translate, int(lacking.sum()), {"to": name})  # pyright: ignore
        with torch.inference_mode():
            seen = read(reader, run.game.translate(images[lacking], **said))  # pyright: ignore
        others = [i for i in range(11) if i != k and not (k < COLOURS and i < COLOURS)]
        obeyed[name] = float(seen[:, k].mean())
        kept[name] = float((seen == truth[lacking])[:, others].float().mean())
    print({name: f"{obeyed[name]:.0%} / {kept[name]:.0%}" for name in obeyed})
    names = [*obeyed]
    assert min(obeyed[name] for name in names[:COLOURS]) > 0.8
    assert sum(obeyed.values()) / len(obeyed) > 0.8
    assert min(kept.values()) > 0.85
    shapes = load_or_train_classifier(open_data("shapes", size=(32, 32), channels=3))
    same = (
        (shapes.predict_classes(run.translate(images[:200], to="green")) == shapes.predict_classes(images[:200]))
        .float()
        .mean()
    )
    print(f"{same:.0%} keep their shape")  # of ten, and no attribute: only the way back asks for it
    assert same > 0.45
