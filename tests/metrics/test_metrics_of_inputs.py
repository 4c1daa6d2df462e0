"""Metrics that need more than features: fcn, lpips, diversity, cas."""

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ganforge
from ganforge.data.synthetic.domains import PALETTE
from ganforge.errors import OptionError
from ganforge.evaluation.evaluate import evaluate
from ganforge.evaluation.inputs import EvalOptions, open_inputs
from ganforge.images import write
from ganforge.metrics import fcn
from ganforge.metrics.diversity import compute_diversity
from ganforge.metrics.extractors import classifier
from ganforge.metrics.lpips import compute_lpips
from ganforge.metrics.segmenter import SegmenterConfig
from ganforge.nn.lpips import LPIPS

SHORT = SegmenterConfig(rounds=25, batch=6, widths=(8, 8), lr=2e-2)
SIZE, OWN = 16, 36  # of the game, and of the files: label maps are read at native size, before resizing mixes colours


def pairs(folder: Path, n: int, seed: int) -> None:
    """Label maps of three classes in A, photographs in B: a class is a brightness, and noise."""
    chance = np.random.default_rng(seed)
    for k in range(n):
        maps = chance.integers(0, 3, (4, 4)).repeat(OWN // 4, 0).repeat(OWN // 4, 1)
        photo = (30 + 90 * maps[..., None] + chance.integers(-20, 20, (OWN, OWN, 3))).astype(np.uint8)
        write(folder / "A" / f"{k:02d}.png", PALETTE[maps])
        write(folder / "B" / f"{k:02d}.png", photo)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Paired data in two splits, and a translator of one step."""
    where = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANFORGE_CACHE", str(where / "cache"))
        patch.setattr(
            fcn,
            "load_or_train_segmenter",
            functools.partial(fcn.load_or_train_segmenter, config=SHORT),
        )
        patch.setattr(classifier, "PIXELS", 64 * 600)
        pairs(where / "data" / "train", 12, 0)
        pairs(where / "data" / "test", 8, 1)
        ganforge.train(
            "pix2pix", where / "data", "tiny", steps=1, size=(SIZE,), outdir=where / "runs", name="pairs", quiet=True,
            device="cpu", sample_every=0,
        )  # fmt: skip
        yield where


def run_in(place: Path) -> Path:
    return place / "runs" / "00000-pairs"


def test_fcn_of_a_translator_is_reported_beside_that_of_real_photographs(place: Path) -> None:
    report = evaluate(run_in(place), metrics=["fcn"], held_out=True)
    names = ["pixel_accuracy", "class_accuracy", "class_iou"]
    assert [f.name for f in report.figures] == [f"fcn_{n}" for n in names] + [f"real_fcn_{n}" for n in names]
    for name in names:
        made, real = report[f"fcn_{name}"], report[f"real_fcn_{name}"]
        assert real.value > 0.8
        assert made.value < 0.6  # untrained
        assert real.low <= real.value <= real.high
        assert real.better == "higher"
    assert not report.warnings
    again = evaluate(run_in(place), metrics=["fcn"], held_out=True)
    assert again.figures == report.figures
    training = evaluate(run_in(place), metrics=["fcn"])
    assert "--held-out" in training.warnings[0]


def test_real_photographs_as_outputs_get_the_real_score(place: Path) -> None:
    inputs = open_inputs(run_in(place), None, options := EvalOptions(held_out=True), None)
    perfect = fcn.compute_fcn(replace(inputs, fake=inputs.real), options, print)
    assert [f.value for f in perfect[:3]] == [f.value for f in perfect[3:]]
    wrong = replace(inputs.real, rows=lambda start, stop: inputs.real.rows(start, stop).flip(-1))
    flipped = fcn.compute_fcn(replace(inputs, fake=wrong), options, print)
    assert flipped[0].value < perfect[0].value - 0.2


def test_lpips_without_its_weights_is_not_called_lpips(place: Path, tmp_path: Path) -> None:
    report = evaluate(run_in(place), metrics=["lpips", "diversity"], held_out=True)
    assert [f.name for f in report.figures] == ["lpips_unweighted", "diversity_unweighted"]
    assert "not LPIPS" in report.warnings[0]
    assert report["lpips_unweighted"].better == "lower"
    assert report["diversity_unweighted"].better == "higher"
    assert report["diversity_unweighted"].value > 0  # from pix2pix's dropout
    inputs = open_inputs(run_in(place), None, options := EvalOptions(held_out=True), None)
    (same,) = compute_lpips(replace(inputs, fake=inputs.real), options, print)
    assert same.value == 0
    assert inputs.resample is not None
    (always,) = compute_diversity(replace(inputs, resample=lambda seed: inputs.real), options, print)
    assert always.value == 0


def test_lpips_with_its_weights(place: Path, tmp_path: Path) -> None:
    net = LPIPS("alex")
    torch.save(net.network.state_dict(), tmp_path / "a.pth")
    torch.save({f"lin{k}.model.1.weight": w.data for k, w in enumerate(net.weights)}, tmp_path / "lin.pth")
    files = (str(tmp_path / "a.pth"), str(tmp_path / "lin.pth"))
    inputs = open_inputs(run_in(place), None, EvalOptions(held_out=True, lpips=files, size=(32,)), None)
    made, true = (torch.nn.functional.interpolate(side.rows(0, 4), (32, 32)) for side in (inputs.fake, inputs.real))
    large = replace(
        inputs,
        fake=replace(inputs.fake, rows=lambda a, b: made[a:b], count=4),
        real=replace(inputs.real, rows=lambda a, b: true[a:b]),
    )
    (figure,) = compute_lpips(large, EvalOptions(lpips=files), print)
    assert figure.name == "lpips_own_weights"  # random weights have no published hash
    assert figure.value == pytest.approx(float(net(made, true).mean()), rel=1e-5)
    with pytest.raises(OptionError, match="two files"):
        EvalOptions(lpips=("one.pth",))


def test_cas_of_a_conditional_run(place: Path) -> None:
    for split, n, seed in (("train", 60, 0), ("test", 40, 1)):
        chance = np.random.default_rng(seed)
        for k in range(n):
            shade = 60 if k % 2 == 0 else 190
            picture = (shade + chance.integers(-50, 50, (8, 8, 1))).astype(np.uint8)
            write(place / "classes" / split / ("dark", "light")[k % 2] / f"{k:02d}.png", picture)
    run = ganforge.train(
        "cgan", place / "classes", "tiny", steps=1, size=(8,), outdir=place / "runs", name="classes", quiet=True,
        device="cpu", sample_every=0,
    )  # fmt: skip
    report = evaluate(run.path, metrics=["cas"], n=60)
    assert [f.name for f in report.figures] == ["cas", "real_cas"]
    assert report["real_cas"].value > 0.9
    assert report["cas"].value < report["real_cas"].value
    with pytest.raises(OptionError, match="label maps to photographs"):
        evaluate(run.path, metrics=["fcn"], n=8)
    with pytest.raises(OptionError, match="needs a translator"):
        evaluate(run.path, metrics=["diversity"], n=8)
    with pytest.raises(OptionError, match="paired data"):
        evaluate(run.path, metrics=["lpips"], n=8)
    with pytest.raises(OptionError, match="needs labelled data"):
        evaluate(run_in(place), metrics=["cas"])


def test_without_labels_or_label_maps_there_is_no_network_to_train(place: Path, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for split in ("train", "test"):
        for k in range(4):
            for side in "AB":
                photo = chance.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
                write(tmp_path / "photos" / split / side / f"{k}.png", photo)
    run = ganforge.train(
        "pix2pix", tmp_path / "photos", "tiny", steps=1, size=(SIZE,), outdir=tmp_path, quiet=True, sample_every=0,
        device="cpu",
    )  # fmt: skip
    with pytest.raises(OptionError, match="--lpips NETWORK WEIGHTS"):
        evaluate(run.path, metrics=["lpips"])
    with pytest.raises(ganforge.errors.DataError, match="no label maps"):
        evaluate(run.path, metrics=["fcn"])
