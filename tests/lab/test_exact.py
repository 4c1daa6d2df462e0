"""The theorems of 2014 hold to six digits for known densities, and agree with sampling."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganforge.errors import DataError
from ganforge.lab import exact
from ganforge.lab.distributions import NAMED, Distribution, Gaussians, Uniform, distribution, kernel_density
from ganforge.lab.exact import LOG2, LOG4, Pair

place = st.floats(-5, 5)
width = st.floats(0.1, 3)


@st.composite
def densities(draw: st.DrawFn) -> Distribution:
    """A mixture of up to three Gaussians, or a uniform distribution."""
    if draw(st.booleans()):
        low = draw(place)
        return Uniform(low, low + draw(width))
    n = draw(st.integers(1, 3))
    raw = [draw(st.floats(0.1, 1)) for _ in range(n)]
    shares = tuple(w / sum(raw) for w in raw)
    return Gaussians(tuple(draw(place) for _ in range(n)), tuple(draw(width) for _ in range(n)), shares)


pairs = st.builds(Pair, densities(), densities())
quick = settings(max_examples=40, deadline=None, derandomize=True)


@quick
@given(densities())
def test_a_density_integrates_to_one_and_to_its_distribution_function(p: Distribution):
    on = exact.Quadrature.over(p)
    assert np.sum(on.weights * p.density(on.nodes)) == pytest.approx(1, abs=1e-9)
    middle = np.array([sum(p.reach()) / 2 + 0.1])
    left = on.nodes < middle
    crude = np.sum((on.weights * p.density(on.nodes))[left])
    assert p.below(middle)[0] == pytest.approx(crude, abs=0.02)


@quick
@given(pairs, st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_no_discriminator_beats_the_optimum(pair: Pair, c: list[float]):
    def arbitrary(x: np.ndarray) -> np.ndarray:
        return c[0] + c[1] * x + c[2] * np.sin(3 * x) + c[3] * np.cos(x)

    def near_optimal(x: np.ndarray) -> np.ndarray:
        return pair.optimum(x) + 0.1 * c[0] + 0.05 * np.sin(c[1] * x)

    best = pair.best()
    assert pair.value(arbitrary) <= best + 1e-9
    assert pair.value(near_optimal) <= best + 1e-9


@quick
@given(pairs)
def test_the_value_at_the_optimum_is_the_criterion(pair: Pair):
    assert pair.best() == pytest.approx(pair.criterion(), abs=1e-6)
    assert pair.criterion() >= -LOG4 - 1e-9


@quick
@given(pairs)
def test_jsd_is_symmetric_and_between_0_and_log_2(pair: Pair):
    assert -1e-9 <= pair.jsd() <= LOG2 + 1e-9
    assert pair.jsd() == pytest.approx(Pair(pair.generated, pair.data).jsd(), abs=1e-9)
    assert pair.kl() >= -1e-9


@quick
@given(densities(), st.floats(0.05, 2))
def test_the_criterion_is_minimal_only_for_equal_densities(p: Distribution, shift: float):
    assert Pair(p, p).criterion() == pytest.approx(-LOG4, abs=1e-9)
    if isinstance(p, Uniform):
        moved: Distribution = Uniform(p.low + shift, p.high + shift)
    else:
        assert isinstance(p, Gaussians)
        moved = Gaussians(tuple(m + shift for m in p.means), p.spreads, p.shares)
    assert Pair(p, moved).criterion() > -LOG4 + 1e-6


@quick
@given(densities(), st.floats(-6, 6))
def test_the_optimum_for_equal_densities_is_one_half(p: Distribution, x: float):
    assert exact.probability(Pair(p, p).optimum(np.array([x])))[0] == pytest.approx(0.5, abs=1e-12)


@quick
@given(place, width, place, width)
def test_kl_of_gaussians_equals_the_formula(m: float, s: float, n: float, t: float):
    formula = math.log(t / s) + (s * s + (m - n) ** 2) / (2 * t * t) - 0.5
    assert Pair(Gaussians((m,), (s,)), Gaussians((n,), (t,))).kl() == pytest.approx(formula, abs=1e-6, rel=1e-6)


@quick
@given(place, width, st.floats(0, 1))
def test_jsd_of_shifted_uniforms_equals_the_formula(low: float, long: float, share: float):
    pair = Pair(Uniform(low, low + long), Uniform(low + share * long, low + long + share * long))
    assert pair.jsd() == pytest.approx(share * LOG2, abs=1e-6)
    apart = Pair(Uniform(low, low + long), Uniform(low + 2 * long, low + 3 * long))
    assert apart.jsd() == pytest.approx(LOG2, abs=1e-9)
    assert math.isinf(apart.kl())


@settings(max_examples=15, deadline=None, derandomize=True)
@given(pairs, st.integers(0, 2**31))
def test_quadrature_agrees_with_sampling_within_its_error(pair: Pair, seed: int):
    """Five standard errors: exceeded about once in a million runs."""
    rng, n = np.random.default_rng(seed), 20_000
    real, fake = pair.optimum(pair.data.sample(n, rng)), pair.optimum(pair.generated.sample(n, rng))
    on_real, on_fake = -np.logaddexp(0, -real), -np.logaddexp(0, fake)
    error = math.sqrt(on_real.var() / n + on_fake.var() / n)
    assert pair.best() == pytest.approx(on_real.mean() + on_fake.mean(), abs=5 * error + 1e-4)


@pytest.mark.parametrize("name", NAMED)
def test_samples_follow_the_density(name: str):
    p, n = NAMED[name], 50_000
    samples = p.sample(n, np.random.default_rng(0))
    for x in np.linspace(*p.window(), 9):
        assert (samples < x).mean() == pytest.approx(p.below(np.array([x]))[0], abs=5 * 0.5 / math.sqrt(n))


def test_a_file_of_numbers_becomes_a_kernel_density(tmp_path: Path):
    samples = NAMED["mixture"].sample(3_000, np.random.default_rng(0))
    (tmp_path / "numbers.csv").write_text("\n".join(f"{a},{b}" for a, b in samples.reshape(-1, 2)))
    np.save(tmp_path / "numbers.npy", samples)
    text, array = distribution(tmp_path / "numbers.csv"), distribution(tmp_path / "numbers.npy")
    assert Pair(text, array).jsd() == pytest.approx(0, abs=1e-9)
    assert Pair(text, NAMED["mixture"]).jsd() < 0.02
    few = kernel_density(samples[:500])
    assert isinstance(few, Gaussians)
    assert len(few.means) == 500


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("1 2 three", "cannot be read as numbers"), ("1 2 3", "ten different numbers"), ("1 nan 2", "not finite")],
)
def test_a_file_without_a_density_is_a_data_error(tmp_path: Path, content: str, sentence: str):
    (tmp_path / "bad.txt").write_text(content)
    with pytest.raises(DataError, match=sentence):
        distribution(tmp_path / "bad.txt")
    with pytest.raises(DataError, match="name gaussian, mixture, uniform, or a file"):
        distribution("guassian")
