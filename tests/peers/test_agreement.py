"""Other libraries on the same inputs: where they agree, and where they are wrong, the evidence.

`make peers` installs them in a separate environment and runs this file; otherwise it is skipped.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganforge.metrics.extractors.inception import Inception
from ganforge.metrics.extractors.resize import resize_images
from ganforge.metrics.fid import Gaussian, frechet_distance
from ganforge.metrics.is_ import inception_score, scores_of_splits
from ganforge.metrics.kid import kid, kid_of_subsets
from ganforge.metrics.prdc import prdc
from tests.metrics.extractors.test_inception import random_weights

pytestmark = pytest.mark.filterwarnings("ignore")  # the peers' own


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def peer(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, exc_type=ImportError)


def features(n: int, d: int, seed: int, shift: float = 0.0) -> Tensor:
    """Correlated, skewed and non-negative, as pooled ReLU activations are."""
    mix = torch.randn(d, d, generator=torch.Generator().manual_seed(99)) / d**0.5
    return (torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) @ mix + shift).relu()


def moments(x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    return np.mean(x.numpy(), 0), np.cov(x.numpy(), rowvar=False)


def peers_fid(name: str, x: Tensor, y: Tensor) -> float:
    if name == "torch_fidelity":
        module = peer("torch_fidelity.metric_fid")
        sides = [module.fid_features_to_statistics(side) for side in (x, y)]
        return module.fid_statistics_to_metric(*sides, False)["frechet_inception_distance"]
    if name == "torchmetrics":
        module = peer("torchmetrics.image.fid")
        return float(module._compute_fid(*(torch.from_numpy(m).double() for side in (x, y) for m in moments(side))))
    if name == "cleanfid":
        return float(peer("cleanfid.fid").frechet_distance(*moments(x), *moments(y)))
    return float(peer("pytorch_fid.fid_score").calculate_frechet_distance(*moments(x), *moments(y)))


LIBRARIES = ["torch_fidelity", "torchmetrics", "cleanfid", "pytorch_fid"]


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize(("n", "d"), [(2_000, 64), (60, 64)], ids=["enough", "fewer-than-numbers"])
def test_fid_agrees(name: str, n: int, d: int) -> None:
    x, y = features(n, d, 0), features(n, d, 1, 0.1)
    assert frechet_distance(Gaussian.of(x), Gaussian.of(y)) == pytest.approx(peers_fid(name, x, y), rel=1e-5)


@pytest.mark.parametrize("name", LIBRARIES)
def test_where_peers_average_in_float32_we_are_right(name: str) -> None:
    """Features about 1000: a float32 mean of them is wrong in the fourth digit, and so is the distance."""
    x, y = features(2_000, 16, 0) + 1_000, features(2_000, 16, 1) + 1_000
    (a, b), (c, d) = (
        (s.double().mean(0), torch.cov(s.double().T)) for s in (x, y)
    )  # the exact value: no library, no rounding of means
    values = torch.linalg.eigvals(b @ d).real.clamp(min=0).sqrt().sum()
    exact = float((a - c).square().sum() + b.trace() + d.trace() - 2 * values)
    ours, theirs = frechet_distance(Gaussian.of(x), Gaussian.of(y)), peers_fid(name, x, y)
    assert abs(ours - exact) < 1e-7 * exact
    assert abs(ours - exact) < abs(theirs - exact)


def test_kid_of_the_same_subsets_is_torch_fidelity_s() -> None:
    module = peer("torch_fidelity.metric_kid")
    x, y = features(700, 32, 0), features(600, 32, 1, 0.2)
    settings = {"kid_subsets": 20, "kid_subset_size": 300, "rng_seed": 2020, "verbose": False}
    theirs = module.kid_features_to_metric(x, y, **settings)
    mean, deviation = kid_of_subsets(x, y, 20, 300)
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-4)
    assert deviation == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-3)


def test_kid_of_all_pairs_is_torchmetrics_and_clean_fid_s_of_one_subset() -> None:
    x, y = features(300, 32, 0), features(300, 32, 1, 0.2)
    ours = kid(x, y).value
    assert ours == pytest.approx(float(peer("torchmetrics.image.kid").poly_mmd(x.double(), y.double())), rel=1e-9)
    theirs = peer("cleanfid.fid").kernel_distance(x.double().numpy(), y.double().numpy(), 1, 300)
    assert ours == pytest.approx(float(theirs), rel=1e-9)


def test_inception_score_agrees() -> None:
    module = peer("torch_fidelity.metric_isc")
    logits = 3 * torch.randn(1_003, 50, generator=torch.Generator().manual_seed(0))
    theirs, ours = module.isc_features_to_metric(logits), inception_score(logits)
    assert ours.value == pytest.approx(theirs["inception_score_mean"], rel=1e-10)
    deviation = float(scores_of_splits(logits, 10, 2_020).std(correction=0))
    assert deviation == pytest.approx(theirs["inception_score_std"], rel=1e-8)


def test_inception_score_of_saturated_logits_needs_the_log_domain() -> None:
    """A class that is never possible has the probability 0, whose logarithm turns torch-fidelity's score into NaN."""
    certain = torch.eye(5)[:3].repeat(20, 1) * 1e5
    theirs = peer("torch_fidelity.metric_isc").isc_features_to_metric(certain, splits=1)
    assert np.isnan(theirs["inception_score_mean"])
    assert inception_score(certain, 1).value == pytest.approx(3, rel=1e-12)


@pytest.mark.parametrize("k", [3, 5])
def test_prdc_is_equal(k: int) -> None:
    x, y = features(800, 32, 0), features(700, 32, 1, 0.05)
    theirs = peer("prdc").compute_prdc(x.numpy(), y.numpy(), k)
    assert {f.name: f.value for f in prdc(x, y, k)} == pytest.approx(theirs, abs=1e-12)


def test_precision_and_recall_are_torch_fidelity_s() -> None:
    module = peer("torch_fidelity.metric_prc")
    x, y = features(800, 32, 0), features(700, 32, 1, 0.05)
    ours = {f.name: f.value for f in prdc(x, y, 3)}
    assert module.calculate_precision_recall_full(y, x, 3) == pytest.approx((ours["precision"], ours["recall"]))


@pytest.mark.parametrize("side", [32, 299, 640])
def test_resize_rules_are_those_of_their_libraries(side: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side + 5, 3), dtype=np.uint8)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    build = peer("cleanfid.resize").build_resizer
    tensorflow = peer("torch_fidelity.interpolate_compat_tensorflow").interpolate_bilinear_2d_like_tensorflow1x
    expected = {
        "clean": torch.from_numpy(build("clean")(pixels)).permute(2, 0, 1)[None],
        "pytorch": torch.from_numpy(build("legacy_pytorch")(pixels)).permute(2, 0, 1)[None],
        "tensorflow": tensorflow(image, size=(299, 299), align_corners=False),
    }
    for rule, theirs in expected.items():
        made = resize_images(image, (299, 299), rule)  # pyright: ignore[reportArgumentType]
        assert (made - theirs).abs().max() < 1e-4, rule  # float32 of 255


def test_the_same_weights_give_the_same_features(tmp_path: Path) -> None:
    module = peer("torch_fidelity.feature_extractor_inceptionv3")
    weights = random_weights()
    torch.save(weights, tmp_path / "w.pth")
    names = ["2048", "logits_unbiased"]
    theirs = module.FeatureExtractorInceptionV3("x", names, feature_extractor_weights_path=str(tmp_path / "w.pth"))
    pictures = torch.randint(0, 256, (4, 3, 50, 70), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    result = Inception(weights, "w", resize="tensorflow")(pictures / 127.5 - 1)
    assert result.logits is not None
    for ours, expected in zip((result.features, result.logits), theirs(pictures), strict=True):
        assert (ours - expected).abs().max() < 1e-5 * expected.abs().max()


def test_pytorch_fid_gives_the_same_but_for_half_a_grey_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It maps 0 ... 255 to [-1, 1] by x / 127.5 - 1, where TensorFlow's graph has (x - 128) / 128."""
    module = peer("pytorch_fid.inception")
    weights = random_weights()
    monkeypatch.setattr(module, "load_state_dict_from_url", lambda *_, **__: weights)
    theirs = module.InceptionV3([3]).eval()
    pictures = torch.randint(0, 256, (2, 3, 299, 299), generator=torch.Generator().manual_seed(0)).float()
    extractor = Inception(weights, "w", resize="pytorch")
    with torch.inference_mode():
        expected = theirs(pictures / 255)[0].flatten(1)
        same_input = extractor.network((pictures / 255 * 2 - 1).contiguous(memory_format=torch.channels_last))
    assert (same_input - expected).abs().max() < 1e-5 * expected.abs().max()
    difference = (extractor(pictures / 127.5 - 1).features - expected).abs().max() / expected.abs().max()
    assert 1e-4 < difference < 0.05


def test_folders_get_the_values_of_torch_fidelity(tmp_path: Path) -> None:
    fidelity = peer("torch_fidelity")
    weights = random_weights()
    torch.save(weights, tmp_path / "w.pth")
    chance = np.random.default_rng(0)
    for side, shift in (("one", 0), ("two", 60)):
        (tmp_path / side).mkdir()
        for k in range(12):
            pixels = chance.integers(shift, 196 + shift, (24, 24, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / side / f"{k:02d}.png")
    torch.save(weights, tmp_path / "w.pth")
    theirs = fidelity.calculate_metrics(
        input1=str(tmp_path / "one"), input2=str(tmp_path / "two"), fid=True, kid=True, kid_subset_size=12,
        kid_subsets=1, cuda=False, cache=False, verbose=False, batch_size=4,
        feature_extractor_weights_path=str(tmp_path / "w.pth"),
    )  # fmt: skip
    from ganforge.evaluation.evaluate import evaluate

    monkey = pytest.MonkeyPatch()
    monkey.setenv("GANFORGE_CACHE", str(tmp_path / "cache"))
    try:
        ours = evaluate(
            tmp_path / "one", tmp_path / "two", ("fid", "kid"), features="inception",
            weights=str(tmp_path / "w.pth"), resize="tensorflow", out=tmp_path / "r.json",
        )  # fmt: skip
    finally:
        monkey.undo()
    assert ours["fid"].value == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    assert ours["kid"].value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)
