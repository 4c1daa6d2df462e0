"""Enlarging: after minutes of training SRResNet is above bicubic enlargement, and its GAN is sharper than it.

On the customary images where they are, trained on T91 and measured on Set5 and Set14; else on the embedded shapes.
"""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganforge.batches import Enlarged, Facts
from ganforge.catalogue import find
from ganforge.data.dataset import DataSet
from ganforge.data.loader import BatchLoader
from ganforge.data.open import open_data
from ganforge.engine import Callback, Engine
from ganforge.images import read, recolour
from ganforge.inference.inference_mode import inference_mode
from ganforge.nn.bicubic import bicubic
from tests.support.goldens import SHARED

pytestmark = pytest.mark.quality
SETS, SIDE, SCALE = SHARED / "data" / "sr", 64, 4
Pairs = list[tuple[Tensor, Tensor]]  # small and large images (1, 3, H, W) in [-1, 1]


def picture(array: np.ndarray) -> Tensor:
    return torch.from_numpy(recolour(array, 3).astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1


def customary() -> tuple[np.ndarray, dict[str, Pairs]]:
    """Windows of T91, and the pairs of Set5 and Set14 as they are given."""
    windows = []
    for path in sorted((SETS / "train-T91").glob("*.png")):
        whole = recolour(read(path), 3)
        tops, lefts = (range(0, side - SIDE + 1, SIDE // 2) for side in whole.shape[:2])
        windows += [whole[top : top + SIDE, left : left + SIDE] for top in tops for left in lefts]
    tests = {
        name: [
            (picture(read(SETS / name / "LRx4" / path.name)), picture(read(path)))
            for path in sorted((SETS / name / "HR").glob("*.png"))
        ]
        for name in ("Set5", "Set14")
    }
    return np.stack(windows), tests


def embedded() -> tuple[np.ndarray, dict[str, Pairs]]:
    """Shapes, and held-out ones with their reductions."""
    train, test = (open_data("shapes", size=(SIDE, SIDE), channels=3, held_out=out) for out in (False, True))
    large = [picture(np.asarray(test.columns["images"][k])) for k in range(40)]
    return np.asarray(train.columns["images"][:4000]), {"shapes": [(bicubic(high, 1 / SCALE), high) for high in large]}


def luma(images: Tensor) -> Tensor:
    """Y of BT.601 in 16 ... 235, without the border that no method can know."""
    weights = torch.tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1)
    grey = ((images + 1) / 2 * weights).sum(1, keepdim=True) + 16
    return grey[..., SCALE:-SCALE, SCALE:-SCALE]


def psnr(made: Tensor, true: Tensor) -> float:
    made = ((made + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1
    return float(10 * torch.log10(255**2 / (luma(made) - luma(true)).square().mean()))


def sharpness(images: Tensor) -> float:
    """The mean of how far a pixel is from the mean of its four neighbours."""
    y = luma(images)
    around = (y[..., :-2, 1:-1] + y[..., 2:, 1:-1] + y[..., 1:-1, :-2] + y[..., 1:-1, 2:]) / 4
    return float((y[..., 1:-1, 1:-1] - around).abs().mean())


class Halfway(Callback):
    """Keeps the game as it is when its first stage is over."""

    def after_step(self, engine: Engine) -> None:
        if engine.step == engine.game.config.pretraining:
            self.game = copy.deepcopy(engine.averaged)


def trained(windows: np.ndarray) -> tuple[Any, Any]:
    """SRResNet, and the SRGAN that begins as it."""
    model = find("srgan")
    preset = model.preset("small")
    run = replace(preset.run, steps=1_000, size=(SIDE,), save_every=0, precision="fp32", threads=1)
    config = replace(preset.config, pretraining=800)
    facts, halfway = Facts(3, SIDE, SIDE), Halfway()
    torch.manual_seed(run.seed)
    loader = BatchLoader(DataSet("windows", facts, {"images": windows}), Enlarged, run)
    return Engine(model.game(config, facts), run, loader, None, [halfway]).train(), halfway.game


def test_srresnet_is_above_bicubic_and_its_gan_is_sharper():
    windows, tests = customary() if SETS.is_dir() else embedded()
    real, mean = trained(windows)
    for name, pairs in tests.items():
        rows = []
        for low, high in pairs:
            with inference_mode(mean), inference_mode(real):
                answers = bicubic(low, SCALE).clamp(-1, 1), mean.translate(low), real.translate(low)
            rows.append([psnr(a, high) for a in answers] + [sharpness(a) for a in (*answers, high)])
        scores = tuple(np.mean(rows, 0))
        print(f"{name} x{SCALE}: PSNR bicubic %.2f, SRResNet %.2f, SRGAN %.2f" % scores[:3])
        print(f"{name} sharpness: bicubic %.2f, SRResNet %.2f, SRGAN %.2f, truth %.2f" % scores[3:])
        assert min(scores[1:3]) > scores[0]
        assert scores[4] < scores[5] < scores[6]
        if name != "shapes":  # whose flat colours squares alone make nearly as sharp as they are
            assert scores[1] > scores[2]  # in photographs sharpness has its price
            assert scores[5] > 1.2 * scores[4]
