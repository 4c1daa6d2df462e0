"""Checkpoints of StyleGAN2: pickles of NVIDIA and of TensorFlow, and files of rosinality."""

import pickle
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganforge import official
from ganforge.errors import OptionError, WeightsError
from ganforge.inference.load import load
from ganforge.interop.importing import import_weights
from ganforge.nn.upfirdn import make_filter

SIZES = {"z_dim": 8, "c_dim": 0, "w_dim": 8, "img_resolution": 16, "img_channels": 3}
NARROW = {"channel_base": 128, "channel_max": 16}


def networks() -> tuple[Any, Any]:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {**SIZES, "mapping_kwargs": {"num_layers": 2}, "conv_clamp": 256.0}
    maker = official.network("stylegan2", "Generator", **sizes, synthesis_kwargs=NARROW)
    sizes = {"c_dim": 0, "img_resolution": 16, "img_channels": 3, "conv_clamp": 256.0}
    judge = official.network("stylegan2", "Discriminator", **sizes, **NARROW)
    for tensor in (*maker.network.state_dict().values(), *judge.network.state_dict().values()):
        nn.init.normal_(tensor)
    return maker.eval(), judge.eval()


@contextmanager
def their_modules() -> Iterator[tuple[type, Callable[..., Any]]]:
    """Modules named as those that NVIDIA's pickles refer to, as long as a pickle is written."""
    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")

    def _reconstruct_persistent_obj(meta: Any) -> Any:
        raise AssertionError("the original loader must not run")

    class EasyDict(dict): ...

    for module, made in ((persistence, _reconstruct_persistent_obj), (util, EasyDict)):
        made.__module__, made.__qualname__ = module.__name__, made.__name__
        setattr(module, made.__name__, made)
    held = {"torch_utils": types.ModuleType("torch_utils"), "torch_utils.persistence": persistence}
    held |= {"dnnlib": types.ModuleType("dnnlib"), "dnnlib.util": util}
    sys.modules.update(held)
    try:
        yield EasyDict, _reconstruct_persistent_obj
    finally:
        for name in held:
            del sys.modules[name]


class Persistent:
    """What pickles as an object of a persistent class."""

    def __init__(self, rebuild: Callable[..., Any], name: str, state: dict[str, Any]) -> None:
        self.rebuild, self.meta = rebuild, {"type": "class", "version": 6, "class_name": name, "state": state}
        self.meta["module_src"] = "raise AssertionError('the source must not run')"

    def __reduce__(self) -> Any:
        return self.rebuild, (self.meta,)


def as_persistent(state: dict[str, Tensor], rebuild: Callable[..., Any], name: str) -> Persistent:
    """A tree of persistent modules with the tensors of a state dict; buffers are those that are no parameters there."""
    own, inner = dict[str, Tensor](), dict[str, dict[str, Tensor]]()
    for key, value in state.items():
        first, _, rest = key.partition(".")
        if rest:
            inner.setdefault(first, {})[rest] = value
        else:
            own[first] = value
    fixed = ("resample_filter", "noise_const", "w_avg")
    fields: dict[str, Any] = {"training": False, "_forward_hooks": {}, "weight_gain": 0.5}
    fields["_parameters"] = {key: nn.Parameter(value) for key, value in own.items() if key not in fixed} | {
        "none": None
    }
    fields["_buffers"] = {key: value for key, value in own.items() if key in fixed}
    fields["_modules"] = {key: as_persistent(value, rebuild, key) for key, value in inner.items()}
    return Persistent(rebuild, name, fields)


def write_pickle(path: Path, **classes: str) -> tuple[Any, Any]:
    maker, judge = networks()
    with their_modules() as (easy, rebuild):
        held = easy(training_set_kwargs=easy(path="somewhere"), augment_pipe=None)
        worse = {key: value + 1 for key, value in maker.state_dict().items()}  # the live G is not the averaged one
        held["G"] = as_persistent(worse, rebuild, "Generator")
        held["D"] = as_persistent(judge.state_dict(), rebuild, "Discriminator")
        held["G_ema"] = as_persistent(maker.state_dict(), rebuild, "Generator")
        for name, kind in classes.items():
            held["G_ema"].meta["state"]["_modules"][name] = Persistent(rebuild, kind, {})
        path.write_bytes(pickle.dumps(held))
    return maker, judge


def test_a_pickle_of_nvidia_becomes_a_run_and_its_source_is_not_run(tmp_path: Path):
    path = tmp_path / "network-snapshot-000200.pkl"
    maker, judge = write_pickle(path)
    files = [f"generator={path}", f"discriminator={path}"]
    own = load(import_weights(files, "stylegan2", tmp_path / "run")).game
    z = torch.randn(2, 8)
    with torch.no_grad():
        torch.testing.assert_close(own.generator(z), maker(z))  # pyright: ignore
        images = torch.randn(4, 3, 16, 16)
        torch.testing.assert_close(own.discriminator.eval()(images)[:, None], judge(images))  # pyright: ignore
    assert own.config.capacity == 128
    assert own.config.clamp == 256.0


def test_the_averaged_generator_is_taken_where_no_network_is_named(tmp_path: Path):
    maker, _ = write_pickle(tmp_path / "a.pkl")
    own: Any = load(import_weights(tmp_path / "a.pkl", "stylegan2", tmp_path / "run", class_name="Generator")).game
    torch.testing.assert_close(own.generator.synthesis.constant.data, maker.network.synthesis.constant.data)


class Network:
    """What TensorFlow's networks pickle as."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def to_tensorflow(key: str, value: Tensor) -> tuple[str, Tensor]:
    """The name and the layout that TensorFlow's networks have for a tensor of the torch ones (legacy.py)."""
    words = key.split(".")
    if key == "mapping.w_avg":
        return "dlatent_avg", value
    if words[0] == "mapping":
        return f"mapping/Dense{words[1][2:]}/{words[2]}", value.T if value.ndim == 2 else value
    if words[2] == "const":
        return "synthesis/4x4/Const/const", value[None]
    side, layer, doubles = words[1][1:], words[2], words[2] == "conv0"
    if words[3] == "noise_const":
        number = 2 * (int(side).bit_length() - 1) - (5 if doubles else 4)
        return f"synthesis/noise{number}", value[None, None]
    name = {"conv0": "Conv0_up", "conv1": "Conv" if side == "4" else "Conv1", "torgb": "ToRGB"}[layer]
    if words[3] == "affine":
        return f"synthesis/{side}x{side}/{name}/mod_{words[4]}", value.T if words[4] == "weight" else value - 1
    if value.ndim == 4:
        value = value.permute(2, 3, 1, 0)
        value = value.flip(0, 1) if doubles else value
    return f"synthesis/{side}x{side}/{name}/{words[3]}", value


def test_a_pickle_of_tensorflow_becomes_a_run(tmp_path: Path):
    maker, _ = networks()
    state = {key: value for key, value in maker.state_dict().items() if not key.endswith("resample_filter")}
    named = dict(to_tensorflow(key, value) for key, value in state.items())
    arrays = {key: value.contiguous().numpy().astype("float32") for key, value in named.items()}
    module = types.ModuleType("dnnlib.tflib.network")
    Network.__module__, module.Network = module.__name__, Network  # pyright: ignore
    held = {name: types.ModuleType(name) for name in ("dnnlib", "dnnlib.tflib")} | {module.__name__: module}
    sys.modules.update(held)
    try:
        parts = {}
        for part in ("mapping", "synthesis"):
            own = [(key.partition("/")[2], value) for key, value in arrays.items() if key.startswith(f"{part}/")]
            parts[part] = Network(name=part, variables=own)
        whole = Network(
            components=parts, variables=[("dlatent_avg", arrays["dlatent_avg"]), ("lod", arrays["dlatent_avg"])]
        )
        (tmp_path / "stylegan2-ffhq.pkl").write_bytes(
            pickle.dumps((Network(variables=[]), Network(variables=[]), whole), 3)
        )
    finally:
        for name in held:
            del sys.modules[name]
    own: Any = load(import_weights(f"generator={tmp_path / 'stylegan2-ffhq.pkl'}", "stylegan2", tmp_path / "run")).game
    z = torch.randn(2, 8)
    with torch.no_grad():
        torch.testing.assert_close(own.generator(z), maker(z))


def test_networks_of_stylegan3_are_refused_by_name(tmp_path: Path):
    write_pickle(tmp_path / "a.pkl", input="SynthesisInput")
    with pytest.raises(WeightsError, match=r"a network of StyleGAN3 \(SynthesisInput\)"):
        import_weights(f"generator={tmp_path / 'a.pkl'}", "stylegan2", tmp_path / "run")


def test_a_pickle_that_would_run_a_command_runs_nothing(tmp_path: Path):
    class Worse:
        def __reduce__(self) -> Any:
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"G_ema": Worse()}))
    with pytest.raises(WeightsError, match=r"asks for builtins\.exec"):
        import_weights(f"generator={tmp_path / 'a.pkl'}", "stylegan2", tmp_path / "run")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("cut", [0, 10, 1000])
def test_a_damaged_pickle_is_one_sentence(cut: int, tmp_path: Path):
    write_pickle(tmp_path / "a.pkl")
    (tmp_path / "a.pkl").write_bytes((tmp_path / "a.pkl").read_bytes()[:cut])
    with pytest.raises(WeightsError, match="is damaged, or not a pickle of networks"):
        import_weights(f"generator={tmp_path / 'a.pkl'}", "stylegan2", tmp_path / "run")


def test_a_checkpoint_of_rosinality_becomes_a_run(tmp_path: Path):
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"size": 16, "widths": [16, 16, 8]}
    maker = official.network("stylegan2", "Generator", file="models/stylegan2/model.py", style_dim=8, n_mlp=2, **sizes)
    judge = official.network("stylegan2", "Discriminator", file="models/stylegan2/model.py", **sizes)
    live = {key: value + 1 for key, value in maker.state_dict().items()}
    held = {"g": live, "d": judge.state_dict(), "g_ema": maker.state_dict(), "ada_aug_p": 0.1}
    torch.save(held, tmp_path / "550000.pt")
    files = [f"generator={tmp_path / '550000.pt'}", f"discriminator={tmp_path / '550000.pt'}"]
    own: Any = load(import_weights(files, "stylegan2", tmp_path / "run")).game
    z = torch.randn(2, 8)
    with torch.no_grad():
        torch.testing.assert_close(own.generator(z), maker([z])[0])
        mean = maker.network.mapping(torch.randn(20_000, 8)).mean(0)
    torch.testing.assert_close(own.generator.mapping.mean, mean, rtol=0.0, atol=0.1)


def test_another_filter_is_an_error(tmp_path: Path):
    maker, _ = networks()
    state = maker.state_dict()
    state["synthesis.b8.resample_filter"] = make_filter((1.0, 1.0, 1.0, 1.0))
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises((WeightsError, OptionError), match="another filter"):
        import_weights(tmp_path / "a.pt", "stylegan2", tmp_path / "run", class_name="Generator")
