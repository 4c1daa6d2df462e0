"""InstaGAN's discs become stars, by a classifier that is not part of the game, and the background stays."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.data.loader import to_images
from ganforge.data.open import open_data
from ganforge.inference.inference_mode import inference_mode
from tests.support.kept_runs import train_once

pytestmark = pytest.mark.quality
SIZE = (32, 32)


def scenes(held_out: bool, count: int) -> dict[str, Tensor]:
    """The first images of both kinds, and their masks (n, M, H, W) in {0, 1}."""
    data = open_data("shapes-instances", size=SIZE, channels=3, held_out=held_out)
    pictures = {name: np.asarray(column[:count]) for name, column in data.columns.items()}
    held = {
        name: torch.from_numpy(c).permute(0, 3, 1, 2).float() / 255 for name, c in pictures.items() if "masks" in name
    }
    return {name: to_images(pictures[name].copy()) for name in "ab"} | held


@pytest.fixture(scope="module")
def is_star() -> nn.Module:
    """A classifier of whole images: discs (0) or stars (1), trained on real ones alone."""
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for a, b in ((3, 24), (24, 48), (48, 96)):
        layers += [nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 1), nn.Flatten(0))
    real, optimiser = scenes(False, 1_800), torch.optim.Adam(network.parameters(), 2e-3)
    for step in range(600):
        rows = torch.arange(step * 32, step * 32 + 32) % 1_800
        pictures = torch.cat([real["a"][rows], real["b"][rows]])
        F.binary_cross_entropy_with_logits(network(pictures), torch.arange(64).ge(32).float()).backward()
        optimiser.step()
        optimiser.zero_grad()
    network.eval()
    held_out = scenes(True, 300)
    with torch.no_grad():
        right = ((network(held_out["a"]) < 0).float().mean() + (network(held_out["b"]) > 0).float().mean()) / 2
    print(f"the classifier is right about {right:.1%} of held-out pictures")
    assert right > 0.95
    return network


def test_instances_change_and_the_background_stays(is_star: nn.Module):
    run = train_once("instagan", "shapes-instances")
    real = scenes(True, 200)
    with inference_mode(run.game) as game:
        pictures, masks = game.translate_with_masks(real["a"], real["a_masks"])  # pyright: ignore
        fooled = (is_star(pictures) > 0).float().mean()
    held = (masks.amax(1, keepdim=True) > 0).float()
    before = real["a_masks"].amax(1, keepdim=True)
    outside = (1 - held) * (1 - before)
    changed = (pictures - real["a"]).abs().mean(1, keepdim=True)
    ground, things = ((changed * where).sum() / where.sum() for where in (outside, before))
    print(f"{fooled:.0%} taken for stars; mean change {things:.3f} of things, {ground:.3f} of the ground")
    assert fooled > 0.6
    assert ground < things / 3
    assert ground < 0.1
