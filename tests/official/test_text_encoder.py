"""The character CNN-RNN and the joint embedding loss against the recorded ones of its authors."""

import json

import pytest
import torch
from torch import Tensor

from ganforge import official
from ganforge.models.text_encoder import joint_embedding
from ganforge.official.text_encoder import ALPHABET, LENGTH
from tests.support import goldens

FOLDER = goldens.SHARED / "golden" / "generation" / "gan_cls"
NAMES = [f"lua_text_encoder_avg{average}_recipe" for average in (0, 1)]


def golden(name: str) -> goldens.Golden:
    return goldens.Golden(FOLDER / name, json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def letters() -> Tensor:
    """The recorded input, as its note says: (37 k + offset) mod 70 at flat position k; row 2 ends at 150."""
    places = torch.arange(2 * LENGTH).view(2, LENGTH)
    given = torch.nn.functional.one_hot((37 * places + torch.tensor([[3], [11]])) % 70, 70).float()
    given[1, 150:] = 0
    return given


@goldens.needed
@pytest.mark.parametrize("name", NAMES)
def test_the_character_network_has_the_authors_outputs(name: str):
    recorded = golden(name)
    _, arguments = recorded.arguments
    network = official.network("text_encoder", recorded.class_name, **arguments)
    official.load(network, recorded.weights(network))
    assert sum(p.numel() for p in network.parameters()) == recorded.parameters
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(letters()), recorded.io("out.")["emb"], **recorded.tolerance)
        features, pooled = network.network((letters().argmax(2) + 2) * (letters().amax(2) > 0), torch.ones(2, 1) > 0)
    assert features.shape == (2, 18, 8)  # 18 steps of 201 letters
    torch.testing.assert_close(pooled, recorded.io("out.")["emb"], **recorded.tolerance)


@goldens.needed
def test_the_character_network_has_the_authors_size():
    for arguments, count, keys in golden(NAMES[1]).defaults():
        with torch.device("meta"):
            network = official.network("text_encoder", "DocumentCNN.cnn", **arguments)
        assert sum(p.numel() for p in network.parameters()) == count
        assert [(key, tuple(value.shape)) for key, value in network.state_dict().items()] == keys


@goldens.needed
def test_the_joint_embedding_loss_is_the_authors():
    recorded = golden("losses")
    one, other = (recorded.io("in.")[f"emb{k}"] for k in (2, 1))
    torch.testing.assert_close(joint_embedding(one, other), recorded.io("out.")["joint_embedding"])
    assert not torch.isclose(joint_embedding(other, one), recorded.io("out.")["joint_embedding"])


def test_the_alphabet_has_the_authors_number_of_letters():
    assert len(ALPHABET) == 70
    assert [letter for letter in ALPHABET if ALPHABET.count(letter) > 1] == ["-", "-"]
