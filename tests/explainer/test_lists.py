"""The lesson about networks that take lists, dictionaries, or no tensor at all."""

import xml.etree.ElementTree as ET

import torch
from torch import nn

from ganforge.batches import Images
from ganforge.explainer.diagram import draw_network
from ganforge.explainer.networks import trace_networks
from ganforge.explainer.text import summarise_network
from ganforge.game import Clock, Move
from tests.support.toys import FACTS, Config, Toy


class Pyramid(nn.Module):
    """Takes a list of maps, and a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

    def forward(self, maps: list, more: dict):
        return self.fine(maps[0]).mean() + self.coarse(maps[1]).mean() + more["extra"].mean()


class Constant(nn.Module):
    """Takes a number, and begins with a learned constant."""

    def __init__(self) -> None:
        super().__init__()
        self.start, self.layer = nn.Parameter(torch.zeros(1, 4)), nn.Sequential(nn.Linear(4, 3), nn.ReLU())

    def forward(self, n: int):
        return self.layer(self.start.expand(n, -1))


class Listing(Toy):
    def __init__(self, config, facts):
        super().__init__(config, facts)
        self.pyramid, self.constant = Pyramid(), Constant()

    def players(self):
        return {"critic": torch.optim.SGD([*self.pyramid.parameters(), *self.constant.parameters()], 0.1)}

    def play(self, batches, now):
        real = next(batches).images
        shade = self.constant(len(real))[:, :, None, None]
        score = self.pyramid([real + shade, real[:, :, ::2, ::2]], {"extra": real})
        yield Move("critic", score=score)


Listing.Config, Listing.batch_type = Config, Images


def test_every_tensor_in_a_list_is_an_input_of_the_diagram():
    networks = {network.name: network for network in trace_networks(Listing(Config(), FACTS), Clock())}
    pyramid, constant = networks["pyramid"], networks["constant"]
    assert pyramid.inputs == (("maps[0]", (3, 8, 8)), ("maps[1]", (3, 4, 4)), ("more.extra", (3, 8, 8)))
    assert constant.inputs == ()
    for network in networks.values():
        ET.fromstring(draw_network(network))
    assert summarise_network(pyramid, "en").startswith("maps[0] 3×8×8, maps[1] 3×4×4, more.extra 3×8×8 → ")
