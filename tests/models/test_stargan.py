"""What makes it StarGAN: one generator for all domains, a label that must be shown, a way back that must lead home."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import ganforge
from ganforge.batches import Facts, Labelled
from ganforge.capabilities import labels_of
from ganforge.data.synthetic.shapes import open_shapes
from ganforge.draw import RoundDraw
from ganforge.errors import ModelError, OptionError
from ganforge.game import Clock
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.trained import Trained
from ganforge.models.stargan import Config, StarGAN, presets
from tests.support import goldens
from tests.support.witness import Witness, compare, ours

NAN = float("nan")
NAMES = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
FACTS = Facts(3, 16, 16, attributes=NAMES)
CONFIG = presets["tiny"].config


def game(facts: Facts = FACTS, **changes: object) -> StarGAN:
    torch.manual_seed(0)
    own = StarGAN(replace(CONFIG, **changes), facts)
    own.draw = RoundDraw(0, 0, 0, 1, "cpu")
    return own


def reading(own: StarGAN, *seen: float) -> StarGAN:
    """The game with a discriminator that reads these labels in every image."""
    logits = torch.tensor(seen) * 2 - 1
    own.discriminator.forward = lambda images: (images.mean((1, 2, 3)), logits.expand(len(images), -1))
    return own


# -- the game ---------------------------------------------------------------------------------


def test_target_labels_are_the_batchs_own_in_another_order():
    own, told = game(), list[Tensor]()
    own.generator.register_forward_pre_hook(lambda _net, given: told.append(given[1]))
    batch = Labelled(torch.rand(6, 3, 16, 16), torch.eye(5)[[0, 1, 2, 3, 4, 0]])
    moves = list(own.play(iter([batch, batch]), Clock()))
    assert [move.player for move in moves] == ["discriminator", "discriminator", "generator"]
    for target in (told[0], told[1]):
        assert sorted(target.argmax(1).tolist()) == [0, 0, 1, 2, 3, 4]
        assert not torch.equal(target, batch.condition)
    assert torch.equal(told[2], told[1])  # the generator uses the same labels
    assert torch.equal(told[3], batch.condition)  # and goes back to the own ones


def test_only_the_reconstruction_keeps_the_image():
    own = game()
    own.generator.forward = lambda images, labels: images  # leaves everything as it is
    batch = Labelled(torch.rand(4, 3, 16, 16), torch.eye(5)[:4])
    *_, last = own.play(iter([batch, batch]), Clock())
    assert float(last.terms["reconstruct"]) == 0


def test_images_keep_their_own_statistics_in_evaluation():
    own, labels = game(), torch.eye(5)[:3]
    images = torch.rand(3, 3, 16, 16)
    live = own.generator(images, labels)
    with inference_mode(own):
        torch.testing.assert_close(own.generator(images, labels), live)
        torch.testing.assert_close(own.generator(images[1:2], labels[1:2]), live[1:2])


# -- joint label sets -------------------------------------------------------------------------


def test_a_mask_says_which_data_set_knows_its_labels():
    own = game(second=2)
    labels = torch.tensor([[1, 0, 1, NAN, NAN], [NAN, NAN, NAN, 0, 1]])
    assert own.label_input(labels).tolist() == [[1, 0, 1, 0, 0, 1, 0], [0, 0, 0, 0, 1, 0, 1]]


def test_unknown_labels_are_not_learnt():
    own, logits = game(second=2), torch.randn(2, 5, requires_grad=True)
    labels = torch.tensor([[1, 0, 1, NAN, NAN], [NAN, NAN, NAN, 0, 1]])
    loss = own.label_loss(logits, labels)
    (slope,) = torch.autograd.grad(loss, logits)
    assert torch.equal(slope != 0, ~labels.isnan())
    binary = F.binary_cross_entropy_with_logits(logits[:1, :3], labels[:1, :3], reduction="sum")
    torch.testing.assert_close(loss, binary + F.cross_entropy(logits[1:, 3:], torch.tensor([1])))


# -- translation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "target"),
    [
        ("Male", [1, 0, 0, 1, 1]),  # the others stay as they are seen
        ("Blond_Hair", [0, 1, 0, 0, 1]),  # hair has one colour
        ("Blond_Hair,Young=0", [0, 1, 0, 0, 0]),
        ("Black_Hair=0", [0, 0, 0, 0, 1]),
        ([0, 0, 1, 1, 0], [0, 0, 1, 1, 0]),  # everything is said
    ],
)
def test_what_is_not_named_stays(said: str | list[int], target: list[int], tmp_path: Path):
    own, told = reading(game(), 1, 0, 0, 0, 1), list[Tensor]()
    own.generator.register_forward_pre_hook(lambda _net, given: told.append(given[1]))
    run = Trained(own, tmp_path, "stargan", 0)
    with inference_mode(own):
        own.translate(torch.rand(2, 3, 16, 16), **run.convert_answers(own.translate, 2, {"to": said}))
    assert told[0].tolist() == [target] * 2


def test_a_class_of_the_second_data_set_leaves_the_first_unknown():
    own, told = reading(game(second=2), 1, 1, 0, 1, 0), list[Tensor]()
    own.generator.register_forward_pre_hook(lambda _net, given: told.append(given[1]))
    images, to = torch.rand(2, 3, 16, 16), torch.tensor([[NAN, NAN, NAN, NAN, 1], [0, NAN, NAN, NAN, NAN]])
    with inference_mode(own):
        own.translate(images, to)
    assert told[0].tolist() == [[0, 0, 0, 0, 1, 0, 1], [0, 1, 0, 0, 0, 1, 0]]


def test_images_of_any_size_are_translated():
    own = game()
    with inference_mode(own):
        assert own.translate(torch.rand(1, 3, 24, 40), torch.tensor([[NAN, 1, NAN, NAN, NAN]])).shape[2:] == (24, 40)


def test_a_run_edits_the_attributes_that_were_chosen(tmp_path: Path):
    own = game(attributes=("Young", "Male"))
    assert own.discriminator(torch.rand(1, 3, 16, 16))[1].shape == (1, 2)
    assert own.labels(torch.tensor([[0.0, 0, 0, 0, 1]])).tolist() == [[1, 0]]
    run, images = Trained(own, tmp_path, "stargan", 0), torch.rand(1, 3, 16, 16)
    with inference_mode(own):
        own.translate(images, **run.convert_answers(own.translate, 1, {"to": "Young"}))
        with pytest.raises(ModelError, match="edits Young, Male, not Black_Hair"):
            own.translate(images, **run.convert_answers(own.translate, 1, {"to": "Black_Hair"}))
    with pytest.raises(OptionError, match="stargan needs --to, of Young, Male"):
        run.convert_answers(own.translate, 1, {"to": None})
    with pytest.raises(
        OptionError, match=r"'blond' is no attribute of this run, whose attributes are Young, Male: .* as in Young or"
    ):
        run.convert_answers(own.translate, 1, {"to": "blond"})


def test_only_chosen_attributes_can_be_edited(tmp_path: Path):
    asked = {"attributes": ["striped", "red"], "exclusive": []}
    run = ganforge.train("stargan", "shapes-attributes", "tiny", config=asked, outdir=tmp_path, quiet=True)
    assert [*run.path.glob("samples/*.png")]  # a label that was not chosen would have been refused
    assert labels_of(run.game) == ("striped", "red")
    assert labels_of(game()) == FACTS.attributes


@pytest.mark.parametrize(
    ("facts", "changes", "said"),
    [
        (Facts(), {}, "needs data with classes"),
        (FACTS, {"attributes": ("Bald",)}, "no attribute 'Bald'; it has Black_Hair"),
        (FACTS, {"second": 6}, "Of 5 attributes 6"),
        (replace(FACTS, height=18), {}, "18 x 16 are not multiples of 4"),
    ],
)
def test_data_that_does_not_fit_is_named(facts: Facts, changes: dict[str, object], said: str):
    with pytest.raises(ModelError, match=said):
        game(facts, **changes)


def test_the_embedded_shapes_have_attributes():
    data = open_shapes("shapes-attributes", count=400, size=(8, 8))
    assert data.facts.attributes[:2] == ("red", "orange")
    assert data.facts.attributes[8:] == ("large", "striped", "dark")
    shares = data.columns["condition"].mean(0)
    assert ((shares[:8] > 0.08) & (shares[:8] < 0.17)).all()
    assert ((shares[8:] > 0.4) & (shares[8:] < 0.6)).all()


# -- other people's numbers -------------------------------------------------------------------


def test_the_authors_decay_falls_in_steps():
    own = game(decay=(4, 2))
    players = own.players()
    rates = []
    for step in range(4):
        players["generator"].param_groups[0]["lr"] = 1.0
        own.tune(players, Clock(step=step, progress=step / 3))
        rates.append(players["generator"].param_groups[0]["lr"])
    assert rates == [1, 1, 0.75, 0.5]


@goldens.needed
def test_label_losses():
    table = goldens.table("stargan", "LOSSES_stargan")
    many, one = game(), game(Facts(3, 16, 16, tuple("abcdefgh")))
    close = {**table.tolerance}
    told = many.label_loss(table.inputs["logit"], table.inputs["target"])
    torch.testing.assert_close(told, table.values["cls.celeba"], **close)
    told = one.label_loss(table.inputs["logit8"], one.labels(table.inputs["idx"]))
    torch.testing.assert_close(told, table.values["cls.rafd"], **close)
    assert torch.equal(one.labels(table.inputs["idx"]), table.values["onehot"])


@goldens.needed
def test_targets_of_the_authors_test():
    """Theirs flips what is not hair; ours says so: `Male=0` for a man."""
    table = goldens.table("stargan", "LOSSES_stargan")
    seen = table.inputs["c_org"]
    for k, name in enumerate(NAMES):
        for row, own in enumerate(seen):
            flipped = 1.0 if name.endswith("Hair") else 1 - float(own[k])
            said = torch.full((1, 5), NAN)
            said[0, k] = flipped
            with inference_mode(reading(game(), *own.tolist())) as reader:
                target = reader.complete_labels(torch.rand(1, 3, 16, 16), said)
            assert torch.equal(target[0], table.values[f"labels.celeba.{k}"][row])


@goldens.needed
@pytest.mark.parametrize("kind", ["celeba", "rafd", "both"])
def test_train(kind: str):
    table = goldens.table("stargan", "TRAIN_stargan")
    x, attributes, classes = (table.inputs[name] for name in ("x", "attr", "cls"))
    one_hot = F.one_hot(classes, 8).float()
    known = {"celeba": Facts(3, 32, 32, attributes=NAMES), "rafd": Facts(3, 32, 32, tuple("abcdefgh"))}
    joint = Facts(3, 32, 32, attributes=(*NAMES, *"abcdefgh"))
    config = Config(width=4, blocks=2, layers=3, critic_moves=2, decay=(4, 2), second=8 if kind == "both" else 0)
    own = StarGAN(config, known.get(kind, joint))

    suffix, k = {"celeba": "", "rafd": "r", "both": "b"}[kind], {"celeba": 5, "rafd": 8, "both": 13}[kind]
    planes, sizes = k + 2 * (kind == "both"), {"conv_dim": 4}
    weights = table.weights
    own.generator.load_state_dict(
        ours("stargan", "Generator", weights[f"G{suffix}"], **sizes, c_dim=planes, repeat_num=2)
    )
    own.discriminator.load_state_dict(
        ours("stargan", "Discriminator", weights[f"D{suffix}"], **sizes, c_dim=k, image_size=32, repeat_num=3)
    )

    unknown = torch.full_like
    if kind == "both":
        first = [torch.cat([a, unknown(o, NAN)], 1) for a, o in zip(attributes, one_hot, strict=True)]
        second = [torch.cat([unknown(a, NAN), o], 1) for a, o in zip(attributes, one_hot, strict=True)]
        batches = [
            Labelled(images, labels)
            for i in range(1, 5)
            for images, labels in ((x[i], first[i]), (x.flip(0)[i - 1], second[i - 1]))
        ]
        passes, iterations = ["celeba.", "rafd."], 4
    else:
        labels = attributes if kind == "celeba" else classes
        batches, passes, iterations = [Labelled(x[i], labels[i]) for i in range(1, 7)], [""], 6
    draws = [t for p, a in zip(table.inputs["perm"], table.inputs["alpha"], strict=True) for t in (p, a)]
    per_step = 2 * config.critic_moves * len(passes)
    steps = iterations // config.critic_moves
    engine = Witness(own, batches, [draws[per_step * i : per_step * (i + 1)] for i in range(steps)])
    engine.train()

    on_d, on_g, measured = engine.recorded.of("discriminator"), engine.recorded.of("generator"), {}
    for i in range(iterations):
        for name in passes:
            d = on_d.pop(0)
            terms = {"D_loss_real": d["real"], "D_loss_fake": d["fake"], "D_loss_cls": d["classify"]}
            terms["D_loss_gp"] = d["penalty"] / 10
            if i % 2:
                g = on_g.pop(0)
                terms |= {"G_loss_fake": g["fool"], "G_loss_rec": g["reconstruct"] / 10, "G_loss_cls": g["classify"]}
            measured |= {f"iter{i + 1}.{name}{term}": value for term, value in terms.items()}
    if kind != "both":
        engine.set_learning_rates(Clock(step=steps, progress=1.0))
        rates = [engine.players[player].param_groups[0]["lr"] for player in ("generator", "discriminator")]
        measured["lr_end"] = torch.tensor(rates, dtype=torch.float64)
    compare(measured, table, f"{kind}.")
