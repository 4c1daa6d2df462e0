"""evaluate and compare: runs, image files, and inputs that are refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ganforge
from ganforge import cli
from ganforge.callbacks.log import read_rows
from ganforge.data.paths import cache_home
from ganforge.errors import DataError, OptionError
from ganforge.evaluation.compare import build_entry, compare
from ganforge.evaluation.compare_page import Entry, build_page, plot_scores
from ganforge.evaluation.evaluate import evaluate, evaluate_inputs
from ganforge.evaluation.inputs import EvalOptions, open_inputs
from ganforge.evaluation.report import Report
from ganforge.images import write
from ganforge.metrics import sharded
from ganforge.metrics.estimate import Estimate

CLASSES = ("lying", "standing")


def stripes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 8, 8, 1) of horizontal or vertical stripes, and their labels."""
    chance = np.random.default_rng(seed)
    label, phase = np.arange(n) % 2, chance.integers(0, 4, n)
    wave = ((np.arange(8)[None] + phase[:, None]) % 4 < 2) * 150.0
    pictures = np.where(label[:, None, None] == 0, wave[:, :, None], wave[:, None, :]) + chance.uniform(
        0, 99, (n, 8, 8)
    )
    return pictures[..., None].astype(np.uint8), label


def folder(path: Path, n: int, seed: int) -> Path:
    for k, (picture, label) in enumerate(zip(*stripes(n, seed), strict=True)):
        write(path / CLASSES[label] / f"{k:03d}.png", picture)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Real images, generated ones of the same kind, and runs of two steps."""
    where = tmp_path_factory.mktemp("evaluation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANFORGE_CACHE", str(where / "cache"))
        patch.chdir(where)
        folder(where / "real", 60, 0)
        folder(where / "good", 40, 1)
        for name in ("run", "other"):
            ganforge.train(
                "cgan", where / "real", "tiny", steps=2, size=(8,), outdir=where / name, quiet=True, device="cpu",
                seed=len(name),
            )  # fmt: skip
        yield where


def run_in(where: Path, name: str = "run") -> Path:
    return next((where / name).iterdir())


def test_a_run_is_evaluated_against_its_own_data(place: Path) -> None:
    messages: list[str] = []
    report = evaluate(run_in(place), n=40, per_class=True, pictures=True, say=messages.append)
    names = [f.name for f in report.figures]
    assert names == ["fid", "kid", "precision", "recall", "density", "coverage", "is", "agreement"]
    assert "classifier" in messages[0]
    assert "has labels" in messages[0]
    assert set(report.per_class) == set(CLASSES)
    assert (report.n_fake, report.n_real, report.size, report.channels) == (40, 40, (8, 8), 1)
    written = json.loads((run_in(place) / "report.json").read_text())
    assert written["figures"][0] == {"name": "fid", **{k: written["figures"][0][k] for k in written["figures"][0]}}
    assert written["figures"][0]["value"] == report["fid"].value
    assert {"key", "seed", "versions", "data_fingerprint", "features"} <= set(written)
    assert [Path(p).name for p in report.pictures] == [
        f"report-{kind}.png" for kind in ("seed", "realism", "nearest", "classes")
    ]
    assert all(Path(p).is_file() for p in report.pictures)
    again = evaluate(run_in(place), n=40)
    assert again.figures == report.figures


def test_images_in_files_get_the_metrics_of_the_run_that_sampled_them(place: Path) -> None:
    run, out = run_in(place), place / "drawn"
    trained = ganforge.load(run, "cpu")
    from ganforge.evaluation.image_sets import sample_images

    samples = sample_images(trained, 30, 0, np.array([0, 1]))
    for k, image in enumerate(samples.take(np.arange(30))):
        write(out / f"{k:02d}.png", (image.permute(1, 2, 0).numpy() * 127.5 + 127.5).round().astype(np.uint8))
    of_files = evaluate(out, place / "real", ("fid", "kid"), features="pixels", reals=30)
    from ganforge.data.open import open_data
    from ganforge.evaluation.inputs import EvalInputs
    from ganforge.metrics.image_set import select_images

    data = open_data(str(place / "real"), size=None)
    options = EvalOptions(("fid", "kid"), features="pixels")
    of_run, _ = evaluate_inputs(EvalInputs(samples, select_images(data, most=30), data, trained), options)
    assert [f.value for f in of_run.figures] == [f.value for f in of_files.figures]


def test_good_images_score_better_than_an_untrained_run(place: Path) -> None:
    good = evaluate("good", "real", ("fid", "kid", "prdc", "modes"))
    bad = evaluate(run_in(place), metrics=("fid", "kid", "prdc"), n=40)
    assert good["fid"].value < bad["fid"].value
    assert good["kid"].value < bad["kid"].value
    assert good["coverage"].value > 0.8
    assert good["modes"].value == 2
    assert (place / "good-report.json").is_file()
    assert evaluate("real", "real", ("fid",))["fid"].value == pytest.approx(0, abs=1e-6)


def test_real_features_are_computed_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate("good", "real", ("kid",), features="pixels")
    before = set(cache_home().iterdir())
    calls = []
    monkeypatch.setattr(sharded, "extract_features", lambda *given: calls.append(1) or _extract(*given))
    evaluate("good", "real", ("kid",), features="pixels")
    assert len(calls) == 1  # the generated side alone
    assert set(cache_home().iterdir()) == before


_extract = sharded.extract_features


def test_comparison_ranks_and_writes_one_page(place: Path) -> None:
    messages: list[str] = []
    subjects = [run_in(place), place / "good", run_in(place, "other")]
    order = compare(subjects, metrics=("fid", "prdc"), n=40, out=place / "page.html", say=messages.append)
    assert order[0].subject == str(place / "good")
    assert [r["fid"].value for r in order] == sorted(r["fid"].value for r in order)
    page = (place / "page.html").read_text()
    assert page.count("data:image/png;base64,") == 3 + 2  # grids, and the losses of two runs
    assert "http" not in page
    assert "parameters" in page
    with pytest.raises(OptionError, match="two or more"):
        compare(subjects[:1])
    with pytest.raises(OptionError, match="None of these is a run"):
        compare([place / "good", place / "real"])


def test_names_on_the_page_are_escaped() -> None:
    name = "<script>alert('x')</script> & co"
    report = Report(name, name, (Estimate(name, 1.0, 0.5, 1.5),), 4, 5, features=name, warnings=(name,))
    entry = Entry(report, np.zeros((4, 4, 3), np.uint8), cost={name: name}, scores=[{"step": 1, "fid": 2.0}])
    page = build_page([replace(entry, score_kind=name), entry], name)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; co") == 16


def test_scores_over_training_are_plotted(place: Path) -> None:
    """Runs keep their ranks and end at the evaluated checkpoint; other metrics have a plot of their own."""
    for name, select, steps in (("one", "kid:pixels", 6), ("two", "kid:pixels", 4), ("three", "fid:pixels", 2)):
        ganforge.train(
            "gan", place / "real", "tiny", steps=steps, size=(8,), outdir=place / "scored", name=name, quiet=True,
            device="cpu", select=select, every=2, judged=20, sample_every=0, log_every=1,
        )  # fmt: skip
    one, two, three = sorted((place / "scored").iterdir())
    subjects = [place / "good", f"{one}@4", two, three, one]
    options = EvalOptions(metrics=("kid",), features="pixels", n=20)
    opened = [open_inputs(subject, place / "real", options, None) for subject in subjects]
    entries = [build_entry(inputs, evaluate_inputs(inputs, options)[0]) for inputs in opened]
    kind = f"kid:pixels, lower is better; 20 images against {place / 'real'}"
    assert [each.score_kind for each in entries] == ["", kind, kind, kind.replace("kid", "fid"), kind]
    (axes,) = plot_scores(entries, kind).axes
    lines = axes.lines[::2]  # of each pair the values; their running mean follows
    assert [list(line.get_xdata()) for line in lines] == [[2, 4], [2, 4], [2, 4, 6]]
    assert list(lines[2].get_ydata()) == [row["kid"] for row in read_rows(one / "scores.jsonl")]
    assert {text.get_text().split("  ")[0] for text in axes.texts} == {
        "2. 00000-one", "3. 00001-two", "5. 00000-one",
    }  # fmt: skip
    (alone,) = plot_scores(entries, kind.replace("kid", "fid")).axes
    assert alone.lines[0].get_marker() == "o"
    order = compare(subjects, place / "real", metrics=("kid",), features="pixels", n=20, out=place / "scores.html")
    assert len(order) == 5
    page = (place / "scores.html").read_text()
    assert page.count("data:image/png;base64,") == 5 + 2 + 4  # grids, measures, losses
    assert page.index("Scores over training") < page.index("Losses over training")


def test_grey_against_colour_is_reported(tmp_path: Path) -> None:
    for name, channels in (("grey", 1), ("colour", 3)):
        chance = np.random.default_rng(0)
        for n in range(20):
            write(tmp_path / name / f"{n}.png", chance.integers(0, 256, (8, 8, channels), dtype=np.uint8))
    options = {"against": tmp_path / "colour", "metrics": ("kid",), "features": "pixels", "n": 20}
    report = evaluate(tmp_path / "grey", out=tmp_path / "r.json", **options)
    assert "evaluated with 1, as --channels 1 does; --channels 3" in " ".join(report.warnings)
    report = evaluate(tmp_path / "grey", out=tmp_path / "r.json", channels=3, **options)
    assert "--channels" not in " ".join(report.warnings)


def test_colour_runs_are_evaluated_in_grey(place: Path) -> None:
    colour = ganforge.train(
        "gan", place / "real", "tiny", steps=1, size=(8,), channels=3, outdir=place / "colour", quiet=True, device="cpu"
    )
    both, options = [colour.path, run_in(place)], {"metrics": ("kid",), "features": "pixels", "n": 20}
    with pytest.raises(OptionError, match="and --channels"):
        compare(both, out=place / "q.html", **options)
    order = compare(both, out=place / "q.html", channels=1, **options)
    assert {r.channels for r in order} == {1}


def test_the_smallest_set_decides_how_many_images_are_compared(place: Path) -> None:
    messages: list[str] = []
    order = compare(
        [place / "good", run_in(place)],
        metrics=("kid",),
        features="pixels",
        n=50,
        out=place / "p.html",
        say=messages.append,
    )
    assert "smallest set has 40 images" in messages[0]
    assert [r.n_fake for r in order] == [40, 40]


def test_runs_of_different_sizes_need_a_common_size(place: Path) -> None:
    larger = ganforge.train(
        "cgan", place / "real", "tiny", steps=1, size=(16,), outdir=place / "larger", quiet=True, device="cpu"
    )
    both, options = [run_in(place), larger.path], {"metrics": ("kid",), "features": "pixels", "n": 20}
    with pytest.raises(OptionError, match="give --size"):
        compare(both, out=place / "q.html", **options)
    order = compare(both, out=place / "q.html", size=(8,), **options)
    assert {r.size for r in order} == {(8, 8)}


def test_a_translator_is_evaluated_against_the_target_of_each_image(place: Path) -> None:
    pairs = ganforge.train("regression", preset="tiny", steps=1, outdir=place / "pairs", quiet=True, device="cpu")
    assert evaluate(pairs.path, n=6, size=(20,), out=place / "odd.json").size == (20, 20)  # sides it cannot halve
    report = evaluate(pairs.path, n=6, pictures=True)
    assert [f.name for f in report.figures] == ["psnr", "ssim", "l1"]
    assert [(f.better, f.low is not None) for f in report.figures] == [
        ("higher", True),
        ("higher", True),
        ("lower", True),
    ]
    assert [Path(p).name for p in report.pictures] == ["report-seed.png"]
    both = evaluate(pairs.path, metrics=("l1", "kid"), features="pixels", n=6)
    assert both["l1"].value == pytest.approx(report["l1"].value)
    assert "kid" in [f.name for f in both.figures]
    page = place / "pairs.html"
    assert len(compare([pairs.path, pairs.path], n=6, out=page)) == 2
    larger = ganforge.train("srgan", preset="tiny", steps=1, outdir=place / "larger2", quiet=True, device="cpu")
    assert evaluate(larger.path, n=4)["psnr"].value > 0


def refuses(match: str, *words: object, kind: type[Exception] = DataError, **options: object) -> None:
    with pytest.raises(kind, match=match):
        evaluate(*words, **options)  # pyright: ignore[reportArgumentType]


def test_images_of_label_maps_are_not_held_to_their_one_true_image(tmp_path: Path) -> None:
    run = ganforge.train("spade", preset="tiny", steps=1, sample_every=0, outdir=tmp_path, quiet=True)
    report = ganforge.evaluate(run, n=12, features="pixels")
    assert [figure.name for figure in report.figures] == ["fid", "kid", "precision", "recall", "density", "coverage"]


def test_without_labels_and_inception_the_rows_say_that_they_are_of_pixels(place: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "bare.npy", stripes(20, 0)[0])
    messages: list[str] = []
    report = evaluate("good", tmp_path / "bare.npy", say=messages.append, out=tmp_path / "report.json")
    assert {"fid (pixels)", "kid (pixels)"} <= {figure.name for figure in report.figures}
    assert all(figure.name.endswith(" (pixels)") for figure in report.figures)
    assert "Inception's weights are not available" in messages[0]
    same = evaluate("good", tmp_path / "bare.npy", features="pixels", out=tmp_path / "report.json")
    assert [f.name for f in same.figures] == [f.name.removesuffix(" (pixels)") for f in report.figures]
    assert [f.value for f in same.figures] == [f.value for f in report.figures]


def test_bad_input_is_one_sentence(place: Path, tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.txt").write_text("no image")
    refuses("words", tmp_path / "words", "real")
    pictures, _ = stripes(4, 0)
    for k, picture in enumerate(pictures):
        write(tmp_path / "mixed" / f"{k}.png", picture if k else picture.repeat(2, 0))
    refuses("differ in size", tmp_path / "mixed", "real")
    np.save(tmp_path / "nan.npy", np.where(np.arange(4) == 2, np.nan, 0.5)[:, None, None] * np.ones((4, 8, 8)))
    report = evaluate(tmp_path / "nan.npy", "real", ("kid",), features="pixels")
    assert "row 2 cannot be read: it holds numbers that are not finite" in " ".join(report.warnings)
    np.save(tmp_path / "five.npy", np.zeros((4, 8, 8, 5), np.uint8))
    refuses("5", tmp_path / "five.npy", "real", features="classifier")
    write(tmp_path / "one" / "a.png", pictures[0])
    refuses("only one", tmp_path / "one", "real")
    refuses("There is no data called", tmp_path / "nothing", "real")
    refuses("no run: name the data", "good", kind=OptionError)
    refuses("no metric 'fdi'", "good", "real", ("fdi",), kind=OptionError)
    refuses("with class logits", "good", "real", ("is",), features="pixels", kind=OptionError)
    refuses("no known targets", "good", "real", ("psnr",), kind=OptionError)
    np.save(tmp_path / "bare.npy", pictures)
    refuses("--per-class needs", tmp_path / "bare.npy", "real", ("kid",), per_class=True, kind=OptionError)
    refuses("at least 6", tmp_path / "bare.npy", "real", ("prdc",))


def test_constant_images_are_evaluated_with_a_warning(place: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "same.npy", np.full((20, 8, 8, 1), 90, np.uint8))
    report = evaluate(tmp_path / "same.npy", "real", ("fid", "prdc"), reals=60)
    assert "collapsed to one output" in report.warnings[0]
    assert report["fid"].value > 0
    assert report["recall"].value == 0


def test_the_command_prints_a_table_and_a_page(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["evaluate", "good", "--against", "real", "--metrics", "fid", "prdc", "--features", "pixels"]) == 0
    said = capsys.readouterr().out
    assert "pixels" in said
    assert "lower is better" in said
    assert "good-report.json" in said
    both = [str(run_in(place)), str(run_in(place, "other"))]
    assert cli.run(["compare", *both, "--metrics", "kid", "--features", "pixels", "--n", "20", "-o", "c.html"]) == 0
    assert "1. " in capsys.readouterr().out
    assert cli.run(["evaluate", "good"]) == 1
    assert "--against" in capsys.readouterr().err


def test_infinite_figures_are_written_as_strings(tmp_path: Path) -> None:
    report = Report("a", "b", (Estimate("modes_kl", float("inf")),), "extractor", "key", 1, 1)
    report.save(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["figures"][0]["value"] == "inf"
    with pytest.raises(KeyError, match="there are modes_kl"):
        report["fid"]
    assert torch.tensor(report["modes_kl"].value).isinf()
