"""What makes it the baseline: the networks of f-AnoGAN, trained by the squared residual alone."""

import torch
import torch.nn.functional as F

from ganforge.batches import Facts, Images
from ganforge.game import Clock
from ganforge.models.autoencoder import Autoencoder, Config
from ganforge.models.f_anogan import Encoder


def test_its_networks_are_those_of_f_anogan_and_its_loss_is_its_score():
    own = Autoencoder(Config(latent=6, width=4), Facts(3, 16, 16)).eval()
    theirs = Encoder(4, 3, 6, (4, 4), 2)
    assert sum(p.numel() for p in own.encoder.parameters()) == sum(p.numel() for p in theirs.parameters())
    images = torch.rand(5, 3, 16, 16) * 2 - 1
    (move,) = own.play(iter([Images(images)]), Clock())
    torch.testing.assert_close(move.terms["image"], F.mse_loss(own.translate(images), images))
    torch.testing.assert_close(own.score(images).mean(), move.terms["image"])
    assert own.heat(images).shape == (5, 1, 16, 16)
    (player,) = own.players().values()
    assert sum(p.numel() for group in player.param_groups for p in group["params"]) == sum(
        p.numel() for p in own.parameters()
    )
