"""What makes it InfoGAN: a bound on what images tell about their codes, from 0 for a guess to H(c) for certainty."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from ganforge import official
from ganforge.batches import Facts
from ganforge.draw import RowDraw
from ganforge.errors import ModelError, OptionError
from ganforge.game import Clock
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.trained import Trained
from ganforge.models.gan import GAN
from ganforge.models.gan import Config as GANConfig
from ganforge.models.infogan import Config, InfoGAN, category_bound, number_bound, presets
from ganforge.official.infogan import authors_losses
from tests.support import goldens
from tests.support.toys import make_loader

FACTS = Facts(1, 16, 16)
CONFIG = presets["tiny"].config  # codes: a category of 3, a category of 2, two numbers


def game(**changes: object) -> InfoGAN:
    torch.manual_seed(0)
    return InfoGAN(Config(**{**vars(CONFIG), **changes}), FACTS)  # pyright: ignore[reportArgumentType]


def test_a_certain_reader_is_worth_the_entropy_and_a_guessing_one_nothing():
    codes = F.one_hot(torch.arange(10).repeat(5), 10).float()
    assert float(category_bound(codes, 100 * codes)) == pytest.approx(math.log(10), abs=1e-5)
    assert float(category_bound(codes, torch.zeros(50, 10))) == pytest.approx(0, abs=1e-6)
    assert float(category_bound(codes, -100 * codes)) < -90  # worse than a guess: sure, and wrong


def test_a_number_is_worth_more_the_narrower_it_is_read():
    codes = torch.linspace(-1, 1, 101)[:, None]
    guess = number_bound(codes, torch.zeros_like(codes), torch.zeros_like(codes))
    at_best = number_bound(codes, torch.zeros_like(codes), torch.full_like(codes, math.log(1 / 3)))
    read = [float(number_bound(codes, codes, torch.full_like(codes, v))) for v in (0.0, -2.0, -4.0)]
    # The uniform distribution's entropy is log 2; a Gaussian about 0 needs log(2 pi e / 3) / 2 to name it at best.
    assert float(at_best) == pytest.approx(math.log(2) - math.log(2 * math.pi * math.e / 3) / 2, abs=0.02)
    assert guess < at_best < 0
    assert read == pytest.approx([math.log(2) - math.log(2 * math.pi) / 2 + v for v in (0, 1, 2)], abs=1e-5)


def test_both_players_are_paid_for_information():
    own = game()
    moves = list(own.play(iter([make_loader(kind=own.batch_type, facts=FACTS).batch(0)]), Clock()))
    assert [m.player for m in moves] == ["discriminator", "generator"]
    for move, network in zip(moves, (own.discriminator.reader, own.generator), strict=True):
        paid = move.terms["categorical"] + move.terms["continuous"]
        slopes = torch.autograd.grad(paid, list(network.parameters()), retain_graph=True, allow_unused=True)
        assert all(slope is not None and slope.abs().max() > 0 for slope in slopes)


@pytest.mark.parametrize("deviation", ["fixed", "learned"])
@pytest.mark.parametrize(("categories", "continuous"), [((3, 2), 2), ((4,), 0), ((), 3)])
def test_noise_holds_the_codes_and_the_reader_answers_in_their_order(deviation, categories, continuous):
    own = game(categories=categories, continuous=continuous, deviation=deviation).eval()
    noise = own.noise(50)
    z, *parts = noise.split((CONFIG.latent, *categories, continuous), 1)
    assert z.abs().max() <= 1
    for k, part in zip(categories, parts, strict=False):
        assert torch.equal(part.sum(1), torch.ones(50))
        assert set(part.argmax(1).tolist()) == set(range(k))
    read = own.recognise(own.generate(noise))
    assert read.shape == (50, sum(categories) + continuous)
    for k, part in zip(categories, read.split((*categories, continuous), 1), strict=False):
        assert k
        torch.testing.assert_close(part.sum(1), torch.ones(50))
    terms = own.information(noise, own.discriminator(own.generate(noise))[1])
    assert all(term.ndim == 0 and term.isfinite() for term in terms.values())


def test_without_a_code_it_is_refused():
    with pytest.raises(ModelError, match="needs a code"):
        game(categories=(), continuous=0)


def test_a_traversal_varies_one_code_alone():
    with inference_mode(game()) as own:
        own.draw = RowDraw(0)
        noise = own.noise(2)
        seen: list[Tensor] = []
        own.generator.register_forward_pre_hook(lambda _net, given: seen.append(given[0]))
        rows = own.traverse(noise, 5)
    assert {name: tuple(row.shape) for name, row in rows.items()} == {
        "category 1": (2, 3, 1, 16, 16),
        "category 2": (2, 2, 1, 16, 16),
        "number 1": (2, 5, 1, 16, 16),
        "number 2": (2, 5, 1, 16, 16),
    }
    for given, columns in zip(seen, ([6, 7, 8], [9, 10], [11], [12]), strict=True):
        changed = given.unflatten(0, (2, -1)) != noise[:, None]
        assert set(changed.any(1).any(0).nonzero().flatten().tolist()) <= set(columns)
    assert torch.equal(seen[2].unflatten(0, (2, 5))[0, :, 11], torch.linspace(-2, 2, 5))


def test_a_trained_run_is_traversed_by_its_owner(tmp_path: Path):
    run = Trained(game(), tmp_path, "infogan", 0)
    rows = run.traverse(rows=2, steps=4, seed=1)
    assert torch.equal(rows["number 1"], run.traverse(rows=2, steps=4, seed=1)["number 1"])
    assert not torch.equal(rows["number 1"], run.traverse(rows=2, steps=4, seed=2)["number 1"])
    assert all(row.abs().max() <= 1 for row in rows.values())
    with pytest.raises(OptionError, match="at least 1 row and 2 steps"):
        run.traverse(steps=1)
    with pytest.raises(OptionError, match="gan cannot traverse"):
        Trained(GAN(GANConfig(), FACTS), tmp_path, "gan", 0).traverse()


def test_the_command_draws_a_row_a_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from ganforge.cli import run
    from ganforge.training.train import train

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(8):
        Image.new("L", (16, 16), 30 * i).save(pictures / f"{i}.png")
    trained = train("infogan", pictures, "tiny", outdir=tmp_path, quiet=True, steps=1, channels=1)
    assert run(["traverse", str(trained.path), "--rows", "2", "--steps", "4", "-o", str(tmp_path / "codes")]) == 0
    assert "category 1, category 2, number 1, number 2" in capsys.readouterr().out
    with Image.open(tmp_path / "codes.png") as sheet:
        assert sheet.size == (4 * 18 - 2, 8 * 18 - 2)
        assert sheet.getpixel((71 - 2, 0)) == 255  # a category of three leaves the fourth place white


# -- other people's numbers ------------------------------------------------------------------------

FOLDER = goldens.SHARED / "golden" / "generation" / "infogan"


def golden(name: str) -> goldens.Golden:
    return goldens.Golden(FOLDER / name, json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


@goldens.needed
def test_losses_of_the_port():
    io = load_file(FOLDER / "port_losses.io.safetensors")
    log_variance = (io["in.var"].abs() + 0.1).log()
    surprise = 2 * math.log(2) - number_bound(io["in.c"], io["in.mu"], log_variance)
    torch.testing.assert_close(surprise, io["out.normal_nll"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(0.1 * surprise, io["out.con_term"], rtol=1e-4, atol=1e-5)
    codes = F.one_hot(torch.tensor([1, 0, 3, 2]), 5).float()
    entropy = math.log(5) - category_bound(codes, io["in.logits"])
    torch.testing.assert_close(entropy, io["out.disc_ce"], rtol=0.0, atol=1e-5)


@goldens.needed
@pytest.mark.parametrize("data", ["mnist", "celeba"])
def test_trunk_and_heads_of_the_port(data: str):
    record = golden(f"port_{data}_D_Q_recipe")
    names = {"discriminator": "Discriminator", "netD": "DHead", "netQ": "QHead"}
    parts = {
        prefix: official.network("infogan", name, file=f"models/{data}_model.py") for prefix, name in names.items()
    }
    weights = record.weights(torch.nn.ModuleDict(parts))
    for prefix, part in parts.items():
        official.load(part, goldens.pick(weights, f"{prefix}.")).eval()
    ((_, count, keys),) = record.defaults()
    assert sum(p.numel() for part in parts.values() for p in part.parameters()) == count
    own = {f"{prefix}.{key}": value for prefix, part in parts.items() for key, value in part.state_dict().items()}
    assert [(key, tuple(value.shape)) for key, value in own.items()] == keys
    with torch.no_grad():
        features = parts["discriminator"](*record.inputs())
        answers = [features[:, ::64], parts["netD"](features).flatten(), *parts["netQ"](features)]
    for answer, expected in zip(answers, record.outputs("eval"), strict=True):
        torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)


@goldens.needed
def test_the_authors_networks_and_losses():
    record = golden("official_mnist_recipe")
    network = official.network("infogan", "RegularizedGAN")
    ((_, count, keys),) = record.defaults()
    assert [(key, tuple(value.shape)) for key, value in network.state_dict().items()] == keys
    assert sum(p.numel() for p in network.parameters()) == count
    weights = record.weights(network)
    official.load(network, weights)
    torch.testing.assert_close(dict(network.state_dict()), weights, rtol=0, atol=0)
    io = record.io("")
    codes = F.one_hot(torch.tensor([3, 1, 7, 0]), 10).float()
    noise = torch.cat([io["in.z"].clamp(-1, 1), codes, io["in.c"].clamp(-1, 1)], 1)
    with torch.no_grad():
        answers = network(noise, io["in.real"])
        for answer, name in zip(answers, ("img", "d_real", "d_fake", "reg_flat"), strict=True):
            torch.testing.assert_close(answer, io[f"out.{name}"], rtol=1e-4, atol=1e-4)
        own = InfoGAN(Config(continuous_weight=1.0), Facts(1, 28, 28))
        losses = authors_losses(own, noise, answers)
    torch.testing.assert_close(torch.stack(losses), torch.stack([io["out.d_loss"], io["out.g_loss"]]))


def test_the_port_for_house_numbers():
    noise, pictures = torch.randn(2, 168, 1, 1), torch.randn(2, 3, 32, 32)
    build = {name: official.network("infogan", name, file="models/svhn_model.py").eval() for name in NAMES}
    assert build["Generator"](noise).shape == pictures.shape
    features = build["Discriminator"](pictures)
    assert build["DHead"](features).shape == (2, 1, 1, 1)
    assert [tuple(part.shape) for part in build["QHead"](features)] == [(2, 40), (2, 4), (2, 4)]


NAMES = ("Generator", "Discriminator", "DHead", "QHead")
