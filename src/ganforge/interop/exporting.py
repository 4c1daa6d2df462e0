"""Export the networks of a run as safetensors, ONNX and torch.export; each file is compared with its source."""

import contextlib
import inspect
import itertools
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from ganforge.batches import COLUMNS
from ganforge.capabilities import text_questions
from ganforge.console import Say, silent
from ganforge.draw import Draw, RowDraw
from ganforge.errors import GANForgeError, ModelError, OptionError, RunError
from ganforge.files import reason, replacing
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.load import RunLike, load
from ganforge.inference.trained import Trained
from ganforge.serialize import to_plain

Format = Literal["safetensors", "onnx", "pt2"]
TOLERANCE = 1e-4  # between an exported network and its source, relative to the largest value and absolute


@dataclass(frozen=True)
class Call:
    """A recorded call of a network by a capability, with its input tensors."""

    name: str
    network: nn.Module
    inputs: tuple[Tensor, ...]
    noisy: bool = False
    """Whether the network also takes a noise source, which no file can hold: it is exported without."""
    source: nn.Module | None = None
    """The network of the game, where `network` wraps it."""
    one_row: bool = False
    """Whether the file takes one image at a time, because the network reads the number of rows."""


class Still(Draw):
    """A source of random numbers in a file: their means, 0 for normal and 0.5 for uniform ones."""

    def normal(self, n: int, *shape: int) -> Tensor:
        return torch.zeros(n, *shape)

    def uniform(self, n: int, *shape: int) -> Tensor:
        return torch.full((n, *shape), 0.5)

    def choice(self, n: int, options: int) -> Tensor:
        return torch.zeros(n, dtype=torch.int64)

    def permutation(self, n: int) -> Tensor:
        return torch.arange(n)


class TensorsOnly(nn.Module):
    """A network whose arguments are tensors: those in lists and named ones in order, all others as they were given."""

    def __init__(self, network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.network = network
        leaves, self.form = tree_flatten((args, kwargs))
        self.leaves = [Still() if isinstance(leaf, Draw) else leaf for leaf in leaves]
        self.places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]

    def forward(self, *tensors: Tensor) -> Any:
        leaves = [*self.leaves]
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = tree_unflatten(leaves, self.form)
        return self.network(*args, **kwargs)


def export(
    run: RunLike,
    out: str | Path = "",
    formats: Sequence[Format] = (),
    *,
    trust: bool = False,
    say: Say = silent,
) -> list[Path]:
    """Write the networks that a run samples or translates with, for use without GANForge.

    .safetensors holds weights, .onnx and .pt2 (torch.export) the network as well, for any batch size.  `out`
    is a folder, by default `export` in the run, or one file whose suffix is the format.  Without `formats` all three
    are written, or all but ONNX where its libraries are missing, with a message.  Every file is read back and compared
    with its source to 1e-4.  `trust` runs the code of a model that was not trained here.  Returns the paths of the
    files.

    Raises OptionError where ONNX is requested and cannot be written, ModelError where a network cannot be exported, and
    RunError where a file cannot be written.
    """
    trained = load(run, device="cpu", trust=trust)
    target, kinds = resolve_destination(trained, out, formats)
    missing = "onnx" in kinds and find_onnx_error()
    if missing and (formats or target.suffix):
        raise OptionError(f"{missing}, or leave it out: --format safetensors pt2.")
    if missing:
        kinds.remove("onnx")
        say(f"{missing}.  The other formats are written.")
    calls = [settle_rows(call) for call in record_calls(trained)]
    if target.suffix and len(calls) > 1:
        raise OptionError(f"{trained.model} has {len(calls)} networks, so give a folder, not {target}.")
    written = []
    for call in calls:
        for kind in kinds:
            path = target if target.suffix else target / f"{call.name}.{kind}"
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                difference = WRITERS[kind](call, path, trained)
            except (OSError, ValueError, SafetensorError) as error:
                raise RunError(f"{path} cannot be written ({reason(error)}): choose another place with -o.") from error
            inputs = ", ".join("x".join(map(str, t.shape[1:])) for t in call.inputs)
            noise = "; without its noise" if call.noisy else ""
            rows = "; one image at a time" if call.one_row and kind != "safetensors" else ""
            say(f"Wrote {path} (inputs: {inputs}; differs from its source by {difference:.1e}{noise}{rows})")
            written.append(path)
    return written


def resolve_destination(trained: Trained, out: str | Path, formats: Sequence[Format]) -> tuple[Path, list[Format]]:
    """The target folder or file, and the formats."""
    target, known = Path(out) if str(out) else trained.path / "export", list(get_args(Format))
    try:
        is_folder = target.is_dir()
        target.exists()
    except (OSError, ValueError) as error:
        raise OptionError(
            f"-o {str(target)!r} cannot be a file or a folder ({reason(error)}): give another."
        ) from error
    if not target.suffix or is_folder:
        return target, [*formats] or known
    if target.suffix[1:] not in known or any(kind != target.suffix[1:] for kind in formats):
        raise OptionError(f"{target} must end in the format, one of {', '.join(f'.{kind}' for kind in known)}.")
    return target, [target.suffix[1:]]  # pyright: ignore[reportReturnType]


def record_calls(trained: Trained) -> list[Call]:
    """Every network that a capability calls, with the inputs of its call.  Raises OptionError if there is none."""
    game, calls = trained.game, dict[str, Call]()

    def add_hook(name: str, network: nn.Module) -> Any:
        def record(_network: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            if name not in calls and (call := make_call(name, network, inputs, named)):
                calls[name] = call

        return network.register_forward_pre_hook(record, with_kwargs=True)

    hooks = [add_hook(name, getattr(game, name)) for name in game.averaged]
    try:
        with inference_mode(game, RowDraw(0)):
            for verb in ("sample", "translate"):
                if hasattr(game, verb):
                    run_capability(game, verb)
    finally:
        for hook in hooks:
            hook.remove()
    if not calls:
        raise OptionError(f"{trained.model} has no network that sampling or translating calls with tensors alone.")
    return [replace(call, inputs=tuple(t.detach().clone() for t in call.inputs)) for call in calls.values()]


def make_call(name: str, network: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Call | None:
    """The call of a network with these arguments; None where there is no tensor among them.

    What follows the tensors is left out where it has a default; a network with other arguments is wrapped.
    """
    tensors = tuple(itertools.takewhile(lambda value: isinstance(value, Tensor), inputs))
    leaves, _ = tree_flatten((inputs, named))
    every = tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))
    if not every:
        return None
    parameters = [*inspect.signature(network.forward).parameters.values()]
    rest = parameters[len(tensors) :]
    optional = all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in rest)
    if len(tensors) == len(every) and optional:
        return Call(name, network, tensors, noisy=len(tensors) < len(inputs) + len(named))
    noisy = any(isinstance(leaf, Draw) for leaf in leaves)
    return Call(name, TensorsOnly(network, inputs, named).eval(), every, noisy, source=network)


def settle_rows(call: Call) -> Call:
    """The call with one row where a wrapped network reads the number of its rows, which an export would fix."""
    if call.source is None:
        return call
    try:
        with silence_exporters():
            torch.export.export(call.network, call.inputs, dynamic_shapes=dynamic_shapes(call))
    except Exception:  # an exporter fails in as many ways as there are layers; the writers say what it is
        return replace(call, inputs=tuple(value[:1] for value in call.inputs), one_row=True)
    return call


def run_capability(game: Any, verb: str) -> None:
    """Sample two images, or translate two of the run's size, with an answer to every question."""
    example = game.batch_type.example(2, game.facts)
    sentences = {name: getattr(example, "tokens", None) for name in text_questions(getattr(game, verb))[:1]}
    if verb == "sample":
        game.sample(2, **sentences)
        return
    columns = {name: getattr(example, name) for name in (*example.columns(), *example.optional_columns())}
    answers: dict[str, Any] = {**sentences}
    questions = inspect.signature(game.translate).parameters
    for name, question in questions.items():
        if name == "images":
            answers[name] = next(columns[own] for own in ("source", "a", "images") if own in columns)
        elif name in COLUMNS:
            answers[name] = columns.get(name)
        elif name == "masks":
            answers[name] = columns["a_masks"]
        elif question.default is question.empty and name not in answers:
            answers[name] = columns.get("condition")
    for direction in [{"reverse": False}, {"reverse": True}] if "reverse" in questions else [{}]:
        game.translate(**answers, **direction)


def run_network(call: Call, inputs: Sequence[Tensor] | None = None) -> list[Tensor]:
    """The network's outputs as a flat list; by default for the recorded inputs."""
    with torch.no_grad():
        return flatten_tensors(call.network(*(call.inputs if inputs is None else inputs)))


def flatten_tensors(output: Any) -> list[Tensor]:
    """The tensors of a nested output, in order."""
    return [output] if isinstance(output, Tensor) else [tensor for part in output for tensor in flatten_tensors(part)]


def larger_batch(call: Call) -> tuple[Tensor, ...]:
    """The recorded inputs with a third row: a batch size that the export has not seen; one row if it takes no more."""
    if call.one_row:
        return call.inputs
    return tuple(torch.cat([value, value[:1]]) for value in call.inputs)


def check_difference(path: Path, outputs: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest difference.  Raises ModelError, and deletes the file, where it exceeds the tolerance."""
    difference = max(float((a - b).abs().max()) for a, b in zip(outputs, expected, strict=True))
    limit = TOLERANCE * max(1.0, *(float(t.abs().max()) for t in expected))
    if not difference <= limit:
        path.unlink(missing_ok=True)
        raise ModelError(f"{path} would have differed from its source by {difference:.1e}, more than {limit:.1e}.")
    return difference


def write_safetensors(call: Call, path: Path, trained: Trained) -> float:
    """Write weights only; the model, its settings and its facts are in the file's header."""
    source = (call.source or call.network).state_dict()
    weights = {key: value.contiguous().clone() for key, value in source.items()}
    facts = {"config": to_plain(trained.game.config), "facts": to_plain(trained.facts)}
    header = {"model": trained.model, "network": call.name, "settings": json.dumps(facts)}
    with replacing(path) as file:
        file.write(save(weights, header))
    written = load_file(path)
    return check_difference(path, [written[key].float() for key in source], [v.float() for v in source.values()])


def write_pt2(call: Call, path: Path, trained: Trained) -> float:
    """Write by torch.export: `torch.export.load(path).module()` is the network."""
    with silence_exporters(), wrap_export_errors(call, path, "torch.export"), replacing(path) as file:
        program = torch.export.export(call.network, call.inputs, dynamic_shapes=dynamic_shapes(call))
        whole = BytesIO()  # on a full disk torch would end the process
        torch.export.save(program, whole)
        file.write(whole.getbuffer())
    with silence_exporters(), torch.no_grad():
        loaded = torch.export.load(path).module()
        return check_difference(
            path, flatten_tensors(loaded(*larger_batch(call))), run_network(call, larger_batch(call))
        )


def write_onnx(call: Call, path: Path, trained: Trained) -> float:
    """Write ONNX, with inputs input_0 ... and outputs output_0 ..."""
    import onnxruntime  # pyright: ignore[reportMissingImports]

    names = [f"input_{i}" for i in range(len(call.inputs))]
    outputs = [f"output_{i}" for i in range(len(run_network(call)))]
    with silence_exporters(), wrap_export_errors(call, path, "ONNX"), replacing(path) as file:
        program = torch.onnx.export(
            call.network, call.inputs, dynamo=True, verbose=False, input_names=names, output_names=outputs,
            dynamic_shapes=dynamic_shapes(call),
        )  # fmt: skip
        assert program is not None
        file.write(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    results = session.run(None, {name: value.numpy() for name, value in zip(names, larger_batch(call), strict=True)})
    return check_difference(path, [torch.from_numpy(array) for array in results], run_network(call, larger_batch(call)))


WRITERS = {"safetensors": write_safetensors, "pt2": write_pt2, "onnx": write_onnx}


def dynamic_shapes(call: Call) -> tuple[Any, ...]:
    """The batch size is dynamic, and the sides of images are where the network allows it."""
    rows, side = torch.export.Dim.STATIC if call.one_row else torch.export.Dim.DYNAMIC, torch.export.Dim.AUTO
    shapes = tuple({0: rows, **({2: side, 3: side} if value.ndim == 4 else {})} for value in call.inputs)
    return shapes if call.source is None else (shapes,)  # a wrapper takes *tensors, one argument of several


def find_onnx_error() -> str:
    """Why ONNX cannot be written here and how to install it; empty where it can."""
    try:
        import onnx  # noqa: F401  # pyright: ignore[reportMissingImports]
        import onnxruntime  # noqa: F401  # pyright: ignore[reportMissingImports]
        import onnxscript  # noqa: F401  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:
        return f"ONNX needs libraries that are not installed ({error}): pip install 'ganforge[export]'"
    return ""


@contextlib.contextmanager
def wrap_export_errors(call: Call, path: Path, what: str) -> Iterator[None]:
    """Turn any error of an exporter into a ModelError of one sentence."""
    try:
        yield
    except GANForgeError:
        raise
    except Exception as error:  # an exporter fails in as many ways as there are layers
        message = " ".join(str(error).split())[:200]
        raise ModelError(f"The network {call.name} cannot be written as {what} to {path}: {message}") from error


@contextlib.contextmanager
def silence_exporters() -> Iterator[None]:
    """Suppress warnings that exporters give about their own internals."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.setLevel(level)
