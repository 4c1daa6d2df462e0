"""The networks of runs become files for elsewhere: safetensors, ONNX, torch.export, each held against its source."""

import contextlib
import inspect
import itertools
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ganforge.console import Say, silent
from ganforge.draw import RowDraw
from ganforge.errors import GANForgeError, ModelError, OptionError
from ganforge.files import replacing
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.load import load
from ganforge.inference.trained import Trained
from ganforge.serialize import to_plain

Format = Literal["safetensors", "onnx", "pt2"]
TOLERANCE = 1e-4  # between an exported network and its source, relative to the largest value and absolute


@dataclass(frozen=True)
class Call:
    """How a capability calls one of its networks: with these tensors."""

    name: str
    network: nn.Module
    inputs: tuple[Tensor, ...]
    noisy: bool = False
    """Whether it is given a source of noise as well, which no file can hold: it is exported without."""


def export(run: str | Path, out: str | Path = "", formats: Sequence[Format] = (), *, say: Say = silent) -> list[Path]:
    """Write the networks that a run samples or translates with, for use without GANForge.

    .safetensors holds weights, .onnx and .pt2 (torch.export) the network as well, for batches of any number.  `out`
    is a folder, by default `export` in the run, or one file whose suffix is the format; without `formats` all three
    are written, or all but ONNX where its libraries are missing, which is said.  Every file is read back and held
    against its source to 1e-4.  Returns what was written.

    Raises OptionError where ONNX is asked for and cannot be written, ModelError where a network cannot be.
    """
    trained = load(run, device="cpu")
    target, wanted = destination(trained, out, formats)
    lacking = "onnx" in wanted and without_onnx()
    if lacking and (formats or target.suffix):
        raise OptionError(f"{lacking}, or go without it: --format safetensors pt2.")
    if lacking:
        wanted.remove("onnx")
        say(f"{lacking}.  The other formats follow.")
    calls = calls_of(trained)
    if target.suffix and len(calls) > 1:
        raise OptionError(f"{trained.model} has {len(calls)} networks, so name a folder, not {target}.")
    written = []
    for call in calls:
        for kind in wanted:
            path = target if target.suffix else target / f"{call.name}.{kind}"
            path.parent.mkdir(parents=True, exist_ok=True)
            apart = WRITERS[kind](call, path, trained)
            said = ", ".join("x".join(map(str, t.shape[1:])) for t in call.inputs)
            mute = "; without its noise" if call.noisy else ""
            say(f"Wrote {path} (inputs: {said}; differs from its source by {apart:.1e}{mute})")
            written.append(path)
    return written


def destination(trained: Trained, out: str | Path, formats: Sequence[Format]) -> tuple[Path, list[Format]]:
    """The folder or the file, and the formats."""
    target, known = Path(out) if str(out) else trained.path / "export", list(get_args(Format))
    if not target.suffix or target.is_dir():
        return target, [*formats] or known
    if target.suffix[1:] not in known or any(kind != target.suffix[1:] for kind in formats):
        raise OptionError(f"{target} must end in the format, one of {', '.join(f'.{kind}' for kind in known)}.")
    return target, [target.suffix[1:]]  # pyright: ignore[reportReturnType]


def calls_of(trained: Trained) -> list[Call]:
    """Every network that a capability calls, with what it was called with.  Raises OptionError if there is none."""
    game, calls = trained.game, dict[str, Call]()

    def listen(name: str, network: nn.Module) -> Any:
        def heard(_network: nn.Module, given: tuple[Any, ...]) -> None:
            tensors = tuple(itertools.takewhile(lambda value: isinstance(value, Tensor), given))
            if name not in calls and tensors and not any(isinstance(v, Tensor) for v in given[len(tensors) :]):
                calls[name] = Call(name, network, tensors, noisy=len(tensors) < len(given))

        return network.register_forward_pre_hook(heard)

    hooks = [listen(name, getattr(game, name)) for name in game.averaged]
    try:
        with inference_mode(game):
            game.draw = RowDraw(0)
            for verb in ("sample", "translate"):
                if hasattr(game, verb):
                    perform(game, verb)
    finally:
        for hook in hooks:
            hook.remove()
    if not calls:
        raise OptionError(f"{trained.model} has no network that sampling or translating calls with tensors alone.")
    return [replace(call, inputs=tuple(t.detach().clone() for t in call.inputs)) for call in calls.values()]


def perform(game: Any, verb: str) -> None:
    """Sample two pictures, or translate two of the size that the run was made for, with an answer to every question."""
    if verb == "sample":
        game.sample(2)
        return
    example = type(game).batch_type.example(2, game.facts)
    columns = {name: getattr(example, name) for name in example.columns()}
    images = next(columns[name] for name in ("source", "a", "images") if name in columns)
    given: dict[str, Any] = {}
    asked = inspect.signature(game.translate).parameters
    for name, question in asked.items():
        if name == "masks":
            given[name] = columns["a_masks"]
        elif name != "images" and question.default is question.empty:
            given[name] = columns.get("condition")
    for way in [{"reverse": False}, {"reverse": True}] if "reverse" in asked else [{}]:
        game.translate(images, **given, **way)


def answer_of(call: Call, inputs: Sequence[Tensor] | None = None) -> list[Tensor]:
    """What the network says, as a flat list."""
    with torch.no_grad():
        return flat(call.network(*(call.inputs if inputs is None else inputs)))


def flat(answer: Any) -> list[Tensor]:
    """The tensors of an answer, in order."""
    return [answer] if isinstance(answer, Tensor) else [tensor for part in answer for tensor in flat(part)]


def more(call: Call) -> tuple[Tensor, ...]:
    """The same inputs, three rows of them: a batch that the export has not seen."""
    return tuple(torch.cat([value, value[:1]]) for value in call.inputs)


def checked(path: Path, made: Sequence[Tensor], true: Sequence[Tensor]) -> float:
    """The largest difference.  Raises ModelError, and removes the file, where it is more than the tolerance."""
    apart = max(float((a - b).abs().max()) for a, b in zip(made, true, strict=True))
    limit = TOLERANCE * max(1.0, *(float(t.abs().max()) for t in true))
    if not apart <= limit:
        path.unlink(missing_ok=True)
        raise ModelError(f"{path} would have differed from its source by {apart:.1e}, more than {limit:.1e}.")
    return apart


def write_safetensors(call: Call, path: Path, trained: Trained) -> float:
    """Weights alone; the model, its settings and its facts stand in the file's header."""
    weights = {key: value.contiguous().clone() for key, value in call.network.state_dict().items()}
    facts = {"config": to_plain(trained.game.config), "facts": to_plain(trained.facts)}
    header = {"model": trained.model, "network": call.name, "settings": json.dumps(facts)}
    with replacing(path) as file:
        save_file(weights, file.name, header)
    read = load_file(path)
    true = call.network.state_dict()
    return checked(path, [read[key].float() for key in true], [value.float() for value in true.values()])


def write_pt2(call: Call, path: Path, trained: Trained) -> float:
    """torch.export: `torch.export.load(path).module()` is the network."""
    with quiet(), refused(call, path, "torch.export"), replacing(path) as file:
        program = torch.export.export(call.network, call.inputs, dynamic_shapes=free_sides(call))
        torch.export.save(program, file)
    with quiet(), torch.no_grad():
        again = torch.export.load(path).module()
        return checked(path, flat(again(*more(call))), answer_of(call, more(call)))


def write_onnx(call: Call, path: Path, trained: Trained) -> float:
    """ONNX, inputs and outputs named input_0 ... and output_0 ..."""
    import onnxruntime  # pyright: ignore[reportMissingImports]

    names = [f"input_{i}" for i in range(len(call.inputs))]
    outputs = [f"output_{i}" for i in range(len(answer_of(call)))]
    with quiet(), refused(call, path, "ONNX"), replacing(path) as file:
        program = torch.onnx.export(
            call.network, call.inputs, dynamo=True, verbose=False, input_names=names, output_names=outputs,
            dynamic_shapes=free_sides(call),
        )  # fmt: skip
        assert program is not None
        file.write(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    made = session.run(None, {name: value.numpy() for name, value in zip(names, more(call), strict=True)})
    return checked(path, [torch.from_numpy(array) for array in made], answer_of(call, more(call)))


WRITERS = {"safetensors": write_safetensors, "pt2": write_pt2, "onnx": write_onnx}


def free_sides(call: Call) -> tuple[dict[int, Any], ...]:
    """The number of rows is free, and the sides of pictures are where the network allows it."""
    rows, side = torch.export.Dim.DYNAMIC, torch.export.Dim.AUTO
    return tuple({0: rows, **({2: side, 3: side} if value.ndim == 4 else {})} for value in call.inputs)


def without_onnx() -> str:
    """Why ONNX cannot be written here and what mends it; nothing where it can."""
    try:
        import onnx  # noqa: F401  # pyright: ignore[reportMissingImports]
        import onnxruntime  # noqa: F401  # pyright: ignore[reportMissingImports]
        import onnxscript  # noqa: F401  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:
        return f"ONNX is written by libraries that are not here ({error}): pip install 'ganforge[export]'"
    return ""


@contextlib.contextmanager
def refused(call: Call, path: Path, what: str) -> Iterator[None]:
    """A format's own complaint, in one sentence."""
    try:
        yield
    except GANForgeError:
        raise
    except Exception as error:  # an exporter fails in as many ways as there are layers
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"The network {call.name} cannot be written as {what} to {path}: {said}") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporters warn about their own insides."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.setLevel(level)
