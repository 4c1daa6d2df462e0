"""The nearest features of sound images: what is among them scores 0, what is not scores by its distance."""

import pytest
import torch
from torch import nn

from ganforge.data.synthetic.shapes import HELD_OUT, make_scenes
from ganforge.errors import DataError
from ganforge.metrics.anomaly import auroc
from ganforge.metrics.nearest_features import NearestFeatures, network_maps, pixel_maps, spread_out

SIZE = (32, 32)


def cloth(first: int, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images of cloth, whether each is flawed, and the flaws."""
    scenes = make_scenes("shapes-defects", range(first, first + count))
    images = torch.from_numpy(scenes.images(SIZE)).permute(0, 3, 1, 2).float() / 127.5 - 1
    strange = torch.from_numpy(scenes.condition > 0)
    return images, strange, torch.from_numpy(scenes.masks(SIZE)[:, 0] > 0) & strange[:, None, None]


def test_pixels_around_places_are_their_windows():
    images = torch.rand(2, 3, 9, 7)
    maps = pixel_maps(images, window=3, stride=2)
    assert maps.shape == (2, 27, 5, 4)
    torch.testing.assert_close(maps[1, :, 1, 2].view(3, 3, 3), images[1, :, 1:4, 3:6])


def test_sound_images_score_zero_and_the_distance_is_euclidean():
    images = torch.rand(3, 1, 8, 8) / 4
    bank = NearestFeatures(kept=10_000).fit([images])
    scores, heat = bank.judge(images)
    torch.testing.assert_close(scores, torch.zeros(3), rtol=0, atol=2e-3)
    assert heat.shape == (3, 1, 8, 8)
    changed = images.clone()
    changed[0, 0, 4, 4] += 5
    scores, heat = bank.judge(changed)
    assert 4.5 < float(scores[0]) < 5.1
    assert heat[0, 0, 3:6, 3:6].min() > 3
    assert heat[0, 0, 0].max() < 0.1


def test_chosen_rows_are_far_from_each_other():
    rows = torch.cat([torch.randn(500, 2) * 0.01, torch.tensor([[5.0, 0.0], [0.0, 5.0], [-5.0, 0.0]])])
    chosen = spread_out(rows, 4)
    assert sum(bool(row.norm() > 4) for row in chosen) == 3
    assert len(spread_out(rows, 10_000)) == len(rows)


def test_maps_of_a_network_are_joined_at_the_size_of_the_first():
    network = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1))
    maps = network_maps(network, ("1", "2"))(torch.rand(2, 1, 16, 16))
    assert maps.shape == (2, 10, 8, 8)
    assert not network[1]._forward_hooks
    with pytest.raises(DataError, match="no layer 'last'"):
        network_maps(network, ("last",))
    with pytest.raises(DataError, match="call fit first"):
        NearestFeatures().judge(torch.rand(1, 1, 8, 8))


def test_it_finds_flaws_in_cloth():
    sound, _, _ = cloth(0, 60)
    images, strange, flaws = cloth(HELD_OUT, 60)
    scores, heat = NearestFeatures(kept=1_500).fit(sound.split(20)).judge(images)
    assert auroc(scores.numpy(), strange.numpy()).value > 0.85
    assert auroc(heat.flatten().numpy(), flaws.flatten().numpy()).value > 0.85
