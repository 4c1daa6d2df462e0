"""edits: the target label must appear, other labels must stay, exclusive labels are not counted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

import ganforge
from ganforge.errors import DataError, OptionError
from ganforge.evaluation.compare import compare
from ganforge.evaluation.evaluate import evaluate
from ganforge.evaluation.inputs import EvalOptions, open_inputs
from ganforge.evaluation.label_edits import find_label_question
from ganforge.images import write
from ganforge.inference.trained import Trained
from ganforge.metrics.edits import compute_edits, edits, find_exclusive_labels
from ganforge.metrics.extractors import classifier
from tests.support.toys import FACTS, Config, Translating

RED, BLUE, LARGE, STRIPED = range(4)
TRUTH = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1], [1, 0, 0, 1], [0, 1, 1, 0]]).float()


def test_labels_that_never_occur_together_are_exclusive():
    exclusive = find_exclusive_labels(torch.cat([TRUTH, torch.full((1, 4), torch.nan)]))
    assert exclusive.equal(torch.eye(4).bool() | torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0], [0] * 4, [0] * 4]).bool())


def test_perfect_edits_and_broken_ones_by_hand():
    target = torch.tensor([BLUE, RED, RED, LARGE, STRIPED])
    perfect = TRUTH.clone().scatter_(1, target[:, None], 1.0)
    perfect[0, RED] = perfect[1, BLUE] = perfect[2, BLUE] = 0  # an image is red or blue
    exclusive = find_exclusive_labels(TRUTH)
    edited, kept = edits(perfect > 0, TRUTH, target, exclusive)
    assert (edited.name, edited.value, kept.name, kept.value) == ("edited", 1, "kept", 1)
    edited, kept = edits(TRUTH > 0, TRUTH, target, exclusive)  # nothing was edited
    assert (edited.value, kept.value) == (0, 1)
    spoiled = perfect.clone()
    spoiled[0, LARGE] = 0  # one of the two labels of the first that have to stay
    edited, kept = edits(spoiled > 0, TRUTH, target, exclusive)
    assert (edited.value, kept.value) == (1, pytest.approx((0.5 + 4) / 5))
    unknown = TRUTH.clone()
    unknown[0, LARGE] = torch.nan  # so it is not counted
    assert edits(spoiled > 0, unknown, target, exclusive)[1].value == 1
    (alone,) = edits(perfect[:, :2] > 0, TRUTH[:, :2], target.clamp(max=1), find_exclusive_labels(TRUTH[:, :2]))
    assert alone.name == "edited"
    with pytest.raises(DataError):
        edits(perfect[:0] > 0, TRUTH[:0], target[:0], exclusive)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs that edit all attributes, some attributes, and classes; one step each."""
    where = tmp_path_factory.mktemp("edits")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANFORGE_CACHE", str(where / "cache"))
        patch.setattr(classifier, "PIXELS", 16 * 16 * 3_000)
        chance = np.random.default_rng(0)
        for k in range(90):
            shade = (50, 128, 205)[k % 3] + chance.integers(-30, 30, (8, 8, 1))
            write(where / "shades" / ("dark", "grey", "light")[k % 3] / f"{k:02d}.png", shade.astype(np.uint8))
        for name, data, config in (
            ("all", "shapes-attributes", {}),
            ("some", "shapes-attributes", {"attributes": ("red", "striped")}),
            ("classes", where / "shades", {}),
        ):
            size = 8 if name == "classes" else 16
            ganforge.train(
                "stargan", data, "tiny", steps=1, size=(size,), outdir=where / name, quiet=True, device="cpu",
                sample_every=0, config=config,
            )  # fmt: skip
        yield where


def run_in(place: Path, name: str) -> Path:
    return next((place / name).iterdir())


def test_a_run_is_evaluated_attribute_by_attribute(place: Path):
    said: list[str] = []
    report = evaluate(run_in(place, "all"), n=150, held_out=True, say=said.append)
    names = ["edited", "kept", "real_edited", "real_kept"]
    assert [f.name for f in report.figures] == names
    trained = ganforge.load(run_in(place, "all"), "cpu")
    assert set(report.per_class) == set(trained.facts.attributes)
    assert all([f.name for f in figures] == names for figures in report.per_class.values())
    assert report["edited"].value < report["real_edited"].value
    assert "% accurate" in report.warnings[0]
    assert len(report.warnings) == 1
    assert "held-out" in evaluate(run_in(place, "all"), n=10).warnings[1]
    assert [line.split()[0] for line in said[-1].splitlines() if line.startswith("  ")][-1] in report.per_class


def test_each_image_gets_a_target_that_it_lacks(place: Path):
    inputs = open_inputs(run_in(place, "all"), None, options := EvalOptions(n=60), None)
    assert inputs.label_targets is not None
    assert not inputs.label_targets.own.gather(1, inputs.label_targets.label[:, None]).any()
    assert len(inputs.label_targets.label.unique()) > 8
    trained, targets, sources = inputs.run, inputs.label_targets, inputs.sources
    assert trained is not None
    assert sources is not None
    for k in (0, 37):  # in a batch as alone, by the attribute's name
        alone = trained.translate(sources.rows(k, k + 1), to=targets.names[targets.label[k]])
        torch.testing.assert_close(inputs.fake.rows(k, k + 1), alone, rtol=0, atol=1.01 / 127.5)
    torch.testing.assert_close(
        inputs.fake.rows(30, 50), torch.cat([inputs.fake.rows(30, 37), inputs.fake.rows(37, 50)])
    )
    with pytest.raises(OptionError, match="has 3 rows for 2 images"):
        trained.translate(sources.rows(0, 2), to=torch.zeros(3, len(targets.names)))
    assert options.n == inputs.fake.count == inputs.sources.count  # pyright: ignore[reportOptionalMemberAccess]


def test_unedited_images_keep_all_labels(place: Path):
    inputs = open_inputs(run_in(place, "all"), None, options := EvalOptions(n=200, held_out=True), None)
    assert inputs.sources is not None
    (edited, kept, real_edited, real_kept), _ = compute_edits(replace(inputs, fake=inputs.sources), options, print)
    assert edited.value < 0.35
    assert kept.value == real_kept.value
    assert real_edited.value > 0.35


def test_targets_are_those_that_a_run_edits(place: Path):
    report = evaluate(run_in(place, "some"), n=40)
    assert set(report.per_class) == {"red", "striped"}


def test_classes_are_edited_too_beside_other_metrics(place: Path):
    report = evaluate(run_in(place, "classes"), metrics=("edits", "fid"), n=60, per_class=True)
    assert [f.name for f in report.figures] == [
        "edited",
        "real_edited",
        "fid",
        "agreement",
    ]  # no `kept`
    assert report["edited"].value == report["agreement"].value
    assert {name: [f.name for f in figures] for name, figures in report.per_class.items()} == {
        name: ["edited", "real_edited", "fid"] for name in ("dark", "grey", "light")
    }
    assert report["real_edited"].value > 0.9


def test_runs_that_edit_are_compared(place: Path):
    order = compare([run_in(place, "all"), run_in(place, "all")], n=20, out=place / "page.html")
    assert [r["edited"].value for r in order] == sorted((r["edited"].value for r in order), reverse=True)
    assert "edited" in (place / "page.html").read_text()


def test_runs_without_label_targets_are_refused(place: Path):
    pairs = ganforge.train("regression", preset="tiny", steps=1, outdir=place / "pairs", quiet=True, device="cpu")
    with pytest.raises(OptionError, match="needs a translator to labels"):
        evaluate(pairs.path, metrics=["edits"], n=4)
    asking = Trained(Asking(Config(), FACTS), place, "asking", 0)
    with pytest.raises(OptionError, match=r"asking needs a target for each image \(to\)"):
        find_label_question(asking)


class Asking(Translating):
    """A translator with a required argument that the data does not have."""

    def translate(self, images: torch.Tensor, to: Literal["a", "b"]) -> torch.Tensor:  # pyright: ignore
        return images
