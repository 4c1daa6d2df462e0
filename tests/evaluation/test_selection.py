"""--select: which metric compares which game; selection does not change the training run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ganforge
from ganforge.batches import Facts
from ganforge.callbacks.log import read_rows
from ganforge.catalogue import find
from ganforge.data.dataset import DataSet
from ganforge.data.loader import to_images
from ganforge.draw import RowDraw
from ganforge.errors import OptionError
from ganforge.evaluation import selection
from ganforge.evaluation.evaluate import evaluate
from ganforge.images import to_uint8
from ganforge.inference.inference_mode import inference_mode
from ganforge.metrics.fid import fid
from ganforge.metrics.kid import kid
from ganforge.metrics.psnr import psnr
from ganforge.models import cyclegan, dcgan, pix2pix, srgan, stargan
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from ganforge.runs.folder import RunFolder
from tests.support.toys import FACTS, Config, Toy, Translating, make_data, run, weights

TINY = {"preset": "tiny", "size": (8,), "quiet": True, "sample_every": 0}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path) -> Path:
    """Sixty small grey images."""
    np.save(tmp_path / "data.npy", np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), dtype=np.uint8))
    return tmp_path / "data.npy"


def pairs(n: int = 6) -> DataSet:
    """Pairs whose targets are the negatives of the sources."""
    source = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return DataSet("pairs", Facts(3, 8, 8, source_channels=3), {"source": source, "target": 255 - source}, "pairs")


# -- options ----------------------------------------------------------------------------------------


def test_each_kind_of_game_has_its_metrics():
    assert selection.list_metrics(dcgan.DCGAN) == ("fid", "kid", "cmmd", "is")
    assert selection.list_metrics(pix2pix.Pix2Pix) == ("psnr", "ssim", "l1")
    assert selection.list_metrics(cyclegan.CycleGAN) == ("fid", "kid", "cmmd", "is")
    assert selection.list_metrics(srgan.SRGAN) == ("psnr", "ssim", "l1")
    assert selection.list_metrics(stargan.StarGAN) == ()
    assert selection.list_metrics(find("lostgan").game) == ("fid", "kid", "cmmd", "is")
    assert set(selection.list_metrics(find("spade").game)) == {"fid", "kid", "cmmd", "is", "psnr", "ssim", "l1"}


def test_a_config_decides_where_a_model_is_several():
    """An upsampler has no images of noise to compare, and a base no targets."""
    giga, config = find("gigagan").game, find("gigagan").preset("tiny").config
    upsampler = replace(config, networks="upsampler")
    assert selection.list_metrics(giga, config) == ("fid", "kid", "cmmd", "is")
    for own in (upsampler, replace(upsampler, texts=False)):
        assert selection.list_metrics(giga, own) == ("psnr", "ssim", "l1")
        with pytest.raises(OptionError, match="there are psnr, ssim, l1"):
            selection.check_options(Run(select="fid"), giga, own)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"select": "psnr"}, "cannot compare the checkpoints of this model: there are fid, kid, cmmd, is"),
        ({"select": "beauty"}, "cannot compare"),
        ({"select": "fid:smell"}, "classifier, inception"),
        ({"every": 5}, "need a metric"),
        ({"patience": 5}, "need a metric"),
        ({"select": "fid", "patience": -1}, "--patience cannot be -1"),
        ({"select": "fid", "judged": 1}, "2 or more"),
    ],
)
def test_invalid_selections_are_refused_before_a_folder_is_created(changes, said, tmp_path):
    with pytest.raises(OptionError, match=said):
        ganforge.train("dcgan", outdir=tmp_path / "runs", **TINY, **changes)
    assert not (tmp_path / "runs").exists()


def test_metric_direction():
    assert selection.metric_direction("fid:pixels") == "lower"
    assert selection.metric_direction("psnr") == "higher"
    with pytest.raises(OptionError, match="no metric 'beauty'"):
        selection.metric_direction("beauty")


# -- values --------------------------------------------------------------------------------------


def by(select: str, data: DataSet, n: int, held_out: DataSet | None = None, say=lambda _: None):
    return selection.build_metric(run(select=select, judged=n), data, lambda: held_out or data, Path(), CPU, say)


def test_fid_of_pixels_is_that_of_the_games_samples():
    torch.manual_seed(0)
    game, data, said = Toy(Config(), FACTS), make_data(90), []
    compare = by("fid:pixels", data, 90, say=said.append)
    before = weights(game).clone()
    game.train()
    value = compare.measure(game)
    assert "pixels" in said[0]
    drawn = to_images(to_uint8(ganforge.Trained(game, Path(), "toy", 0).sample(90, selection.SEED)))
    assert value == pytest.approx(fid(to_images(data.columns["images"]).flatten(1), drawn.flatten(1)).value, rel=1e-6)
    assert compare.measure(game) == value
    assert game.training
    assert torch.equal(weights(game), before)
    game.generator.weight.data += 1
    assert compare.measure(game) != pytest.approx(value, rel=1e-3)


def test_a_labelled_set_uses_its_classifier(monkeypatch):
    from ganforge.metrics.extractors import classifier

    monkeypatch.setattr(classifier, "PIXELS", 100 * 64)
    facts, said = Facts(3, 8, 8, labels=("a", "b")), []
    data = replace(make_data(300, facts), facts=facts, name="labelled toys")
    data = replace(data, columns={**data.columns, "condition": np.arange(300) % 2})
    torch.manual_seed(0)
    compare = by("kid", data, 40, say=said.append)
    assert "a classifier of the data's own 2 classes" in said[0]
    assert np.isfinite(compare.measure(Toy(Config(), facts)))


def test_a_translator_is_compared_with_its_targets():
    torch.manual_seed(0)
    data = pairs()
    game = Translating(Config(), data.facts)
    compare = by("psnr", make_data(), 6, data)
    source = to_images(data.columns["source"])
    with inference_mode(game):
        game.draw = RowDraw(selection.SEED)
        made = to_images(to_uint8(game.translate(source)))
    assert compare.measure(game) == pytest.approx(float(psnr(made, to_images(data.columns["target"])).mean()))
    game.generator.weight.data.zero_()[range(3), range(3), 1, 1] = -1.0
    assert compare.measure(game) > 8  # outputs are negatives, up to tanh and noise


def test_a_translator_of_domains_is_compared_with_the_other_domain():
    torch.manual_seed(0)
    a, b = (make_data(30, seed=k).columns["images"] for k in (1, 2))
    data = DataSet("domains", FACTS, {"a": a, "b": b}, "domains")
    game = cyclegan.CycleGAN(cyclegan.presets["tiny"].config, FACTS)
    compare = selection.build_metric(run(select="kid:pixels", judged=30), data, lambda: data, Path(), CPU)
    with inference_mode(game):
        made = to_images(to_uint8(game.translate(to_images(a))))
    expected = kid(to_images(b).flatten(1), made.flatten(1)).value
    assert compare.measure(game) == pytest.approx(expected, rel=1e-5)


# -- whole runs -----------------------------------------------------------------------------------


def test_a_run_with_selection_equals_one_without(tmp_path, data):
    alone = ganforge.train("dcgan", data, outdir=tmp_path, **TINY)
    chosen = ganforge.train("dcgan", data, outdir=tmp_path, select="fid:pixels", every=2, judged=16, **TINY)
    states = [Checkpoints(made.path / "checkpoints").load()[1] for made in (alone, chosen)]
    for group, tensors in states[0].tensors.items():
        for key, tensor in tensors.items():
            assert torch.equal(states[1].tensors[group][key], tensor), key


def test_best_is_accepted_everywhere(tmp_path, data):
    said = []
    made = ganforge.train(
        "dcgan", data, outdir=tmp_path, select="fid:pixels", every=2, judged=16, keep=1, say=said.append, **TINY
    )
    scores = [(int(row["step"]), row["fid"]) for row in read_rows(made.path / "scores.jsonl")]
    assert [step for step, _ in scores] == [2, 4, 6]
    step, _ = min(scores, key=lambda score: score[1])
    assert ganforge.load(f"{made.path}@best").step == step
    assert f"of step {step}: {made.path}@best." in said[-1]
    assert RunFolder.open(made.path).run_config.run["every"] == 2
    assert ganforge.sample(f"{made.path}@best", n=4, out=tmp_path / "grid.png").exists()
    report = evaluate(f"{made.path}@best", metrics=["fid"], features="pixels", n=16)
    assert report["fid"].value == pytest.approx(min(scores, key=lambda score: score[1])[1], rel=1e-9)


def test_an_early_stop_reports_why_and_how_to_resume(tmp_path, data):
    said = []
    words = {"select": "fid:pixels", "every": 1, "judged": 16, "patience": 1, "say": said.append, **TINY}
    made = ganforge.train("gan", data, outdir=tmp_path, steps=60, config={"lr": 1e-30}, **words)
    assert made.step == 2  # the weights do not change, so the second score is no better
    assert "has not improved in 1 measurements" in said[-1]
    assert f"resume {made.path} --patience 2" in said[-1]
    again = ganforge.resume(made.path, patience=2, quiet=True, say=said.append)
    assert again.step == 3
    with pytest.raises(OptionError, match="--patience cannot be -1"):
        ganforge.resume(made.path, patience=-1, quiet=True)
