"""R3GAN's operations, terms and schedules against the recorded ones of its authors, and its checkpoints."""

import json
import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ganforge import official
from ganforge.batches import Facts, PerhapsLabelled
from ganforge.errors import WeightsError
from ganforge.game import Clock, Move
from ganforge.inference.load import load
from ganforge.interop.importing import import_weights
from ganforge.models.r3gan import R3GAN, presets
from ganforge.models.r3gan.networks import Block, Discriminator, Generator, Stage, double, halve
from ganforge.nn.blur import make_taps
from ganforge.nn.penalties import squared_slope
from ganforge.nn.upfirdn import TAPS
from ganforge.official._pickles import read_networks
from tests.support import goldens

FOLDER = goldens.SHARED / "golden" / "generation" / "r3gan"
FOUND = {g.path.name: g for g in goldens.goldens("r3gan")}
STAGES = [Stage(12, 3, 2), Stage(12, 3, 1), Stage(8, 2, 2)]


def recorded(name: str) -> dict[str, Tensor]:
    return load_file(FOLDER / f"{name}.io.safetensors")


# -- operations -------------------------------------------------------------------------------


@goldens.needed
def test_resampling_and_activation():
    io = recorded("ops")
    x = io["in.x"]
    torch.testing.assert_close(double(x), io["out.up_121"], rtol=0.0, atol=1e-5)
    torch.testing.assert_close(halve(x), io["out.down_121"], rtol=0.0, atol=1e-5)
    taps = torch.tensor(make_taps(TAPS)) * 2
    torch.testing.assert_close(taps[:, None] * taps / 4, io["out.kernel_121"], rtol=0.0, atol=1e-6)
    block = Block(4, 2, 1, depth=1)
    nn.init.dirac_(block.widen.weight)
    with torch.no_grad():
        block.widen.bias.copy_(io["in.b"])  # pyright: ignore[reportOptionalMemberAccess]
        block.spread.weight.zero_()[:, :, 1, 1] = torch.eye(2).repeat(2, 1)
        block.narrow.weight.copy_(torch.eye(4)[:, :, None, None])
        made = block(x) - x
    expected = io["out.biased_act"]
    torch.testing.assert_close(made, nn.functional.leaky_relu(expected, 0.2), rtol=0.0, atol=1e-5)


@goldens.needed
def test_first_weights():
    io = recorded("ops")
    torch.manual_seed(0)
    block = Block(512, 2, 2, depth=10)
    usual = io["out.init_std_linear1"].item() * (4 / 512) ** 0.5  # recorded for 4 inputs
    assert block.widen.weight.std().item() == pytest.approx(usual, rel=0.01)
    assert not block.narrow.weight.any()
    x = torch.randn(1, 512, 4, 4)
    assert torch.equal(block(x), x)  # a block starts as nothing


@goldens.needed
def test_schedules():
    io = recorded("schedule_cosine")
    game = R3GAN(presets["tiny"].config, Facts(3, 16, 16))
    game.config = presets["ffhq256"].config
    c = game.config
    for number, images in enumerate(io["out.nimg"].tolist()):
        now = Clock(seen=round(2 * images))
        players = game.players()
        game.tune(players, now)
        for player in players.values():
            (group,) = player.param_groups
            assert group["lr"] == pytest.approx(io["out.lr"][number].item(), rel=1e-5)
            assert group["betas"] == (0.0, pytest.approx(io["out.beta2"][number].item(), rel=1e-5))
        assert game.ema(now) == pytest.approx(io["out.ema_nimg"][number].item(), rel=1e-5, abs=1e-3)
        assert game.augment_p(now) == pytest.approx(io["out.aug"][number].item(), rel=1e-5, abs=1e-6)
        gamma = game.anneal(c.gamma, c.final_gamma, now)
        assert gamma == pytest.approx(io["out.gamma_ffhq256"][number].item(), rel=1e-5)


# -- gradients and losses ---------------------------------------------------------------------


@goldens.needed
@pytest.mark.parametrize(("name", "key"), [("G_uncond", "z"), ("D_uncond", "img")])
def test_gradients(name: str, key: str):
    golden = FOUND[name]
    network = official.network("r3gan", golden.class_name, file=golden.file, **golden.arguments[1])
    official.load(network, golden.weights(network))
    (x,) = golden.inputs()
    answer = network(x.requires_grad_())
    output = "img" if key == "z" else "logits"
    (answer * goldens.normal(f"cot/{output}", [*answer.shape]).float()).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, golden.io("out.")[f"grad_in.{key}"], rtol=1e-4, atol=1e-4)
    lengths = {k: t.grad.norm().item() for k, t in gradients(network).items() if t.grad is not None}
    expected = {k: v for k, v in golden.facts["param_grad_l2"].items() if not k.endswith("Kernel")}
    assert lengths == {k: pytest.approx(v, rel=1e-3, abs=1e-4) for k, v in expected.items()}


def gradients(network: official.Adapter, prefix: str = "") -> dict[str, Tensor]:
    """{official key: our parameter}."""
    own = dict(network.network.named_parameters())
    return {prefix + theirs: own[ours] for theirs, ours in network.keys().items() if ours in own}


@goldens.needed
def test_losses():
    """The terms of a step of the game, and their gradients, from the recorded weights and inputs."""
    io, facts = recorded("losses"), json.loads((FOLDER / "losses.json").read_text(encoding="utf-8"))
    weights = load_file(FOLDER / "losses.weights.safetensors")
    adapters = {
        letter: official.network("r3gan", name, file="R3GAN/Networks.py", **facts["constructor"][letter])
        for letter, name in (("G", "Generator"), ("D", "Discriminator"))
    }
    for letter, adapter in adapters.items():
        official.load(adapter, goldens.pick(weights, f"{letter}."))
    game, gamma, scale = small_game(), 2.5, 0.5
    game.generator.load_state_dict(adapters["G"].weights())
    game.discriminator.load_state_dict(adapters["D"].weights())
    game.noise = lambda n: io["in.z"]  # pyright: ignore[reportAttributeAccessIssue]
    batch = PerhapsLabelled(io["in.real"], io["in.c"].argmax(1))
    game.vector = lambda condition: io["in.c"]  # pyright: ignore[reportAttributeAccessIssue]
    moves = game.play(iter([batch, batch]), Clock())
    measured, terms = dict[str, Tensor](), next(moves).terms
    (terms["apart"] + terms["r1"] + terms["r2"]).backward()
    measured["D_adv"], measured["R1"], measured["R2"] = terms["apart"], terms["r1"] * 2 / gamma, terms["r2"] * 2 / gamma
    measured |= gradients_of(game.discriminator, adapters["D"], "D")
    game.generator.zero_grad()
    move: Move = next(moves)
    move.terms["fool"].backward()
    measured["G_adv"] = move.terms["fool"]
    measured |= gradients_of(game.generator, adapters["G"], "G")
    compared = 0
    for key, value in measured.items():
        if (expected := io.get(f"out.{key}")) is not None:
            compared += 1
            expected = expected / scale if key.startswith("grad.") else expected.mean()
            torch.testing.assert_close(value.detach(), expected, rtol=1e-3, atol=1e-4, msg=key)
    assert compared == len([key for key in io if key.startswith("out.")]) - 2  # G_rel and D_rel are scores alone
    torch.testing.assert_close(io["out.D_rel"], -io["out.G_rel"])
    with torch.no_grad():
        scores = [game.discriminator(x, io["in.c"]) for x in (io["in.real"], game.generator(io["in.z"], io["in.c"]))]
    torch.testing.assert_close(scores[0] - scores[1], io["out.D_rel"], rtol=1e-4, atol=1e-4)


def small_game() -> R3GAN:
    """The game of the recorded losses: stages that no Config describes, and four classes."""
    game = R3GAN(presets["tiny"].config, Facts(3, 16, 16, labels=tuple("abcd")))
    object.__setattr__(game.config, "gamma", 2.5)
    game.generator = Generator(6, STAGES, conditions=4, embedding=5)
    game.discriminator = Discriminator(STAGES[::-1], conditions=4, embedding=12)
    return game


def gradients_of(network: nn.Module, adapter: official.Adapter, letter: str) -> dict[str, Tensor]:
    own = dict(network.named_parameters())
    names = {theirs: ours.removeprefix("ours.") for theirs, ours in adapter.keys().items()}
    return {f"grad.{letter}.{k}": own[n].grad.clone() for k, n in names.items() if n in own}  # pyright: ignore


# -- checkpoints ------------------------------------------------------------------------------


class Foreign:
    """Classes of the authors' modules, there only while a checkpoint is written."""

    def __init__(self) -> None:
        self.modules = dict[str, ModuleType]()

    def kind(self, module: str, name: str, base: type) -> Any:
        home = self.modules.setdefault(module, ModuleType(module))
        if not hasattr(home, name):
            setattr(home, name, type(name, (base,), {"__module__": module, "__qualname__": name}))
        return getattr(home, name)

    def write(self, value: Any, path: Path, protocol: int) -> None:
        parents = {name.partition(".")[0] for name in self.modules}
        with pytest.MonkeyPatch.context() as patch:
            for name, module in ({name: ModuleType(name) for name in parents} | self.modules).items():
                patch.setitem(sys.modules, name, module)
            path.write_bytes(pickle.dumps(value, protocol))

    def network(self, name: str, state: Mapping[str, Tensor]) -> nn.Module:
        """A tree of modules with that state: buffers where the authors have them."""
        root = self.kind("training.networks", name, nn.Module)()
        for key, value in state.items():
            *path, last = key.split(".")
            place = root
            for part in path:
                if part not in place._modules:
                    place.add_module(part, self.kind("R3GAN.Networks", "Layer", nn.Module)())
                place = place._modules[part]
            if last == "Kernel":
                place.register_buffer(last, value)
            else:
                place.register_parameter(last, nn.Parameter(value))
        root.DataType = torch.bfloat16
        return root


def checkpoint(path: Path, classes: int = 0, protocol: int = 4, **more: Any) -> tuple[dict[str, Any], Foreign]:
    """A checkpoint of R3GAN with random weights; and its official networks."""
    torch.manual_seed(0)
    sizes = {"WidthPerStage": [16, 16, 8], "CardinalityPerStage": [4, 4, 2], "BlocksPerStage": [2, 2, 2]}
    upside = {key: value[::-1] for key, value in sizes.items()}
    given = {"ExpansionFactor": 2, "c_dim": classes, "file": "training/networks.py"}
    built = {
        "G": official.network(
            "r3gan", "Generator", **sizes, **given, NoiseDimension=6, ConditionEmbeddingDimension=6 * bool(classes)
        ),
        "D": official.network(
            "r3gan", "Discriminator", **upside, **given, ConditionEmbeddingDimension=8 * bool(classes)
        ),
    }
    built["G_ema"] = official.network(
        "r3gan", "Generator", **sizes, **given, NoiseDimension=6, ConditionEmbeddingDimension=6 * bool(classes)
    )
    for network in built.values():
        for parameter in network.parameters():
            nn.init.normal_(parameter, 0.0, 0.3)
    foreign = Foreign()
    names = {"G": "Generator", "D": "Discriminator", "G_ema": "Generator"}
    held: dict[str, Any] = {key: foreign.network(names[key], net.state_dict()) for key, net in built.items()}
    options = foreign.kind("dnnlib.util", "EasyDict", dict)(class_name="training.dataset.ImageFolderDataset")
    options.path = "ffhq.zip"
    held |= {"training_set_kwargs": options, "cur_nimg": 25_000_000, "G_opt_state": {"state": {}}, **more}
    foreign.write(held, path, protocol)
    return built, foreign


@pytest.mark.parametrize(("classes", "protocol"), [(0, 4), (5, 4), (0, 3)])
def test_a_checkpoint_becomes_a_run(classes: int, protocol: int, tmp_path: Path):
    path = tmp_path / "network-snapshot-final.pkl"
    built, _ = checkpoint(path, classes, protocol)
    assert "training.networks" not in sys.modules
    files = [f"generator={path}", f"discriminator={path}"]
    run = load(import_weights(files, "r3gan", tmp_path / "run"))
    z, y = torch.randn(3, 6), torch.eye(5)[:3] if classes else None
    with torch.no_grad():
        images = run.game.generator(z, y)  # pyright: ignore
        torch.testing.assert_close(images, built["G_ema"](z, y))
        torch.testing.assert_close(run.game.discriminator(images, y), built["D"](images, y))  # pyright: ignore
    assert images.std() > 0.01
    assert len(run.game.facts.labels) == classes
    raw = load(import_weights(path, "r3gan", tmp_path / "raw", entry="G"))
    with torch.no_grad():
        torch.testing.assert_close(raw.game.generator(z, y), built["G"](z, y))  # pyright: ignore


def test_another_filter_is_refused(tmp_path: Path):
    path = tmp_path / "other.pkl"
    built, foreign = checkpoint(path)
    state = built["G_ema"].state_dict()
    state["Model.MainLayers.1.Layers.0.Resampler.Kernel"] = torch.full((4, 4), 1 / 16)
    foreign.write({"G_ema": foreign.network("Generator", state)}, path, 4)
    with pytest.raises(WeightsError, match="another filter than 1 3 3 1"):
        import_weights(path, "r3gan", tmp_path / "run")


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_nothing_in_a_checkpoint_runs(tmp_path: Path):
    path, trace = tmp_path / "evil.pkl", tmp_path / "it ran"
    checkpoint(path, trap=Trap(trace))
    with pytest.raises(WeightsError, match=r"asks for posix\.mkdir|asks for nt\.mkdir"):
        official.read(path, "G_ema")
    assert not trace.exists()


def test_damaged_and_empty_pickles_are_named(tmp_path: Path):
    path = tmp_path / "torn.pkl"
    checkpoint(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(WeightsError, match="is damaged"):
        official.read(path)
    path.write_bytes(pickle.dumps({"steps": 3}))
    with pytest.raises(WeightsError, match="is a pickle without networks"):
        official.read(path)


class Persistent(nn.Linear):
    """A module as torch_utils/persistence.py of stylegan2-ada-pytorch pickles it: with the text of its class."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.register_buffer("hidden", torch.zeros(1), persistent=False)
        self._init_args, self._init_kwargs = (), {"in_features": 3}

    def __reduce__(self) -> tuple[Any, ...]:
        state = dict(vars(self))
        rebuild = sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj
        source = "import os\nos.mkdir('it ran')"
        return rebuild, ({"type": "class", "version": 6, "module_src": source, "class_name": "Layer", "state": state},)


def test_the_text_of_a_persistent_class_is_kept_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home = ModuleType("torch_utils.persistence")

    def _reconstruct_persistent_obj(meta: Any) -> Any:
        raise AssertionError

    _reconstruct_persistent_obj.__module__ = home.__name__
    _reconstruct_persistent_obj.__qualname__ = _reconstruct_persistent_obj.__name__
    home._reconstruct_persistent_obj = _reconstruct_persistent_obj  # pyright: ignore
    monkeypatch.setitem(sys.modules, "torch_utils", ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, home.__name__, home)
    monkeypatch.chdir(tmp_path)
    layer = Persistent()
    Path("one.pkl").write_bytes(pickle.dumps({"G_ema": layer}))
    found = read_networks(Path("one.pkl"))["G_ema"]
    assert not Path("it ran").exists()
    torch.testing.assert_close(found, dict(layer.state_dict()))


def test_the_gradient_is_that_of_each_image():
    x = torch.randn(4, 2, 3, 3).requires_grad_()
    weights = torch.randn(4)
    scores = (x.square().flatten(1).sum(1)) * weights
    expected = 4 * x.detach().square().flatten(1).sum(1) * weights.square()
    torch.testing.assert_close(squared_slope(scores, x).detach(), expected)
