"""What makes it AnoGAN: a descent on z of a GAN that rests, along residuals of the image and of features."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from ganforge.batches import Facts
from ganforge.catalogue import find
from ganforge.errors import ModelError
from ganforge.inference.descent import find_codes
from ganforge.inference.scoring import judge
from ganforge.models.anogan import AnoGAN, Config
from ganforge.models.cgan import CGAN
from ganforge.models.cgan import Config as ConditionalConfig
from ganforge.models.dcgan import DCGAN
from ganforge.models.dcgan import Config as PartConfig
from ganforge.models.gan_cls import GANCLS
from ganforge.models.gan_cls import presets as sentences
from ganforge.models.r3gan import R3GAN
from ganforge.models.r3gan import presets as unconditional
from ganforge.nn.last_layer import features_of
from tests.support.words import WordTable

FACTS = Facts(3, 16, 16)


def game(**changes: float) -> AnoGAN:
    torch.manual_seed(1)
    part = DCGAN(PartConfig(latent=6, width=8), FACTS).eval().requires_grad_(False)
    own = AnoGAN(Config(**changes), FACTS, generator=part).eval()  # pyright: ignore
    own.resting = tuple(part.modules())
    return own


def test_the_mismatch_is_lambda_of_features_and_the_rest_of_pixels():
    own, images, drawn = game(feature_weight=0.25), torch.rand(3, 3, 16, 16), torch.rand(3, 3, 16, 16)
    pixels = (images - drawn).abs().sum((1, 2, 3))
    body = nn.Sequential(*[*own.generator.discriminator.children()][:-2])  # pyright: ignore
    features = (body(images) - body(drawn)).abs().sum((1, 2, 3))
    torch.testing.assert_close(own.mismatch(images, drawn), 0.75 * pixels + 0.25 * features)
    assert features_of(own.generator, images).shape[0] == 3


def test_the_descent_finds_what_the_generator_can_draw_and_not_what_it_cannot():
    own = game(steps=120, lr=0.05)
    own.draw = type(own.draw)(7)
    possible = own.generate(own.noise(4)).detach()
    flawed = possible.clone()
    flawed[:, :, 4:10, 4:10] = -possible[:, :, 4:10, 4:10].sign()
    start = own.score(possible, find_codes(game(steps=0, lr=0.05), possible))
    found, spoilt = (judge(own, x, torch.device("cpu")) for x in (possible, flawed))
    assert (found.scores < 0.5 * start).all()
    assert (spoilt.scores > 2 * found.scores).all()
    inside = spoilt.heat[:, :, 4:10, 4:10].mean()
    assert inside > 3 * spoilt.heat.mean()


def test_an_images_score_does_not_depend_on_its_batch():
    own, images = game(steps=8), torch.rand(16, 3, 16, 16) * 2 - 1
    together, alone = (judge(own, images, torch.device("cpu"), batch=batch) for batch in (16, 1))
    torch.testing.assert_close(together.scores, alone.scores, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(together.heat, alone.heat, rtol=1e-3, atol=1e-3)
    other = judge(own, images.flip(0), torch.device("cpu")).scores.flip(0)
    torch.testing.assert_close(other, together.scores, rtol=1e-4, atol=1e-3)


def test_the_part_is_left_as_it_was():
    own = game(steps=5)
    before = {key: value.clone() for key, value in own.state_dict().items()}
    judge(own, torch.rand(2, 3, 16, 16), torch.device("cpu"))
    torch.testing.assert_close(own.state_dict(), before, rtol=0, atol=0)
    assert all(p.grad is None for p in own.parameters())
    assert own.players() == {}
    assert not [*own.play(iter(()), None)]  # pyright: ignore
    with pytest.raises(ModelError, match=r"--config\.generator"):
        AnoGAN(Config(), FACTS)


def test_a_part_that_needs_more_than_noise_is_refused():
    labelled = replace(FACTS, labels=("sound", "flawed"))
    conditional = CGAN(ConditionalConfig(latent=6, width=8), labelled)
    with pytest.raises(ModelError, match="must draw from noise alone"):
        AnoGAN(Config(), labelled, generator=conditional)
    captioned = replace(FACTS, vocabulary=32, caption_length=5)
    with pytest.raises(ModelError, match="must draw from noise alone"):
        AnoGAN(Config(), captioned, generator=GANCLS(sentences["tiny"].config, captioned, WordTable()))
    AnoGAN(Config(), labelled, generator=DCGAN(PartConfig(latent=6, width=8), labelled))
    AnoGAN(Config(), labelled, generator=R3GAN(unconditional["tiny"].config, labelled))


def test_the_paper_settings():
    paper = find("anogan").preset("paper").config
    assert (paper.steps, paper.feature_weight) == (500, 0.1)
