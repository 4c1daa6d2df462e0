"""Weights and images that are not finite, or out of range, are refused in a sentence, not sampled in silence."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import ganforge
from ganforge import cli
from ganforge.catalogue import find
from ganforge.draw import FrameDraw, RowDraw
from ganforge.engine import Engine
from ganforge.errors import CheckpointError, ContractError, OptionError
from ganforge.inference.trained import Trained
from ganforge.runs.checkpoint import Checkpoints
from ganforge.runs.folder import RunConfig, RunFolder, versions
from ganforge.serialize import to_plain
from tests.support.sealed import write_sums
from tests.support.toys import FACTS, Config, Toy, Translating, make_loader, run


@pytest.fixture
def sick(tmp_path: Path) -> Path:
    """A run of dcgan with checkpoints 2, 4 and 6, the last two with NaN in a weight of the generator."""
    model = find("dcgan")
    preset = model.preset("tiny")
    facts = FACTS.__class__(3, 16, 16)
    r = run(size=(16,), steps=6, save_every=2, ema=100.0)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    settings = {"config": to_plain(preset.config), "run": to_plain(r), "facts": to_plain(facts)}
    data = {"asked": "", "images": 0, "fingerprint": ""}
    folder.rewrite(RunConfig("dcgan", "tiny", **settings, data=data, versions=versions()))
    game = model.game(preset.config, facts)
    Engine(game, r, make_loader(r, facts), Checkpoints(folder.path / "checkpoints")).train()
    for step in (4, 6):
        where = folder.path / "checkpoints" / f"step-{step:09d}"
        for name in ("game", "averaged"):
            tensors = load_file(where / f"{name}.safetensors")
            next(value for key, value in tensors.items() if key.startswith("generator.") and value.ndim == 4)[0] = (
                torch.nan
            )
            save_file(tensors, where / f"{name}.safetensors")
        write_sums(where)
    return folder.path


def test_weights_with_nan_are_refused_and_the_last_good_checkpoint_is_named(sick, capsys):
    sentence = rf"weights of {sick}@6 are not finite \(generator\..*: use an earlier checkpoint, {sick}@2\."
    for ask in (ganforge.load, ganforge.sample, lambda path: ganforge.load(f"{path}@latest")):
        with pytest.raises(CheckpointError, match=sentence):
            ask(sick)
    assert ganforge.load(f"{sick}@2", device="cpu").sample(2).isfinite().all()
    assert cli.run(["sample", str(sick), "-n", "2"]) == 1
    assert f"use an earlier checkpoint, {sick}@2" in capsys.readouterr().err


def translator() -> Trained:
    torch.manual_seed(0)
    return Trained(Translating(Config(), FACTS), Path(), "toy", 1)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (torch.full((1, 3, 8, 8), 255.0), r"values from 255 to 255; floats are in \[-1, 1\]"),
        (torch.full((1, 3, 8, 8), -1.5), r"values from -1.5 to -1.5"),
        (torch.full((1, 3, 8, 8), torch.nan), r"values that are not finite"),
        (torch.full((1, 3, 8, 8), torch.inf), r"values that are not finite"),
    ],
)
def test_images_out_of_range_are_refused(images, sentence):
    with pytest.raises(OptionError, match=sentence):
        translator().translate(images)


def test_one_bad_image_among_good_ones_is_refused_and_rounding_is_not():
    images = torch.zeros(20, 3, 8, 8)
    images[19, 2, 7, 7] = torch.nan
    with pytest.raises(OptionError, match="not finite"):
        translator().translate(images, batch=4)
    assert translator().translate(torch.full((1, 3, 8, 8), 1.0000005)).shape == (1, 3, 8, 8)


# A translator of a fixed size --------------------------------------------------------------------


class Fixed(Translating):
    """Its last layer is linear, so its results have one size."""

    fixed_size = True

    def __init__(self, config, facts):
        super().__init__(config, facts)
        self.head = nn.Linear(3 * facts.height * facts.width, 3 * facts.height * facts.width)

    def translate(self, images):
        return self.head(images.flatten(1)).unflatten(1, (3, self.facts.height, self.facts.width)).tanh()


class Crooked(Translating):
    """Its results have one size, and it does not say so."""

    results = (9, 8)

    def translate(self, images):
        return torch.zeros(len(images), 3, *self.results)


def test_a_fixed_size_is_resized_to_and_not_padded():
    torch.manual_seed(0)
    trained = Trained(Fixed(Config(), FACTS), Path(), "fixed", 1)
    shades = torch.tensor([-0.5, 0.0, 0.5]).view(3, 1, 1, 1)
    small = shades.expand(3, 3, 8, 8).contiguous()
    for sides in ((8, 8), (13, 21), (4, 32)):
        results = trained.translate(shades.expand(3, 3, *sides).contiguous())
        torch.testing.assert_close(results, trained.translate(small), rtol=0, atol=1e-5)
    with pytest.raises(OptionError, match="fixed works at a fixed size and cannot be tiled"):
        trained.translate(small, tile=8)


@pytest.mark.parametrize(("sides", "to"), [((8, 8), (9, 8)), ((8, 8), (8, 16)), ((8, 8), (4, 4)), ((12, 12), (64, 64))])
def test_a_result_that_is_no_multiple_of_its_input_breaks_the_contract(sides, to):
    game = Crooked(Config(), FACTS)
    game.results = to
    trained = Trained(game, Path(), "crooked", 1)
    with pytest.raises(ContractError, match=rf"translate made {to[0]}x{to[1]} of .* no multiple: .*fixed_size = True"):
        trained.translate(torch.zeros(1, 3, *sides))
    with pytest.raises(ContractError, match="no multiple"):
        trained.translate(torch.zeros(1, 3, 2 * sides[0], 3 * sides[1]), tile=sides[0])


# Walks -------------------------------------------------------------------------------------------


class Noisy(Toy):
    """Noise in the layers, as in StyleGAN2."""

    def generate(self, noise):
        images = super().generate(noise)
        return (images + self.draw.normal(len(images), 1, *images.shape[2:])).tanh()


def test_a_walk_has_one_draw_for_all_its_frames():
    torch.manual_seed(0)
    trained = Trained(Noisy(Config(), FACTS), Path(), "noisy", 1)
    walk = trained.interpolate(2, 50, seed=3)  # more frames than one batch of the network
    plain = Trained(Toy(Config(), FACTS), Path(), "toy", 1)
    plain.game.load_state_dict(trained.game.state_dict())
    smooth = plain.interpolate(2, 50, seed=3)
    noise = (walk.atanh() - smooth).flatten(0, 1)
    torch.testing.assert_close(noise, noise[:1].expand_as(noise), rtol=0, atol=1e-3)
    assert noise[0].std() > 0.5
    assert torch.equal(walk, trained.interpolate(2, 50, seed=3))
    assert not torch.equal(walk, trained.interpolate(2, 50, seed=4))


def test_the_draws_of_frames_are_those_of_image_0():
    frames, rows = FrameDraw(5), RowDraw(5)
    for shape in ((3,), (2, 4)):
        assert torch.equal(frames.normal(4, *shape), rows.normal(1, *shape).expand(4, *shape))
    assert frames.choice(3, 7).tolist() == rows.choice(1, 7).tolist() * 3
