"""The recorded training of other people's translators, met by our games."""

import random
from typing import Any

import pytest
import torch

from ganforge import official
from ganforge.batches import Facts, Paired, Unpaired
from ganforge.draw import Recorded
from ganforge.game import Clock
from ganforge.models import cyclegan, pix2pix
from ganforge.nn.patchgan import PatchGAN
from ganforge.nn.pool import ImagePool
from tests.support import goldens
from tests.support.witness import Witness, compare, ours


@goldens.needed
@pytest.mark.parametrize(("setting", "gan", "weight"), [("default", "vanilla", 100.0), ("lsgan_l1_10", "lsgan", 10.0)])
def test_train_pix2pix(setting: str, gan: Any, weight: float):
    table = goldens.table("pix2pix", "TRAIN_pix2pix")
    config = pix2pix.Config(gan=gan, weight=weight, dropout=False, width=2, judge_width=4)
    game = pix2pix.Pix2Pix(config, Facts(3, 128, 128))
    game.generator.load_state_dict(
        ours("pix2pix", "UnetGenerator", table.weights["G"], input_nc=3, output_nc=3, num_downs=7, ngf=2)
    )
    game.discriminator.load_state_dict(
        ours("pix2pix", "NLayerDiscriminator", table.weights["D"], input_nc=6, ndf=4, n_layers=3)
    )
    fakes = []
    game.generator.register_forward_hook(lambda _net, _in, fake: fakes.append(fake.detach()))
    pairs = [Paired(a, b) for a, b in zip(table.inputs["A"], table.inputs["B"], strict=True)]
    engine = Witness(game, pairs)
    engine.train()

    measured = {f"step0.gradnorm.{p[0].upper()}": length for p, length in engine.lengths.items()}
    moves = zip(engine.recorded.of("discriminator"), engine.recorded.of("generator"), strict=True)
    for step, (d, g) in enumerate(moves):
        measured |= {f"step{step}.G_GAN": g["fool"], f"step{step}.G_L1": g["l1"], f"step{step}.G": g["fool"] + g["l1"]}
        measured |= {f"step{step}.D_fake": 2 * d["fake"], f"step{step}.D_real": 2 * d["real"]}
        measured[f"step{step}.D"] = d["fake"] + d["real"]
    compare(measured | {"after3.fake_B": fakes[2][0, :, ::16, ::16]}, table, f"{setting}.")


CYCLES = {
    "default": {},
    "noidt_vanilla": {"identity": 0.0, "gan": "vanilla"},
    "lam_5_7_02": {"cycle_a": 5.0, "cycle_b": 7.0, "identity": 0.2},
    "wgangp": {"gan": "wgangp"},
}


@goldens.needed
@pytest.mark.parametrize("setting", CYCLES)
def test_train_cyclegan(setting: str):
    table = goldens.table("cyclegan", "TRAIN_cyclegan")
    config = cyclegan.Config(**CYCLES[setting], blocks=6, width=4, judge_width=4, patch=16)
    game = cyclegan.CycleGAN(config, Facts(3, 32, 32))
    game.is_a, game.is_b = (PatchGAN(3, 4, 3, "instance") for _ in range(2))  # patches larger than their images
    sizes = {"input_nc": 3, "norm": "instance"}
    for name, network in {"G_A": game.to_b, "G_B": game.to_a, "D_A": game.is_b, "D_B": game.is_a}.items():
        size = {"output_nc": 3, "ngf": 4, "n_blocks": 6} if name[0] == "G" else {"ndf": 4, "n_layers": 3}
        kind = "ResnetGenerator" if name[0] == "G" else "NLayerDiscriminator"
        network.load_state_dict(ours("cyclegan", kind, table.weights[name], **sizes, **size))
    made = {}
    for name in ("to_a", "to_b"):
        getattr(game, name).register_forward_hook(
            lambda _net, _in, out, name=name: made.setdefault(name, []).append(out.detach())
        )
    draws = [[torch.zeros(1)] * 4] * 4  # the pool is not yet full
    engine = Witness(game, [Unpaired(a, b) for a, b in zip(*(table.inputs[k] for k in "AB"), strict=True)], draws)
    engine.train()

    measured = {f"step0.gradnorm.{n}": engine.norms[name] for n, name in NETWORKS.items()}
    calls = {name: [made[name][2 * k : 2 * k + 2] for k in range(4)] for name in made}  # the fakes, then the cycle
    first = {"fake_A": calls["to_a"][0][0][:1], "fake_B": calls["to_b"][0][0][:1]}
    first |= {"rec_A": calls["to_a"][0][1], "rec_B": calls["to_b"][0][1]}
    measured |= {f"step0.{name}.mean": picture.mean() for name, picture in first.items()}
    moves = zip(engine.recorded.of("generators"), engine.recorded.of("discriminators"), strict=True)
    for step, (g, d) in enumerate(moves):
        zero = torch.tensor(0.0)
        terms = {"D_A": d["real_b"] + d["fake_b"], "D_B": d["real_a"] + d["fake_a"]}
        terms |= {"G_A": g["fool_b"], "G_B": g["fool_a"], "cycle_A": g["cycle_a"], "cycle_B": g["cycle_b"]}
        terms |= {"idt_A": g.get("identity_b", zero), "idt_B": g.get("identity_a", zero), "G_total": sum(g.values())}
        measured |= {f"step{step}.{name}": term for name, term in terms.items()}
    compare(measured | {"after4.fake_B": calls["to_b"][3][0][0, :, ::8, ::8]}, table, f"{setting}.")


NETWORKS = {"G_A": "to_b", "G_B": "to_a", "D_A": "is_b", "D_B": "is_a"}


@goldens.needed
def test_losses_cyclegan():
    table = goldens.table("cyclegan", "LOSSES_cyclegan")
    measured = {}
    for mode, labels in {"vanilla": {}, "lsgan": {}, "wgangp": {}, "lsgan_smooth": SMOOTH}.items():
        loss = official.network("cyclegan", "GANLoss", mode.removesuffix("_smooth"), **labels)
        for name in ("pred",) if labels else ("pred", "pred2"):
            for real, word in ((True, "real"), (False, "fake")):
                measured[f"{mode}.{name}.{word}"] = loss(table.inputs[name], real)
    compare(measured, table, "gan.")


SMOOTH = {"target_real_label": 0.9, "target_fake_label": 0.1}


@goldens.needed
@pytest.mark.parametrize(("size", "seed"), [(0, 0), (3, 0), (3, 7), (5, 11)])
def test_pool_cyclegan(size: int, seed: int):
    table = goldens.table("cyclegan", "LOSSES_cyclegan")
    pool, source, returned = ImagePool(size, (1, 1, 1)), random.Random(seed), []
    for first in range(0, 24, 2):
        swaps, places = [], []
        for number in (first, first + 1):
            full = 0 < size <= number
            swaps.append(source.uniform(0, 1) if full else 0.0)
            places.append((source.randint(0, size - 1) + 0.5) / size if swaps[-1] > 0.5 else 0.0)
        fakes = torch.tensor([first, first + 1.0]).view(2, 1, 1, 1)
        returned += pool(fakes, Recorded(torch.tensor(swaps), torch.tensor(places))).flatten().tolist()
    assert returned == table.values[f"pool.size{size}.seed{seed}"].tolist()


@goldens.needed
def test_rates_cyclegan():
    table = goldens.table("cyclegan", "LOSSES_cyclegan")
    rates = []  # theirs fall once an epoch, by a hundredth
    game = cyclegan.CycleGAN(cyclegan.Config(width=2, judge_width=2, patch=1, pool=0), Facts(3, 8, 8))
    for epoch in range(200):
        players = game.players()
        game.tune(players, Clock(progress=epoch / 200))
        rates.append(players["generators"].param_groups[0]["lr"])
    torch.testing.assert_close(torch.tensor(rates), table.values["lr.linear"].float(), rtol=0, atol=2e-4 * 0.02)
