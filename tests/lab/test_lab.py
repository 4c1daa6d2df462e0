"""The lab: what it draws is what happened, and what it claims to compute it computes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from ganforge import lab
from ganforge.cli import run as command
from ganforge.errors import OptionError, RunError
from ganforge.lab import exact, mode_coverage
from ganforge.lab.batched_mlp import Crowd, born, through
from ganforge.lab.clipping import clip_and_penalise
from ganforge.lab.density import FACTS, LATTICE, Study, pushed, watch
from ganforge.lab.density_game import Config, Line
from ganforge.lab.distributions import NAMED, Gaussians
from ganforge.lab.gaussian_mixtures import coverage, grid, plane, ring
from ganforge.lab.mode_training import Cell, Rules
from ganforge.lab.objectives import OBJECTIVES, flat_at_real, slope_one
from ganforge.lab.saturation import LOSSES, slope, starve

SMALL = Rules(steps=3, batch=8, width=8, seeds=2)


@pytest.fixture(scope="module")
def study() -> Study:
    return watch("mixture", steps=40, frames=4, config=Config(width=8, units=8, discriminator_moves=2))


# density ----------------------------------------------------------------------------------------


def test_every_frame_keeps_the_theorems(study: Study):
    assert [f.step for f in study.frames][::3] == [0, 40]
    for frame in study.frames:
        assert frame.best == pytest.approx(frame.criterion, abs=1e-9)  # theorem 1
        assert frame.value <= frame.best + 1e-9  # proposition 1
        assert -exact.LOG4 - 1e-9 <= frame.criterion <= 1e-9
        assert np.sum(frame.p_g * np.diff(study.edges)) == pytest.approx(1, abs=1e-6)
        assert 0 < frame.says_fake < 1
    assert 0 <= study.error < 0.05


def test_the_generators_density_is_the_formula_where_there_is_one():
    edges = np.linspace(-8, 8, 401)
    straight = pushed(1.5 + 0.5 * LATTICE, edges)  # N(1.5, 0.5)
    truth = np.diff(Gaussians((1.5,), (0.5,)).below(edges)) / np.diff(edges)
    assert straight == pytest.approx(truth, abs=1e-4)
    folded = pushed(np.abs(LATTICE), edges)  # both halves on top of each other
    half = np.where(edges[1:] > 0.01, 2 * np.diff(Gaussians((0.0,), (1.0,)).below(edges)) / np.diff(edges), 0)
    assert folded == pytest.approx(half, abs=2e-3)


def test_the_generators_density_agrees_with_its_samples(study: Study):
    z = np.random.default_rng(0).standard_normal(40_000)
    drawn = np.interp(z, LATTICE, study.frames[-1].heights)
    below = np.cumsum(study.frames[-1].p_g * np.diff(study.edges))
    for k in range(0, 512, 32):
        assert (drawn < study.edges[k + 1]).mean() == pytest.approx(below[k], abs=5 * 0.5 / 200)


def test_a_longer_training_comes_nearer(study: Study):
    longer = watch("gaussian", steps=150, frames=2, config=Config(discriminator_moves=3))
    assert longer.frames[-1].jsd < longer.frames[0].jsd / 3


def test_a_training_that_breaks_is_shown_as_what_it_is():
    broken = watch("mixture", steps=100, frames=20, config=Config(generator_lr=1e38, discriminator_lr=1e38))
    assert "became NaN or infinite" in broken.broke
    assert broken.broke in broken.table()
    assert broken.broke in broken.page()


def test_a_study_repeats_itself():
    again = [watch("uniform", steps=6, frames=2, seed=3).frames[-1].p_g for _ in range(2)]
    assert np.array_equal(*again)


def test_figures_are_matplotlibs_and_what_is_written_can_be_read(study: Study, tmp_path: Path):
    assert isinstance(study.figure(0), Figure)
    written = study.save(tmp_path)
    assert [path.name for path in written] == ["figure-1.png", "figure-1.gif", "figure-1.html"]
    assert len([*(tmp_path / "frames").glob("*.png")]) == 4
    text = written[2].read_text(encoding="utf-8")
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")  # nothing of it comes from elsewhere
    assert "판별자" in text
    assert "srcdoc" in study._repr_html_()


def test_impossible_numbers_of_frames_are_one_sentence():
    with pytest.raises(OptionError, match="Of 3 steps 5 frames cannot be kept"):
        watch("mixture", steps=3, frames=5)


def test_the_game_on_the_line_is_a_game():
    game = Line(Config(), FACTS)
    assert game.sample(5).shape == (5, 1, 1, 1)
    assert set(game.players()) == {"discriminator", "generator"}


# gradients --------------------------------------------------------------------------------------


def test_slopes_are_those_of_the_formulas():
    a = torch.linspace(-5, 5, 11, dtype=torch.float64)
    d = a.sigmoid().numpy()
    formulas = [d, 1 - d, np.abs(a.numpy() - 1), np.ones(11)]
    for loss, formula in zip(LOSSES, formulas, strict=True):
        assert slope(loss.of, a) == pytest.approx(formula, abs=1e-12)


def test_the_saturating_loss_starves_and_the_other_does_not():
    found = starve(steps=70, marks=2)
    saturating, other, *_ = (found.lengths[loss.name] for loss in LOSSES)
    assert saturating[0] == pytest.approx(other[0], rel=0.5)  # D says 1/2: the two losses push alike
    assert saturating[-1] < other[-1] / 10
    assert isinstance(found.figure(), Figure)
    assert "saturating" in found.table()


def test_clipped_weights_lie_at_the_edge_of_their_box():
    found = clip_and_penalise(steps=150)
    assert np.abs(found.clipped.weights).max() <= found.box + 1e-7
    assert found.at_the_edge(found.clipped) > 0.15
    assert np.abs(found.penalised.weights).max() > found.box
    assert isinstance(found.figure(), Figure)


# modes ------------------------------------------------------------------------------------------


def test_a_crowd_equals_its_seeds_alone():
    for name in ("non-saturating", "wgan-gp", "unrolled", "pacgan"):
        both = Cell(ring(), OBJECTIVES[name], SMALL, (4, 7)).play()
        alone = [Cell(ring(), OBJECTIVES[name], SMALL, (seed,)).play()[0] for seed in (4, 7)]
        assert both == pytest.approx(np.stack(alone), abs=2e-4), name


def test_a_crowd_of_perceptrons_is_torchs():
    weights = born((2, 5, 3), Crowd([0, 1]).sources)
    x = torch.randn(2, 4, 2)
    for k in range(2):
        hidden = torch.nn.functional.linear(x[k], weights[0][k].T, weights[1][k, 0]).relu()
        expected = torch.nn.functional.linear(hidden, weights[2][k].T, weights[3][k, 0])
        assert torch.allclose(through(weights, x)[k], expected, atol=1e-6)


def test_looking_ahead_is_what_adam_then_does():
    cell = Cell(ring(), replace(OBJECTIVES["unrolled"], unroll=1), SMALL, (0,))
    cell.judge_moves()
    real, fake = cell.real(), cell.fake(8).detach()
    ahead = [weight.detach() for weight in cell.ahead(real, fake)]
    loss = cell.objective.judge(cell.scores(cell.judge, real), cell.scores(cell.judge, fake))
    cell.step("judge", cell.judge, loss)
    for mine, adams in zip(ahead, cell.judge, strict=True):
        assert torch.allclose(mine, adams, atol=1e-6)


def test_clipping_and_packing_do_what_they_say():
    clipped = Cell(ring(), OBJECTIVES["wasserstein"], SMALL, (0,))
    clipped.judge_moves()
    assert max(w.abs().max() for w in clipped.judge) <= OBJECTIVES["wasserstein"].clip
    packed = Cell(ring(), OBJECTIVES["pacgan"], SMALL, (0,))
    points = packed.real()
    assert packed.scores(packed.judge, points).shape == (1, 4)
    together = torch.cat([points[:, 0], points[:, 1]], 1)[:, None]
    assert torch.allclose(
        packed.scores(packed.judge, points)[:, 0], through(packed.judge, 0.25 * together)[:, 0, 0], atol=1e-6
    )


def test_penalties_are_those_of_a_plane():
    def steep(x: torch.Tensor) -> torch.Tensor:
        return 3 * x[..., 0] + 4 * x[..., 1]

    points, chance = torch.randn(2, 6, 2), torch.rand(2, 6, 1)
    assert slope_one(steep, points, points + 1, chance) == pytest.approx(np.array([16.0, 16.0]), abs=1e-4)
    assert flat_at_real(steep, points, points, chance) == pytest.approx(np.array([12.5, 12.5]), abs=1e-4)


def test_coverage_counts():
    where = ring()
    exactly = coverage(np.repeat(where.means, 10, 0), where)
    assert (exactly.modes, exactly.quality) == (8, 1.0)
    assert exactly.reverse_kl == pytest.approx(0, abs=1e-12)
    one = coverage(np.repeat(where.means[:1], 10, 0), where)
    assert (one.modes, one.quality) == (1, 1.0)
    assert one.reverse_kl == pytest.approx(np.log(8))
    assert coverage(where.means * 0.5, where).modes == 0
    half = coverage(np.concatenate([where.means, where.means + 1]), where)
    assert half.quality == 0.5
    broken = coverage(np.full((5, 2), np.nan), where)
    assert (broken.modes, broken.finite) == (0, False)
    assert len(grid().means) == 25
    drawn = grid().sample(4_000, torch.Generator().manual_seed(0)).numpy()
    assert coverage(drawn, grid()).quality == pytest.approx(1 - np.exp(-4.5), abs=0.01)


def test_a_contest_goes_on_where_it_was_stopped(tmp_path: Path):
    names = ("saturating", "relativistic")
    told: list[tuple[int, int]] = []
    first = mode_coverage.play_all(tmp_path, names[:1], ("ring",), SMALL, 1)
    kept = mode_coverage.path_of(tmp_path, "ring", "saturating")
    stamp = kept.stat().st_mtime_ns
    whole = mode_coverage.play_all(tmp_path, names, ("ring",), SMALL, 1, lambda done, of: told.append((done, of)))
    assert kept.stat().st_mtime_ns == stamp
    assert told[0] == (3, 6)
    assert told[-1] == (6, 6)
    assert [step for step, _ in told] == sorted(step for step, _ in told)
    assert whole.results[0].seeds == first.results[0].seeds
    assert isinstance(whole.figure(), Figure)
    assert whole.table().count("| ring |") == 2
    assert (
        mode_coverage.read(tmp_path, "ring", "saturating", replace(SMALL, steps=4)) is None
    )  # other rules, another game
    kept.write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        mode_coverage.play_all(tmp_path, names, ("ring",), SMALL, 1)


def test_intervals_and_verdicts_are_counted():
    def seeds(*found: int) -> mode_coverage.Result:
        cover = tuple(replace(coverage(plane("ring").means, ring()), modes=n) for n in found)
        return mode_coverage.Result("ring", "hinge", cover, np.zeros((0, 2)), 0.0)

    assert seeds(8, 8, 8).verdict == "all modes in 3 of 3"
    assert seeds(8, 2, 5).verdict == "all modes in 1 of 3, collapses in 1"
    mean, low, high = seeds(6, 8).mean(lambda c: c.modes)
    assert (mean, round(high - low, 2)) == (7.0, round(2 * 12.706, 2))
    assert np.isnan(seeds(6).mean(lambda c: c.modes)[1])


# the command ------------------------------------------------------------------------------------


def test_the_verb_and_its_subjects(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command(["lab"]) == 0
    assert "density" in capsys.readouterr().out
    assert command(["lab", "densty"]) == 1
    assert "ask for density, gradients, modes" in capsys.readouterr().err
    assert command(["lab", "density", "--data", "nothing"]) == 1
    assert "name gaussian, mixture, uniform" in capsys.readouterr().err
    assert command(["lab", "modes", "--objectives", "nothing", "-o", str(tmp_path)]) == 1
    assert "There is no objective 'nothing'" in capsys.readouterr().err
    words = ["lab", "density", "--data", "uniform", "--steps", "4", "--frames", "2", "-o", str(tmp_path / "here")]
    assert command(words) == 0
    said = capsys.readouterr().out
    assert "-log4+2JSD" in said
    assert (tmp_path / "here" / "figure-1.html").is_file()
    assert set(NAMED) == {"gaussian", "mixture", "uniform"}
    assert lab.distribution("uniform") is NAMED["uniform"]
