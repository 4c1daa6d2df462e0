"""Differentiable augmentation: the official numbers, gradients, and a run that plays with it."""

import json
import math
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ganforge.batches import Images
from ganforge.catalogue import find
from ganforge.draw import RowDraw
from ganforge.engine import Callback, Engine
from ganforge.engine.augmentation import Augmentation, make_pipe, show_augmentation
from ganforge.errors import ContractError, OptionError
from ganforge.game import Clock, Move
from ganforge.inference.inference_mode import inference_mode
from ganforge.nn.ada import BGC, BLIT, COLOR, GEOM, SYM6, Pipe, ada, bands
from ganforge.nn.diffaug import colour, cutout, diffaug, translation
from ganforge.runs.checkpoint import Checkpoints
from tests.support.goldens import SHARED
from tests.support.toys import FACTS, Config, Toy, make_loader, run, weights

GOLDEN = SHARED / "golden" / "generation" / "stylegan2_nv"


def pictures(n=4, channels=3, height=16, width=16, dtype=torch.float32) -> Tensor:
    source = torch.Generator().manual_seed(0)
    return (torch.rand(n, channels, height, width, generator=source, dtype=torch.float64) * 2 - 1).to(dtype)


# The official numbers ---------------------------------------------------------------------------


class Quantile:
    """Every value at one quantile, given to every image; the value number `still` leaves the image as it is.

    Values and the lots that choose images come in turns.
    """

    def __init__(self, q: float, still: int, lot: bool) -> None:
        self.q, self.still, self.lot, self.values = q, still, lot, 0

    def value(self, quantile: float, *shape: int) -> Tensor:
        self.lot, self.values = True, self.values + 1
        return torch.full(shape, quantile)

    def normal(self, *shape: int) -> Tensor:
        return self.value(float(torch.erfinv(torch.tensor(2 * self.q - 1))), *shape)

    def uniform(self, *shape: int) -> Tensor:
        if self.lot:
            self.lot = False
            return torch.zeros(shape)
        return self.value(0.5 if self.values == self.still else self.q, *shape)


class Tagged:
    """The pinned randomness of the golden: the i-th draw follows from its number."""

    def __init__(self) -> None:
        self.calls = 0

    def normal(self, *shape: int, tag: str = "g") -> Tensor:
        self.calls += 1
        state = np.random.RandomState(zlib.crc32(f"{tag}{self.calls}".encode()))
        return torch.from_numpy(state.standard_normal(shape).astype(np.float32))

    def uniform(self, *shape: int) -> Tensor:
        return (torch.erf(self.normal(*shape, tag="u") / math.sqrt(2)) + 1) / 2


@pytest.fixture(scope="module")
def golden() -> tuple[dict, dict[str, Tensor]]:
    if not GOLDEN.exists():
        pytest.skip(f"no golden data in {GOLDEN}")
    return json.loads((GOLDEN / "ada_augment.json").read_text()), load_file(GOLDEN / "ada_augment.io.safetensors")


SECOND_TURN = {"geom": 3, "bgc": 6}  # the official code leaves it out where it looks at quantiles


@pytest.mark.parametrize(
    ("pipe", "q"),
    [
        *((pipe, q) for pipe in ("blit", "geom", "color", "filter", "cutout", "bgc") for q in (0.2, 0.5, 0.8)),
        ("color_gray", 0.8),
    ],
)
def test_each_quantile_of_the_pipeline_is_the_official_one(golden, pipe, q):
    told, tensors = golden
    images = tensors["in.img"][:, :1] if pipe == "color_gray" else tensors["in.img"]
    chance = Quantile(q, SECOND_TURN.get(pipe, -1), lot=pipe == "cutout")
    ours = ada(images, 1.0, chance, Pipe(**told["pipes"][pipe.removesuffix("_gray")]))
    torch.testing.assert_close(ours, tensors[f"out.{pipe}_q{q}"], rtol=0, atol=1e-5)


def test_everything_at_once_with_pinned_draws_is_the_official_result(golden):
    _, tensors = golden
    chance = Tagged()
    ours = ada(tensors["in.img"], 0.8, chance, Pipe(*[1] * 15))
    assert chance.calls == int(tensors["out.n_draws"])
    torch.testing.assert_close(ours, tensors["out.all_random_p0.8"], rtol=0, atol=1e-5)


def test_the_filters_are_the_official_ones(golden):
    _, tensors = golden
    torch.testing.assert_close(SYM6, tensors["out.Hz_geom"], rtol=0, atol=1e-7)
    torch.testing.assert_close(bands(), tensors["out.Hz_fbank"], rtol=0, atol=1e-6)


def test_p_moves_as_fast_as_the_official_one(golden):
    engine = Engine(toy(Sure), run(augment="ada", batch=64, steps=4, log_every=4), make_loader(run(batch=64)))
    engine.train()
    official = load_file(GOLDEN / "schedules.io.safetensors")["out.ada_adjust"]
    assert engine.augmentation.p == pytest.approx(float(official))


# What the transformations do --------------------------------------------------------------------


def test_without_probability_nothing_happens_to_the_bit():
    images = pictures()
    chance = Tagged()
    assert torch.equal(ada(images, 0.0, chance), images)
    assert chance.calls == 0


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(16, 16), (9, 20), (2, 3), (1, 1)])
def test_any_size_and_any_number_of_channels(channels, size):
    images = pictures(2, channels, *size)
    for out in (diffaug(images, RowDraw(1)), ada(images, 0.9, RowDraw(1), Pipe(*[1] * 15))):
        assert out.shape == images.shape
        assert out.isfinite().all()


def test_grey_images_are_augmented_like_colour_images_without_hue():
    grey = pictures(4, 1)
    pipe = Pipe(brightness=1, contrast=1, lumaflip=1, hue=1, saturation=1)
    as_grey, as_colour = ada(grey, 0.7, RowDraw(3), pipe), ada(grey.expand(-1, 3, -1, -1), 0.7, RowDraw(3), pipe)
    torch.testing.assert_close(as_grey.expand(-1, 3, -1, -1), as_colour, rtol=0, atol=1e-5)


def test_opacity_keeps_its_values():
    images = pictures(4, 4)
    out = ada(images, 1.0, RowDraw(0), Pipe(brightness=1, hue=1, saturation=1))
    assert torch.equal(out[:, 3], images[:, 3])
    assert not torch.allclose(out[:, :3], images[:, :3])


@pytest.mark.parametrize("name", ["brightness", "contrast", "hue", "saturation", "imgfilter", "noise", "cutout", *GEOM])
def test_a_transformation_is_applied_with_its_probability(name):
    images = pictures(1, 3, 8, 8).expand(1000, -1, -1, -1)
    # What a movement's resampling alone does to all of them is no movement.
    untouched = ada(images[:1], 1e-9, RowDraw(0), Pipe(**{name: 1}))
    changed = ((ada(images, 0.3, OneBatch(), Pipe(**{name: 1})) - untouched).abs() > 1e-4).flatten(1).any(1)
    share = 1 - 0.7**4 if name == "imgfilter" else 0.3  # its four bands are chosen one by one
    assert changed.float().mean().item() == pytest.approx(share, abs=4 * math.sqrt(0.3 * 0.7 / 1000))


class OneBatch:
    """Draws for many images at once, quicker than row by row."""

    def __init__(self) -> None:
        self.source = torch.Generator().manual_seed(1)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.source)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.source)


def test_a_movement_by_whole_pixels_moves_whole_pixels():
    images = pictures(1, 3, 16, 16)
    out = ada(images, 1.0, Quantile(0.999999, -1, lot=False), Pipe(xint=1))
    # Seen at double resolution through a low-pass filter and back, white noise loses its finest detail only.
    inside, expected = out[..., 4:-2, 4:-2], images[..., 2:-4, 2:-4]
    assert torch.corrcoef(torch.stack([inside.flatten(), expected.flatten()]))[0, 1] > 0.9


def test_diffaug_stays_within_what_the_paper_says():
    images = torch.ones(500, 1, 16, 8)
    holes = cutout(images, OneBatch()) == 0
    assert holes.any(3).sum(2).amax() == 8
    assert holes.any(2).sum(2).amax() == 4
    assert 0.1 < holes.float().mean() < 0.25
    rows = (translation(images, OneBatch()).sum(3) == 0).sum(2)
    assert rows.max() == 2
    grey = colour(torch.zeros(500, 3, 2, 2), OneBatch())
    assert grey.abs().max() <= 0.5
    assert grey.abs().max() > 0.4


@pytest.mark.parametrize(
    "change",
    [
        lambda x: colour(x, RowDraw(5)),
        lambda x: translation(x, RowDraw(5), 0.3),
        lambda x: cutout(x, RowDraw(5)),
        lambda x: ada(x, 0.9, RowDraw(5), BGC),
        lambda x: ada(x, 0.9, RowDraw(5), Pipe(imgfilter=1, noise=1, cutout=1)),
    ],
    ids=["colour", "translation", "cutout", "bgc", "corruptions"],
)
def test_gradients_pass_once_and_twice(change):
    images = pictures(2, 3, 3, 2, torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(change, images)
    assert torch.autograd.gradgradcheck(lambda x: change(x).square(), images)


def test_examples_have_the_images_and_a_row_for_every_probability():
    images = pictures(3)
    for kind in ("ada", "diffaug"):
        shown = show_augmentation(images, kind, (0.0, 0.9), seed=4)
        assert shown.shape == (9, 3, 16, 16)
        assert torch.equal(shown[:3], images)
        assert not torch.allclose(shown[6:], images)
        assert torch.equal(show_augmentation(images, kind, (0.0, 0.9), seed=4), shown)
        assert torch.equal(shown[3:6], images) == (kind == "ada")


# In a run ---------------------------------------------------------------------------------------


class Judged(Toy):
    """A toy whose critic gives a logit for every pixel."""

    augmented = ("critic",)

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
        fake = self.generate(self.noise(len(real)))
        on_real, on_fake = self.critic(real), self.critic(fake.detach())
        gap = nn.functional.softplus(-on_real).mean() + nn.functional.softplus(on_fake).mean()
        yield Move("critic", gap=gap, says_real=on_real.detach().mean())
        yield Move("generator", fool=nn.functional.softplus(-self.critic(fake)).mean())


class Sure(Judged):
    """A toy whose critic outputs positive logits from the start."""

    bias = 10.0

    def __init__(self, config, facts):
        super().__init__(config, facts)
        nn.init.constant_(self.critic.bias, self.bias)


class Unsure(Sure):
    bias = -10.0


for toy_game in (Judged, Sure, Unsure):
    toy_game.Config, toy_game.batch_type = Config, Images


def toy(cls=Judged):
    torch.manual_seed(0)
    return cls(Config(), FACTS)


def played(cls=Judged, callbacks=(), **changes) -> Engine:
    r = run(**changes)
    engine = Engine(toy(cls), r, make_loader(r), callbacks=callbacks)
    engine.augmentation.p = 0.5
    engine.train()
    return engine


def test_p_rises_when_the_outputs_on_real_images_are_positive_and_falls_otherwise():
    step = 8 * 4 / 500_000
    assert played(Sure, augment="ada", steps=8).augmentation.p == pytest.approx(0.5 + 2 * step)
    assert played(Unsure, augment="ada", steps=8).augmentation.p == pytest.approx(0.5 - 2 * step)
    engine = Engine(toy(Unsure), run(augment="ada", steps=8), make_loader())
    engine.train()
    assert engine.augmentation.p == 0


@pytest.mark.parametrize("kind", ["diffaug", "ada"])
def test_micro_batches_are_augmented_as_the_whole_batch(kind):
    whole, pieces = played(augment=kind), played(augment=kind, accumulate=4)
    torch.testing.assert_close(weights(pieces.game), weights(whole.game), rtol=1e-4, atol=1e-6)
    assert pieces.augmentation.p == whole.augmentation.p
    assert not torch.allclose(weights(whole.game), weights(played(augment="none").game), rtol=1e-3)


@pytest.mark.parametrize("half", [4, 6])  # after an adjustment of p, and between two
def test_stopping_and_resuming_equals_not_stopping(half, tmp_path):
    model = find("dcgan")
    preset = model.presets["tiny"]
    facts = FACTS.__class__(3, 16, 16)

    def engine(steps, checkpoints=None):
        torch.manual_seed(0)
        r = run(augment="ada", steps=steps, size=(16,))
        made = Engine(model.game(preset.config, facts), r, make_loader(r, facts), checkpoints)
        made.augmentation.p = 0.4
        return made

    whole = engine(9)
    whole.train()
    engine(half, Checkpoints(tmp_path)).train()
    second = engine(9)
    second.augmentation.p = 0.0
    second.restore(Checkpoints(tmp_path).load()[1])
    second.train()
    assert torch.equal(weights(whole.game), weights(second.game))
    assert second.augmentation.p == whole.augmentation.p
    assert torch.equal(second.augmentation.sign_sums, whole.augmentation.sign_sums)


def test_capabilities_do_not_augment_images():
    engine = played(augment="ada")
    images = pictures(2, 3, 8, 8)
    with inference_mode(engine.averaged) as game:
        torch.testing.assert_close(game.critic(images), nn.functional.conv2d(images, *game.critic.parameters()))
    assert not engine.game.critic._forward_pre_hooks
    assert not engine.game.critic._forward_hooks


def test_the_games_own_draws_are_those_of_a_run_without():
    drawn = []

    class Telling(Judged):
        def noise(self, n):
            drawn.append(super().noise(n))
            return drawn[-1]

    Telling.Config, Telling.batch_type = Config, Images
    for kind in ("none", "ada"):
        played(Telling, augment=kind, steps=2)
    first, second, third, fourth = drawn
    assert torch.equal(first, third)
    assert torch.equal(second, fourth)


def test_the_log_shows_p():
    rows = []

    class Reader:
        def __getattr__(self, _):
            return lambda *said: rows.extend(said[1:])

    played(Sure, [Reader()], augment="ada", steps=4)
    assert rows[-1]["augment/p"] == pytest.approx(0.5 + 8 * 4 / 500_000)


def judge_of(*inputs, kind="ada"):
    """The inputs of a critic in a step, after augmentation."""

    class Judge(nn.Module):
        def forward(self, *seen):
            return seen

    class Pair(Judged):
        def __init__(self, config, facts):
            super().__init__(config, facts)
            self.critic.add_module("judge", Judge())

        augmented = ("critic.judge",)

    Pair.Config, Pair.batch_type = Config, Images
    engine = Engine(toy(Pair), run(augment=kind), make_loader())
    engine.augmentation.p = 0.9
    with engine.augmentation:
        return engine.game.critic.judge(*inputs)


def test_the_images_of_one_call_are_augmented_alike_and_labels_stay():
    source, label = pictures(4), torch.arange(4)
    for kind in ("ada", "diffaug"):
        one, other, same = judge_of(source, source.clone(), label, kind=kind)
        assert torch.equal(one, other)
        assert not torch.allclose(one, source)
        assert same is label


@pytest.mark.parametrize(
    "inputs",
    [(), (torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8, dtype=torch.long)), ([torch.zeros(2, 3, 8, 8)],)],
    ids=["nothing", "label map", "list"],
)
def test_what_cannot_be_moved_along_is_refused(inputs):
    with pytest.raises(OptionError, match=r"--augment diffaug augments images .* leave --augment out"):
        judge_of(*inputs, kind="diffaug")


def test_games_that_cannot_be_augmented_name_what_works():
    class Scores(Judged):
        discriminator_output = "scores"

    class Vague(Judged):
        def play(self, batches, now):
            for move in super().play(batches, now):
                if "says_real" in move.terms:
                    move.terms["says_real"] = move.terms["says_real"] + 1
                yield move

    Scores.Config, Scores.batch_type = Vague.Config, Vague.batch_type = Config, Images
    with pytest.raises(OptionError, match="--augment diffaug works"):
        Engine(toy(Scores), run(augment="ada"), make_loader())
    Engine(toy(Scores), run(augment="diffaug"), make_loader()).train()
    with pytest.raises(OptionError, match="mean of one output of a discriminator, and Vague's is not"):
        played(Vague, augment="ada")
    with pytest.raises(OptionError, match="Toy has no discriminator of images"):
        Engine(toy(Toy), run(augment="ada"), make_loader())


# p and the transformations as the run or the game says ------------------------------------------


def judged(**attributes) -> type[Toy]:
    """A toy whose critic is augmented, with more attributes."""

    class Judged(Toy):
        augmented = ("critic",)
        locals().update(attributes)

    Judged.Config, Judged.batch_type = Config, Images
    return Judged


def probabilities(game: type[Toy], **changes) -> list[float]:
    """The p of every step, as it is logged."""
    rows = []

    class Reading(Callback):
        def log(self, engine, row):
            rows.append(row["augment/p"])

    torch.manual_seed(0)
    r = run(augment="ada", log_every=1, steps=4, **changes)
    Engine(game(Config(), FACTS), r, make_loader(r), callbacks=[Reading()]).train()
    return rows


def test_p_may_be_a_number_also_for_scores():
    assert probabilities(judged(discriminator_output="scores"), augment_p=0.25) == [0.25] * 4
    with pytest.raises(OptionError, match=r"gives scores without a zero.*--augment-p 0\.2"):
        probabilities(judged(discriminator_output="scores"))


def test_p_may_be_the_games_own():
    game = judged(augment_p=lambda self, now: now.step / 10)
    assert probabilities(game, augment_p="game") == pytest.approx([0.0, 0.1, 0.2, 0.3])
    with pytest.raises(OptionError, match=r"--augment-p game: Judged has no method augment_p"):
        probabilities(judged(), augment_p="game")


@pytest.mark.parametrize("wrong", [1.5, -0.1, math.nan, None])
def test_a_p_of_the_games_that_is_none_is_refused(wrong):
    with pytest.raises(ContractError, match=r"Judged\.augment_p gave .* at step 0: it is a number from 0 to 1"):
        probabilities(judged(augment_p=lambda self, now: wrong), augment_p="game")


def test_a_game_names_its_transformations():
    make = make_pipe
    assert make(judged()(Config(), FACTS)) == BGC
    assert make(judged(pipe=("xflip", "color"))(Config(), FACTS)) == Pipe(xflip=1, **COLOR)
    assert make(judged(pipe="bgcfnc")(Config(), FACTS)) == Pipe(
        **dict.fromkeys(("imgfilter", "noise", "cutout"), 1), **BLIT, **GEOM,
        **COLOR,
    )  # fmt: skip
    with pytest.raises(ContractError, match=r"Judged\.pipe names 'mirror', which is none of xflip, "):
        make(judged(pipe=("mirror",))(Config(), FACTS))


def test_an_image_is_only_transformed_as_the_game_names_it():
    game = judged(pipe=("xflip",))(Config(), FACTS)
    acting = Augmentation(game, run(augment="ada", augment_p=1.0), "cpu")
    ramp = torch.linspace(-1, 1, 8).expand(16, 3, 8, 8)
    changes = (acting.augment(ramp, RowDraw(0)) - ramp).abs().mean((1, 2, 3))
    mirrored = float((ramp.flip(-1) - ramp).abs().mean())
    near = {k: ((changes - k).abs() < 0.1) for k in (0.0, mirrored)}  # resampling rounds the ends of the ramp
    assert all(bool(found.any()) for found in near.values())
    assert bool((near[0.0] | near[mirrored]).all())
