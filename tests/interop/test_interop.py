"""Official files become runs that sample and translate; exported networks give the same outputs."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import ganforge
from ganforge import official
from ganforge.cli import run as command
from ganforge.errors import DataError, GANForgeError, ModelError, OptionError, RunError, WeightsError
from ganforge.images import write
from ganforge.inference.trained import Trained
from ganforge.interop.exporting import Call, check_difference, export, write_pt2
from ganforge.interop.importing import import_weights
from ganforge.official.text_encoder import ALPHABET
from ganforge.runs.folder import RunFolder

DENOISING = "inference/denoising/test.prototxt"
# (model, system, official class, its arguments, inputs of the official network, our output for the same inputs)
Ours = Callable[[Trained, Tensor], Tensor]


def generated(trained: Trained, z: Tensor) -> Tensor:
    return trained.game.generate(z.flatten(1))  # pyright: ignore


def enlarged(trained: Trained, low: Tensor) -> Tensor:
    return (trained.game.translate(low * 2 - 1) + 1) / 2  # pyright: ignore


def cleaned(trained: Trained, noisy: Tensor) -> Tensor:
    return (trained.game.translate(noisy / 127.5 - 1) + 1) * 127.5  # pyright: ignore


SMALL_DISCRIMINATOR = {"judge_width": 1}  # random weights, written with every run
LOW, GREY = (2, 3, 6, 5), (1, 1, 16, 32)
BASICSR = {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 4, "num_block": 1, "num_grow_ch": 2}
EXTRA = {"isize": 32, "nz": 5, "nc": 3, "ngf": 4, "ngpu": 0, "n_extra_layers": 1}
CASES: list[tuple[str, str, str, dict[str, Any], tuple[int, ...], Ours]] = [
    ("dcgan", "dcgan", "Generator", {"globals": {"nz": 6, "ngf": 4, "nc": 1}}, (2, 6, 1, 1), generated),
    ("wgan", "wgan", "DCGAN_G", EXTRA, (2, 5, 1, 1), generated),
    ("wgan", "wgan", "DCGAN_G_nobn", {"isize": 16, "nz": 5, "nc": 1, "ngf": 4, "ngpu": 0}, (2, 5, 1, 1), generated),
    ("wgan", "wgan", "MLP_G", {"isize": 8, "nz": 5, "nc": 3, "ngf": 4, "ngpu": 0}, (2, 5, 1, 1), generated),
    ("srgan", "srgan", "SRResNet", {"channels": 4, "num_rcb": 2, "upscale": 4}, LOW, enlarged),
    ("srgan", "srgan", "Generator", {"scale_factor": 2}, LOW, enlarged),
    ("srgan", "esrgan", "RRDBNet", {"in_nc": 3, "out_nc": 3, "nf": 4, "nb": 2, "gc": 2}, LOW, enlarged),
    (
        "srgan",
        "esrgan",
        "RRDBNet",
        {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 4, "num_block": 1, "num_grow_ch": 2},
        LOW,
        enlarged,
    ),
    ("srgan", "esrgan", "RRDB_Net", {"in_nc": 3, "out_nc": 3, "nf": 4, "nb": 1, "gc": 2, "upscale": 8}, LOW, enlarged),
    ("srgan", "esrgan", "MSRResNet", {"num_feat": 4, "num_block": 1, "upscale": 3}, LOW, enlarged),
    ("rbdn", "rbdn", "net definition", {"file": DENOISING, "num_output_64_replaced_by": 4}, GREY, cleaned),
]
IDS = [f"{system}-{class_name}-{i}" for i, (_, system, class_name, *_) in enumerate(CASES)]


def theirs(system: str, class_name: str, arguments: dict[str, Any], seed: int = 0) -> official.Adapter:
    """An official network with weights of its own."""
    torch.manual_seed(seed)
    network = official.network(system, class_name, **arguments).eval()
    for tensor in network.parameters():
        nn.init.normal_(tensor, 0.1 * (tensor.ndim == 1), 0.1)
    return network


def saved(network: nn.Module, path: Path) -> Path:
    weights = {key: value.contiguous().clone() for key, value in network.state_dict().items()}
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save(weights, path)
    return path


def srresnet(path: Path, **arguments: Any) -> Path:
    return saved(theirs("srgan", "SRResNet", {"channels": 4, "num_rcb": 1, "upscale": 2, **arguments}), path)


# -- in ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "system", "class_name", "arguments", "shape", "ours"), CASES, ids=IDS)
def test_an_official_file_becomes_a_run(
    model: str, system: str, class_name: str, arguments: dict[str, Any], shape: Any, ours: Ours, tmp_path: Path
):
    network, given = theirs(system, class_name, arguments), torch.rand(shape)
    if system == "rbdn":
        given = given * 255
    config = SMALL_DISCRIMINATOR if model == "srgan" else None
    run = import_weights(saved(network, tmp_path / "net.pth"), model, tmp_path / "run", config=config)
    trained = ganforge.load(run, device="cpu")
    with torch.no_grad():
        answer, expected = ours(trained, given), network(given)
    limits = {"srgan": (0, 1), "rbdn": (0, 255)}.get(model, (-9e9, 9e9))
    torch.testing.assert_close(answer, expected.clamp(*limits), rtol=1e-4, atol=1e-4 if model != "rbdn" else 1e-2)
    assert expected.std() > 0


RESNET, FACES = {"norm": "instance", "ngf": 4, "n_blocks": 6}, {"conv_dim": 4, "c_dim": 5, "repeat_num": 2}
UNET = {"num_downs": 6, "ngf": 4, "norm": "instance"}
BICYCLE = {"num_downs": 6, "ngf": 4, "norm": "instance", "nl": "relu", "nz": 3}
TRANSLATORS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("pix2pix", "UnetGenerator", {"input_nc": 1, "output_nc": 3, **UNET}, {"use_dropout": False}),
    ("pix2pix", "ResnetGenerator", {"input_nc": 1, "output_nc": 3, **RESNET}, {}),
    ("cyclegan", "ResnetGenerator", {"input_nc": 3, "output_nc": 3, **RESNET}, {}),
    ("bicyclegan", "G_Unet_add_all", {"input_nc": 1, "output_nc": 3, **BICYCLE}, {}),
    ("stargan", "Generator", FACES, {}),
]


@pytest.mark.parametrize(("model", "class_name", "arguments", "given"), TRANSLATORS, ids=[t[1] for t in TRANSLATORS])
def test_translators_of_other_files(
    model: str, class_name: str, arguments: dict[str, Any], given: dict[str, Any], tmp_path: Path
):
    """Their networks normalise by running statistics in evaluation, ours by the image's own: instance norm agrees."""
    network, source = theirs(model, class_name, arguments), torch.rand(1, arguments.get("input_nc", 3), 64, 64)
    small = {} if model == "stargan" else {"judge_width": 2}
    run = import_weights(saved(network, tmp_path / "G.pth"), model, tmp_path / "run", arguments=given, config=small)
    game = ganforge.load(run, device="cpu").game
    ours = game.to_b if model == "cyclegan" else game.generator
    more = {"stargan": [torch.rand(1, 5)], "bicyclegan": [torch.rand(1, 3)]}.get(model, [])
    network.train(model == "stargan")  # their program never evaluates
    with torch.no_grad():
        torch.testing.assert_close(ours(source, *more), network(source, *more), rtol=1e-4, atol=1e-5)


PLACES: dict[str, tuple[str, str, dict[str, tuple[str, dict[str, Any]]]]] = {
    "spade": (
        "spade",
        "map.png",
        {
            "latest_net_G.pth": ("SPADEGenerator", {"ngf": 2, "label_nc": 5, "use_vae": True}),
            "latest_net_D.pth": ("MultiscaleDiscriminator", {"ndf": 2, "label_nc": 5}),
            "latest_net_E.pth": ("ConvEncoder", {"ngf": 2}),
        },
    ),
    "lostgan": (
        "lostgans",
        "layout:3 0.1 0.2 0.5 0.6; 7 0.5 0.5 0.9 0.9",
        {
            "G_200.pth": ("ResnetGenerator64", {"ch": 2, "num_classes": 9}),
            "D_200.pth": ("CombineDiscriminator64", {"ch": 2, "num_classes": 9}),
        },
    ),
}


@pytest.mark.parametrize("model", PLACES)
@pytest.mark.parametrize("alone", [True, False])
def test_generators_of_maps_and_layouts_are_imported_without_the_weights_of_vgg(
    tmp_path: Path, model: str, alone: bool
):
    system, source, files = PLACES[model]
    for name, (kind, arguments) in files.items():
        state = official.network(system, kind, **arguments).state_dict()
        torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / name)
    path = import_weights([tmp_path / name for name in [*files][: 1 if alone else None]], model, tmp_path / "run")
    write(tmp_path / "map.png", np.full((40, 50, 1), 4, np.uint8))
    place = source if model == "lostgan" else str(tmp_path / source)
    assert command(["translate", str(path), place, str(tmp_path / "out"), "-n", "2"]) == 0
    assert len([*(tmp_path / "out").iterdir()]) == 2


def test_the_character_network_is_imported_with_the_authors_letters(tmp_path: Path):
    network = theirs("text_encoder", "DocumentCNN.cnn", {"alphasize": 70, "emb_dim": 8, "cnn_dim": 6, "avg": 1})
    said = []
    path = import_weights(saved(network, tmp_path / "net_T.pth"), "text_encoder", tmp_path / "run", say=said.append)
    assert any("avg=1" in sentence for sentence in said)
    run = ganforge.load(path, device="cpu")
    assert (run.facts.vocabulary, run.facts.caption_length, run.tokeniser.length) == (72, 201, 201)
    sentences = ["A red bird - with (white) wings.", "\u00fc"]
    tokens = torch.from_numpy(run.tokeniser.encode(sentences))
    letters = torch.zeros(2, 201, 70)
    for place, letter in enumerate(sentences[0].lower()):
        letters[0, place, ALPHABET.rindex(letter)] = 1  # the authors' table keeps the last of two equal letters
    with torch.no_grad():
        torch.testing.assert_close(run.game(tokens, tokens > 0)[1], network.eval()(letters))
    assert run.tokeniser.unknown(sentences[1]) == ["\u00fc"]


def test_two_directions_are_two_files(tmp_path: Path):
    ways = [theirs("cyclegan", "ResnetGenerator", {"input_nc": 3, "output_nc": 3, **RESNET}, seed) for seed in (0, 1)]
    there, back = (saved(network, tmp_path / f"{k}.pth") for k, network in enumerate(ways))
    files = [there, f"to_a={back}"]
    game = ganforge.load(import_weights(files, "cyclegan", tmp_path / "run", config={"judge_width": 2})).game
    torch.testing.assert_close(game.to_b.state_dict(), ways[0].network.state_dict(), rtol=0, atol=0)  # pyright: ignore
    torch.testing.assert_close(game.to_a.state_dict(), ways[1].network.state_dict(), rtol=0, atol=0)  # pyright: ignore


def test_a_discriminator_is_imported_with_its_generator(tmp_path: Path):
    discriminator = {"image_size": 32, "conv_dim": 4, "c_dim": 5, "repeat_num": 4}
    one, other = (theirs("stargan", *said) for said in (("Generator", FACES), ("Discriminator", discriminator)))
    files = [saved(one, tmp_path / "G.pth"), saved(other, tmp_path / "D.pth")]
    trained = ganforge.load(import_weights(files, "stargan", tmp_path / "run"))
    assert trained.facts.height == 32
    assert trained.facts.attributes[0] == "Black_Hair"
    assert import_weights(
        saved(theirs("stargan", "Generator", {**FACES, "c_dim": 8}), files[0]), "stargan", tmp_path / "r"
    )


def test_the_command_imports_and_the_run_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    network = theirs("dcgan", "Generator", {"globals": {"nz": 6, "ngf": 4, "nc": 1}})
    weights = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"netG": weights, "epoch": 3}, tmp_path / "both.pth")
    words = ["import", f"{tmp_path / 'both.pth'}", "--as", "dcgan", "--entry", "netG", "-o", f"{tmp_path / 'run'}"]
    assert command(words) == 0
    said = capsys.readouterr().out
    assert "it becomes dcgan.generator" in said
    assert "untrained: discriminator" in said
    assert command(["sample", f"{tmp_path / 'run'}", "-n", "4", "-o", f"{tmp_path / 'grid.png'}"]) == 0
    config = RunFolder.open(tmp_path / "run").run_config
    assert config.data["imported"]["generator"]["class"] == "Generator"
    assert (config.config["latent"], config.config["width"], config.facts["channels"]) == (6, 4, 1)
    assert command(words) == 1
    assert "is not empty" in capsys.readouterr().err


def test_the_error_of_a_wrong_file_names_what_does_not_fit(tmp_path: Path):
    whole = dict(theirs("srgan", "SRResNet", {"channels": 4, "num_rcb": 1, "upscale": 2}).state_dict())
    torch.save({**whole, "extra": torch.zeros(2)}, tmp_path / "more.pth")
    with pytest.raises(WeightsError, match=r"begins with conv1.0.weight .4, 3, 9, 9.*nearest is SRResNet .*: extra"):
        import_weights(tmp_path / "more.pth", "srgan", tmp_path / "run")
    torch.save({key: value for key, value in whole.items() if key != "conv2.0.weight"}, tmp_path / "less.pth")
    with pytest.raises(WeightsError, match=r"missing: conv2.0.weight"):
        import_weights(tmp_path / "less.pth", "srgan", tmp_path / "run")
    torch.save({**whole, "conv2.1.bias": torch.zeros(9)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"conv2.1.bias is 9 where the network has 4"):
        import_weights(tmp_path / "other.pth", "srgan", tmp_path / "run", class_name="SRResNet")
    with pytest.raises(WeightsError, match=r"does not fit Generator .dcgan.: it has no main.0.weight"):
        import_weights(tmp_path / "more.pth", "dcgan", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("model", "options", "kind", "message"),
    [
        ("srgam", {}, ModelError, "Did you mean srgan"),
        ("gan", {}, ModelError, "No official layout is known for gan; weights can be imported as .*dcgan, "),
        (
            "srgan",
            {"class_name": "UNet"},
            ModelError,
            "class 'UNet' is known for srgan; there are .*SRResNet",
        ),
        ("srgan", {"arguments": {"widht": 3}, "class_name": "SRResNet"}, WeightsError, "unexpected keyword .*widht"),
        (
            "srgan",
            {"arguments": {"num_rcb": 2}, "class_name": "SRResNet"},
            WeightsError,
            "missing: trunk.1.rcb.0.weight",
        ),
    ],
)
def test_wrong_words_are_named(
    model: str, options: dict[str, Any], kind: type[GANForgeError], message: str, tmp_path: Path
):
    with pytest.raises(kind, match=message):
        import_weights(srresnet(tmp_path / "net.safetensors"), model, tmp_path / "run", **options)


def test_two_files_cannot_be_one_network(tmp_path: Path):
    one, other = (srresnet(tmp_path / f"{i}.pth") for i in range(2))
    with pytest.raises(OptionError, match="would fill generator, generator"):
        import_weights([one, other], "srgan", tmp_path / "run")
    run = import_weights(f"generator={one}", "srgan", tmp_path / "run", config=SMALL_DISCRIMINATOR)
    with pytest.raises(RunError, match="is not empty"):
        import_weights(one, "srgan", run)


def test_an_imported_run_can_be_trained(tmp_path: Path):
    for k in range(2):
        write(tmp_path / "photos" / f"{k}.png", torch.randint(0, 256, (96, 96, 3), dtype=torch.uint8).numpy())
    run = import_weights(srresnet(tmp_path / "net.pth"), "srgan", tmp_path / "run", config=SMALL_DISCRIMINATOR)
    folder = RunFolder.open(run)
    folder.rewrite(replace(folder.run_config, run={**folder.run_config.run, "batch": 1, "sample_every": 0}))
    with pytest.raises(GANForgeError, match="There is no data called ''"):
        ganforge.resume(run, steps=1, quiet=True)
    assert ganforge.resume(run, steps=1, data=tmp_path / "photos", quiet=True).step == 1


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    """Two images of 256 pixels with label maps of five named regions."""
    drawn = np.random.default_rng(0)
    for k in range(2):
        write(tmp_path / "streets" / "images" / f"{k}.png", drawn.integers(0, 256, (256, 256, 3)).astype(np.uint8))
        write(tmp_path / "streets" / "labels" / f"{k}.png", drawn.integers(0, 5, (256, 256, 1)).astype(np.uint8))
    (tmp_path / "streets" / "classes.txt").write_text("sky\nroad\ntree\ncar\nhouse\n")
    return tmp_path / "streets"


def import_spade(home: Path, **arguments: Any) -> Path:
    """A run of `net.pth` that trains without a network of VGG's and draws no samples."""
    path = import_weights(
        home / "net.pth", "spade", home / "run", arguments=arguments, config={"content": "none", "use_vae": False}
    )
    return draw_no_samples(path)


def draw_no_samples(path: Path) -> Path:
    folder = RunFolder.open(path)
    folder.rewrite(replace(folder.run_config, run={**folder.run_config.run, "batch": 2, "sample_every": 0}))
    return path


def test_an_imported_run_takes_the_names_of_its_first_data_by_number(tmp_path: Path, streets: Path):
    kind, arguments = "SPADEGenerator", {"ngf": 2, "label_nc": 5, "no_instance": True}
    torch.save(official.network("spade", kind, **arguments).state_dict(), tmp_path / "net.pth")
    imported, said = import_spade(tmp_path, no_instance=True), list[str]()
    run = ganforge.resume(imported, steps=0, data=streets, quiet=True, say=said.append)
    assert run.facts.regions == ("sky", "road", "tree", "car", "house")
    assert ganforge.load(imported, device="cpu").facts == run.facts
    assert any("0 is sky, 1 is road, 2 is tree, 3 is car, 4 is house" in sentence for sentence in said)
    (streets / "classes.txt").write_text("sky\nroad\ncar\ntree\nhouse\n")
    with pytest.raises(DataError, match="does not suit the run: regions is"):
        ganforge.resume(imported, steps=0, data=streets, quiet=True)


def test_data_with_other_counts_than_an_imported_file_are_refused(tmp_path: Path, streets: Path):
    """The file's five planes are four regions and the boundaries of instances; as five regions the data suit it."""
    torch.save(official.network("spade", "SPADEGenerator", ngf=2, label_nc=4).state_dict(), tmp_path / "net.pth")
    run = import_spade(tmp_path, label_nc=4)
    with pytest.raises(DataError, match="streets has 5 regions, and the imported file 4: give data with as many"):
        ganforge.resume(run, steps=0, data=streets, quiet=True)


def test_an_imported_run_of_layouts_is_trained_on_named_objects(tmp_path: Path):
    for name, (kind, arguments) in PLACES["lostgan"][2].items():
        torch.save(official.network("lostgans", kind, **{**arguments, "num_classes": 11}).state_dict(), tmp_path / name)
    run = import_weights([tmp_path / name for name in PLACES["lostgan"][2]], "lostgan", tmp_path / "run")
    trained = ganforge.resume(draw_no_samples(run), steps=1, data="shapes-layouts", quiet=True)
    assert trained.step == 1
    assert command(["translate", str(run), "layout:star 0.1 0.2 0.5 0.6", str(tmp_path / "out.png")]) == 0


# -- out -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exchange")
    return import_weights(srresnet(folder / "net.pth"), "srgan", folder / "run", config=SMALL_DISCRIMINATOR)


def low() -> Tensor:
    return torch.rand(3, 3, 48, 48)


def test_export_as_safetensors(run: Path, tmp_path: Path):
    (path,) = export(run, tmp_path / "weights.safetensors")
    source = ganforge.load(run, device="cpu").game.generator
    torch.testing.assert_close(load_file(path), dict(source.state_dict()), rtol=0, atol=0)  # pyright: ignore
    with safe_open(path, "pt") as file:
        assert file.metadata()["model"] == "srgan"


def test_export_by_torch(run: Path, tmp_path: Path):
    (path,) = export(run, tmp_path, ["pt2"])
    assert path == tmp_path / "generator.pt2"
    source, given = ganforge.load(run, device="cpu").game.generator, low()
    with torch.no_grad():
        torch.testing.assert_close(torch.export.load(path).module()(given), source(given))  # pyright: ignore


@pytest.mark.parametrize(
    ("model", "config", "size"),
    [
        ("dcgan", {"networks": "chapter", "width": 4}, 28),
        ("pix2pix", {"norm": "instance"}, 32),
        ("stargan", {}, 16),
        ("instagan", {}, 16),
    ],
)
def test_layers_that_are_quick_on_a_cpu_take_any_number_of_rows_elsewhere(
    model: str, config: dict[str, Any], size: int, tmp_path: Path
):
    options = {"config": config, "size": (size,), "steps": 1, "sample_every": 0, "quiet": True}
    trained = ganforge.train(model, preset="tiny", outdir=tmp_path, **options)
    written = export(trained.path, tmp_path / "net", ["pt2"])  # read back and held against its source on three rows
    assert len(written) == len(trained.game.averaged)


def test_export_as_onnx(run: Path, tmp_path: Path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    (path,) = export(run, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    source, given = ganforge.load(run, device="cpu").game.generator, low()
    (made,) = session.run(None, {"input_0": given.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(made), source(given), rtol=1e-4, atol=1e-4)  # pyright: ignore


def test_a_difference_is_an_error(tmp_path: Path):
    path = tmp_path / "net.onnx"
    path.touch()
    with pytest.raises(ModelError, match=r"would have differed from its source by 1.0e-02, more than 1.0e-04"):
        check_difference(path, [torch.zeros(2)], [torch.tensor([0.0, 0.01])])
    assert not path.exists()
    with pytest.raises(ModelError, match="differed"):
        check_difference(path, [torch.tensor([float("nan")])], [torch.zeros(1)])
    assert check_difference(path, [torch.full((2,), 1000.05)], [torch.full((2,), 1000.0)]) == pytest.approx(
        0.05, rel=0.01
    )


def test_what_cannot_be_exported_is_named(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(OptionError, match=r"must end in the format, one of .safetensors, .onnx, .pt2"):
        export(run, tmp_path / "net.pth")
    with pytest.raises(OptionError, match="must end in the format"):
        export(run, tmp_path / "net.pt2", ["safetensors"])

    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    call = Call("odd", Odd(), (torch.ones(2, 3),))
    with pytest.raises(ModelError, match=r"network odd cannot be written as torch.export"):
        write_pt2(call, tmp_path / "odd.pt2", ganforge.load(run, device="cpu"))
    assert not (tmp_path / "odd.pt2").exists()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(OptionError, match=r"pip install 'ganforge\[export\]'"):
        export(run, tmp_path, ["onnx"])


def test_without_the_libraries_of_onnx_the_other_formats_are_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    said: list[str] = []
    written = export(run, tmp_path, say=said.append)
    assert {path.name for path in written} == {"generator.safetensors", "generator.pt2"}
    assert said[0].startswith("ONNX needs libraries that are not installed")
    assert "ganforge[export]" in said[0]
    with pytest.raises(OptionError, match="or leave it out"):
        export(run, tmp_path / "net.onnx")


def test_the_command_exports(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert command(["export", f"{run}", "--format", "safetensors", "pt2", "-o", f"{tmp_path}"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"generator.safetensors", "generator.pt2"}
    assert "differs from its source by" in capsys.readouterr().out
    assert command(["export"]) == 1
    assert command(["import", f"{run}"]) == 1
    assert "--as pix2pix" in capsys.readouterr().err
