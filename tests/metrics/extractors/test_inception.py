"""The resize rules against Pillow and plain formulas; FID's InceptionV3, made fast without being changed."""

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
from ganforge.metrics.extractors.resize import in_colour, resized, to_255


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
    made = resized(image, (299, 299))
    assert (made[0, 0] - torch.from_numpy(np.array(wanted).clip(0, 255))).abs().max() < 1e-4  # float32 of 255


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    image = photograph(299, 299)
    assert torch.equal(resized(image, (299, 299)), image)


def test_legacy_rules_take_the_pixels_that_their_libraries_take() -> None:
    ramp = torch.arange(4.0).view(1, 1, 1, 4)
    assert resized(ramp, (1, 8), "tensorflow").flatten().tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
    assert resized(ramp, (1, 8), "pytorch").flatten().tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    assert resized(ramp, (1, 2), "tensorflow").flatten().tolist() == [0, 2]  # without antialiasing: pixels are skipped
    with pytest.raises(OptionError, match="no resize rule 'nearest'"):
        resized(ramp, (1, 8), "nearest")  # pyright: ignore[reportArgumentType]


def test_what_was_stored_in_8_bits_is_whole_again() -> None:
    bytes_ = torch.arange(256).view(1, 1, 16, 16)
    assert torch.equal(to_255(bytes_.float() / 127.5 - 1), bytes_.float())
    assert in_colour(torch.zeros(2, 1, 3, 3)).shape == (2, 3, 3, 3)
    with pytest.raises(DataError, match="have 4 channels"):
        in_colour(torch.zeros(2, 4, 3, 3))


def test_the_fast_form_is_the_same_network() -> None:
    weights = random_weights()
    plain = inception.Network()
    plain.load_state_dict(weights)
    eyes = inception.Inception(weights, "random", resize="tensorflow")
    images = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        wanted = plain.eval()((resized(to_255(images), (299, 299), "tensorflow") - 128) / 128)
    seen = eyes(images)
    assert seen.features.shape == (2, 2048)
    assert (seen.features - wanted).abs().max() < 1e-5 * wanted.abs().max()
    assert seen.logits is not None
    assert torch.allclose(seen.logits, wanted @ weights["fc.weight"].T, rtol=1e-4, atol=1e-4)
    assert eyes.key != inception.Inception(weights, "random").key  # another resize rule, other statistics
    grey = eyes(images[:, :1])
    assert torch.allclose(grey.features, eyes(images[:, :1].expand(-1, 3, -1, -1)).features)


def test_weights_come_from_files_of_both_kinds_or_say_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANFORGE_CACHE", str(tmp_path))
    weights = {key: value for key, value in random_weights().items() if key.startswith("fc")}
    torch.save(weights, tmp_path / "w.pth")
    save_file(weights, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        assert torch.equal(inception.weights_in(tmp_path / name)["fc.bias"], weights["fc.bias"])
        with pytest.raises(WeightsError, match="other weights than FID's InceptionV3"):
            inception.inception(tmp_path / name)
    (tmp_path / "w.pth").write_bytes(b"torn")
    for name in ("w.pth", "nothing.pth"):
        with pytest.raises(WeightsError, match=f"{name} cannot be read"):
            inception.inception(tmp_path / name)
    monkeypatch.setattr(inception, "ADDRESS", (tmp_path / "not-there" / "weights.pth").as_uri())
    with pytest.raises(WeightsError, match=r"could not be fetched .* --weights PATH; .* --features classifier"):
        inception.inception()
    (tmp_path / "wrong.pth").write_bytes(b"something else")
    monkeypatch.setattr(inception, "ADDRESS", (tmp_path / "wrong.pth").as_uri())
    with pytest.raises(WeightsError, match="invalid hash value"):
        inception.inception()
    assert not inception.at_hand().exists()


def test_vision_says_what_is_missing() -> None:
    with pytest.raises(WeightsError, match=r"transformers|could not be had"):
        vision.dinov2("/nowhere/at/all")


@pytest.mark.parametrize("name", ["dinov2", "clip"])
def test_vision_networks_look_at_any_size(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    if name == "dinov2":
        network = transformers.Dinov2Model(transformers.Dinov2Config(**small, image_size=224, patch_size=56))
    else:
        config = transformers.CLIPVisionConfig(**small, intermediate_size=16, projection_dim=8, image_size=32)
        network = transformers.CLIPVisionModelWithProjection(config)
    network.save_pretrained(tmp_path)
    eyes = getattr(vision, name)(tmp_path)
    seen = eyes(torch.rand(3, 1, 20, 30) * 2 - 1)
    assert seen.features.shape == (3, 16 if name == "dinov2" else 8)
    assert seen.logits is None
    assert eyes.key == getattr(vision, name)(tmp_path).key
