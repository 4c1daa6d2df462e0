"""ganforge reproduce: experiment files, a small table, interruption and resumption."""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import ganforge
from ganforge.callbacks.loss_curves import LossCurves
from ganforge.catalogue import find as find_model
from ganforge.cli import run as command
from ganforge.data.open import open_data
from ganforge.data.synthetic.domains import PALETTE
from ganforge.engine import Engine
from ganforge.errors import DataError, NotFiniteError, OptionError
from ganforge.evaluation.inputs import EvalOptions, open_inputs
from ganforge.files import write_atomic
from ganforge.images import read, write
from ganforge.inference.load import load_part
from ganforge.metrics import fcn
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.label_colours import nearest_classes
from ganforge.metrics.labels import compute_labels
from ganforge.metrics.segmenter import SegmenterConfig
from ganforge.reproduction import experiment, pace
from ganforge.reproduction import run as reproduction
from ganforge.reproduction.findings import Findings, Row, compare_estimates
from ganforge.reproduction.page import build_page, format_text
from ganforge.training.plan import plan

NAMES = [name for name in experiment.list_experiments() if name.startswith("pix2pix")]
SIZE = 16


def pairs(folder: Path, n: int, seed: int) -> None:
    """Photographs in A, label maps of three classes in B: a class is a brightness, and noise."""
    chance = np.random.default_rng(seed)
    for k in range(n):
        maps = chance.integers(0, 3, (4, 4)).repeat(SIZE // 4, 0).repeat(SIZE // 4, 1)
        photo = (30 + 90 * maps[..., None] + chance.integers(-20, 20, (SIZE, SIZE, 3))).astype(np.uint8)
        write(folder / "A" / f"{k:02d}.png", photo)
        write(folder / "B" / f"{k:02d}.png", PALETTE[maps])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Pairs in two splits, and a segmenter that trains quickly."""
    where = tmp_path_factory.mktemp("reproduction")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANFORGE_CACHE", str(where / "cache"))
        short = SegmenterConfig(rounds=25, batch=6, widths=(8, 8), lr=2e-2)
        patch.setattr(
            fcn,
            "load_or_train_segmenter",
            functools.partial(fcn.load_or_train_segmenter, config=short),
        )
        patch.setattr(LossCurves, "end", lambda self, engine: None)  # the slowest part of so small a run
        pairs(where / "pairs" / "train", 12, 0)
        pairs(where / "pairs" / "test", 8, 1)
        yield where / "pairs"


@pytest.fixture
def six(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step times for which a minute is six steps of three rows."""
    monkeypatch.setattr(reproduction, "measure_step_seconds", lambda plan: 60 / 18)


def again(data: Path, out: Path, name: str = "pix2pix-table6", /, **more):
    given = {"budget": 1, "preset": "tiny", "threads": 1, "device": "cpu", "quiet": True, "outdir": out}
    return ganforge.reproduce(name, data, **{**given, **more})


# -- the files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_papers_figures_agree_with_its_orderings(name):
    definition = experiment.find_experiment(name)
    assert set(definition.figures) == set(definition.rows)
    for one in definition.orderings:
        column = [*definition.measures].index(one.measure)
        assert definition.figures[one.better][column] > definition.figures[one.worse][column], one


@pytest.mark.parametrize("name", NAMES)
def test_every_row_can_be_built_and_all_differ(name, data):
    definition = experiment.find_experiment(name)
    preset = find_model(definition.model).preset("tiny")
    size = reproduction.choose_size(definition, preset.run.size, 0)
    plans = [
        plan(definition.model, data, "tiny", config=dict(own), size=size, load=load_part)
        for own in definition.rows.values()
    ]
    assert len({row.config for row in plans}) == len(definition.rows)
    for row, own in zip(plans, definition.rows.values(), strict=True):
        assert {key: getattr(row.config, key) for key in own} == dict(own)


@pytest.mark.parametrize("name", NAMES)
def test_the_orderings_are_conclusions_of_the_paper(name):
    """Version 3 calls L1+cGAN similar to L1+GAN, and patches of 70 similar to those of 16 in their scores."""
    definition = experiment.find_experiment(name)
    claimed = {(one.better, one.worse) for one in definition.orderings}
    assert claimed.isdisjoint({("L1+cGAN", "L1+GAN"), ("70 x 70", "16 x 16")})
    assert definition.source.endswith("of arXiv version 3, https://arxiv.org/abs/1611.07004v3")


def test_a_folder_of_an_older_experiment_is_refused_in_a_sentence(data, tmp_path, six):
    """An ordering that the package no longer claims, in a folder that was begun before."""
    started = again(data, tmp_path, budget=1)
    record = started.folder / "asked.json"
    older = json.loads(record.read_text(encoding="utf-8"))
    older["experiment"]["orderings"].append({"better": "L1", "worse": "cGAN", "measure": "iou", "says": "No more."})
    write_atomic(record, json.dumps(older))
    with pytest.raises(OptionError, match=r"another reproduction \(its experiment differs\).*--name"):
        again(data, tmp_path, budget=1)


def test_users_can_write_experiment_files(tmp_path):
    content = yaml.safe_load((experiment.FOLDER / "pix2pix-table6.yaml").read_text())
    content["rows"]["L2+cGAN"] = {"objective": "l2+cgan"}
    write_atomic(tmp_path / "mine.yaml", yaml.safe_dump(content, sort_keys=False))
    mine = experiment.find_experiment(str(tmp_path / "mine.yaml"))
    assert mine.name == "mine"
    assert [*mine.rows][-1] == "L2+cGAN"


def test_the_example_of_the_guide_is_valid(data, tmp_path, monkeypatch):
    guide = Path(__file__).parents[2] / "docs" / "reproduce.md"
    (example,) = re.findall(r"```yaml\n(.*?)```", guide.read_text(), re.DOTALL)
    write_atomic(tmp_path / "mine.yaml", example)
    monkeypatch.setattr(reproduction, "measure_step_seconds", lambda plan: 30.0)
    found = again(data, tmp_path, str(tmp_path / "mine.yaml"))
    assert found.folder.name == "reproduce-mine-pairs"
    assert [v.ordering.better for v in found.verdicts] == ["100"]
    assert found.verdicts[0].paper is None
    write_atomic(tmp_path / "mine.yaml", example.replace("fcn_class_iou", "iou"))
    with pytest.raises(OptionError, match="mine needs iou, and the metric fcn gives fcn_pixel_accuracy"):
        again(data, tmp_path, str(tmp_path / "mine.yaml"), name="other")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "beauty"}, "its metric 'beauty' is none"),
        ({"figures": {"L3": [1.0, 1.0, 1.0]}}, "the row 'L3', which it does not have"),
        ({"figures": {"L1": [1.0]}}, "L1 has 1 figures for 3 measures"),
        ({"orderings": [{"better": "L1", "worse": "cGAN", "measure": "fid", "says": ""}]}, "orders by 'fid'"),
        ({"orderings": [{"better": "L1"}]}, "cannot be read"),
        ({"rows": {1: {}, "1": {}}}, "its row 1 is not text"),
        ({"rows": {"a b": {}, "A (b)": {}}}, "two of its rows would have one folder, 'a-b'"),
        ({"rows": 3}, "cannot be read: rows cannot be 3"),
        ({"paper": "x"}, "has no setting 'paper'"),
    ],
)
def test_a_file_that_contradicts_itself(change, message, tmp_path):
    content = yaml.safe_load((experiment.FOLDER / "pix2pix-table6.yaml").read_text())
    write_atomic(tmp_path / "mine.yaml", yaml.safe_dump({**content, **change}))
    with pytest.raises(OptionError, match=message):
        experiment.find_experiment(str(tmp_path / "mine.yaml"))


# -- which ordering holds -------------------------------------------------------------------------


def estimate(value: float, error: float | None = 0.01, better: str = "higher") -> Estimate:
    ends = (None, None) if error is None else (value - error, value + error)
    return Estimate("iou", value, *ends, better=better)


def test_an_ordering_holds_where_intervals_do_not_overlap():
    assert compare_estimates(estimate(0.5), estimate(0.4)) == "holds"
    assert compare_estimates(estimate(0.4), estimate(0.5)) == "does not hold"
    assert (
        compare_estimates(estimate(0.5), estimate(0.49))
        == compare_estimates(estimate(0.49), estimate(0.5))
        == "within error"
    )
    assert compare_estimates(estimate(0.4, better="lower"), estimate(0.5, better="lower")) == "holds"
    assert compare_estimates(estimate(0.5, None), estimate(0.4, None)) == "holds"
    assert compare_estimates(estimate(0.5, None), estimate(0.5, None)) == "within error"
    assert (
        compare_estimates(None, estimate(0.5))
        == compare_estimates(estimate(float("nan")), estimate(0.5))
        == "cannot be told"
    )


# -- a table --------------------------------------------------------------------------------------


def test_a_table_is_complete_and_repeatable(data, tmp_path, six):
    said = []
    found = again(data, tmp_path, say=said.append)
    assert found.steps == 6
    assert [row.name for row in found.rows] == ["L1", "cGAN", "L1+cGAN"]
    for row in found.rows:
        assert ganforge.load(row.run).step == 6
        assert [f.name for f in row.figures] == [*found.experiment.measures]
        assert all(0 <= f.low <= f.value <= f.high <= 1 for f in row.figures)
    assert found.truth is None  # label maps are compared directly: there is no figure of real ones
    assert list(found.images) == ["input", "L1", "cGAN", "L1+cGAN", "truth"]
    results = json.loads((found.folder / "results.json").read_text())
    assert [row["paper"] for row in results["rows"]] == [list(f) for f in found.experiment.figures.values()]
    assert [one["word"] for one in results["orderings"]] == [v.outcome for v in found.verdicts]
    page, table = ((found.folder / name).read_text() for name in ("index.html", "table.md"))
    assert page.count("<img") == 6 * 5
    assert page.count('src="data:') == 6 * 5
    for row in found.rows:
        assert f"| {row.name} |" in table
    assert "6 steps per row" in table
    assert all(v.ordering.says in page or v.ordering.says in table for v in found.verdicts)
    assert (read(found.folder / "pictures.png") != 255).any()
    before = {path: path.stat().st_mtime_ns for path in found.folder.glob("*/checkpoints/**/*.safetensors")}
    said.clear()
    more = again(data, tmp_path, say=said.append)
    assert sum("already trained" in sentence for sentence in said) == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [row.figures for row in more.rows] == [row.figures for row in found.rows]
    with pytest.raises(OptionError, match=r"another reproduction \(its budget differs\)"):
        again(data, tmp_path, budget=2)


def test_names_on_the_page_are_escaped(tmp_path):
    name = "<script>alert('x')</script> & co"
    one = experiment.Ordering(name, "L1", "fid", name)
    definition = experiment.Experiment(
        name, name, name, name, "pix2pix", "fid", {"fid": name}, {name: {}, "L1": {}}, {}, (one,)
    )
    rows = tuple(Row(row, None, (Estimate("fid", 1.0),), (), 1.0) for row in (name, "L1"))
    shown = {row: np.zeros((1, 4, 4, 3), np.uint8) for row in ("input", name, "truth")}
    options = {"data": name, "direction": "AtoB", "size": (4,), "preset": "tiny", "seed": 0}
    page = build_page(Findings(tmp_path, definition, options, 1, 1, rows, None, shown, (name,), 0.0))
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; co") == 12


def test_real_images_are_a_row_for_photographs(data, tmp_path, monkeypatch):
    monkeypatch.setattr(reproduction, "measure_step_seconds", lambda plan: 6.0)
    found = again(data, tmp_path, "pix2pix-table1")
    assert found.steps == 2
    assert found.truth is not None
    assert found.truth.paper == (0.80, 0.26, 0.21)
    assert found.truth["fcn_pixel_accuracy"].value > found.rows[0]["fcn_pixel_accuracy"].value
    assert "the real images" in format_text(found)
    assert format_text(found).count("\n  ") == len(found.experiment.orderings) == 6


def test_it_resumes_where_it_was_stopped(data, tmp_path, six, monkeypatch):
    rounds, round_ = [], Engine.train_step

    def cut(engine: Engine) -> None:
        round_(engine)
        rounds.append(engine.step)
        if len(rounds) == 8:  # the second step of the second row
            engine.stopping = "Ctrl-C was pressed."
        if len(rounds) == 14:  # the second step of the third
            raise OSError("The machine went down.")

    monkeypatch.setattr(Engine, "train_step", cut)
    with pytest.raises(KeyboardInterrupt):
        again(data, tmp_path / "cut")
    with pytest.raises(OSError, match="went down"):
        again(data, tmp_path / "cut")
    cut_off = again(data, tmp_path / "cut")
    # The first row once; the second in two parts; the third from its checkpoint after the first step.
    assert rounds == [*range(1, 7), 1, 2, 3, 4, 5, 6, 1, 2, 2, 3, 4, 5, 6]
    monkeypatch.setattr(Engine, "train_step", round_)
    in_one = again(data, tmp_path / "whole")
    assert [row.figures for row in cut_off.rows] == [row.figures for row in in_one.rows]
    assert all(np.array_equal(cut_off.images[name], in_one.images[name]) for name in in_one.images)


def test_a_diverged_row_is_reported_and_the_others_are_evaluated(data, tmp_path, six, monkeypatch):
    round_ = Engine.train_step

    def broken(engine: Engine) -> None:
        if len(engine.players) == 2 and engine.game.config.objective == "cgan":
            raise NotFiniteError("discriminator/fake became NaN.")
        round_(engine)

    monkeypatch.setattr(Engine, "train_step", broken)
    found = again(data, tmp_path)
    assert [bool(row.figures) for row in found.rows] == [True, False, True]
    assert [v.outcome == "cannot be told" for v in found.verdicts] == [True, False, True]
    assert "cGAN: discriminator/fake became NaN." in format_text(found)
    assert "diverged" in (found.folder / "index.html").read_text()
    assert "cGAN" not in found.images


def test_the_step_time_is_measured(data, monkeypatch):
    monkeypatch.setattr(pace, "SECONDS", 0.01)
    resolved = plan("pix2pix", data, "tiny", size=(SIZE,), load=load_part)
    steps, round_ = [], Engine.train_step
    monkeypatch.setattr(Engine, "train_step", lambda engine: (steps.append(engine.step), round_(engine)))
    seconds = pace.measure_step_seconds(resolved)
    assert 0 < seconds < 1
    assert len(steps) >= pace.WARM + pace.LEAST


# -- rows that share a part -----------------------------------------------------------------------


def test_the_variants_of_gan_cls_have_one_text_encoder_and_are_read_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr(LossCurves, "end", lambda self, engine: None)
    monkeypatch.setattr(reproduction, "measure_step_seconds", lambda plan: 60 / 8)
    monkeypatch.setattr(reproduction, "EVALUATED", 100)
    asked = {"budget": 1, "preset": "tiny", "threads": 1, "device": "cpu", "quiet": True, "outdir": tmp_path}
    said = []
    found = ganforge.reproduce("gan-cls", say=said.append, **asked)
    assert found.options["data"] == "shapes-captions-unseen"
    text, reader = (next(found.folder.glob(f"*-{name}")) for name in ("text", "reader"))
    ours, other = (ganforge.load(path).game.config for path in (text, reader))
    assert (ours.networks, other.networks) == ("gru", "char-cnn-rnn")
    variants = [ganforge.load(row.run).game.config for row in found.rows]
    assert [c.variant for c in variants] == ["gan", "cls", "int", "int-cls"]
    assert {c.text for c in variants} == {str(text)}
    assert {(c.product, c.wrongs, c.r1, c.seek) for c in variants} == {(False, 1, 0.0, 0.0)}  # the paper's terms
    assert all(0 <= row["r_precision"].value <= 1 for row in found.rows)
    assert [*found.images] == [row.name for row in found.rows] + ["real images"]
    assert "AtoB" not in format_text(found)
    assert "paper" in (found.folder / "table.md").read_text()
    said.clear()
    more = ganforge.reproduce("gan-cls", say=said.append, **asked)
    assert sum("already trained" in sentence for sentence in said) == 4
    assert [row.figures for row in more.rows] == [row.figures for row in found.rows]


# -- data -----------------------------------------------------------------------------------------


def test_label_maps_are_found_on_the_side_where_they_are(data, tmp_path):
    one, six = (experiment.find_experiment(f"pix2pix-table{n}") for n in (1, 6))
    columns = ("source", "target")
    assert reproduction.choose_direction(one, str(data), "auto", columns, None) == "BtoA"
    assert reproduction.choose_direction(six, str(data), "auto", columns, None) == "AtoB"
    assert reproduction.choose_direction(six, str(data), "BtoA", columns, None) == "BtoA"
    assert reproduction.choose_direction(one, "shapes-pairs", "auto", columns, None) == "AtoB"
    chance = np.random.default_rng(0)
    for side in "AB":
        for k in range(2):
            noise = chance.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
            write(tmp_path / "photos" / side / f"{k}.png", noise)
    with pytest.raises(DataError, match=r"neither side of .*photos looks like some"):
        reproduction.choose_direction(one, str(tmp_path / "photos"), "auto", columns, None)


def test_the_scores_of_generated_label_maps(data, tmp_path):
    run = ganforge.train(
        "pix2pix", data, "tiny", steps=1, size=(SIZE,), outdir=tmp_path, quiet=True, device="cpu", sample_every=0,
    )  # fmt: skip
    found = open_inputs(run.path, None, options := EvalOptions(metrics=("labels",), held_out=True), None)
    perfect = compute_labels(replace(found, fake=found.real), options, print)
    assert [(f.name, f.value) for f in perfect] == [
        (f"labels_{name}", 1.0) for name in ("pixel_accuracy", "class_accuracy", "class_iou")
    ]
    constant = torch.from_numpy(PALETTE[1] / 127.5 - 1).float()[None, :, None, None]
    grey = replace(found.real, rows=lambda a, b: (constant + 0.05).clamp(-1, 1).expand(b - a, 3, SIZE, SIZE))
    flat = compute_labels(replace(found, fake=grey), options, print)
    true = open_data(str(data), size=None, needed=("source", "target"), held_out=True).columns["target"]
    share = (np.asarray(true) == PALETTE[1]).all(3).mean()
    assert [f.value for f in flat] == pytest.approx([share, 1 / 3, share / 3])
    with pytest.raises(OptionError, match="photographs to label maps"):
        compute_labels(replace(found, sources=None), options, print)


def test_the_nearest_colour():
    shades = np.array([[0, 0, 0], [200, 0, 0], [0, 0, 250]], np.uint8)
    pictures = np.array([[[[10, 10, 10], [255, 90, 0], [99, 0, 0], [101, 0, 0], [60, 60, 255]]]], np.uint8)
    assert nearest_classes(pictures, shades).tolist() == [[[0, 1, 0, 1, 2]]]


# -- errors -------------------------------------------------------------------------------------


def test_invalid_reproductions_are_refused(data, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match=r"no experiment 'pix2pix-table7'.* Did you mean pix2pix-table"):
        again(data, tmp_path, "pix2pix-table7")
    with pytest.raises(OptionError, match="is no time to train"):
        again(data, tmp_path, budget=0)
    with pytest.raises(DataError, match="plain images"):
        again(data / "train" / "A", tmp_path)
    with pytest.raises(DataError, match="source"):
        again("shapes", tmp_path)
    pairs(tmp_path / "seen", 4, 0)
    with pytest.raises(DataError, match="seen"):
        again(tmp_path / "seen", tmp_path)
    assert not [*tmp_path.glob("*/0*")]  # refused before anything was trained
    with pytest.raises(OptionError, match="--size 64 is too small for pix2pix-table3"):
        again(data, tmp_path, "pix2pix-table3", size=64)
    monkeypatch.setattr(reproduction, "measure_step_seconds", lambda plan: 30.0)
    with pytest.raises(OptionError, match="takes 90 seconds here, so give --budget 3 at the least"):
        again(data, tmp_path)
    assert not [*tmp_path.glob("*/asked.json")]  # a larger budget may be tried
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(OptionError, match="torchrun"):
        again(data, tmp_path)


def test_the_command(data, tmp_path, six, capsys):
    assert command(["reproduce"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in NAMES)
    words = ["--data", str(data), "--budget", "1", "--preset", "tiny", "--outdir", str(tmp_path), "--name", "mine"]
    assert command(["reproduce", "pix2pix-table6", *words, "--threads", "1", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "Row 3 of 3, L1+cGAN: 6 steps." in said
    assert "Of the paper's 3 orderings, at 6 steps per row: " in said
    assert (tmp_path / "reproduce-mine" / "index.html").exists()
    assert command(["reproduce", "pix2pix-table6", *words, "--threads", "1", "--device", "cpu", "--json"]) == 0
    results = json.loads((tmp_path / "reproduce-mine" / "results.json").read_text())
    assert json.loads(capsys.readouterr().out) == results
    assert command(["reproduce", "pix2pix-table9"]) == 1
    assert "there are gan-cls, pix2pix-table1" in capsys.readouterr().err
