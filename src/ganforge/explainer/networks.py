"""The networks of a game as tensors pass through them: layers, shapes, costs, and who hands what to whom.

Nothing is read from the code: a round is played with hooks on every layer, and every operation of torch between two
layers is watched, so that skips and sums show up as they are.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganforge.explainer.layers import Family, Layer, Network, pair
from ganforge.explainer.receptive_field import see
from ganforge.game import Clock, Game
from ganforge.tracing import ROWS, played

JOINS = {
    "add": "Sum",
    "cat": "Concatenation",
    "concat": "Concatenation",
    "mul": "Product",
    "sub": "Difference",
    "max_unpool2d": "MaxUnpool2d",
}
OPERATIONS = {  # what networks do between their layers, by the name of torch's function
    **{"relu": "ReLU", "leaky_relu": "LeakyReLU", "tanh": "Tanh", "sigmoid": "Sigmoid", "elu": "ELU", "silu": "SiLU"},
    **{"max_pool2d": "MaxPool2d", "max_pool2d_with_indices": "MaxPool2d", "max_unpool2d": "MaxUnpool2d"},
    **{"avg_pool2d": "AvgPool2d", "interpolate": "Resize", "pixel_shuffle": "PixelShuffle", "mean": "Mean"},
    **{"amax": "Maximum"},
}


def networks(game: Game[Any, Any], now: Clock) -> list[Network]:
    """The networks that a round uses, in the order in which they are first used."""
    watch = Watch(game)
    with watch:
        for _ in played(game, now):
            pass
    return watch.networks()


class Watch:
    """Hooks on every layer of a game, and an ear on the operations between them."""

    def __init__(self, game: Game[Any, Any]) -> None:
        self.game = game
        self.top: list[str] = []
        """Networks that are being called, the innermost last."""
        self.seen: dict[str, Network] = {}
        self.calls: dict[str, int] = defaultdict(int)
        self.origins = Origins(self.operation)
        self.inside = 0  # layers that are at work: what they do within is their own affair
        self.flops = Flops()
        self.hooks: list[Any] = []
        self.started: dict[int, int] = {}
        self.rows = ROWS

    def __enter__(self) -> None:
        for name, network in self.game.named_children():
            if not any(True for _ in network.parameters()):
                continue
            self.hooks.append(network.register_forward_pre_hook(self.entering(name), with_kwargs=True))
            for path, layer in network.named_modules():
                if is_layer(layer):
                    self.hooks.append(layer.register_forward_pre_hook(self.starting(name)))
                    self.hooks.append(layer.register_forward_hook(self.done(name, path)))
            self.hooks.append(network.register_forward_hook(self.leaving(name), always_call=True))
        self.stack = ExitStack()
        self.stack.enter_context(self.flops)
        self.stack.enter_context(self.origins)

    def __exit__(self, *_: object) -> None:
        self.stack.close()
        for hook in self.hooks:
            hook.remove()

    def entering(self, name: str) -> Any:
        """A hook that begins a call of a network."""

        def hook(network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.top.append(name)
            self.calls[name] += 1
            if self.calls[name] > 1:
                return
            given = {**dict(zip(argument_names(network), args, strict=False)), **kwargs}
            tensors = {key: value for key, value in given.items() if isinstance(value, Tensor)}
            rows = {len(value) for value in tensors.values() if value.ndim}
            shapes = tuple((key, tuple(value.shape[1:])) for key, value in tensors.items())
            self.seen[name] = Network(name, counted(network), 0, shapes)
            self.rows = max(rows, default=ROWS)
            for number, value in enumerate(tensors.values()):
                self.origins.set(value, -1 - number)

        return hook

    def leaving(self, name: str) -> Any:
        """A hook that ends it."""

        def hook(*_: object) -> None:
            self.top.pop()

        return hook

    def recording(self, name: str) -> bool:
        """Whether this is the first call of that network."""
        return bool(self.top) and self.top[-1] == name and self.calls[name] == 1

    def starting(self, name: str) -> Any:
        """A hook that begins a layer."""

        def hook(layer: nn.Module, args: tuple[Any, ...]) -> None:
            self.inside += 1
            self.started[id(layer)] = self.flops.total

        return hook

    def done(self, name: str, path: str) -> Any:
        """A hook that writes a layer down."""

        def hook(layer: nn.Module, args: tuple[Any, ...], out: Any) -> None:
            self.inside -= 1
            flops = (self.flops.total - self.started[id(layer)]) // self.rows
            if self.recording(name):
                self.write(path, type(layer).__name__, detail(layer), args, out, layer, counted(layer), flops)

        return hook

    def operation(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Write down what happens between layers: two tensors that become one, and what bends, pools and resizes."""
        if self.inside or not self.top or not self.recording(self.top[-1]):
            return
        name = getattr(function, "__name__", "").strip("_").removeprefix("r" if "__r" in str(function) else "")
        parents = {self.origins.of(t) for t in flat((args, kwargs)) if isinstance(t, Tensor)} - {None}
        if len(parents) > 1:
            self.write("", JOINS.get(name, name), "", (args, kwargs), out, nn.Identity())
        elif name in OPERATIONS and parents:
            size = kwargs.get("kernel_size", args[1] if "pool" in name and len(args) > 1 else 1)
            window = nn.Identity()
            if "avg_pool" in name or name.startswith("max_pool"):
                stride = kwargs.get("stride") or (args[2] if len(args) > 2 and args[2] else size)
                window = nn.AvgPool2d(size, stride)
            slope = f"{kwargs.get('negative_slope', args[1] if len(args) > 1 else 0.01):g}" if "leaky" in name else ""
            self.write("", OPERATIONS[name], slope or detail(window), args, out, window)

    def write(
        self,
        path: str,
        kind: str,
        note: str,
        args: Any,
        out: Any,
        layer: nn.Module,
        parameters: int = 0,
        flops: int = 0,
    ) -> None:
        """Write a layer, or what is done between two, into the network that is being called."""
        network, tensors = self.seen[self.top[-1]], [t for t in flat(args) if isinstance(t, Tensor)]
        results = [t for t in flat(out) if isinstance(t, Tensor)]
        if not results:
            return
        number = len(network.layers)
        known = sorted({n for t in tensors if (n := self.origins.of(t)) is not None})
        inputs = tuple(known) or ((number - 1,) if number else (-1,))
        given = next((t for t in tensors if self.origins.of(t) is not None), results[0])
        made = Layer(path, kind, family_of(kind, layer), note, tuple(results[0].shape[1:]), parameters, flops, inputs)
        see(made, layer, given, network)
        network.layers.append(made)
        network.flops += flops
        for tensor in results:
            self.origins.set(tensor, number)

    def networks(self) -> list[Network]:
        """What was seen."""
        return list(self.seen.values())


class Flops(TorchDispatchMode):
    """Counts as torch's FlopCounterMode does, whose hooks are at odds with gradients of gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func._overloadpacket):
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


class Origins(TorchFunctionMode):
    """Follows tensors through everything that torch does to them: which layer's result is each made of?"""

    def __init__(self, heard: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None]) -> None:
        super().__init__()
        self.heard = heard
        self.known: dict[int, tuple[Tensor, int]] = {}  # the tensor is kept, so that its id stays its own

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        results = [t for t in flat(out) if isinstance(t, Tensor)]
        parents = [n for t in flat((args, kwargs)) if isinstance(t, Tensor) and (n := self.of(t)) is not None]
        if results and parents:
            for result in results:
                self.set(result, max(parents))
            self.heard(func, args, kwargs, out)
        return out

    def of(self, tensor: Tensor) -> int | None:
        """The number of the layer that it comes from; None where nobody knows."""
        return self.known.get(id(tensor), (tensor, None))[1]

    def set(self, tensor: Tensor, origin: int) -> None:
        """Say where it comes from."""
        self.known[id(tensor)] = (tensor, origin)


def flat(values: Any) -> Iterator[Any]:
    """Whatever is in tuples, lists and dictionaries, however deep."""
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, list | tuple):
        yield values
        return
    for value in values:
        yield from flat(value)


def is_layer(module: nn.Module) -> bool:
    """Whether nothing in it is worth looking at alone; a norm of its weights is no part of its own."""
    inner = [name for name, _ in module.named_children() if name != "parametrizations"]
    if isinstance(module, nn.Dropout) and not module.p:
        return False  # it does nothing
    return not inner and not isinstance(module, nn.ModuleList | nn.ModuleDict | nn.Identity)


def family_of(kind: str, layer: nn.Module) -> Family:
    """What a layer does, by its class; its name decides for what stands between layers."""
    if kind in JOINS.values():
        return "join"
    if "Norm" in kind:
        return "norm"
    if kind == "Maximum":
        return "bend"  # of maxout
    if type(layer).__module__ == "torch.nn.modules.activation" or (
        isinstance(getattr(nn, kind, None), type) and (getattr(nn, kind).__module__ == "torch.nn.modules.activation")
    ):
        return "bend"
    families: dict[Family, tuple[type[nn.Module], ...]] = {
        "up": (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
        "conv": (nn.Conv1d, nn.Conv2d, nn.Conv3d),
        "linear": (nn.Linear, nn.Bilinear, nn.Embedding),
        "drop": (nn.Dropout, nn.Dropout1d, nn.Dropout2d),
        "shape": (nn.Flatten, nn.Unflatten),
    }
    for family, kinds in families.items():
        if isinstance(layer, kinds):
            return family
    if "latten" in kind:
        return "shape"
    return "resize" if any(word in kind for word in ("Pool", "Resize", "Shuffle", "Upsample", "Mean")) else "other"


def counted(module: nn.Module) -> int:
    """Parameters."""
    return sum(p.numel() for p in module.parameters())


def argument_names(network: nn.Module) -> list[str]:
    """The names of what a network's `forward` takes, the rest of them numbered."""
    code = getattr(type(network).forward, "__code__", None)
    return [*code.co_varnames[1 : code.co_argcount]] if code else []


def detail(layer: nn.Module) -> str:
    """What a layer was made with, shortly."""
    parts = []
    kernel, stride = getattr(layer, "kernel_size", None), getattr(layer, "stride", None)
    if kernel is not None:
        parts.append("×".join(map(str, pair(kernel))))
        if stride is not None and pair(stride) != (1, 1):
            parts.append(f"stride {pair(stride)[0]}")
    for name in ("negative_slope", "p"):
        if isinstance(value := getattr(layer, name, None), float) and value:
            parts.append(f"{value:g}")
    return ", ".join(parts)
