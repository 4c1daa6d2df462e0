"""The Frechet distance against closed forms, exact small cases, and its own interval against repeated samples."""

import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganforge.errors import DataError
from ganforge.metrics.fid import Gaussian, fid, frechet_distance
from ganforge.metrics.fid_infinity import fid_infinity

D64 = torch.float64


def normal(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def rotation(d: int, seed: int) -> torch.Tensor:
    return torch.linalg.qr(normal(d, d, seed).double())[0]


@given(
    means=st.lists(st.floats(-5, 5), min_size=3, max_size=3),
    one=st.lists(st.floats(0.01, 10), min_size=3, max_size=3),
    two=st.lists(st.floats(0.01, 10), min_size=3, max_size=3),
)
@settings(max_examples=40, deadline=None)
def test_of_gaussians_with_common_axes_it_is_the_closed_form(means: list[float], one: list[float], two: list[float]):
    turn, m, s, t = rotation(3, 1), *(torch.tensor(x, dtype=D64) for x in (means, one, two))
    a = Gaussian(turn @ m, turn @ (s**2).diag() @ turn.T, 10)
    b = Gaussian(torch.zeros(3, dtype=D64), turn @ (t**2).diag() @ turn.T, 10)
    expected = float((m**2).sum() + ((s - t) ** 2).sum())
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-9 * (1 + expected + float((s**2 + t**2).sum())))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), abs=1e-7)


def test_of_singular_covariances_it_is_the_nuclear_norm_of_the_samples() -> None:
    x, y = normal(7, 30, 1).double(), normal(9, 30, 2).double() + 0.5
    a, b = Gaussian.of(x), Gaussian.of(y)
    p, q = (x - x.mean(0)) / 6**0.5, (y - y.mean(0)) / 8**0.5
    shared = torch.linalg.svdvals(p @ q.T).sum()  # tr (P^T P Q^T Q)^(1/2)
    expected = (a.mean - b.mean).square().sum() + p.square().sum() + q.square().sum() - 2 * shared
    assert frechet_distance(a, b) == pytest.approx(float(expected), abs=1e-5)


def test_the_same_set_has_distance_zero_and_a_shifted_one_its_square() -> None:
    x = normal(400, 8)
    assert fid(x, x).value == pytest.approx(0, abs=1e-9)
    assert fid(x, x + 2).value == pytest.approx(8 * 4, rel=1e-5)


def test_the_gaussian_in_blocks_is_that_of_the_whole() -> None:
    x = normal(9_001, 4) + 1_000
    whole = Gaussian.of(x)
    assert torch.allclose(whole.covariance, torch.cov(x.double().T), rtol=1e-10)
    assert torch.allclose(whole.mean, x.double().mean(0), rtol=1e-12)


def test_its_interval_matches_repeated_samples() -> None:
    def pair(seed: int):
        stretch = torch.tensor([1.0, 1.5, 0.7])
        return normal(600, 3, 2 * seed) * stretch + 0.4, normal(400, 3, 2 * seed + 1)

    figures = [fid(*pair(seed)) for seed in range(300)]
    spread = torch.tensor([f.value for f in figures]).std().item()
    width = sum((f.high or 0) - (f.low or 0) for f in figures) / len(figures) / (2 * 1.959964)
    assert width == pytest.approx(spread, rel=0.12)


def test_few_images_have_no_interval_and_a_warning() -> None:
    few = fid(normal(40, 50), normal(40, 50, 1))
    assert few.low is None
    assert "40 images are no more than the 50 feature dimensions" in few.notes[0]
    assert "few" in fid(normal(120, 50), normal(120, 50, 1)).notes[0]
    assert fid(normal(300, 50), normal(300, 50, 1)).notes == ()


def test_infinity_removes_most_of_the_bias() -> None:
    real, fake = normal(20_000, 10), normal(800, 10, 1)
    biased, extrapolated = fid(real, fake).value, fid_infinity(real, fake)
    assert biased > 0.05
    assert abs(extrapolated.value) < biased / 3
    assert fid_infinity(real, fake) == extrapolated  # the same seed, the same figure
    with pytest.raises(DataError, match="more than 22 generated images"):
        fid_infinity(real, fake[:20])


def test_invalid_features_are_refused() -> None:
    x = normal(10, 4)
    with pytest.raises(DataError, match="only 1 of the generated images"):
        fid(x, x[:1])
    broken = x.clone()
    broken[3, 1] = torch.nan
    with pytest.raises(DataError, match="of 10 of the generated images are not finite, the first of image 3"):
        fid(x, broken)
    with pytest.raises(DataError, match="4 numbers and the generated 3"):
        fid(x, x[:, :3])


@pytest.mark.quality
def test_2048_features_take_seconds() -> None:
    a, b = Gaussian.of(normal(3_000, 2_048)), Gaussian.of(normal(3_000, 2_048, 1) + 0.1)
    began = time.perf_counter()
    frechet_distance(a, b)
    print(f"Frechet distance of 2048 features: {time.perf_counter() - began:.2f} s")
