"""Trace the networks of a game: layers, shapes, parameters and FLOPs, and which layer takes whose output.

Nothing is read from the source: one step is played with hooks on every layer, and every torch operation between two
layers is intercepted, so that skip connections and sums appear as they are.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import is_dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganforge.explainer.layers import Family, Layer, Network, as_pair
from ganforge.explainer.receptive_field import set_receptive_field
from ganforge.game import Clock, Game
from ganforge.tracing import ROWS, trace_turns

JOINS = {
    "add": "Sum",
    "cat": "Concatenation",
    "concat": "Concatenation",
    "mul": "Product",
    "sub": "Difference",
    "max_unpool2d": "MaxUnpool2d",
}
OPERATIONS = {  # operations between layers, by the name of torch's function
    **{"relu": "ReLU", "leaky_relu": "LeakyReLU", "tanh": "Tanh", "sigmoid": "Sigmoid", "elu": "ELU", "silu": "SiLU"},
    **{"max_pool2d": "MaxPool2d", "max_pool2d_with_indices": "MaxPool2d", "max_unpool2d": "MaxUnpool2d"},
    **{"avg_pool2d": "AvgPool2d", "interpolate": "Resize", "pixel_shuffle": "PixelShuffle", "mean": "Mean"},
    **{"amax": "Maximum"},
}


def trace_networks(game: Game[Any, Any], now: Clock) -> list[Network]:
    """The networks that the step at `now` uses, in the order of their first call.  The game is left unchanged."""
    tracer = NetworkTracer(game)
    with tracer:
        for _ in trace_turns(game, now):
            pass
    return list(tracer.networks.values())


class NetworkTracer:
    """Records the first call of every network of a game, by hooks on its layers and on the operations between them."""

    def __init__(self, game: Game[Any, Any]) -> None:
        self.game = game
        self.networks: dict[str, Network] = {}
        self.call_stack: list[str] = []
        """Names of the networks that are being called, the innermost last."""
        self.calls: dict[str, int] = defaultdict(int)
        self.origins = TensorOrigins(self.record_operation)
        self.layer_depth = 0  # layers that are running: operations inside a layer are not recorded
        self.flops = FlopCounter()
        self.hooks: list[Any] = []
        self.flops_before: dict[int, int] = {}
        self.rows = ROWS

    def __enter__(self) -> None:
        for name, network in self.game.named_children():
            if not any(True for _ in network.parameters()):
                continue
            self.hooks.append(network.register_forward_pre_hook(self.on_network_start(name), with_kwargs=True))
            for path, layer in network.named_modules():
                if is_layer(layer):
                    self.hooks.append(layer.register_forward_pre_hook(self.on_layer_start))
                    self.hooks.append(layer.register_forward_hook(self.on_layer_end(name, path)))
            self.hooks.append(network.register_forward_hook(self.on_network_end, always_call=True))
        self.stack = ExitStack()
        self.stack.enter_context(self.flops)
        self.stack.enter_context(self.origins)

    def __exit__(self, *_: object) -> None:
        self.stack.close()
        for hook in self.hooks:
            hook.remove()

    def on_network_start(self, name: str) -> Any:
        """A forward pre-hook that begins to record a network, at its first call."""

        def hook(network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.call_stack.append(name)
            self.calls[name] += 1
            if self.calls[name] > 1:
                return
            arguments = {**dict(zip(argument_names(network), args, strict=False)), **kwargs}
            tensors = dict(pair for key, value in arguments.items() for pair in named_tensors(key, value))
            rows = {len(value) for value in tensors.values() if value.ndim}
            inputs = tuple((key, tuple(value.shape[1:])) for key, value in tensors.items())
            self.networks[name] = Network(name, count_parameters(network), 0, inputs)
            self.rows = max(rows, default=ROWS)
            for number, value in enumerate(tensors.values()):
                self.origins.set(value, -1 - number)

        return hook

    def on_network_end(self, *_: object) -> None:
        """A forward hook that ends a call of a network."""
        self.call_stack.pop()

    def is_recorded(self, name: str) -> bool:
        """Whether this is the first call of that network."""
        return bool(self.call_stack) and self.call_stack[-1] == name and self.calls[name] == 1

    def on_layer_start(self, layer: nn.Module, args: tuple[Any, ...]) -> None:
        """A forward pre-hook of a layer."""
        self.layer_depth += 1
        self.flops_before[id(layer)] = self.flops.total

    def on_layer_end(self, name: str, path: str) -> Any:
        """A forward hook that records a layer."""

        def hook(layer: nn.Module, args: tuple[Any, ...], out: Any) -> None:
            self.layer_depth -= 1
            flops = (self.flops.total - self.flops_before[id(layer)]) // self.rows
            if self.is_recorded(name):
                kind, detail = type(layer).__name__, describe_layer(layer)
                self.record(path, kind, detail, args, out, layer, count_parameters(layer), flops)

        return hook

    def record_operation(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Record an operation between layers: one that joins two tensors, an activation, a pooling, a resizing."""
        if self.layer_depth or not self.call_stack or not self.is_recorded(self.call_stack[-1]):
            return
        name = getattr(function, "__name__", "").strip("_").removeprefix("r" if "__r" in str(function) else "")
        parents = {self.origins.get(t) for t in flatten((args, kwargs)) if isinstance(t, Tensor)} - {None}
        if len(parents) > 1:
            self.record("", JOINS.get(name, name), "", (args, kwargs), out, nn.Identity())
        elif name in OPERATIONS and parents:
            size = kwargs.get("kernel_size", args[1] if "pool" in name and len(args) > 1 else 1)
            window = nn.Identity()
            if "avg_pool" in name or name.startswith("max_pool"):
                stride = kwargs.get("stride") or (args[2] if len(args) > 2 and args[2] else size)
                window = nn.AvgPool2d(size, stride)
            slope = f"{kwargs.get('negative_slope', args[1] if len(args) > 1 else 0.01):g}" if "leaky" in name else ""
            self.record("", OPERATIONS[name], slope or describe_layer(window), args, out, window)

    def record(
        self,
        path: str,
        kind: str,
        detail: str,
        args: Any,
        out: Any,
        module: nn.Module,
        parameters: int = 0,
        flops: int = 0,
    ) -> None:
        """Append a layer, or an operation between two, to the network that is being called."""
        network, tensors = self.networks[self.call_stack[-1]], [t for t in flatten(args) if isinstance(t, Tensor)]
        results = [t for t in flatten(out) if isinstance(t, Tensor)]
        if not results:
            return
        number = len(network.layers)
        known = sorted({n for t in tensors if (n := self.origins.get(t)) is not None})
        inputs = tuple(known) or ((number - 1,) if number else (-1,))
        given = next((t for t in tensors if self.origins.get(t) is not None), results[0])
        shape = tuple(results[0].shape[1:])
        layer = Layer(path, kind, classify(kind, module), detail, shape, parameters, flops, inputs)
        set_receptive_field(layer, module, given, network)
        network.layers.append(layer)
        network.flops += flops
        for tensor in results:
            self.origins.set(tensor, number)


class FlopCounter(TorchDispatchMode):
    """Counts as torch's FlopCounterMode does, whose module hooks fail with second-order gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func._overloadpacket):
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


class TensorOrigins(TorchFunctionMode):
    """Follows tensors through every torch function: the number of the layer that each one was computed from."""

    def __init__(self, on_operation: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None]) -> None:
        super().__init__()
        self.on_operation = on_operation
        self.known: dict[int, tuple[Tensor, int]] = {}  # the tensor is kept alive, so that its id is not used again

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        results = [t for t in flatten(out) if isinstance(t, Tensor)]
        parents = [n for t in flatten((args, kwargs)) if isinstance(t, Tensor) and (n := self.get(t)) is not None]
        if results and parents:
            for result in results:
                self.set(result, max(parents))
            self.on_operation(func, args, kwargs, out)
        return out

    def get(self, tensor: Tensor) -> int | None:
        """The number of the layer that a tensor comes from; None where it is unknown."""
        return self.known.get(id(tensor), (tensor, None))[1]

    def set(self, tensor: Tensor, origin: int) -> None:
        """Store the number of the layer that a tensor comes from."""
        self.known[id(tensor)] = (tensor, origin)


def named_tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors in an argument with their names: `maps[0]` in a list, `codes.w` in a dictionary or a dataclass."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from named_tensors(f"{name}[{number}]", part)
    elif isinstance(value, dict) or (is_dataclass(value) and not isinstance(value, type)):
        for key, part in (value if isinstance(value, dict) else vars(value)).items():
            yield from named_tensors(f"{name}.{key}", part)


def flatten(values: Any) -> Iterator[Any]:
    """The leaves of nested tuples, lists, dictionaries and dataclasses."""
    if is_dataclass(values) and not isinstance(values, type):
        values = vars(values)
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, list | tuple):
        yield values
        return
    for value in values:
        yield from flatten(value)


def is_layer(module: nn.Module) -> bool:
    """Whether a module has no submodules of its own; a parametrization of its weights does not count."""
    children = [name for name, _ in module.named_children() if name != "parametrizations"]
    if isinstance(module, nn.Dropout) and not module.p:
        return False  # it does nothing
    return not children and not isinstance(module, nn.ModuleList | nn.ModuleDict | nn.Identity)


def classify(kind: str, module: nn.Module) -> Family:
    """The family of a layer, by its class; of an operation between layers, by its name."""
    if kind in JOINS.values():
        return "join"
    if "Norm" in kind:
        return "norm"
    if kind == "Maximum":
        return "activation"  # of maxout
    if type(module).__module__ == "torch.nn.modules.activation" or (
        isinstance(getattr(nn, kind, None), type) and (getattr(nn, kind).__module__ == "torch.nn.modules.activation")
    ):
        return "activation"
    families: dict[Family, tuple[type[nn.Module], ...]] = {
        "up": (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
        "conv": (nn.Conv1d, nn.Conv2d, nn.Conv3d),
        "linear": (nn.Linear, nn.Bilinear, nn.Embedding),
        "dropout": (nn.Dropout, nn.Dropout1d, nn.Dropout2d),
        "shape": (nn.Flatten, nn.Unflatten),
    }
    for family, kinds in families.items():
        if isinstance(module, kinds):
            return family
    if "latten" in kind:
        return "shape"
    return "resize" if any(word in kind for word in ("Pool", "Resize", "Shuffle", "Upsample", "Mean")) else "other"


def count_parameters(module: nn.Module) -> int:
    """The number of parameters of a module."""
    return sum(p.numel() for p in module.parameters())


def argument_names(network: nn.Module) -> list[str]:
    """The names of the positional arguments of a network's `forward`; empty where they are unknown."""
    code = getattr(type(network).forward, "__code__", None)
    return [*code.co_varnames[1 : code.co_argcount]] if code else []


def describe_layer(module: nn.Module) -> str:
    """The settings of a layer, in short: `4×4, stride 2`."""
    parts = []
    kernel, stride = getattr(module, "kernel_size", None), getattr(module, "stride", None)
    if kernel is not None:
        parts.append("×".join(map(str, as_pair(kernel))))
        if stride is not None and as_pair(stride) != (1, 1):
            parts.append(f"stride {as_pair(stride)[0]}")
    for name in ("negative_slope", "p"):
        if isinstance(value := getattr(module, name, None), float) and value:
            parts.append(f"{value:g}")
    return ", ".join(parts)
