"""What makes it R3GAN: fakes are compared with real images, and D's slope is penalised at both in every step."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import ganforge
from ganforge.batches import Facts, PerhapsLabelled
from ganforge.draw import RowDraw
from ganforge.engine import Engine
from ganforge.engine.augmentation import make_pipe
from ganforge.errors import ContractError, ModelError
from ganforge.evaluation.image_sets import sample_images
from ganforge.game import Clock
from ganforge.models.r3gan import R3GAN, Config, plan_stages, presets
from ganforge.models.r3gan.networks import double, halve
from tests.support.toys import make_loader

FACTS = Facts(3, 16, 16)
CONFIG = presets["tiny"].config


class Slope(nn.Module):
    """f(x) = slope * sum(x): its gradient is `slope` at every pixel."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.slope * images.flatten(1).sum(1)


def game(**changes: object) -> R3GAN:
    torch.manual_seed(0)
    built = R3GAN(replace(CONFIG, **changes), FACTS)
    built.draw = RowDraw(0)
    return built


def test_the_loss_knows_differences_of_scores_alone():
    own = game()
    batch = PerhapsLabelled.example(4, FACTS)
    terms = [move.terms for move in own.play(iter([batch, batch]), Clock())]
    own.draw = RowDraw(0)
    own.discriminator.register_forward_hook(lambda _net, _in, scores: scores.add(100))
    shifted = [move.terms for move in own.play(iter([batch, batch]), Clock())]
    for a, b in zip(terms, shifted, strict=True):
        for name in ("apart", "fool", "r1", "r2"):
            if name in a:
                torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-4)


def test_both_penalties_are_half_of_gamma_times_the_squared_slope():
    own = game(gamma=3.0)
    own.discriminator = Slope(0.5)  # pyright: ignore[reportAttributeAccessIssue]
    move = next(own.play(iter([PerhapsLabelled.example(4, FACTS)]), Clock()))
    expected = 3.0 / 2 * 0.5**2 * 3 * 16 * 16
    assert float(move.terms["r1"].detach()) == pytest.approx(expected, rel=1e-4)
    assert float(move.terms["r2"].detach()) == pytest.approx(expected, rel=1e-4)


def test_each_player_draws_a_batch_and_one_of_them_is_counted():
    own, drawn = game(decay=64), []
    batches = (drawn.append(k) or PerhapsLabelled.example(8, FACTS, k) for k in range(9))
    assert [move.player for move in own.play(batches, Clock())] == ["discriminator", "generator"]
    assert len(drawn) == 2
    assert own.anneal(1.0, 0.0, Clock(seen=64)) == pytest.approx(0.5)  # half of 64 images
    assert own.anneal(1.0, 0.0, Clock(seen=1_000)) == 0


def test_without_a_number_of_images_the_schedules_end_with_the_run():
    own = game(decay=None)
    assert own.anneal(1.0, 0.0, Clock(seen=1_000, progress=0.5)) == pytest.approx(0.5)
    assert own.anneal(1.0, 0.0, Clock(seen=0, progress=0.999)) == pytest.approx(0, abs=1e-5)


def test_the_run_s_own_schedule_applies_too():
    own = game()
    engine = Engine(own, replace(presets["tiny"].run, schedule="cosine", steps=4), make_loader(facts=FACTS))
    engine.step = 2
    engine.set_learning_rates(Clock(step=2, seen=0, progress=0.5))
    assert engine.players["generator"].param_groups[0]["lr"] == pytest.approx(CONFIG.lr / 2)


def test_stages_of_low_resolution_have_the_full_width():
    widths = [stage.width for stage in plan_stages(Config(), 6)]
    assert widths == [768, 768, 768, 768, 384, 192, 96]
    assert [stage.groups for stage in plan_stages(Config(), 6)] == [96, 96, 96, 96, 48, 24, 12]
    with pytest.raises(ModelError, match="cannot be split into groups"):
        plan_stages(Config(width=6, group=16), 1)


@pytest.mark.parametrize("side", [4, 6])
def test_resampling_keeps_what_is_even_and_the_two_ways_are_adjoint(side: int):
    maps, fine = torch.randn(2, 3, side, side), torch.randn(2, 3, 2 * side, 2 * side)
    inside = double(torch.ones(1, 1, side, side))[..., 1:-1, 1:-1]
    torch.testing.assert_close(inside, torch.ones_like(inside))
    torch.testing.assert_close((double(maps) * fine).sum(), 4 * (maps * halve(fine)).sum(), rtol=1e-4, atol=1e-4)


def test_a_label_is_drawn_where_the_networks_take_one():
    facts = replace(FACTS, labels=("star", "disc"))
    own = R3GAN(replace(CONFIG, conditional=True), facts)
    nn.init.normal_(own.generator.embed.weight)  # pyright: ignore
    own.draw = RowDraw(0)
    noise = own.noise(4)
    first, second = (own.generate(noise, torch.full((4,), k)) for k in (0, 1))
    assert not torch.allclose(first, second)
    assert own.sample(3).shape == (3, 3, 16, 16)
    with pytest.raises(ModelError, match="takes no label"):
        game().generate(noise, torch.zeros(4, dtype=torch.long))
    with pytest.raises(ModelError, match="needs data with classes"):
        R3GAN(replace(CONFIG, conditional=True), FACTS)


def test_without_labels_data_that_has_them_can_be_trained_on_and_judged(tmp_path: Path):
    for name in ("star", "disc"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)):
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    run = ganforge.train("r3gan", tmp_path / "data", "tiny", steps=1, outdir=tmp_path, quiet=True, sample_every=0)
    assert run.facts.labels == ("disc", "star")
    images = sample_images(run, 4, 0, np.array([0, 1]))
    assert images.labels is None
    assert images.rows(0, 4).shape == (4, 3, 16, 16)


def test_colours_are_augmented_at_half_the_probability():
    pipe = make_pipe(game())
    assert (pipe.xflip, pipe.rotate, pipe.hue, pipe.cutout, pipe.imgfilter, pipe.noise) == (1, 1, 0.5, 1, 0, 0)
    own = game()
    own.pipe = ("color=much",)
    with pytest.raises(ContractError, match=r"color=0\.5"):
        make_pipe(own)
