"""LostGAN's networks, terms and training against the recorded ones of its authors."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge import official
from ganforge.batches import Facts, LaidOut
from ganforge.errors import WeightsError
from ganforge.inference.load import load
from ganforge.interop.importing import import_weights
from ganforge.models import lostgan
from ganforge.models.lostgan.layouts import box_masks, place_masks, relative_places, to_corners
from ganforge.nn.losses import hinge
from tests.support import goldens
from tests.support.witness import Witness, compare, ours

GENERATORS = ["mask_v1", "G_v1_64", "G_v2_128", "G_v2_256"]
FOUND = {g.path.name: g for g in goldens.goldens("lostgans")}
CONVENTIONS = pytest.mark.parametrize("align_corners", [True, False])


# -- networks ---------------------------------------------------------------------------------


@goldens.needed
@CONVENTIONS
@pytest.mark.parametrize("name", GENERATORS)
def test_outputs(name: str, align_corners: bool):
    golden = FOUND[name]
    _, arguments = golden.arguments
    for mode in golden.modes:
        network = official.network(
            "lostgans", golden.class_name, file=golden.file, **arguments, align_corners=align_corners
        )
        weights = golden.weights(network)
        official.load(network, weights).train(mode == "train")
        with torch.no_grad():
            made = network(*golden.inputs())
        recorded = golden.io(f"out.{mode}.")
        key = "y" if align_corners else next(key for key in recorded if key != "y")
        every = 4 if key.endswith("sub4") else 1
        torch.testing.assert_close(made[..., ::every, ::every], recorded[key], **golden.tolerance)
        if not align_corners:  # the state is recorded after that call
            after = weights | golden.io(f"after.{mode}.")
            for counter in (key for key in after if key.endswith("num_batches_tracked")):  # not recorded
                after[counter] = after[counter] + (mode == "train")
            torch.testing.assert_close(network.state_dict(), dict(after), rtol=0.0, atol=2e-5)


@goldens.needed
def test_the_conventions_differ():
    outputs = FOUND["G_v2_128"].io("out.eval.")
    assert (outputs["y"] - outputs["y_align_false"]).abs().max() > 1e-2


@goldens.needed
@pytest.mark.parametrize("name", GENERATORS)
def test_sizes(name: str):
    golden = FOUND[name]
    _, arguments = golden.arguments
    built = official.network("lostgans", golden.class_name, file=golden.file, **arguments)
    assert sum(p.numel() for p in built.parameters()) == golden.parameters
    for sizes, count, keys in golden.defaults():
        given = {name: size for name, size in sizes.items() if name != "class"}
        with torch.device("meta"):
            network = official.network("lostgans", sizes["class"], file=golden.file, **given)
        assert [(key, tuple(value.shape)) for key, value in network.state_dict().items()] == keys
        assert sum(p.numel() for p in network.parameters()) == count


def test_v1_of_128_pixels_has_the_authors_size():
    with torch.device("meta"):
        network = official.network("lostgans", "ResnetGenerator128", file=official_file(1), ch=64, num_classes=184)
    assert sum(p.numel() for p in network.parameters()) == 36_296_036


def official_file(version: int) -> str:
    return f"model/resnet_generator_v{version}.py"


# -- terms ------------------------------------------------------------------------------------


@goldens.needed
def test_layouts():
    table = goldens.table("lostgans", "LOSSES_lostgans")
    boxes, masks = table.inputs["bbox"], table.inputs["masks"]
    for setting, align_corners in (("align_true", True), ("align_false", False)):
        placed = place_masks(masks, boxes, 24, align_corners)
        torch.testing.assert_close(placed, table.values[f"layout.{setting}"], **table.tolerance)
    torch.testing.assert_close(box_masks(boxes, 12), table.values["bbox_mask"], **table.tolerance)
    flat = boxes.flatten(0, 1)
    rows, columns = (2 * relative_places(flat[:, axis], flat[:, axis + 2], side) - 1 for axis, side in ((1, 6), (0, 5)))
    grid = torch.stack([columns[:, None].expand(-1, 6, -1), rows[:, :, None].expand(-1, -1, 5)], -1)
    torch.testing.assert_close(grid, table.values["grid"], **table.tolerance)


@goldens.needed
def test_regions_of_interest():
    table = goldens.table("lostgans", "LOSSES_lostgans")
    before, present = table.inputs["bbox"].clone(), table.inputs["y"] > 0
    corners = to_corners(table.inputs["bbox"])
    assert torch.equal(table.inputs["bbox"], before)  # theirs converts them in place
    images = present.nonzero()[:, :1]
    torch.testing.assert_close(torch.cat([images, corners[present] * 128], 1), table.values["rois128"])


@goldens.needed
def test_losses():
    table = goldens.table("lostgans", "LOSSES_lostgans")
    scores = {key: table.inputs[key][:, 0] for key in ("real", "fake", "robj", "fobj")}
    measured = {f"d.{key}": hinge(score if key[0] == "r" else -score) for key, score in scores.items()}
    config = lostgan.Config()
    weights = {"real": config.image_weight, "fake": config.image_weight}
    measured["d.total"] = torch.stack(
        [weights.get(key, config.object_weight) * measured[f"d.{key}"] for key in scores]
    ).sum()
    measured |= {"g.fake": -lostgan.mean(scores["fake"]), "g.obj": -lostgan.mean(scores["fobj"])}
    measured["g.pixel"] = F.l1_loss(table.inputs["a"], table.inputs["b"])
    measured["g.total_without_vgg"] = (
        config.image_weight * measured["g.fake"]
        + config.object_weight * measured["g.obj"]
        + config.pixel_weight * measured["g.pixel"]
    )
    for key, value in measured.items():
        torch.testing.assert_close(value, table.values[key].squeeze(), **table.tolerance)


@goldens.needed
def test_truncated_codes_have_the_recorded_distribution():
    """Theirs are drawn again until they are inside; ours are mapped, so single numbers differ."""
    recorded = goldens.table("lostgans", "LOSSES_lostgans").values["trunc"].flatten()
    assert recorded.abs().max() <= 2
    made = lostgan.truncate(torch.randn(20_000, generator=torch.Generator().manual_seed(0)), 2.0)
    at = torch.linspace(-2, 2, 41)
    shares = [(numbers[:, None] <= at).float().mean(0) for numbers in (recorded, made)]
    assert (shares[0] - shares[1]).abs().max() < 1.6 / len(recorded) ** 0.5  # Kolmogorov and Smirnov, at 1 %


# -- training ---------------------------------------------------------------------------------


@goldens.needed
@CONVENTIONS
def test_train(align_corners: bool):
    table, classes = goldens.table("lostgans", "TRAIN_lostgans"), 184
    config = lostgan.Config(
        version=1, embedding=128, width=2, judge_width=2, content="none", align_corners=align_corners
    )
    game = lostgan.LostGAN(config, Facts(3, 64, 64, objects=("", *map(str, range(1, classes))), most=4))
    for name, network in {"G_v1_64": game.generator, "D_64": game.discriminator}.items():
        golden = FOUND[name]
        adapter = official.network("lostgans", golden.class_name, file=golden.file, **golden.arguments[1])
        network.load_state_dict(ours_of(golden, golden.weights(adapter)))
    batches, noise = list[LaidOut](), list[list[Tensor]]()
    for step in range(2):
        labels = table.inputs["y"][step]
        batches.append(LaidOut(table.inputs["img"][step], to_corners(table.inputs["bbox"][step]), labels))
        noise.append([table.inputs["z_im"][step], *table.inputs["z"][step].unbind(1)])
    engine = Witness(game, batches, noise)
    engine.train()

    measured = {f"step0.gradnorm.{player[0].upper()}": length for player, length in engine.lengths.items()}
    moves = zip(engine.recorded.of("discriminator"), engine.recorded.of("generator"), strict=True)
    for step, (d, g) in enumerate(moves):
        terms = {"D_real": d["real"] / 0.1, "D_fake": d["fake"] / 0.1, "D_robj": d["real_objects"]}
        terms |= {"D_fobj": d["fake_objects"], "G_fake": g["fool"] / 0.1, "G_obj": g["fool_objects"]}
        terms["D_total"] = sum(d[name] for name in ("real", "fake", "real_objects", "fake_objects"))
        terms |= {"G_pixel": g["pixel"], "G_total": sum(g.values())}
        measured |= {f"step{step}.{name}": term for name, term in terms.items()}
    compare(measured, table, f"align_{str(align_corners).lower()}.")


def ours_of(golden: goldens.Golden, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Official weights under our keys."""
    return ours("lostgans", golden.class_name, weights, file=golden.file, **golden.arguments[1])


# -- checkpoints ------------------------------------------------------------------------------


def checkpoint(folder: Path, classes: int, **changes: Any) -> tuple[Path, official.Adapter]:
    """`G_5.pth` of a V2 generator of 128 pixels, as DataParallel saves it; and the official network."""
    torch.manual_seed(0)
    network = official.network(
        "lostgans", "ResnetGenerator128", file=official_file(2), ch=1, num_classes=classes, **changes
    )
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.2)
    for number in range(3):  # statistics, and vectors of the spectral norms, of these weights
        network.train()(*layout(number))
    torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, folder / "G_5.pth")
    return folder / "G_5.pth", network.eval()


def layout(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Codes, boxes, image codes and labels of two images with three objects."""
    source = torch.Generator().manual_seed(seed)
    starts, sides = torch.rand(2, 3, 2, generator=source) * 0.5, 0.2 + torch.rand(2, 3, 2, generator=source) * 0.3
    codes, image_codes = torch.randn(2, 3, 128, generator=source), torch.randn(2, 128, generator=source)
    return codes, torch.cat([starts, sides], 2), image_codes, torch.tensor([[1, 5, 0], [2, 3, 4]])


@pytest.mark.parametrize("classes", [184, 179])  # 179 of Visual Genome, under masks of 184
def test_an_official_generator_becomes_a_run(classes: int, tmp_path: Path):
    path, network = checkpoint(tmp_path, classes)
    run = load(import_weights(path, "lostgan", tmp_path / "run", config={"judge_width": 1}))
    assert run.game.config.version == 2
    assert len(run.game.facts.objects) == classes
    codes, boxes, image_codes, labels = layout()
    with torch.no_grad():
        made = run.game.generator.eval()(codes, image_codes, boxes, labels)  # pyright: ignore
        torch.testing.assert_close(made, network(codes, boxes, image_codes, labels))
    assert made.std() > 0.01


@pytest.mark.parametrize(("change", "said"), [("surplus", "unexpected: surplus"), ("missing", "missing: alpha2")])
def test_a_key_too_many_or_too_few_is_an_error(change: str, said: str, tmp_path: Path):
    path, _ = checkpoint(tmp_path, 184)
    weights = torch.load(path)
    if change == "surplus":
        weights["module.surplus"] = torch.zeros(1)
    else:
        del weights["module.alpha2"]
    torch.save(weights, path)
    with pytest.raises(WeightsError, match=said):
        import_weights(path, "lostgan", tmp_path / "run", class_name="ResnetGenerator128")


def test_an_official_discriminator_is_imported_beside_it(tmp_path: Path):
    judge = official.network("lostgans", "CombineDiscriminator128", num_classes=184, ch=1)
    torch.save(judge.state_dict(), tmp_path / "D.pth")
    files = [checkpoint(tmp_path, 184)[0], tmp_path / "D.pth"]
    run = load(import_weights(files, "lostgan", tmp_path / "run"))
    own = run.game.discriminator.state_dict()  # pyright: ignore
    torch.testing.assert_close(own, judge.network.state_dict())
