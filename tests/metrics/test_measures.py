"""KID, CMMD, Inception score, precision and recall, density and coverage, modes: exact small cases and closed forms."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganforge.errors import DataError
from ganforge.metrics import distances, mmd
from ganforge.metrics.cmmd import cmmd, gaussian
from ganforge.metrics.is_ import inception_score
from ganforge.metrics.kid import cubic, kid, kid_of_subsets
from ganforge.metrics.modes import modes_of_classes, modes_of_points
from ganforge.metrics.prdc import prdc, realism


def normal(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


# KID and CMMD -------------------------------------------------------------------------------------


@given(n=st.integers(2, 6), m=st.integers(2, 6), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_kid_is_the_sum_over_all_pairs(n: int, m: int, seed: int) -> None:
    x, y = normal(n, 3, seed).double(), normal(m, 3, seed + 100).double()

    def k(a: Tensor, b: Tensor) -> float:
        return (float(a @ b) / 3 + 1) ** 3

    within = [sum(k(a, b) for a, b in itertools.permutations(s, 2)) / len(s) / (len(s) - 1) for s in (x, y)]
    across = sum(k(a, b) for a in x for b in y) / n / m
    assert kid(x, y).value == pytest.approx(sum(within) - 2 * across, rel=1e-9, abs=1e-12)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(50, 4), normal(37, 4, 1)
    whole, balls = mmd.mmd(x, y, cubic), [f.value for f in prdc(x, y)]
    monkeypatch.setattr(mmd, "ROWS", 8)
    monkeypatch.setattr(distances, "ROWS", 8)
    assert mmd.mmd(x, y, cubic) == pytest.approx(whole, rel=1e-10)
    assert [f.value for f in prdc(x, y)] == balls


def test_kid_has_no_bias_and_an_honest_interval() -> None:
    alike = [kid(normal(60, 4, 2 * s), normal(40, 4, 2 * s + 1)).value for s in range(200)]
    assert abs(sum(alike) / 200) < 3 * torch.tensor(alike).std() / 200**0.5
    apart = [kid(normal(200, 4, 2 * s), normal(150, 4, 2 * s + 1) + 0.7) for s in range(200)]
    spread = torch.tensor([f.value for f in apart]).std().item()
    width = sum((f.high or 0) - (f.low or 0) for f in apart) / 200 / (2 * 1.959964)
    assert width == pytest.approx(spread, rel=0.15)


def test_subsets_estimate_the_same_with_noise() -> None:
    x, y = normal(300, 4), normal(300, 4, 1) + 0.5
    mean, deviation = kid_of_subsets(x, y, subsets=200, size=60)
    assert mean == pytest.approx(kid(x, y).value, abs=4 * deviation / 200**0.5)
    with pytest.raises(DataError, match="at least 1000"):
        kid_of_subsets(x, y)


def test_cmmd_is_zero_on_itself_and_the_paper_s_formula_elsewhere() -> None:
    x, y = normal(30, 5), normal(20, 5, 1)
    assert cmmd(x, x).value == pytest.approx(0, abs=1e-9)
    a, b = (s.double() / s.double().norm(dim=1, keepdim=True) for s in (x, y))
    k = [math.exp(-float((p - q).square().sum()) / 200) for p, q in itertools.product(a, b)]
    expected = gaussian(a, a).mean() + gaussian(b, b).mean() - 2 * sum(k) / len(k)
    assert cmmd(x, y).value == pytest.approx(1000 * float(expected), rel=1e-9)


# Inception score ----------------------------------------------------------------------------------


def test_saturated_and_uniform_logits_score_the_number_of_classes() -> None:
    certain = torch.eye(7).repeat(10, 1) * 1e4  # softmax of these is exactly 0 and 1
    assert inception_score(certain, 1).value == pytest.approx(7, rel=1e-12)
    assert inception_score(torch.zeros(50, 7)).value == pytest.approx(1)
    assert inception_score(torch.eye(7)[:1].repeat(20, 1) * 1e4).value == pytest.approx(1)


def test_splits_are_scored_separately() -> None:
    one_class_a_split = torch.eye(2).repeat_interleave(10, 0) * 1e4
    assert inception_score(one_class_a_split, 2, seed=None).value == pytest.approx(1)
    assert inception_score(one_class_a_split, 1, seed=None).value == pytest.approx(2)
    score = inception_score(normal(100, 5) * 3)
    assert score.low is not None
    assert 1 < score.low < score.value < 5
    with pytest.raises(DataError, match="at least 10"):
        inception_score(normal(9, 5))


# Precision, recall, density, coverage -------------------------------------------------------------


def by_hand(real: Tensor, fake: Tensor, k: int) -> list[float]:
    """The four from the full distance matrix, as the papers define them."""
    rr, ff, rf = (torch.cdist(a.double(), b.double()) for a, b in ((real, real), (fake, fake), (real, fake)))
    of_real, of_fake = rr.sort(1).values[:, k], ff.sort(1).values[:, k]
    inside = rf < of_real[:, None]
    figures = inside.any(0), (rf < of_fake).any(1), inside.sum(0) / k, inside.any(1)
    return [float(f.double().mean()) for f in figures]


@given(seed=st.integers(0, 999), k=st.integers(1, 4), shift=st.floats(0, 3))
@settings(max_examples=25, deadline=None)
def test_it_is_what_the_papers_define(seed: int, k: int, shift: float) -> None:
    real, fake = normal(40, 3, seed), normal(30, 3, seed + 1000) + shift
    assert [f.value for f in prdc(real, fake, k)] == pytest.approx(by_hand(real, fake, k))


def test_distant_sets_score_zero_and_a_copy_one() -> None:
    x = normal(50, 3)
    assert [f.value for f in prdc(x, x + 1_000)] == [0, 0, 0, 0]
    precision, recall, density, coverage = prdc(x, x)
    assert (precision.value, recall.value, coverage.value) == (1, 1, 1)
    assert density.value == pytest.approx(1, abs=0.3)
    assert precision.high == pytest.approx(1)
    assert 0.9 < (precision.low or 0) < 1


def test_a_large_common_offset_costs_no_precision() -> None:
    x, y = normal(60, 3).double(), normal(50, 3, 1).double()
    assert [f.value for f in prdc(x + 1e6, y + 1e6)] == [f.value for f in prdc(x, y)]


def test_an_image_near_a_real_one_is_more_realistic_than_a_distant_one() -> None:
    real = normal(200, 2)
    central = int(real.norm(dim=1).argmin())  # where real images are dense: the other half is left out
    near, far = real[central : central + 1] + 1e-3, torch.tensor([[8.0, 8.0]])
    score = realism(real, torch.cat([near, far, real[5:15]]))
    assert score[0] > 1 > score[1] > 0
    index, distance = distances.nearest(near, real)
    assert index.tolist() == [central]
    assert float(distance) == pytest.approx(1e-3 * 2**0.5, rel=1e-3)


def test_too_few_neighbours_are_refused() -> None:
    with pytest.raises(DataError, match="at least 6"):
        prdc(normal(5, 2), normal(50, 2))
    broken = normal(50, 2)
    broken[7] = math.inf
    with pytest.raises(DataError, match="first of image 7"):
        prdc(normal(50, 2), broken)
    with pytest.raises(DataError, match="0 neighbours"):
        prdc(normal(50, 2), normal(50, 2), 0)


# Modes --------------------------------------------------------------------------------------------


def test_modes_of_a_ring() -> None:
    angle = torch.arange(8) * math.pi / 4
    ring = torch.stack([angle.cos(), angle.sin()], 1)
    points = ring[:6].repeat(10, 1) + 0.01 * normal(60, 2)
    visited, quality, divergence = modes_of_points(torch.cat([points, torch.zeros(20, 2)]), ring, 0.02)
    assert visited.value == 6
    assert quality.value == pytest.approx(60 / 80, abs=0.03)
    assert divergence.value == pytest.approx(math.log(8 / 6), abs=0.02)
    nowhere = modes_of_points(torch.full((5, 2), 9.0), ring, 0.02)
    assert (nowhere[0].value, nowhere[1].value, nowhere[2].value) == (0, 0, math.inf)


def test_modes_of_classes() -> None:
    real = torch.arange(4).repeat(25)
    visited, divergence = modes_of_classes(torch.tensor([0, 0, 1, 1]), real, 4)
    assert visited.value == 2
    assert divergence.value == pytest.approx(math.log(2))
