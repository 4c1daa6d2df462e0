"""AUROC, average precision and PRO against their definitions; thresholds against counted false alarms."""

import math

import numpy as np
import pytest

from ganforge.errors import DataError
from ganforge.metrics.anomaly import (
    auroc,
    average_precision,
    beta_quantile,
    beta_share,
    choose_threshold,
    pro,
    rate_interval,
)

CHANCE = np.random.default_rng(0)


def scores_with_ties(n: int) -> tuple[np.ndarray, np.ndarray]:
    strange = CHANCE.random(n) < 0.3
    return np.round(CHANCE.normal(size=n) + strange, 1), strange


def test_auroc_is_the_share_of_pairs_in_order():
    scores, strange = scores_with_ties(200)
    pairs = scores[strange][:, None] - scores[~strange][None]
    assert auroc(scores, strange).value == pytest.approx(((pairs > 0) + (pairs == 0) / 2).mean())
    assert auroc(-scores, strange).value == pytest.approx(1 - auroc(scores, strange).value)
    assert auroc(np.arange(4.0), np.array([False, False, True, True])).value == 1
    assert auroc(np.zeros(4), np.array([False, False, True, True])).value == 0.5


def test_the_interval_of_auroc_holds_the_truth_in_95_of_100():
    truth, held = 0.760250, 0  # P(N(1, 1) > N(0, 1)) = Phi(1 / sqrt(2))
    for _ in range(400):
        strange = np.arange(160) < 60
        found = auroc(CHANCE.normal(size=160) + strange, strange)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 400 <= 0.985


def test_average_precision_is_the_mean_precision_at_the_strange_ones():
    scores, strange = scores_with_ties(150)
    expected = np.mean([strange[scores >= score].mean() for score in scores[strange]])
    assert average_precision(scores, strange).value == pytest.approx(expected)


def test_pro_counts_each_flaw_alike_up_to_the_limit():
    maps = [np.round(CHANCE.random((12, 10)), 1) for _ in range(3)]
    regions = [np.zeros((12, 10), int) for _ in range(3)]
    regions[0][:2, :3], regions[0][6:, 5:], regions[1][4, 4] = 1, 2, 1
    maps[0][:2, :3] += 0.5
    rates, shares = [0.0], [0.0]
    for threshold in sorted({*np.concatenate(maps).ravel()}, reverse=True):
        found = [one >= threshold for one in maps]
        sound = np.concatenate([f[r == 0] for f, r in zip(found, regions, strict=True)])
        rates.append(sound.mean())
        flaws = [f[r == k].mean() for f, r in zip(found, regions, strict=True) for k in (1, 2) if (r == k).any()]
        shares.append(np.mean(flaws))
    grid = np.linspace(0, 0.3, 100_001)
    assert pro(maps, regions).value == pytest.approx(np.interp(grid, rates, shares).mean(), abs=1e-4)
    perfect = [(region > 0).astype(float) for region in regions]
    assert pro(perfect, regions).value == pytest.approx(1.0)


def test_a_random_map_has_a_pro_of_half_the_limit():
    maps, regions = [CHANCE.random((200, 200))], [np.zeros((200, 200), int)]
    regions[0][50:150, 50:150] = 1
    assert pro(maps, regions).value == pytest.approx(0.15, abs=0.01)


def test_what_has_only_one_kind_is_refused():
    with pytest.raises(DataError, match="none is strange"):
        auroc(np.arange(3.0), np.zeros(3, bool))
    with pytest.raises(DataError, match="only one of the two"):
        pro([np.zeros((2, 2))], [np.zeros((2, 2), int)])
    with pytest.raises(DataError, match="not finite"):
        auroc(np.array([0.0, np.nan]), np.array([True, False]))


# -- thresholds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "rate"), [(19, 0.05), (100, 0.05), (500, 0.01)])
def test_the_stated_rate_and_interval_are_those_of_new_images(n: int, rate: float):
    found = [choose_threshold(CHANCE.normal(size=n), rate) for _ in range(500)]
    assert found[0].rate <= rate
    truth = 1 - np.array([0.5 * (1 + math.erf(t.value / 2**0.5)) for t in found])
    assert truth.mean() == pytest.approx(found[0].rate, rel=0.15)
    assert 0.92 <= np.mean([t.low <= share <= t.high for t, share in zip(found, truth, strict=True)]) <= 0.98


def test_too_few_sound_images_are_refused():
    with pytest.raises(DataError, match="needs 19 sound images or more, and there are 18"):
        choose_threshold(np.arange(18.0), 0.05)
    assert choose_threshold(np.arange(19.0), 0.05).value == 18


def test_quantiles_invert_the_distribution():
    for a, b in ((1, 1), (3, 7), (40, 2), (1, 900)):
        for share in (0.025, 0.5, 0.975):
            assert beta_share(beta_quantile(a, b, share), a, b) == pytest.approx(share, abs=1e-9)
    assert beta_quantile(1, 1, 0.3) == pytest.approx(0.3)
    assert rate_interval(0, 10) == (0.0, pytest.approx(0.3085, abs=1e-4))  # Clopper and Pearson's table
    assert rate_interval(10, 10)[0] == pytest.approx(0.6915, abs=1e-4)
