"""What makes it InstaGAN: sets of instances in any order and number, a few at a time, on ground that stays."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import ganforge
from ganforge import official
from ganforge.batches import Facts, Instances
from ganforge.draw import RoundDraw
from ganforge.errors import ModelError
from ganforge.game import Clock
from ganforge.inference.inference_mode import inference_mode
from ganforge.interop.importing import import_weights
from ganforge.models.instagan import Config, InstaGAN, presets, union
from ganforge.nn.mask_sets import SetDiscriminator, SetGenerator
from ganforge.nn.spectral_norm import SpectralConv2d
from tests.support import goldens
from tests.support.witness import Witness, compare, ours

FACTS = Facts(3, 16, 16, instances=3)
CONFIG = presets["tiny"].config


def game(facts: Facts = FACTS, **changes: object) -> InstaGAN:
    torch.manual_seed(0)
    own = InstaGAN(replace(CONFIG, **changes), facts)
    own.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return own


def squares(*places: int, size: int = 16) -> Tensor:
    """(1, M, size, size) in {0, 1}: a square of 4 pixels at each place on the diagonal; negative: none."""
    masks = torch.zeros(1, len(places), size, size)
    for mask, place in zip(masks[0], places, strict=True):
        if place >= 0:
            mask[place : place + 4, place : place + 4] = 1
    return masks


def signed(masks: Tensor) -> Tensor:
    return masks * 2 - 1


# -- sets -------------------------------------------------------------------------------------


def test_the_order_of_the_masks_does_not_matter():
    torch.manual_seed(0)
    generator, discriminator = SetGenerator(3, 4, 1), SetDiscriminator(3, 4, 1)
    picture, masks, order = torch.rand(1, 3, 16, 16), signed(squares(0, 6, 12)), [2, 0, 1]
    with torch.no_grad():
        image, made = generator(picture, masks)
        again, moved = generator(picture, masks[:, order])
        for _ in range(100):  # until the power iteration stands still
            scores = discriminator(picture, masks)
        torch.testing.assert_close(discriminator(picture, masks[:, order]), scores, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(again, image)
    torch.testing.assert_close(moved, made[:, order])


def test_empty_masks_are_left_out_and_come_back_empty():
    torch.manual_seed(0)
    generator, picture = SetGenerator(3, 4, 1), torch.rand(2, 3, 16, 16)
    masks = signed(torch.cat([squares(0, -1, 8), squares(-1, 4, -1)]))
    with torch.no_grad():
        image, made = generator(picture, masks)
        first, its = generator(picture[:1], masks[:1, [0, 2]])  # an image of the batch, alone
        drawn, all_made = generator.forward_all(picture, masks)
    torch.testing.assert_close(drawn, image)
    torch.testing.assert_close(all_made, made)
    torch.testing.assert_close(image[:1], first)
    torch.testing.assert_close(made[:1, [0, 2]], its)
    assert torch.equal(made[0, 1], masks[0, 1])
    assert torch.equal(made[1, [0, 2]], masks[1, [0, 2]])


def test_the_context_is_where_no_mask_is():
    masks = signed(squares(0, 2))
    assert torch.equal(union(masks), squares(0, 2).amax(1, keepdim=True))
    own, picture = game(context=1.0), torch.rand(1, 3, 16, 16)
    change = torch.zeros(1, 3, 16, 16)
    change[..., :4, :4] = 0.5
    terms = {}
    for name, where in {"inside": change, "outside": change.roll(8, -1)}.items():
        side = own.side(picture, squares(0, -1), 2)
        there = lambda images, given, where=where: (images + where, given)  # noqa: E731
        terms[name] = own.generator_terms("a", side, 0, there, own.to_a, own.is_b, 10.0)["context_a"]
    assert float(terms["inside"]) == 0
    assert float(terms["outside"]) == pytest.approx(10 * 0.5 * 16 / 256)


# -- passes -----------------------------------------------------------------------------------


def test_each_pass_starts_from_what_the_last_one_made():
    own, seen = game(instances=4, together=2), list[tuple[Tensor, Tensor]]()
    made = list[tuple[Tensor, Tensor]]()
    own.to_b.register_forward_hook(lambda _net, given, out: seen.append(given) or made.append(out))
    pictures, masks = torch.rand(1, 3, 16, 16), squares(0, 3, 6, 9)
    with inference_mode(own):
        image = own.translate(pictures, masks)
    assert len(seen) == 2
    assert torch.equal(seen[0][0], pictures)
    assert torch.equal(seen[1][0], made[0][0])
    assert torch.equal(image, made[1][0])
    assert [given[1].shape[1] for given in seen] == [2, 2]
    moves = list(own.play(iter([Instances(pictures, masks, pictures, masks)]), Clock()))
    assert [move.player for move in moves] == ["generators", "discriminators"] * 2


def test_any_number_of_instances_is_translated():
    own = game(instances=2, together=2).eval()
    pictures = torch.rand(2, 3, 16, 16)
    many = torch.cat([squares(0, 2, 4, 6, 8, 10, 12), squares(-1, -1, -1, -1, -1, -1, -1)])
    with inference_mode(own):
        images, masks = own.translate_with_masks(pictures, many)
        assert masks.shape == (2, 7, 16, 16)
        assert torch.equal(images[1], pictures[1])  # an image without instances stays
        torch.testing.assert_close(own.translate(pictures[:1], many[:1]), images[:1])
        assert not torch.allclose(own.translate(pictures, many, reverse=True)[0], images[0])


def test_the_largest_masks_come_first_and_empty_ones_last():
    own = game(order="random")
    masks = torch.zeros(1, 5, 16, 16)
    for i, size in enumerate((2, 0, 8, 0, 5)):
        masks[0, i, :size, :size] = 1
    areas = own.eval().side(torch.rand(1, 3, 16, 16), masks, 4).masks.add(1).sum((2, 3)) / 2
    assert areas.tolist() == [[64, 25, 4, 0]]
    orders = {
        tuple(own.train().side(torch.rand(1, 3, 16, 16), masks, 4).masks.add(1).sum((2, 3))[0].tolist())
        for _ in range(20)
    }
    assert len(orders) > 3
    assert all(order[3] == 0 for order in orders)


def test_a_pass_that_nobody_takes_part_in_is_played_and_changes_nothing_but_a_bias():
    own = game(instances=3, together=1)
    alone = squares(0, -1, -1).expand(2, -1, -1, -1)
    batch = Instances(torch.rand(2, 3, 16, 16), alone, torch.rand(2, 3, 16, 16), alone)
    *_, generators, discriminators = own.play(iter([batch]), Clock())
    for move, player in ((generators, "generators"), (discriminators, "discriminators")):
        total = torch.stack(list(move.terms.values())).sum()
        assert float(total.detach()) == 0
        slopes = torch.autograd.grad(total, own.players()[player].param_groups[0]["params"], allow_unused=True)
        assert [float(slope.abs().sum()) for slope in slopes if slope is not None] == [0]


@pytest.mark.parametrize("places", [(-1, -1, -1), (4, -1, -1)])
def test_images_without_masks_left_skip_the_pass(places: tuple[int, ...]):
    own = game(instances=3, together=1)
    (a, b), other = torch.rand(2, 2, 3, 16, 16), squares(0, 4, 8).expand(2, -1, -1, -1)
    batch = Instances(a, squares(*places).expand(2, -1, -1, -1), b, other)
    moves = list(own.play(iter([batch]), Clock()))
    assert len(moves) == 6
    idle = {name for name in moves[2].terms if name.endswith("_a")}
    assert all(float(moves[2].terms[name].detach()) == 0 for name in idle)
    assert all(moves[i].terms["fool_b"].requires_grad for i in (0, 2, 4))


def test_a_spectral_layer_has_norm_one_and_never_stands_still():
    torch.manual_seed(0)
    layer, given = SpectralConv2d(3, 8, 4, 2, 1), torch.rand(1, 3, 16, 16)
    first, before = layer.eval()(given), layer.u.clone()
    second = layer(given)
    assert not torch.equal(first, second)
    assert not torch.equal(before, layer.u)
    (first.sum() + second.sum()).backward()  # a later call leaves the graph of an earlier one alone
    for _ in range(200):
        layer(given)
    sigma = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
    torch.testing.assert_close(layer.u @ layer.weight.flatten(1) @ layer.v, sigma)


def test_sides_that_cannot_be_halved_are_refused():
    with pytest.raises(ModelError, match="18 x 16 are not multiples of 4"):
        game(replace(FACTS, height=18))


# -- other people's numbers -------------------------------------------------------------------


@goldens.needed
def test_losses():
    table = goldens.table("instagan", "LOSSES_instagan")
    given, values = table.inputs, table.values
    for name, masks in {"merge.hard": given["segs"], "merge.soft": given["soft"]}.items():
        torch.testing.assert_close(union(masks) * 2 - 1, values[name], **table.tolerance)
    outside = 1 - union(torch.cat([given["segs"], given["soft"]], 1))
    torch.testing.assert_close(outside, values["ctx.weight"], **table.tolerance)
    context = (outside * (given["src"] - given["tgt"])).abs().mean()
    torch.testing.assert_close(context, values["ctx.l1"].squeeze(), **table.tolerance)
    many = (given["many"] + 1) / 2
    side = game(replace(FACTS, instances=8)).side(torch.rand(2, 3, 16, 16), many, 4)
    torch.testing.assert_close(side.masks, values["select.decreasing"])
    for kind in (True, False):
        criterion = official.network("instagan", "GANLoss", use_lsgan=kind)
        for real in (True, False):
            name = f"gan.{'lsgan' if kind else 'bce'}.{'real' if real else 'fake'}"
            torch.testing.assert_close(
                criterion(given["src"].sigmoid(), real), values[name].squeeze(), **table.tolerance
            )


SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "lambdas": {"cycle_a": 5.0, "cycle_b": 3.0, "identity": 0.5, "context": 2.0},
}


def recorded(table: goldens.Table, **changes: Any) -> InstaGAN:
    own = InstaGAN(Config(width=2, judge_width=4, **changes), Facts(3, 32, 32, instances=6))
    own.is_a, own.is_b = SetDiscriminator(3, 4), SetDiscriminator(3, 4)  # at 32 pixels ours would have fewer layers
    for name, network in {"G_A": own.to_b, "G_B": own.to_a, "D_A": own.is_b, "D_B": own.is_a}.items():
        sizes = {"input_nc": 3, "norm": "instance"}
        sizes |= {"output_nc": 3, "ngf": 2, "n_blocks": 9} if name[0] == "G" else {"ndf": 4}
        kind = "ResnetSetGenerator" if name[0] == "G" else "NLayerSetDiscriminator"
        network.load_state_dict(ours("instagan", kind, table.weights[name], **sizes))
    return own


@goldens.needed
@pytest.mark.parametrize("setting", SETTINGS)
def test_train(setting: str):
    table = goldens.table("instagan", "TRAIN_instagan")
    own, columns = recorded(table, **SETTINGS[setting]), ("A", "A_segs", "B", "B_segs")
    batches = []
    for a, a_masks, b, b_masks in zip(*(table.inputs[name] for name in columns), strict=True):
        batches.append(Instances(a, (a_masks + 1) / 2, b, (b_masks + 1) / 2))
    engine = Witness(own, batches, [[torch.zeros(1)] * 8] * 2)  # the pool is not yet full
    engine.train()

    measured, last = {}, dict[str, Tensor]()
    generators, discriminators = engine.recorded.of("generators"), engine.recorded.of("discriminators")
    for i, (g, d) in enumerate(zip(generators, discriminators, strict=True)):
        start = f"step{i // 2}.pass{i % 2}."
        terms = {"G_total": torch.stack(list(g.values())).sum()}
        for side, other in (("a", "b"), ("b", "a")):
            name, forward = side.upper(), g[f"cycle_{side}"] != 0
            terms |= {f"forward_{name}": forward.float(), f"G_{name}": g[f"fool_{side}"]}
            terms |= {f"cyc_{name}": g[f"cycle_{side}"], f"ctx_{name}": g[f"context_{side}"]}
            terms[f"idt_{name}"] = g[f"identity_{other}"]  # theirs is named for the generator
            if forward:  # else theirs still says what it said
                last[f"D_{name}"] = d[f"real_{other}"] + d[f"fake_{other}"]
        measured |= {start + name: value for name, value in (terms | last).items()}
    compare(measured, table, f"{setting}.")


@goldens.needed
def test_translation():
    table = goldens.table("instagan", "TRAIN_instagan")
    own = recorded(table)
    a, masks = table.inputs["A"][1], (table.inputs["A_segs"][1] + 1) / 2
    b, others = table.inputs["B"][1], (table.inputs["B_segs"][1] + 1) / 2
    with inference_mode(own):
        for given, held, reverse, names in ((a, masks, False, "BA"), (b, others, True, "AB")):
            largest = (own.side(given, held, 4).masks + 1) / 2
            image, made = own.translate_with_masks(given, largest, reverse)
            torch.testing.assert_close(image, table.values[f"test.fake_{names[0]}_img"], **table.tolerance)
            torch.testing.assert_close(
                union(made) * 2 - 1, table.values[f"test.fake_{names[0]}_seg"], **table.tolerance
            )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ResnetSetGenerator", {"output_nc": 2, "ngf": 2, "norm": "batch", "n_blocks": 2, "use_dropout": True}),
        ("ResnetSetGenerator", {"output_nc": 3, "ngf": 2, "norm": "instance", "n_blocks": 1, "padding_type": "zero"}),
        ("NLayerSetDiscriminator", {"ndf": 2, "norm": "batch", "n_layers": 2, "use_sigmoid": True}),
        ("NLayerDiscriminator", {"ndf": 2, "norm": "batch", "n_layers": 4, "use_sigmoid": True}),
        ("PixelDiscriminator", {"ndf": 2, "norm": "instance"}),
        ("define_G", {"output_nc": 3, "ngf": 2, "netG": "set", "norm": "instance"}),
        ("define_D", {"ndf": 2, "netD": "set", "norm": "instance", "use_sigmoid": True}),
    ],
)
def test_every_official_option_has_keys_and_an_answer(name: str, arguments: dict[str, Any]):
    network = official.network("instagan", name, input_nc=3, **arguments)
    assert sorted(network.keys().values()) == sorted(network.network.state_dict())
    official.load(network, {key: 3 * value + 1 for key, value in network.state_dict().items()})  # a u of -1 stays one
    of_sets = "Set" in name or "set" in arguments.values()
    given = (
        torch.cat([torch.rand(1, 3, 64, 64), signed(squares(0, -1, 9, size=64))], 1)
        if of_sets
        else torch.rand(1, 3, 64, 64)
    )
    answer = network.eval()(given).detach()
    assert answer.isfinite().all()
    if arguments.get("use_sigmoid"):
        assert 0 <= float(answer.min()) <= float(answer.max()) <= 1


def test_official_files_become_a_run_that_translates(tmp_path: Path):
    torch.manual_seed(0)
    sizes = {"input_nc": 3, "norm": "instance"}
    theirs = official.network("instagan", "ResnetSetGenerator", **sizes, output_nc=3, ngf=2, n_blocks=2).eval()
    discriminator = official.network("instagan", "NLayerSetDiscriminator", **sizes, ndf=2)
    files = []
    for name, network in {"G_A": theirs, "D_A": discriminator}.items():
        path = tmp_path / f"latest_net_{name}.pth"
        torch.save({key: value.detach().clone() for key, value in network.state_dict().items()}, path)
        files.append(path)
    run = ganforge.load(import_weights(files, "instagan", tmp_path / "run", config={"pool": 0}), device="cpu")
    pictures, masks = torch.rand(1, 3, 32, 32), squares(0, 8, size=32)
    with inference_mode(run.game) as game:
        image = game.translate(pictures, masks)  # pyright: ignore[reportCallIssue]
        torch.testing.assert_close(image, theirs(torch.cat([pictures, signed(masks)], 1))[:, :3])
        held = game.is_b(pictures, signed(masks))  # pyright: ignore[reportCallIssue]
        torch.testing.assert_close(held, discriminator(torch.cat([pictures, signed(masks)], 1)))
