"""The lab: recorded frames obey the theorems, and every computed quantity agrees with a formula or with samples."""

import json
import re
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
from ganforge.lab.batched_mlp import RandomStreams, apply_mlp, init_mlp
from ganforge.lab.clipping import compare_critics
from ganforge.lab.density import FACTS, LATTICE, Study, pushforward_density, train_and_record
from ganforge.lab.density_game import GAN1D, Config
from ganforge.lab.distributions import NAMED, Gaussians
from ganforge.lab.gaussian_mixtures import find_plane, grid, measure_coverage, ring
from ganforge.lab.mode_training import ModeTrainer, Rules
from ganforge.lab.objectives import OBJECTIVES, gradient_penalty, r1_penalty
from ganforge.lab.saturation import LOSSES, measure_saturation, slope

SMALL = Rules(steps=3, batch=8, width=8, seeds=2)


@pytest.fixture(scope="module")
def study() -> Study:
    return train_and_record("mixture", steps=40, frames=4, config=Config(width=8, units=8, discriminator_moves=2))


# density ----------------------------------------------------------------------------------------


def test_every_frame_satisfies_the_theorems(study: Study):
    assert [f.step for f in study.frames][::3] == [0, 40]
    for frame in study.frames:
        assert frame.best == pytest.approx(frame.criterion, abs=1e-9)  # theorem 1
        assert frame.value <= frame.best + 1e-9  # proposition 1
        assert -exact.LOG4 - 1e-9 <= frame.criterion <= 1e-9
        assert np.sum(frame.p_g * np.diff(study.edges)) == pytest.approx(1, abs=1e-6)
        assert 0 < frame.says_fake < 1
    assert 0 <= study.error < 0.05


def test_the_generators_density_equals_the_formula_where_one_is_known():
    edges = np.linspace(-8, 8, 401)
    straight = pushforward_density(1.5 + 0.5 * LATTICE, edges)  # N(1.5, 0.5)
    truth = np.diff(Gaussians((1.5,), (0.5,)).below(edges)) / np.diff(edges)
    assert straight == pytest.approx(truth, abs=1e-4)
    folded = pushforward_density(np.abs(LATTICE), edges)  # both halves on top of each other
    half = np.where(edges[1:] > 0.01, 2 * np.diff(Gaussians((0.0,), (1.0,)).below(edges)) / np.diff(edges), 0)
    assert folded == pytest.approx(half, abs=2e-3)


def test_the_generators_density_agrees_with_its_samples(study: Study):
    z = np.random.default_rng(0).standard_normal(40_000)
    drawn = np.interp(z, LATTICE, study.frames[-1].outputs)
    below = np.cumsum(study.frames[-1].p_g * np.diff(study.edges))
    for k in range(0, 512, 32):
        assert (drawn < study.edges[k + 1]).mean() == pytest.approx(below[k], abs=5 * 0.5 / 200)


def test_a_longer_training_lowers_the_jsd(study: Study):
    longer = train_and_record("gaussian", steps=150, frames=2, config=Config(discriminator_moves=3))
    assert longer.frames[-1].jsd < longer.frames[0].jsd / 3


def test_a_diverged_training_is_reported():
    diverged = train_and_record(
        "mixture", steps=100, frames=20, config=Config(generator_lr=1e38, discriminator_lr=1e38)
    )
    assert "became NaN or infinite" in diverged.broke
    assert diverged.broke in diverged.table()
    assert diverged.broke in diverged.page()


def test_a_study_is_reproducible():
    first, second = (train_and_record("uniform", steps=6, frames=2, seed=3).frames[-1].p_g for _ in range(2))
    assert np.array_equal(first, second)


def test_figures_are_matplotlib_figures_and_files_are_written(study: Study, tmp_path: Path):
    assert isinstance(study.figure(0), Figure)
    written = study.save(tmp_path)
    assert [path.name for path in written] == ["figure-1.png", "figure-1.gif", "figure-1.html"]
    assert len([*(tmp_path / "frames").glob("*.png")]) == 4
    text = written[2].read_text(encoding="utf-8")
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")  # nothing of it comes from elsewhere
    assert "판별자" in text
    assert "srcdoc" in study._repr_html_()


def test_a_name_cannot_end_the_script_of_the_page(study: Study):
    name = "</script><script>alert(1)</script>"
    page = replace(study, name=name).page()
    assert page.count("<script") == 2
    (data,) = re.findall(r'<script id="study" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data)["name"] == name


def test_an_impossible_number_of_frames_is_an_option_error():
    with pytest.raises(OptionError, match="5 frames of 3 steps are impossible"):
        train_and_record("mixture", steps=3, frames=5)


def test_the_one_dimensional_gan_is_a_game():
    game = GAN1D(Config(), FACTS)
    assert game.sample(5).shape == (5, 1, 1, 1)
    assert set(game.players()) == {"discriminator", "generator"}


# gradients --------------------------------------------------------------------------------------


def test_slopes_equal_the_formulas():
    a = torch.linspace(-5, 5, 11, dtype=torch.float64)
    d = a.sigmoid().numpy()
    formulas = [d, 1 - d, np.abs(a.numpy() - 1), np.ones(11)]
    for loss, formula in zip(LOSSES, formulas, strict=True):
        assert slope(loss.of, a) == pytest.approx(formula, abs=1e-12)


def test_only_the_saturating_loss_starves_the_generator():
    found = measure_saturation(steps=70, marks=2)
    saturating, other, *_ = (found.lengths[loss.name] for loss in LOSSES)
    assert saturating[0] == pytest.approx(other[0], rel=0.5)  # D is 1/2: the two gradients are about equal
    assert saturating[-1] < other[-1] / 10
    assert isinstance(found.figure(), Figure)
    assert "saturating" in found.table()


def test_clipped_weights_lie_at_the_clipping_bound():
    found = compare_critics(steps=150)
    assert np.abs(found.clipped.weights).max() <= found.box + 1e-7
    assert found.at_the_edge(found.clipped) > 0.15
    assert np.abs(found.penalised.weights).max() > found.box
    assert isinstance(found.figure(), Figure)


# modes ------------------------------------------------------------------------------------------


def test_seeds_trained_together_equal_seeds_trained_alone():
    for name in ("non-saturating", "wgan-gp", "unrolled", "pacgan"):
        both = ModeTrainer(ring(), OBJECTIVES[name], SMALL, (4, 7)).train()
        alone = [ModeTrainer(ring(), OBJECTIVES[name], SMALL, (seed,)).train()[0] for seed in (4, 7)]
        assert both == pytest.approx(np.stack(alone), abs=2e-4), name


def test_batched_mlps_equal_torchs_linear_layers():
    weights = init_mlp((2, 5, 3), RandomStreams([0, 1]).rngs)
    x = torch.randn(2, 4, 2)
    for k in range(2):
        hidden = torch.nn.functional.linear(x[k], weights[0][k].T, weights[1][k, 0]).relu()
        expected = torch.nn.functional.linear(hidden, weights[2][k].T, weights[3][k, 0])
        assert torch.allclose(apply_mlp(weights, x)[k], expected, atol=1e-6)


def test_unrolling_equals_the_next_step_of_adam():
    trainer = ModeTrainer(ring(), replace(OBJECTIVES["unrolled"], unroll=1), SMALL, (0,))
    trainer.step_discriminator()
    real, fake = trainer.sample_real(), trainer.sample_fake(8).detach()
    ahead = [weight.detach() for weight in trainer.unroll(real, fake)]
    loss = trainer.objective.discriminator(
        trainer.score(trainer.discriminator, real), trainer.score(trainer.discriminator, fake)
    )
    trainer.descend("discriminator", trainer.discriminator, loss)
    for actual, expected in zip(ahead, trainer.discriminator, strict=True):
        assert torch.allclose(actual, expected, atol=1e-6)


def test_clipping_bounds_weights_and_packing_joins_points():
    clipped = ModeTrainer(ring(), OBJECTIVES["wasserstein"], SMALL, (0,))
    clipped.step_discriminator()
    assert max(w.abs().max() for w in clipped.discriminator) <= OBJECTIVES["wasserstein"].clip
    packed = ModeTrainer(ring(), OBJECTIVES["pacgan"], SMALL, (0,))
    points = packed.sample_real()
    assert packed.score(packed.discriminator, points).shape == (1, 4)
    together = torch.cat([points[:, 0], points[:, 1]], 1)[:, None]
    assert torch.allclose(
        packed.score(packed.discriminator, points)[:, 0],
        apply_mlp(packed.discriminator, 0.25 * together)[:, 0, 0],
        atol=1e-6,
    )


def test_penalties_of_a_linear_discriminator_are_exact():
    def steep(x: torch.Tensor) -> torch.Tensor:
        return 3 * x[..., 0] + 4 * x[..., 1]

    points, uniform = torch.randn(2, 6, 2), torch.rand(2, 6, 1)
    assert gradient_penalty(steep, points, points + 1, uniform) == pytest.approx(np.array([16.0, 16.0]), abs=1e-4)
    assert r1_penalty(steep, points, points, uniform) == pytest.approx(np.array([12.5, 12.5]), abs=1e-4)


def test_coverage_of_known_points():
    plane = ring()
    exactly = measure_coverage(np.repeat(plane.means, 10, 0), plane)
    assert (exactly.modes, exactly.quality) == (8, 1.0)
    assert exactly.reverse_kl == pytest.approx(0, abs=1e-12)
    one = measure_coverage(np.repeat(plane.means[:1], 10, 0), plane)
    assert (one.modes, one.quality) == (1, 1.0)
    assert one.reverse_kl == pytest.approx(np.log(8))
    assert measure_coverage(plane.means * 0.5, plane).modes == 0
    half = measure_coverage(np.concatenate([plane.means, plane.means + 1]), plane)
    assert half.quality == 0.5
    broken = measure_coverage(np.full((5, 2), np.nan), plane)
    assert (broken.modes, broken.finite) == (0, False)
    assert len(grid().means) == 25
    drawn = grid().sample(4_000, torch.Generator().manual_seed(0)).numpy()
    assert measure_coverage(drawn, grid()).quality == pytest.approx(1 - np.exp(-4.5), abs=0.01)


def test_an_interrupted_contest_goes_on(tmp_path: Path):
    names = ("saturating", "relativistic")
    progress: list[tuple[int, int]] = []
    first = mode_coverage.run_contest(tmp_path, names[:1], ("ring",), SMALL, 1)
    stored = mode_coverage.result_path(tmp_path, "ring", "saturating")
    stamp = stored.stat().st_mtime_ns
    whole = mode_coverage.run_contest(
        tmp_path, names, ("ring",), SMALL, 1, lambda done, of: progress.append((done, of))
    )
    assert stored.stat().st_mtime_ns == stamp
    assert progress[0] == (3, 6)
    assert progress[-1] == (6, 6)
    assert [step for step, _ in progress] == sorted(step for step, _ in progress)
    assert whole.results[0].seeds == first.results[0].seeds
    assert isinstance(whole.figure(), Figure)
    assert whole.table().count("| ring |") == 2
    other = replace(SMALL, steps=4)  # other settings, so the stored result does not count
    assert mode_coverage.read_result(tmp_path, "ring", "saturating", other) is None
    stored.write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        mode_coverage.run_contest(tmp_path, names, ("ring",), SMALL, 1)


def test_stored_names_of_losses_stay():
    """cells/*.json holds names of losses; those of the first version must still match."""
    written = {}
    for objective in OBJECTIVES:
        settings = mode_coverage.result_settings(ring(), objective, SMALL)
        written[objective] = [settings["judge"], settings["generator"], settings["penalty"]]
        assert "discriminator" not in settings
    assert written == {
        "saturating": ["likelihood", "saturating", None],
        "non-saturating": ["likelihood", "non_saturating", None],
        "least-squares": ["squares", "square", None],
        "hinge": ["hinge", "score", None],
        "wasserstein": ["difference", "score", None],
        "wgan-gp": ["difference", "score", "slope_one"],
        "r1": ["likelihood", "non_saturating", "flat_at_real"],
        "relativistic": ["paired", "paired_back", "flat_at_both"],
        "pacgan": ["likelihood", "non_saturating", None],
        "unrolled": ["likelihood", "non_saturating", None],
    }


def test_intervals_and_summaries():
    def seeds(*found: int) -> mode_coverage.ModeResult:
        cover = tuple(replace(measure_coverage(find_plane("ring").means, ring()), modes=n) for n in found)
        return mode_coverage.ModeResult("ring", "hinge", cover, np.zeros((0, 2)), 0.0)

    assert seeds(8, 8, 8).summary == "all modes in 3 of 3"
    assert seeds(8, 2, 5).summary == "all modes in 1 of 3, collapses in 1"
    mean, low, high = seeds(6, 8).mean(lambda c: c.modes)
    assert (mean, round(high - low, 2)) == (7.0, round(2 * 12.706, 2))
    assert np.isnan(seeds(6).mean(lambda c: c.modes)[1])


# the command ------------------------------------------------------------------------------------


def test_the_command_and_its_subjects(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command(["lab"]) == 0
    assert "density" in capsys.readouterr().out
    assert command(["lab", "densty"]) == 1
    assert "density, gradients, modes" in capsys.readouterr().err
    assert command(["lab", "density", "--data", "nothing"]) == 1
    assert "name gaussian, mixture, uniform" in capsys.readouterr().err
    assert command(["lab", "modes", "--objectives", "nothing", "-o", str(tmp_path)]) == 1
    assert "There is no objective 'nothing'" in capsys.readouterr().err
    words = ["lab", "density", "--data", "uniform", "--steps", "4", "--frames", "2", "-o", str(tmp_path / "here")]
    assert command(words) == 0
    printed = capsys.readouterr().out
    assert "-log4+2JSD" in printed
    assert (tmp_path / "here" / "figure-1.html").is_file()
    assert set(NAMED) == {"gaussian", "mixture", "uniform"}
    assert lab.distribution("uniform") is NAMED["uniform"]
