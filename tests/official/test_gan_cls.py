"""GAN-CLS's image networks and terms against the recorded ones of its authors and of a port."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ganforge import official
from ganforge.batches import Captioned, Facts
from ganforge.draw import RoundDraw
from ganforge.errors import WeightsError
from ganforge.game import Clock
from ganforge.models.gan_cls import GANCLS, Config, blend
from ganforge.nn.losses import fake_loss, real_loss
from tests.support import goldens
from tests.support.words import WordTable

ENLARGED = ["lua_cls_coco_netD", "lua_cls_coco_large_netD", "aelnouby_discriminator_recipe"]
FOUND = {g.path.name: g for g in goldens.goldens("gan_cls")}


@goldens.needed
@pytest.mark.parametrize("name", ENLARGED)
def test_discriminators_of_enlarged_images(name: str):
    golden = FOUND[name]
    network = official.network("gan_cls", golden.class_name, **golden.arguments[1])
    official.load(network, golden.weights(network)).eval()
    small, text = golden.io("in.").values()
    with torch.no_grad():
        answer = network(F.interpolate(small, (64, 64), mode="bilinear"), text)
    recorded = golden.io("out.")
    if isinstance(answer, tuple):
        answer, features = answer
        torch.testing.assert_close(features[:, ::64], recorded["feat_ch"], **golden.tolerance)
    torch.testing.assert_close(answer, recorded["prob"], **golden.tolerance)


@goldens.needed
@pytest.mark.parametrize("name", [name for name in FOUND if name.startswith("lua")])
def test_gradients(name: str):
    golden = FOUND[name]
    network = official.network("gan_cls", golden.class_name, **golden.arguments[1])
    official.load(network, golden.weights(network)).eval()
    inputs = {key: value.requires_grad_() for key, value in golden.io("in.").items()}
    image, text = inputs.values()
    given = F.interpolate(image, (64, 64), mode="bilinear") if "small" in inputs else image
    answer = network(given, text)
    key = "prob" if "small" in inputs else "img"
    (answer * goldens.normal(f"cot/{key}", list(answer.shape)).float()).sum().backward()
    for key, value in inputs.items():
        recorded = golden.io("out.")[f"grad_in.{key}"]
        torch.testing.assert_close(value.grad, recorded, rtol=1e-3, atol=1e-3 * recorded.abs().max().item())


# -- terms ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The inputs and the outputs of the losses."""
    if not (goldens.SHARED / "golden").is_dir():
        pytest.skip("no golden numbers: set GANFORGE_SHARED")
    io = load_file(goldens.SHARED / "golden" / "generation" / "gan_cls" / "losses.io.safetensors")
    return goldens.pick(io, "in."), goldens.pick(io, "out.")


class Scripted(nn.Module):
    """A discriminator that answers with given logits, call by call."""

    def __init__(self, *logits: Tensor) -> None:
        super().__init__()
        self.left = list(logits)

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        return self.left.pop(0)


def moves(variant: str, *logits: Tensor) -> list[dict[str, Tensor]]:
    """The terms of a step in which the discriminator says these logits."""
    facts = Facts(3, 16, 16, vocabulary=64, caption_length=4)
    config = Config(latent=2, projected=2, width=2, judge_width=2, variant=variant)  # pyright: ignore
    game = GANCLS(config, facts, WordTable(vocabulary=64))
    game.discriminator = Scripted(*logits)  # pyright: ignore
    batch = Captioned(torch.zeros(4, 3, 16, 16), torch.arange(16).view(4, 4) + 1)
    game.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return [{k: v for k, v in move.terms.items() if "says" not in k} for move in game.play(iter([batch]), Clock())]


def test_the_discriminators_loss(recorded: tuple[dict[str, Tensor], dict[str, Tensor]]):
    given, out = recorded
    with_wrong = moves("cls", given["real"], given["fake"], given["wrong"], given["fake"])
    torch.testing.assert_close(torch.stack([*with_wrong[0].values()]).sum(), out["lua_errD_cls0.5"])
    torch.testing.assert_close(torch.stack([*with_wrong[0].values()]).sum(), -out["paper_LD"])
    torch.testing.assert_close(with_wrong[1]["fool"], -out["paper_LG"])
    plain = moves("gan", given["real"], given["fake"], given["fake"])
    torch.testing.assert_close(torch.stack([*plain[0].values()]).sum(), out["lua_errD_cls0.0"])


def test_the_generators_loss_over_a_batch_and_half_a_batch(recorded: tuple[dict[str, Tensor], dict[str, Tensor]]):
    given, out = recorded
    terms = moves("int", given["real"], given["fake"], given["interp"])[1]
    torch.testing.assert_close((terms["fool"] + terms["between"]) / 1.5, out["lua_errG_int1.0"])
    torch.testing.assert_close(terms["fool"] / 1.5, out["lua_errG_int0.0"])


def test_interpolated_texts(recorded: tuple[dict[str, Tensor], dict[str, Tensor]]):
    given, out = recorded
    text = given["txt"]
    torch.testing.assert_close(torch.cat([text, blend(text, 0.5)]), out["txt_interp1"])
    torch.testing.assert_close(torch.cat([text, blend(text, 0.5 + given["alpha"][:, None])]), out["txt_interp2"])


def test_the_ports_losses(recorded: tuple[dict[str, Tensor], dict[str, Tensor]]):
    """Its labels of real images are smoothed by 0.1, and its generator also compares images and mean features."""
    given, out = recorded
    real, fake = real_loss(given["real"]), fake_loss(given["real"])
    d = 0.9 * real + 0.1 * fake + fake_loss(given["wrong"]) + fake_loss(given["fake"])
    torch.testing.assert_close(d, out["port_errD"])
    features = F.mse_loss(given["feat_f"].mean(0), given["feat_r"].mean(0))
    g = real_loss(given["fake"]) + 100 * features + 50 * F.l1_loss(given["img_f"], given["img_r"])
    torch.testing.assert_close(g, out["port_errG"])


# -- checkpoints ------------------------------------------------------------------------------


def inputs() -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    return torch.randn(2, 100, 1, 1, generator=source), torch.randn(2, 1024, generator=source)


def shake(network: official.Adapter) -> official.Adapter:
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.1, 0.1)
    return network.eval()


def fill(class_name: str, state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, object], dict[str, Tensor]]:
    """(settings, facts, weights) that an imported file gives."""
    kind = next(k for k in official.classes("gan_cls") if k.__name__ == class_name)
    arguments = kind.complete(state, {})
    config, facts = kind.game(kind.fills[0], **arguments)
    return config, facts, official.load(kind(**arguments), state).weights()


@pytest.mark.parametrize("large", [0, 1])
def test_a_converted_lua_generator_fills_a_game(large: int, tmp_path: Path):
    network = shake(official.network("gan_cls", "netG", txtSize=12, nt=6, nz=100, ngf=4, large=large))
    save_file(network.state_dict(), tmp_path / "netG.safetensors")
    config, facts, weights = fill("netG", official.read(tmp_path / "netG.safetensors"))
    game = GANCLS(Config(judge_width=2, **config), Facts(**facts), WordTable(12))  # pyright: ignore
    game.generator.load_state_dict(weights)
    noise, text = inputs()
    with torch.no_grad():
        made = game.eval().generator(noise.flatten(1), text[:, :12])
        torch.testing.assert_close(made, network(noise, text[:, :12]))


def test_a_converted_lua_discriminator_fills_a_game():
    network = shake(official.network("gan_cls", "netD", txtSize=12, nt=6, ndf=4))
    config, facts, weights = fill("netD", network.state_dict())
    game = GANCLS(Config(width=2, latent=2, **config), Facts(**facts), WordTable(12))  # pyright: ignore
    game.discriminator.load_state_dict(weights)


def test_the_ports_files_fill_a_game(tmp_path: Path):
    network = shake(official.network("gan_cls", "generator"))
    torch.save(network.state_dict(), tmp_path / "gen_190.pth")
    config, facts, weights = fill("generator", official.read(tmp_path / "gen_190.pth"))
    judge_config, _, judge_weights = fill("discriminator", official.network("gan_cls", "discriminator").state_dict())
    game = GANCLS(Config(**(config | judge_config)), Facts(**facts), WordTable(1024))  # pyright: ignore
    game.generator.load_state_dict(weights)
    game.discriminator.load_state_dict(judge_weights)
    noise, text = inputs()
    with torch.no_grad():
        torch.testing.assert_close(game.eval().generator(noise.flatten(1), text), network(text, noise))


def test_a_key_too_many_is_an_error():
    network = official.network("gan_cls", "netG", txtSize=12, nt=6, nz=5, ngf=4)
    with pytest.raises(WeightsError, match="unexpected: surplus"):
        official.load(network, network.state_dict() | {"surplus": torch.zeros(1)})
