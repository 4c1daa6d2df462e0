"""One declaration a metric: everything that takes a metric by name reads it from the metric's own file."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import ganforge
from ganforge import metrics
from ganforge.callbacks.log import read_rows
from ganforge.cli import run as command
from ganforge.errors import OptionError
from ganforge.evaluation import selection
from ganforge.evaluation.compare import compare
from ganforge.evaluation.evaluate import evaluate
from ganforge.metrics import catalogue
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.extractors.base import Features
from ganforge.metrics.metric import FeaturePair, Metric
from ganforge.models import dcgan, pix2pix
from ganforge.reproduction import experiment

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
KINDS = {
    "features": ("fid", "fid_infinity", "kid", "prdc", "cmmd"),
    "logits": ("is", "modes"),
    "target": ("psnr", "ssim", "l1"),
    "inputs": ("cas", "diversity", "fcn", "labels", "lpips", "ppl", "r_precision"),
    "labels": ("edits",),
    "captions": ("retrieval",),
}

BRIGHTNESS = '''"""brightness: how far the mean brightness of an image is from that of its target."""

from torch import Tensor

from ganforge.metrics.metric import Metric


def brightness(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.double().flatten(1).mean(1) - targets.double().flatten(1).mean(1)).abs()


METRIC = Metric(
    brightness,
    needs="target",
    better="lower",
    about="difference of the mean brightness",
    interval="of the mean over images",
    select=True,
    default=True,
)
'''
CENTRE = '''"""with: distance of the mean features."""

from ganforge.metrics.estimate import Estimate
from ganforge.metrics.metric import FeaturePair, Metric


def centre(sides: FeaturePair) -> tuple[Estimate, ...]:
    return (Estimate("with", float((sides.real.features.mean(0) - sides.fake.features.mean(0)).norm())),)


METRIC = Metric(centre, needs="features", better="lower", about="distance of the means", select=True)
'''


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two new metrics, each one file in a folder where metrics are found: brightness, and with (a keyword)."""
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / "brightness.py").write_text(BRIGHTNESS)
    (tmp_path / "added" / "with_.py").write_text(CENTRE)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path / "added")])
    yield tmp_path
    for stem in ("brightness", "with_"):
        if sys.modules.pop(f"ganforge.metrics.{stem}", None):
            delattr(metrics, stem)


# -- a new metric is one new file -------------------------------------------------------------------


def test_a_new_metric_of_targets_is_known_everywhere(added: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ganforge.train(
        "pix2pix", preset="tiny", steps=1, select="brightness", judged=4, outdir=added, quiet=True, device="cpu",
        sample_every=0,
    )  # fmt: skip
    (row,) = read_rows(run.path / "scores.jsonl")
    assert row["brightness"] >= 0
    assert selection.list_metrics(pix2pix.Pix2Pix) == ("psnr", "ssim", "l1", "brightness")
    assert "brightness" not in selection.list_metrics(dcgan.DCGAN)

    report = evaluate(run.path, metrics=["brightness"], n=4, held_out=True)
    assert (report.figures[0].name, report.figures[0].better) == ("brightness", "lower")
    assert report["brightness"].value == pytest.approx(row["brightness"])
    assert [f.name for f in evaluate(run.path, n=4).figures] == ["psnr", "ssim", "l1", "brightness"]
    first, last = compare([run.path, run.path], metrics=["brightness"], n=4, out=added / "page.html")
    assert first["brightness"].value <= last["brightness"].value
    assert "brightness" in (added / "page.html").read_text()
    with pytest.raises(SystemExit):
        command(["evaluate", str(run.path), "--help"])
    assert "brightness" in capsys.readouterr().out


def test_a_new_metric_of_features_is_known_everywhere(added: Path) -> None:
    for name, low in (("real", 0), ("fake", 60)):
        images = np.random.default_rng(low).integers(low, 200, (20, 8, 8, 1), dtype=np.uint8)
        np.save(added / f"{name}.npy", images)
    fake, real = added / "fake.npy", added / "real.npy"
    options = {"features": "pixels", "out": added / "report.json"}
    report = evaluate(fake, real, ["with", "kid"], **options)
    assert [f.name for f in report.figures] == ["with", "kid"]
    order = compare([fake, real], real, ["with"], features="pixels", out=added / "page.html")
    assert [r.subject for r in order] == [str(real), str(fake)]
    assert selection.list_metrics(dcgan.DCGAN) == ("fid", "kid", "cmmd", "is", "with")
    run = ganforge.train(
        "dcgan", real, "tiny", steps=1, size=(8,), select="with:pixels", judged=20, outdir=added, quiet=True,
        device="cpu", sample_every=0,
    )  # fmt: skip
    (row,) = read_rows(run.path / "scores.jsonl")
    assert row["with"] == pytest.approx(evaluate(run.path, metrics=["with"], n=20, **options)["with"].value)


def test_a_new_metric_can_be_searched_by(added: Path) -> None:
    pytest.importorskip("optuna")
    from ganforge.tuning.trials import sweep

    search = sweep(
        "regression", preset="tiny", over=["lr=1e-4..1e-3"], trials=1, metric="brightness", steps=1, judged=4,
        outdir=added, sample_every=0, device="cpu",
    )  # fmt: skip
    assert (search.metric, search.better) == ("brightness", "lower")
    assert search.best.value is not None


def test_a_new_metric_can_be_reproduced(added: Path) -> None:
    content = yaml.safe_load((experiment.FOLDER / "pix2pix-table6.yaml").read_text())
    (added / "mine.yaml").write_text(yaml.safe_dump({**content, "metric": "brightness"}))
    assert experiment.find_experiment(str(added / "mine.yaml")).metric == "brightness"
    (added / "mine.yaml").write_text(yaml.safe_dump({**content, "metric": "with"}))
    with pytest.raises(OptionError, match="'with' is none of psnr, ssim, l1, brightness, cas, diversity"):
        experiment.find_experiment(str(added / "mine.yaml"))


def test_a_new_metric_is_in_the_table(added: Path) -> None:
    table = catalogue.format_table()
    about, interval = "difference of the mean brightness", "of the mean over images"
    assert f"| `brightness` | {about} | {interval} | paired data | lower | yes | yes |" in table
    page = added / "metrics.md"
    page.write_text(f"before\n{catalogue.BEGIN}\nold\n{catalogue.END}\nafter\n")
    catalogue.write_table(page)
    assert page.read_text() == f"before\n{catalogue.BEGIN}\n{table}\n{catalogue.END}\nafter\n"
    page.write_text("no table")
    with pytest.raises(ValueError, match="has no table of metrics"):
        catalogue.write_table(page)


# -- the metrics of the package --------------------------------------------------------------------


def test_the_documentation_lists_all_metrics() -> None:
    """`python docs/draw.py` writes the table."""
    _, _, rest = DOCS.read_text(encoding="utf-8").partition(catalogue.BEGIN)
    assert rest.partition(catalogue.END)[0].strip() == catalogue.format_table()


def test_the_metrics_of_the_package_and_their_order() -> None:
    found = catalogue.find_all()
    assert {kind: tuple(n for n, m in found.items() if m.needs == kind) for kind in KINDS} == KINDS
    assert catalogue.names() == sorted(found)
    assert [n for n, m in found.items() if m.default] == [
        "fid",
        "kid",
        "prdc",
        "is",
        "psnr",
        "ssim",
        "l1",
        "edits",
        "retrieval",
    ]
    assert selection.list_selectable() == ("fid", "kid", "cmmd", "is", "psnr", "ssim", "l1")
    assert [n for n, m in found.items() if m.of_features and not m.per_class] == ["is", "modes"]


@pytest.mark.parametrize("name", KINDS["features"] + KINDS["logits"])
def test_the_first_figure_of_a_metric_is_better_where_it_says(name: str) -> None:
    source = torch.Generator().manual_seed(0)
    real, fake = (Features(*torch.randn(2, 60, 3, generator=source)) for _ in range(2))
    figures = catalogue.find(name).compute(FeaturePair(real, fake, np.arange(60) % 3, np.arange(60) % 3))
    assert all(isinstance(figure, Estimate) for figure in figures)
    assert figures[0].better == catalogue.find(name).better


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"no metric .psrn.\. Did you mean psnr"):
        catalogue.find("psrn")
    with pytest.raises(OptionError, match="There are cas, cmmd"):
        catalogue.find("beauty")
    with pytest.raises(OptionError, match="no metric 'metric'"):  # a file, but no metric
        catalogue.find("metric")


def test_contradicting_declarations_are_refused() -> None:
    with pytest.raises(ValueError, match="--select compares"):
        Metric(print, needs="inputs", better="lower", about="", select=True)
    with pytest.raises(ValueError, match="on request only"):
        Metric(print, needs="inputs", better="lower", about="", default=True)


def test_only_the_metrics_asked_for_are_imported() -> None:
    code = """
import sys
from ganforge.metrics import catalogue
names = catalogue.names()
assert "torch" not in sys.modules
from ganforge.evaluation.inputs import EvalOptions
from ganforge.evaluation import selection
EvalOptions(metrics=("kid",))
assert selection.metric_direction("fid:pixels") == "lower"
imported = {name for name in names if f"ganforge.metrics.{name}" in sys.modules}
assert imported == {"kid", "fid"}, imported
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
