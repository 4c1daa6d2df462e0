"""Precision and recall against truncation: what is drawn, measured and written, and what is refused."""

import csv
from pathlib import Path

import pytest

import ganforge
from ganforge.cli import run as command
from ganforge.errors import OptionError
from ganforge.images import read
from ganforge.inference.trained import Trained


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    out = tmp_path_factory.mktemp("runs")
    return ganforge.train("stylegan2", preset="tiny", outdir=out, quiet=True, tensorboard=False, sample_every=0)


def test_a_table_and_a_plot_beside_the_report(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["evaluate", str(trained.path), "--features", "pixels", "-n", "40", "--metrics", "prdc", "-o"]
    words += [str(tmp_path / "r.json"), "--truncations", "1", "0.5", "0"]
    assert command(words) == 0
    assert f"Wrote {tmp_path / 'r-truncation.png'}" in capsys.readouterr().out
    with (tmp_path / "r-truncation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["truncation"] for row in rows] == ["0", "0.5", "1"]
    report = ganforge.evaluate(trained, metrics=["prdc"], features="pixels", n=40, out=tmp_path / "again.json")
    for name in ("precision", "recall"):
        assert float(rows[-1][name]) == pytest.approx(report[name].value, abs=1e-5)
        assert all(float(row[f"{name}_low"]) <= float(row[name]) <= float(row[f"{name}_high"]) for row in rows)
    assert float(rows[0]["recall"]) == 0  # of one image alone
    image = read(tmp_path / "r-truncation.png")
    assert image.shape[1] > 900
    assert image.std() > 5


@pytest.mark.parametrize(
    ("truncations", "message"), [((0.5,), "give two or more"), ((0.5, 0.5), "give two or more"), ((0.5, 3), "-2 and 2")]
)
def test_what_draws_no_line_is_refused(trained: Trained, truncations: tuple[float, ...], message: str):
    with pytest.raises(OptionError, match=message):
        ganforge.evaluate(trained, features="pixels", n=20, metrics=["prdc"], truncations=truncations)


def test_a_run_without_truncation_is_refused(tmp_path: Path):
    run = ganforge.train("dcgan", preset="tiny", steps=1, outdir=tmp_path, quiet=True, sample_every=0)
    with pytest.raises(OptionError, match="a run whose samples have a truncation; dcgan samples without one"):
        ganforge.evaluate(run, n=20, truncations=(0.5, 1))
