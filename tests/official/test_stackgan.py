"""StackGAN's networks and terms against the recorded ones of its authors."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge import official
from ganforge.batches import Captioned, Facts
from ganforge.draw import Recorded
from ganforge.errors import WeightsError
from ganforge.game import Clock
from ganforge.models.stackgan import Config, StackGAN
from ganforge.official.stackgan import first_stage
from tests.support import goldens
from tests.support.words import WordTable

FOUND = {g.path.name: g for g in goldens.goldens("stackgan")}
BY_HAND = ["CA_NET", "STAGE2_D", "STAGE2_G"]
SMALL: dict[str, Any] = {"cd": 5, "df": 4, "gf": 8, "rn": 2, "td": 7, "z": 6}


def loaded(name: str) -> official.Adapter:
    golden = FOUND[name]
    network = official.network("stackgan", golden.class_name, **golden.arguments[1])
    return official.load(network, golden.weights(network)).eval()


@goldens.needed
def test_conditioning_augmentation_and_its_divergence():
    network, golden = loaded("CA_NET"), FOUND["CA_NET"]
    recorded = golden.io("out.")
    with torch.no_grad():
        made = network(*golden.inputs())
    for one, key in zip(made, ("c_code", "mu", "logvar"), strict=True):
        torch.testing.assert_close(one, recorded[key], **golden.tolerance)
    assert min(made[1].min(), made[2].min()) >= 0  # the ReLU is over mean and log variance
    assert made[1].min() == 0
    torch.testing.assert_close(game(1, kl_weight=1.0).divergence(*made[1:]), recorded["kl"], **golden.tolerance)


@goldens.needed
def test_stage_2_discriminator():
    network, golden = loaded("STAGE2_D"), FOUND["STAGE2_D"]
    small, condition = golden.inputs()
    with torch.no_grad():
        made = network(F.interpolate(small, (256, 256), mode="bilinear"), condition)
    for one, recorded in zip(made, golden.outputs("eval"), strict=True):
        torch.testing.assert_close(one, recorded, **golden.tolerance)


@goldens.needed
def test_stage_2_generator():
    network, golden = loaded("STAGE2_G"), FOUND["STAGE2_G"]
    recorded = golden.io("out.")
    with torch.no_grad():
        first, images, mean, log_variance = network(*golden.inputs())
    made = {"stage1_img": first, "img_pool64": F.avg_pool2d(images, 4), "mu": mean, "logvar": log_variance}
    made["img_crop"] = images[:, :, 100:132, 60:92]
    for key, value in made.items():
        torch.testing.assert_close(value, recorded[key], **golden.tolerance)


@goldens.needed
@pytest.mark.parametrize("name", ["STAGE1_G", "STAGE1_D", "STAGE2_D", "STAGE2_G", "CA_NET"])
def test_gradients(name: str):
    network, golden = loaded(name), FOUND[name]
    inputs = {key: value.requires_grad_() for key, value in golden.io("in.").items()}
    given = [F.interpolate(v, (256, 256), mode="bilinear") if k == "small" else v for k, v in inputs.items()]
    answers = network(*given)
    keys = {"STAGE1_G": "img mu logvar", "STAGE1_D": "- cond", "STAGE2_D": "- cond uncond"}
    keys |= {"STAGE2_G": "- img_pool64 mu logvar", "CA_NET": "c_code - -"}
    named = {k: v for k, v in zip(keys[name].split(), answers, strict=True) if k != "-"}
    if "img_pool64" in named:
        named["img_pool64"] = F.avg_pool2d(named["img_pool64"], 4)
    if name == "CA_NET":
        named["kl"] = game(1, kl_weight=1.0).divergence(*answers[1:])
    torch.stack(
        [(v * goldens.normal(f"cot/{k}", list(v.shape)).float()).sum() for k, v in named.items()]
    ).sum().backward()
    for key, value in inputs.items():
        if (recorded := golden.io("out.").get(f"grad_in.{key}")) is not None:
            torch.testing.assert_close(value.grad, recorded, rtol=1e-3, atol=1e-3 * recorded.abs().max().item())


# -- terms ------------------------------------------------------------------------------------


def game(stage: int, **changes: Any) -> StackGAN:
    """A game of the recorded sizes."""
    sizes: dict[str, Any] = {"latent": 6, "condition": 5, "width": 8, "judge_width": 4, "blocks": 2}
    first = StackGAN(Config(**sizes, **(changes if stage == 1 else {})), facts(64), WordTable(7))
    return first if stage == 1 else StackGAN(Config(stage=2, **sizes, **changes), facts(256), stage1=first)


def facts(side: int) -> Facts:
    return Facts(3, side, side, vocabulary=32, caption_length=4)


class Given(nn.Module):
    """A generator that gives recorded images, means and log variances."""

    def __init__(self, *answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *_inputs: Tensor) -> tuple[Tensor, ...]:
        return self.answer


@goldens.needed
@pytest.mark.parametrize("stage", [1, 2])
def test_a_training_step(stage: int):
    golden = next(g for g in _all("stackgan") if g.path.name == f"losses_stage{stage}")
    given, recorded, side = golden.io("in."), golden.io("out."), 64 if stage == 1 else 256
    own = game(stage)
    judge = official.network("stackgan", f"STAGE{stage}_D", **SMALL)
    own.discriminator.load_state_dict(official.load(judge, golden.weights(judge)).network.state_dict())
    real, fake = (F.interpolate(given[key], (side, side), mode="bilinear") for key in ("real", "fake"))
    fake.requires_grad_()
    own.generator = Given(fake, given["mu"], given["logvar"])  # pyright: ignore[reportAttributeAccessIssue]
    noises = [torch.zeros(4, 6), torch.zeros(4, 5), *([torch.zeros(4, 5)] if stage == 2 else [])]
    own.draw = Recorded(*noises)
    batch = Captioned(real, torch.arange(16).view(4, 4) + 1)
    moves = own.play(iter([batch]), Clock())

    terms = next(moves).terms
    loss = torch.stack([term for name, term in terms.items() if "says" not in name]).sum()
    loss.backward()
    torch.testing.assert_close(loss, recorded["errD"], rtol=1e-4, atol=1e-4)
    if stage == 1:
        for name, times in (("real", 1), ("wrong", 2), ("fake", 2)):
            torch.testing.assert_close(times * terms[name], recorded[f"errD_{name}"], rtol=1e-4, atol=1e-4)
    own_names = {"encode_img.0": "features.0", "get_cond_logits.outlogits.0": "pair.0"}
    own_names |= {"get_cond_logits.outlogits.1": "pair.1", "get_uncond_logits.outlogits.0": "alone.0"}
    gradients = {name: p.grad for name, p in own.discriminator.named_parameters()}
    for key, value in goldens.pick(recorded, "gradD.").items():
        layer, _, kind = key.rpartition(".")
        torch.testing.assert_close(gradients[f"{own_names[layer]}.{kind}"], value, rtol=1e-3, atol=1e-5)

    terms = next(moves).terms
    fool = torch.stack([term for name, term in terms.items() if name != "kl"]).sum()
    torch.testing.assert_close(fool, recorded["errG"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(fool + terms["kl"], recorded["errG_total"], rtol=1e-4, atol=1e-4)
    (gradient,) = torch.autograd.grad(fool, fake)
    pooled = F.avg_pool2d(gradient, side // 16) * (side // 16) ** 2
    torch.testing.assert_close(pooled, recorded["grad_fake_pool"], rtol=1e-3, atol=1e-5)


def _all(system: str) -> list[goldens.Golden]:
    """All records of a system, those of losses included."""
    import json

    folder = goldens.SHARED / "golden" / "generation" / system
    return [goldens.Golden(p.with_suffix(""), json.loads(p.read_text())) for p in sorted(folder.glob("*.json"))]


# -- checkpoints ------------------------------------------------------------------------------


def shaken(name: str) -> official.Adapter:
    torch.manual_seed(0)
    network = official.network("stackgan", name, **SMALL)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.1, 0.2)
    return network.eval()


def test_a_file_of_stage_2_fills_both_stages(tmp_path: Path):
    network = shaken("STAGE2_G")
    torch.save(network.state_dict(), tmp_path / "netG_epoch_600.pth")
    state = official.read(tmp_path / "netG_epoch_600.pth")
    kinds = {kind.__name__: kind for kind in official.classes("stackgan")}
    sizes: dict[str, Any] = {"judge_width": 4}
    (config1, facts1), (config2, facts2) = (
        kinds[name].game("stackgan.generator", **kinds[name].arguments(own))
        for name, own in (("STAGE1_G", first_stage(state)), ("STAGE2_G", state))
    )
    first = StackGAN(Config(**config1, **sizes), Facts(**facts1), WordTable(7))
    one = official.network("stackgan", "STAGE1_G", **kinds["STAGE1_G"].arguments(first_stage(state)))
    first.generator.load_state_dict(official.load(one, first_stage(state)).weights())
    second = StackGAN(Config(**config2, **sizes), Facts(**facts2), stage1=first).eval()
    second.generator.load_state_dict(network.weights())
    source = torch.Generator().manual_seed(1)
    text, z, eps1, eps2 = (torch.randn(2, n, generator=source) for n in (7, 6, 5, 5))
    second.draw = Recorded(eps2, eps1)
    with torch.no_grad():
        torch.testing.assert_close(second.draw_images(z, text)[0], network(text, z, eps1, eps2)[1])


@pytest.mark.parametrize("name", ["STAGE1_D", "STAGE2_D"])
def test_a_discriminator_says_its_sizes(name: str):
    network = shaken(name)
    kind = next(k for k in official.classes("stackgan") if k.__name__ == name)
    arguments = kind.arguments(network.state_dict())
    assert arguments == {"df": 4, "cd": 5}
    assert kind.game("stackgan.discriminator", **arguments)[0]["stage"] == int(name[5])


def test_a_key_too_many_is_an_error():
    network = shaken("STAGE1_G")
    with pytest.raises(WeightsError, match="unexpected: surplus"):
        official.load(network, network.state_dict() | {"surplus": torch.zeros(1)})
