"""SPADE on the embedded label maps: regions can be read where they were asked for, in many styles."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import ganforge
from ganforge.catalogue import find
from ganforge.data.loader import to_images
from ganforge.data.open import open_data
from ganforge.draw import RowDraw
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.trained import Trained
from ganforge.metrics.fcn import fcn_score
from ganforge.metrics.segmenter import Segmenter, load_or_train_segmenter
from ganforge.models.spade.generator import SPADE

pytestmark = pytest.mark.quality
HELD_OUT = 300  # scenes
BRIEF = 250  # steps of the broken versions, and of the whole one that they are compared with
PACE = 100  # steps of pix2pix, which measure its speed


def scenes(held_out: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Images in [-1, 1], their label maps and instance maps."""
    needed = ("images", "label_map")
    data = open_data("shapes-maps", size=(64, 64), channels=3, held_out=held_out, needed=needed)
    rows = slice(0, HELD_OUT if held_out else None)
    images, *maps = (np.array(data.columns[name][rows]) for name in (*needed, "instance_map"))
    label_map, instance_map = (torch.from_numpy(each).long().view(each.shape[:3]) for each in maps)
    return to_images(images), label_map, instance_map


@pytest.fixture(scope="module")
def reader() -> Segmenter:
    """A segmentation network, trained on real pairs alone."""

    def pairs() -> tuple[Tensor, Tensor]:
        images, label_map, _ = scenes(held_out=False)
        return ((images + 1) * 127.5).round().to(torch.uint8), label_map.to(torch.uint8)

    data = open_data("shapes-maps", size=(64, 64), channels=3, needed=("images", "label_map"))
    return load_or_train_segmenter(f"{data.fingerprint} regions", pairs, len(data.facts.regions))


@dataclass(frozen=True)
class Answers:
    """Two answers to every held-out map, and what can be read in them."""

    iou: float
    apart: float
    """Mean difference of two seeds' pixels."""
    kept: float
    """Share of pixels that read the same in both."""
    styled: float
    """Difference from the true images with their own styles, as a share of that with each other's; 1 without styles."""
    seconds: float
    """Of training."""


def answer(reader: Segmenter, folder: Path, **settings: Any) -> Answers:
    run = ganforge.train("spade", "shapes-maps", outdir=folder, quiet=True, **settings)
    images, label_map, instance_map = scenes(held_out=True)

    def translate(seed: int = 0, styles: Tensor | None = None) -> Tensor:
        parts = []
        for first in range(0, HELD_OUT, 20):
            rows = slice(first, first + 20)
            style = None if styles is None else styles[rows]
            with inference_mode(run.game) as game:
                game.draw = RowDraw(seed, first)
                parts.append(game.translate(label_map[rows], instance_map[rows], style))  # pyright: ignore
        return torch.cat(parts)

    def differ(styles: Tensor) -> float:
        return float((translate(styles=styles) - images).abs().mean())

    one, other = translate(0), translate(1)
    with torch.inference_mode():
        read = [torch.cat([reader(part).argmax(1) for part in answers.split(20)]) for answers in (one, other)]
    found = Answers(
        iou=fcn_score(one, label_map, reader).class_iou,
        apart=float((one - other).abs().mean()),
        kept=float((read[0] == read[1]).float().mean()),
        styled=differ(images) / differ(images.roll(1, 0)) if run.game.config.use_vae else 1.0,  # pyright: ignore
        seconds=training_seconds(run),
    )
    print(settings, found, count_parameters(run))
    return found


def training_seconds(run: Trained) -> float:
    rows = (run.path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return sum(json.loads(row)["seconds"] for row in rows)


def count_parameters(run: Trained) -> dict[str, int]:
    return {name: sum(p.numel() for p in net.parameters()) for name, net in run.game.named_children()}


@pytest.fixture(scope="module")
def ours(reader: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return answer(reader, tmp_path_factory.mktemp("runs"))


def test_regions_are_read_in_generated_images_nearly_as_well_as_in_real_ones(reader: Segmenter, ours: Answers):
    images, label_map, _ = scenes(held_out=True)
    real = fcn_score(images, label_map, reader).class_iou
    print(f"class IoU {ours.iou:.3f}, of real images {real:.3f}")
    assert ours.iou >= 0.9 * real


def test_two_seeds_differ_and_keep_the_map(ours: Answers):
    assert ours.apart > 0.05
    assert ours.kept > 0.95


@pytest.fixture(scope="module")
def brief(reader: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return answer(reader, tmp_path_factory.mktemp("runs"), steps=BRIEF)


def test_styles_are_those_of_the_images_that_they_come_from(ours: Answers):
    assert ours.styled < 0.75


def test_styles_are_lost_where_codes_may_hold_nothing(reader: Segmenter, brief: Answers, tmp_path: Path):
    """The broken version, trained as long: a hundred times the weight of the codes' divergence.

    After so few steps its seeds differ as those of the whole one do.  What is lost is the style of an image.
    """
    weight = 100 * find("spade").preset("small").config.kl
    assert brief.styled < 0.92
    assert answer(reader, tmp_path, kl=weight, steps=BRIEF).styled > 0.94


def test_a_plain_norm_loses_the_map(reader: Segmenter, brief: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The broken version, trained as long: batch norm alone.  The map is at the input of the generator alone."""
    monkeypatch.setattr(SPADE, "forward", lambda self, input, _maps: self.norm(input))
    assert answer(reader, tmp_path, use_vae=False, steps=BRIEF).iou < 0.7 * brief.iou


def test_pix2pix_of_equal_time_loses_more_of_the_map(reader: Segmenter, ours: Answers, tmp_path: Path):
    """`small` of both, the same scenes and the same seconds of training; pix2pix sees the map in its colours."""
    asked: dict[str, Any] = {"data": "shapes-maps", "make": "colours", "outdir": tmp_path, "quiet": True}
    pace = training_seconds(ganforge.train("pix2pix", steps=PACE, **asked)) / PACE
    run = ganforge.train("pix2pix", steps=round(ours.seconds / pace), **asked)
    _, label_map, _ = scenes(held_out=True)
    colours = torch.tensor(open_data("shapes-maps", size=(64, 64), channels=3).facts.region_colours)
    sources = (colours[label_map] / 127.5 - 1).permute(0, 3, 1, 2)
    iou = fcn_score(run.translate(sources), label_map, reader).class_iou
    print(f"pix2pix: class IoU {iou:.3f}, {training_seconds(run):.0f} s, {count_parameters(run)}; SPADE {ours.iou:.3f}")
    assert ours.iou > iou
