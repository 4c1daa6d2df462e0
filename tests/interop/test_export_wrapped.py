"""Networks that take a Draw, or tensors in a list, are exported with tensors as their only inputs."""

from pathlib import Path

import pytest
import torch
from torch import nn

from ganforge.draw import Draw
from ganforge.inference.trained import Trained
from ganforge.interop import exporting
from tests.support.toys import FACTS, Config, Toy


class Layers(nn.Module):
    """A generator with noise in a layer, and a list of codes; `rows` says how it counts them."""

    def __init__(self, by_len: bool) -> None:
        super().__init__()
        self.linear, self.by_len = nn.Linear(3, 3 * 64), by_len

    def forward(self, draw: Draw, codes: list, *, gain: float) -> torch.Tensor:
        first, second = codes
        images = self.linear(first + second).unflatten(1, (3, 8, 8))
        rows = len(images) if self.by_len else images.shape[0]
        return (images * gain + draw.normal(rows, 1, 8, 8)).tanh()


class Drawing(Toy):
    by_len = False

    def __init__(self, config, facts):
        super().__init__(config, facts)
        self.generator = Layers(self.by_len)

    def generate(self, noise):
        return self.generator(self.draw, [noise, noise / 2], gain=0.5)


class Counting(Drawing):
    by_len = True


@pytest.mark.parametrize(("game", "rows"), [(Drawing, 5), (Counting, 1)])
def test_a_network_that_takes_a_draw_and_a_list_is_exported(tmp_path: Path, monkeypatch, game, rows: int):
    torch.manual_seed(0)
    trained = Trained(game(Config(), FACTS).eval(), tmp_path, "drawing", 1)
    monkeypatch.setattr(exporting, "load", lambda *_, **__: trained)
    said = []
    weights, program = exporting.export(tmp_path, tmp_path / "out", ["safetensors", "pt2"], say=said.append)
    assert "without its noise" in said[1]
    assert ("one image at a time" in said[1]) == (rows == 1)
    loaded = torch.export.load(program).module()
    first, second = torch.randn(rows, 3), torch.randn(rows, 3)
    expected = (trained.game.generator.linear(first + second).unflatten(1, (3, 8, 8)) * 0.5).tanh()
    torch.testing.assert_close(loaded(first, second), expected)
    assert set(exporting.load_file(weights)) == {"linear.weight", "linear.bias"}
