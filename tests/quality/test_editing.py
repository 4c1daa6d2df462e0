"""The chain stylegan2, e4e, hyperstyle on the embedded shapes: how near photographs come, how fast, and what edits do.

Errors are mean squared differences in units of the photographs' variance.  Labels are read by a classifier that was
trained on real images alone, from another seed than the one by which the directions are found.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ganforge
from ganforge.data.loader import to_images
from ganforge.data.open import open_data
from ganforge.evaluation.boundaries import opposed_labels
from ganforge.evaluation.invert import relative_error
from ganforge.inference.codes import Photograph
from ganforge.inference.trained import Trained
from ganforge.metrics.extractors.classifier import Network, measure_accuracy, train_classifier
from tests.support.equal_time import DATA, SETTINGS, SIZE
from tests.support.kept_runs import train_once

pytestmark = pytest.mark.quality
RUN: dict[str, Any] = {"size": SIZE, "sample_every": 0}
ENCODER: dict[str, Any] = {"widths": (16, 32, 64, 64), "depths": (1, 1, 1, 1), "adversarial": 0.02, "identity": "none"}
HYPER: dict[str, Any] = {**ENCODER, "vector": 32, "iterations": 3}
HYPER.pop("adversarial")
PHOTOS, EDITED = 64, 300
SIZES = 4.0  # standard deviations of an edit


@dataclass(frozen=True)
class Chain:
    style: Trained
    encoder: Trained
    hyper: Trained


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Three runs of a quarter of an hour or less each on two cores."""
    style = train_once("stylegan2", DATA, steps=11_800, **SETTINGS["stylegan2"], **RUN)
    config = {**ENCODER, "generator": str(style.path), "space": "w"}
    encoder = train_once("e4e", DATA, config=config, steps=2_500, batch=16, **RUN)
    config = {**HYPER, "encoder": str(encoder.path)}
    hyper = train_once("hyperstyle", DATA, config=config, steps=3_000, batch=8, **RUN)
    return Chain(style, encoder, hyper)


def held_out(n: int) -> Tensor:
    data = open_data(DATA, size=(SIZE, SIZE), channels=3, held_out=True)
    return to_images(data.columns["images"][:n].copy())


def error_and_seconds(run: Trained, photos: Tensor, **how: Any) -> tuple[float, float]:
    """(the error, the seconds for a photograph)."""
    run.invert(photos[:2], **{**how, "steps": 2})  # what is made once
    found = run.invert(photos, **how)
    return relative_error(run.decode(found), photos), sum(one.seconds for one in found) / len(found)


def test_a_descent_finds_photographs_and_one_of_two_steps_does_not(chain: Chain):
    photos = held_out(16)
    error, seconds = error_and_seconds(chain.style, photos, steps=200)
    broken, _ = error_and_seconds(chain.style, photos, steps=2)
    print(f"descent: {error:.3f}, {seconds:.2f} s; of two steps {broken:.3f}")
    assert error < 0.25 < broken


def test_hyperstyle_is_nearer_than_its_encoder_and_faster_than_a_descent(chain: Chain):
    photos = held_out(PHOTOS)
    descent, slow = error_and_seconds(chain.style, photos, steps=200)
    encoder, _ = error_and_seconds(chain.encoder, photos)
    error, fast = error_and_seconds(chain.hyper, photos)
    broken = copy.deepcopy(chain.hyper)
    for weight in broken.game.hypernetwork.heads.parameters():  # pyright: ignore
        weight.data.normal_(0, 0.02)
    without, _ = error_and_seconds(broken, photos)
    print(f"descent {descent:.3f} in {slow:.2f} s, W-encoder {encoder:.3f}, hyperstyle {error:.3f} in {fast:.4f} s")
    print(f"hyperstyle with untrained heads {without:.3f}")
    assert error <= 0.7 * encoder < without
    assert error <= 1.5 * descent
    assert fast < slow / 20


# -- edits ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reader() -> tuple[Network, Tensor]:
    """(a classifier, which labels exclude each other)."""
    data = open_data(DATA, size=(SIZE, SIZE), channels=3)
    other = open_data(DATA, size=(SIZE, SIZE), channels=3, held_out=True)
    images, condition = data.columns["images"], data.columns["condition"]
    network = train_classifier(images, condition, condition.shape[1], seed=7)
    network = network.to(memory_format=torch.contiguous_format)
    rows = torch.arange(min(2_000, len(other))).numpy()
    assert measure_accuracy(network, other.columns["images"], other.columns["condition"], rows) > 0.97
    return network, opposed_labels(torch.from_numpy(condition[:].astype("float32")))


@torch.no_grad()
def shown(network: Network, images: Tensor) -> Tensor:
    return network(images) > 0


def read_edits(
    run: Trained, photographs: list[Photograph], vectors: dict[str, Tensor], names: tuple[str, ...],
    network: Network, opposed: Tensor,
) -> tuple[float, float]:  # fmt: skip
    """(the share of images without a label that show it after its edit, the share of other labels that stay)."""
    before, reached, kept = shown(network, run.decode(photographs)), [], []
    for name, vector in vectors.items():
        k = names.index(name)
        rows = [n for n in range(len(photographs)) if not before[n, k]]
        after = shown(network, run.decode([photographs[n].move(SIZES * vector[None]) for n in rows]))
        others = [j for j in range(len(names)) if j != k and not opposed[k, j]]
        reached.append(after[:, k].float().mean())
        kept.append((after[:, others] == before[rows][:, others]).float().mean())
    return float(torch.stack(reached).mean()), float(torch.stack(kept).mean())


def test_edits_of_held_out_photographs_show_the_label_and_keep_the_others(chain: Chain, reader: tuple[Network, Tensor]):
    """Ends of a row of colours are reached, those between others are passed: 69 %, where 70 were the goal."""
    run, names = chain.hyper, chain.hyper.facts.attributes
    found = {one.direction.name: one.direction.vector for one in ganforge.directions(run, components=0, factors=0)}
    photographs = run.invert(held_out(EDITED))
    reached, kept = read_edits(run, photographs, found, names, *reader)
    source = torch.Generator().manual_seed(0)
    random = {name: vector[torch.randperm(len(vector), generator=source)] for name, vector in found.items()}
    blind, _ = read_edits(run, photographs, random, names, *reader)
    print(f"{len(found)} labels: {reached:.1%} reached, {kept:.1%} of the others stay; random directions {blind:.1%}")
    assert reached >= 0.65 > 2 * blind
    assert kept >= 0.8


def test_pivotal_tuning_comes_nearer_than_its_pivot(chain: Chain, tmp_path: Path):
    photos = held_out(2)
    pivot, _ = error_and_seconds(chain.style, photos, steps=100, space="w")
    tuned, _ = error_and_seconds(chain.style, photos, steps=100, space="w", tune=200, near=0.0)
    print(f"pivot {pivot:.3f}, tuned {tuned:.3f}")
    assert tuned < 0.5 * pivot
