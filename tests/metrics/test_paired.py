"""Images against their targets: by formula, by scikit-image, by recorded values of the official LPIPS."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from ganforge.errors import DataError, OptionError, WeightsError
from ganforge.files import sha256
from ganforge.metrics import lpips as measure
from ganforge.metrics.diversity import diversity
from ganforge.metrics.l1 import l1
from ganforge.metrics.lpips import feature_distance, lpips
from ganforge.metrics.psnr import psnr
from ganforge.metrics.ssim import ssim
from ganforge.nn.lpips import LPIPS
from tests.support import goldens


def pictures(n: int = 3, channels: int = 3, side: int = 24, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, side // 4, side // 4, generator=source) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(-1, 1)


def noisy(clean: Tensor, much: float = 0.2) -> Tensor:
    return (clean + much * torch.randn(clean.shape, generator=torch.Generator().manual_seed(9))).clamp(-1, 1)


# -- psnr, l1 -------------------------------------------------------------------------------------


def test_psnr_is_the_formula():
    true = torch.zeros(2, 1, 12, 12)
    made = true + torch.tensor([0.02, 0.2])[:, None, None, None]
    torch.testing.assert_close(psnr(made, true), torch.tensor([40.0, 20.0]).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        psnr(made, true, (0, 1)) - psnr(made, true), torch.full((2,), -6.0206).double(), atol=1e-4, rtol=0
    )
    assert psnr(true, true).isposinf().all()
    torch.testing.assert_close(l1(made, true), torch.tensor([0.02, 0.2]).double())


@pytest.mark.parametrize("figure", [psnr, ssim, l1])
def test_images_without_targets_are_refused(figure):
    true = pictures()
    with pytest.raises(DataError, match="its own target"):
        figure(true[:2], true)
    with pytest.raises(DataError, match="no image"):
        figure(true[:0], true[:0])
    with pytest.raises(DataError, match="NaN"):
        figure(torch.full_like(true, torch.nan), true)


# -- ssim -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("ends", [(-1.0, 1.0), (-2.0, 3.0)])
def test_ssim_agrees_with_scikit_image(channels: int, ends: tuple[float, float]):
    skimage = pytest.importorskip("skimage.metrics")
    true = pictures(2, channels)
    made = noisy(true)
    ours = ssim(made, true, ends)
    made, true = made.double() - ends[0], true.double() - ends[0]
    for one, other, value in zip(made, true, ours, strict=True):
        theirs = skimage.structural_similarity(
            one.numpy(), other.numpy(), channel_axis=0, data_range=ends[1] - ends[0],
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )  # fmt: skip
        assert float(value) == pytest.approx(theirs, abs=1e-6)


def test_ssim_window_by_window():
    """Wang 2004, equation 13, written out as loops."""
    true = pictures(1, 1, 12)
    made = noisy(true)
    places = np.arange(11) - 5
    line = np.exp(-(places**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    c1, c2 = 0.01**2, 0.03**2
    values = []
    for top, left in itertools.product(range(2), range(2)):
        x, y = (p[0, 0, top : top + 11, left : left + 11].double().numpy() for p in ((made + 1) / 2, (true + 1) / 2))
        mx, my = (window * x).sum(), (window * y).sum()
        vx, vy, xy = ((window * a).sum() for a in ((x - mx) ** 2, (y - my) ** 2, (x - mx) * (y - my)))
        values.append((2 * mx * my + c1) * (2 * xy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    assert float(ssim(made, true)) == pytest.approx(np.mean(values), abs=1e-9)


def test_ssim_of_extreme_inputs():
    true = pictures()
    torch.testing.assert_close(ssim(true, true), torch.ones(3).double())
    assert (ssim(-true, true) < 0).all()  # a negative has the opposite structure
    with pytest.raises(DataError, match="11 x 11"):
        ssim(true[..., :10, :], true[..., :10, :])


# -- lpips ----------------------------------------------------------------------------------------


def small_maps(images: Tensor) -> list[Tensor]:
    """The image itself, and its gradients."""
    return [images, torch.cat([images.diff(dim=2)[..., 1:], images.diff(dim=3)[:, :, 1:]], 1)]


@goldens.needed
def test_lpips_is_the_official_one():
    golden = next(g for g in goldens.goldens("hyperstyle") if g.path.name == "LPIPS_alex_recipe")
    net = LPIPS("alex")
    drawn = {k: v for k, v in golden.weights(Named(net)).items() if not k.endswith((".mean", ".std"))}
    backbone = {k.replace("net.layers", "features"): v for k, v in drawn.items() if k.startswith("net.")}
    linear = {f"lin{k[4]}.model.1.weight": v for k, v in drawn.items() if k.startswith("lin.")}
    net.load(backbone, linear)
    x, y = (torch.nn.functional.interpolate(p, (128, 128), mode="bilinear") for p in golden.inputs())
    (expected,) = golden.outputs("eval")
    torch.testing.assert_close(net(x, y).mean(), expected, **golden.tolerance)
    net.weights[3].data *= 1.01  # the test detects this change
    assert abs(float(net(x, y).mean() - expected)) > 1e-4


class Named(torch.nn.Module):
    """Registers the constants that the recipe leaves as the constructor set them."""

    def __init__(self, net: LPIPS) -> None:
        super().__init__()
        self.net = torch.nn.Module()
        self.net.register_buffer("mean", net.network.mean)
        self.net.register_buffer("std", net.network.std)


@pytest.mark.parametrize(("kind", "parameters"), [("alex", 2_469_696 + 1152), ("vgg", 14_714_688 + 1472)])
def test_lpips_has_the_published_shapes(kind, parameters: int):
    with torch.device("meta"):
        net = LPIPS(kind)
    assert sum(p.numel() for p in net.parameters()) == parameters
    if kind == "vgg":  # the layers that torchvision's state dict numbers so
        convolutions = [int(k.split(".")[1]) for k in net.network.state_dict() if k.endswith("weight")]
        assert convolutions == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
        assert net.network.seen == [3, 8, 15, 22, 29]


def test_official_weights_are_read_from_files(tmp_path):
    net = LPIPS("alex")
    backbone = net.network.state_dict()
    classifier = {"classifier.1.weight": torch.zeros(2)}  # torchvision's file has these too
    linear = {f"lin{k}.model.1.weight": w.data for k, w in enumerate(net.weights)}
    torch.save(backbone | classifier, tmp_path / "alexnet.pth")
    torch.save(linear, tmp_path / "alex.pth")
    known = measure.load_official(tmp_path / "alexnet.pth", tmp_path / "alex.pth")
    assert known.name.startswith("a distance of the form of LPIPS (alex) with weights other than those published: alex")
    assert measure.estimate_distance("lpips", torch.ones(2), known, "lower").name == "lpips_own_weights"
    hashes = tuple((sha256(tmp_path / f"{name}.pth")[:8],) for name in ("alexnet", "alex"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(measure.PUBLISHED, "alex", hashes)
        known = measure.load_official(tmp_path / "alexnet.pth", tmp_path / "alex.pth")
    assert known.name == "LPIPS 0.1 (alex)"
    assert measure.estimate_distance("lpips", torch.ones(2), known, "lower").name == "lpips"
    a, b = pictures(2, 3, 32), noisy(pictures(2, 3, 32))
    torch.testing.assert_close(lpips(a, b, known), net(a, b).double())
    with pytest.raises(WeightsError, match=r"AlexNet: features\.0\.weight is missing"):
        measure.load_official(tmp_path / "alex.pth", tmp_path / "alexnet.pth")
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "vgg.pth")
    with pytest.raises(WeightsError, match=r"VGG-16: features\.0\.bias is missing"):
        measure.load_official(tmp_path / "vgg.pth", tmp_path / "alex.pth")
    torch.save({**linear, "lin2.model.1.weight": torch.zeros(1, 256, 1, 1)}, tmp_path / "vgg-lin.pth")
    with pytest.raises(WeightsError, match=r"LPIPS 0\.1 for alex: lin2\.model\.1\.weight is \(1, 256, 1, 1\)"):
        measure.load_official(tmp_path / "alexnet.pth", tmp_path / "vgg-lin.pth")
    with pytest.raises(DataError, match="32 pixels"):
        lpips(pictures(1, 3, 16), pictures(1, 3, 16), known)


def test_a_distance_in_other_features_says_so():
    other = feature_distance(small_maps, "slopes")
    assert "not LPIPS" in other.name
    assert "slopes" in other.name
    true = pictures(4)
    near, far = lpips(noisy(true, 0.05), true, other), lpips(noisy(true, 0.5), true, other)
    assert (near < far).all()
    torch.testing.assert_close(lpips(true, true, other), torch.zeros(4).double())
    torch.testing.assert_close(lpips(noisy(true), true, other, batch=3), lpips(noisy(true), true, other))


def test_diversity_is_the_mean_over_pairs():
    other = feature_distance(small_maps, "slopes")
    outputs = torch.stack([pictures(2, seed=k) for k in range(3)], 1)
    expected = sum(lpips(outputs[:, i], outputs[:, j], other) for i, j in [(0, 1), (0, 2), (1, 2)]) / 3
    torch.testing.assert_close(diversity(outputs, other), expected)
    assert not diversity(outputs[:, :1].expand(-1, 3, -1, -1, -1), other).any()  # always the same output
    with pytest.raises(OptionError, match="two or more"):
        diversity(outputs[:, :1], other)
    with pytest.raises(DataError, match="inputs, outputs per input"):
        diversity(outputs[0], other)
