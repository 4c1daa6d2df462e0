"""The resize rules against Pillow and plain formulas; FID's InceptionV3, fused without changing the function."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from ganforge.errors import DataError, OptionError, WeightsError
from ganforge.metrics.extractors import inception
from ganforge.metrics.extractors import transformers as vision
from ganforge.metrics.extractors.resize import resize_images, to_255, to_colour


def photograph(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (1, 1, height, width), generator=torch.Generator().manual_seed(seed)).float()


def random_weights(seed: int = 0) -> dict[str, Tensor]:
    """Seeded weights that keep every layer alive: scales about one, small shifts, convolutions of unit gain."""
    source, weights = torch.Generator().manual_seed(seed), {}
    for key, like in inception.Network().state_dict().items():
        if like.dtype == torch.int64:
            weights[key] = like
        elif key.endswith(("running_var", "bn.weight")):
            weights[key] = torch.rand(like.shape, generator=source) + 0.5
        else:
            gain = (2 / like[0].numel()) ** 0.5 if like.ndim > 1 else 0.1
            weights[key] = torch.randn(like.shape, generator=source) * gain
    return weights


@pytest.mark.parametrize("sides", [(28, 28), (64, 40), (301, 517), (300, 20)])
def test_clean_resizing_is_pillow_s_in_floats(sides: tuple[int, int]) -> None:
    image = photograph(*sides)
    wanted = Image.fromarray(image[0, 0].numpy()).resize((299, 299), Image.Resampling.BICUBIC)
    made = resize_images(image, (299, 299))
    assert (made[0, 0] - torch.from_numpy(np.array(wanted).clip(0, 255))).abs().max() < 1e-4  # float32 of 255


def test_an_image_of_the_right_size_is_unchanged() -> None:
    image = photograph(299, 299)
    assert torch.equal(resize_images(image, (299, 299)), image)


def test_legacy_rules_match_their_libraries() -> None:
    ramp = torch.arange(4.0).view(1, 1, 1, 4)
    assert resize_images(ramp, (1, 8), "tensorflow").flatten().tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
    assert resize_images(ramp, (1, 8), "pytorch").flatten().tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    assert resize_images(ramp, (1, 2), "tensorflow").flatten().tolist() == [
        0,
        2,
    ]  # without antialiasing: pixels are skipped
    with pytest.raises(OptionError, match="no resize rule 'nearest'"):
        resize_images(ramp, (1, 8), "nearest")  # pyright: ignore[reportArgumentType]


def test_8_bit_values_are_whole_again() -> None:
    bytes_ = torch.arange(256).view(1, 1, 16, 16)
    assert torch.equal(to_255(bytes_.float() / 127.5 - 1), bytes_.float())
    assert to_colour(torch.zeros(2, 1, 3, 3)).shape == (2, 3, 3, 3)
    with pytest.raises(DataError, match="have 4 channels"):
        to_colour(torch.zeros(2, 4, 3, 3))


def test_the_fused_network_is_the_same_function() -> None:
    weights = random_weights()
    plain = inception.Network()
    plain.load_state_dict(weights)
    extractor = inception.Inception(weights, "random", resize="tensorflow")
    images = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        expected = plain.eval()((resize_images(to_255(images), (299, 299), "tensorflow") - 128) / 128)
    result = extractor(images)
    assert result.features.shape == (2, 2048)
    assert (result.features - expected).abs().max() < 1e-5 * expected.abs().max()
    assert result.logits is not None
    assert torch.allclose(result.logits, expected @ weights["fc.weight"].T, rtol=1e-4, atol=1e-4)
    assert extractor.key != inception.Inception(weights, "random").key  # another resize rule, other statistics
    grey = extractor(images[:, :1])
    assert torch.allclose(grey.features, extractor(images[:, :1].expand(-1, 3, -1, -1)).features)


def test_weights_are_read_from_files_of_both_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path))
    weights = {key: value for key, value in random_weights().items() if key.startswith("fc")}
    torch.save(weights, tmp_path / "w.pth")
    save_file(weights, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        assert torch.equal(inception.read_weights(tmp_path / name)["fc.bias"], weights["fc.bias"])
        with pytest.raises(WeightsError, match="does not hold the weights of FID's InceptionV3"):
            inception.load_inception(tmp_path / name)
    (tmp_path / "w.pth").write_bytes(b"torn")
    for name in ("w.pth", "nothing.pth"):
        with pytest.raises(WeightsError, match=f"{name} cannot be read"):
            inception.load_inception(tmp_path / name)
    monkeypatch.setattr(inception, "ADDRESS", (tmp_path / "not-there" / "weights.pth").as_uri())
    with pytest.raises(WeightsError, match=r"could not be downloaded .* --weights PATH; .* --features classifier"):
        inception.load_inception()
    (tmp_path / "wrong.pth").write_bytes(b"something else")
    monkeypatch.setattr(inception, "ADDRESS", (tmp_path / "wrong.pth").as_uri())
    with pytest.raises(WeightsError, match="invalid hash value"):
        inception.load_inception()
    assert not inception.weights_path().exists()


def test_missing_weights_are_reported() -> None:
    with pytest.raises(WeightsError, match=r"transformers|could not be loaded"):
        vision.load_dinov2("/nowhere/at/all")


@pytest.mark.parametrize("name", ["dinov2", "clip"])
def test_vision_networks_take_any_size(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    if name == "dinov2":
        network = transformers.Dinov2Model(transformers.Dinov2Config(**small, image_size=224, patch_size=56))
    else:
        config = transformers.CLIPVisionConfig(**small, intermediate_size=16, projection_dim=8, image_size=32)
        network = transformers.CLIPVisionModelWithProjection(config)
    network.save_pretrained(tmp_path)
    extractor = getattr(vision, f"load_{name}")(tmp_path)
    result = extractor(torch.rand(3, 1, 20, 30) * 2 - 1)
    assert result.features.shape == (3, 16 if name == "dinov2" else 8)
    assert result.logits is None
    assert extractor.key == getattr(vision, f"load_{name}")(tmp_path).key
