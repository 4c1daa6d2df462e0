"""What makes it f-AnoGAN: an encoder into a GAN that rests; what the generator cannot draw is strange."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import ganforge
from ganforge.batches import Facts, Images
from ganforge.catalogue import find
from ganforge.draw import RowDraw
from ganforge.engine import Engine
from ganforge.errors import ModelError
from ganforge.game import Clock, own_state
from ganforge.images import write
from ganforge.models.f_anogan import Config, FAnoGAN
from ganforge.models.wgan_gp import WGANGP
from ganforge.models.wgan_gp import Config as PartConfig
from ganforge.run import Run
from tests.support.toys import make_loader

FACTS = Facts(3, 16, 16)


def part(networks: str = "residual") -> WGANGP:
    torch.manual_seed(1)
    return WGANGP(PartConfig(latent=6, width=4, networks=networks), FACTS).eval().requires_grad_(False)  # pyright: ignore


def game(**changes: object) -> FAnoGAN:
    gan = part()
    torch.manual_seed(0)
    own = FAnoGAN(Config(width=4, **changes), FACTS, generator=gan)  # pyright: ignore
    own.resting = tuple(gan.modules())
    return own


def engine_of(own: FAnoGAN, steps: int = 3) -> Engine:
    run = Run(steps=steps, batch=8, size=(16,), log_every=1, sample_every=0, save_every=0)
    return Engine(own, run, make_loader(run, FACTS, Images))


@pytest.mark.parametrize("training", ["izi_f", "izi", "ziz"])
def test_only_the_encoder_is_trained_and_the_gan_rests(training):
    own = game(training=training)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    engine_of(own).train()
    moved = {name for name, value in own.state_dict().items() if not torch.equal(before[name], value)}
    assert any(name.startswith("encoder.") for name in moved)
    assert not any(name.startswith("generator.") for name in moved)
    assert all(key.startswith("encoder.") for key in own_state(own))
    own.train()
    assert not own.generator.training
    assert own.encoder.training


def moves_of(own: FAnoGAN, images: Tensor) -> dict[str, Tensor]:
    own.draw = RowDraw(0)
    (move,) = own.play(iter([Images(images)]), Clock())
    assert move.player == "encoder"
    return dict(move.terms)


def test_the_three_trainings_are_their_equations():
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    own = game(training="izi_f", feature_weight=0.5).eval()
    drawn = own.generator.generate(own.encoder(images))  # pyright: ignore
    features = [own.generator.critic[0](x) for x in (images, drawn)]  # pyright: ignore
    expected = {"image": F.mse_loss(drawn, images), "features": 0.5 * F.mse_loss(*features)}
    found = moves_of(own, images)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(own.score(images).mean(), sum(found.values()))
    assert moves_of(game(training="izi").eval(), images).keys() == {"image"}
    ziz = game(training="ziz").eval()
    code = RowDraw(0).normal(4, 6)
    again = ziz.encoder(ziz.generate(code))
    torch.testing.assert_close(moves_of(ziz, images), {"code": F.mse_loss(again, code)})


def test_codes_are_bounded():
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    own = game().eval()
    with torch.no_grad():
        own.encoder.head.weight.mul_(50)
    assert own.encoder(images).abs().max() <= 1
    for bound, reach, most in (("tanh", 3.0, 3.0), ("clip", 0.5, 0.5)):
        own.encoder.bound, own.encoder.reach = bound, reach  # pyright: ignore
        assert 0.8 * most < own.encoder(images).abs().max() <= most
    own.encoder.bound = "none"
    assert own.encoder(images).abs().max() > 3


def test_a_score_and_a_map_are_of_one_image_and_show_where_it_was_changed():
    own = game().eval()
    images = torch.rand(6, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(own.score(images)[:2], own.score(images[:2]))
    drawn = own.translate(images)
    assert own.heat(drawn).shape == (6, 1, 16, 16)
    torch.testing.assert_close(own.heat(images), (images - drawn).abs().mean(1, keepdim=True))


def test_any_networks_of_wgan_gp_can_be_the_part():
    own = FAnoGAN(Config(width=4), FACTS, generator=part("strided"))
    assert own.score(torch.zeros(2, 3, 16, 16)).shape == (2,)
    with pytest.raises(ModelError, match=r"--config\.generator"):
        FAnoGAN(Config(), FACTS)


def test_stopping_and_resuming_both_stages_changes_no_bit(tmp_path: Path):
    options = {"preset": "tiny", "data": "shapes-defects", "quiet": True, "sample_every": 0, "save_every": 2}
    first = ganforge.train("wgan_gp", outdir=tmp_path / "a", networks="residual", **options)
    config = {"generator": str(first.path)}
    whole = ganforge.train("f_anogan", outdir=tmp_path / "b", config=config, **options)
    half = ganforge.train("f_anogan", outdir=tmp_path / "c", config=config, **{**options, "steps": 4})
    second = ganforge.resume(half.path, steps=6, quiet=True)
    assert second.step == whole.step == 6
    torch.testing.assert_close(own_state(second.game), own_state(whole.game), rtol=0, atol=0)
    images = torch.rand(3, 3, 16, 16) * 2 - 1
    loaded = ganforge.load(whole.path, device="cpu")
    torch.testing.assert_close(loaded.score(images), loaded.score(images, batch=1), rtol=1e-5, atol=1e-6)
    assert loaded.heat(images).shape == (3, 1, 16, 16)


@pytest.mark.parametrize(
    ("ending", "kind", "low", "high"), [("png", np.uint16, 0, 65_535), ("tif", np.float32, -9, 41)]
)
def test_deep_grey_images_are_trained_on_and_scored_in_the_runs_range(
    tmp_path: Path, ending: str, kind: type, low: float, high: float
):
    """Of floats the range is that of the training images, of 16 bits that of the format."""
    drawn = np.random.default_rng(0).uniform(low, high, (8, 16, 16, 1)).astype(kind)
    drawn[0, 0, 0], drawn[0, 0, 1] = low, high
    (tmp_path / "good").mkdir()
    for k, image in enumerate(drawn):
        write(tmp_path / "good" / f"{k}.{ending}", image)
    options = {"preset": "tiny", "outdir": tmp_path, "quiet": True, "sample_every": 0}
    gan = ganforge.train("wgan_gp", tmp_path / "good", **options)
    run = ganforge.train("f_anogan", tmp_path / "good", config={"generator": str(gan.path)}, **options)
    assert run.facts.channels == 1
    report = ganforge.score(run, tmp_path / "good", tmp_path / "out", smooth=0)
    images = torch.from_numpy((drawn.astype(np.float64) - low) / (high - low) * 2 - 1).float().permute(0, 3, 1, 2)
    expected = ganforge.load(run.path, device="cpu").score(images)
    found = {one.name: one.score for one in report.scored}
    assert [found[f"{k}.{ending}"] for k in range(8)] == pytest.approx(expected.tolist(), rel=1e-4)


def test_the_paper_settings():
    paper = find("f_anogan").preset("paper")
    assert (paper.run.steps, paper.run.batch, paper.run.size, paper.run.channels) == (50_000, 64, (64,), 1)
    optimiser = game().players()["encoder"]
    assert type(optimiser).__name__ == "RMSprop"
    assert paper.config.lr == optimiser.defaults["lr"] == 5e-5
    assert (paper.config.training, paper.config.feature_weight, paper.config.bound) == ("izi_f", 1.0, "tanh")
