"""The hypernetworks of yuval-alaluf/hyperstyle (models/hypernetworks/hypernetwork.py).

Their files hold `hypernet.` and `decoder.` in one state dict.  A key of the shared layers stands once for the network
and once under each head that uses them.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ganforge.errors import WeightsError
from ganforge.models.hyperstyle.hypernetwork import HyperNetwork, Shape, SharedHead
from ganforge.official import Adapter, State
from ganforge.official.e4e import RESNET34, SEEN, WIDTHS, resnet_names

CAPACITY, MOST, VECTOR = 32_768, 512, 512
SHARED = "shared_weight_hypernet"
SEPARATE = {"make_kernel_in": "row", "make_kernel_out": "column"}
SEPARATE |= {"kernel_linear_in": "mix_inputs", "kernel_linear_out": "mix_outputs"}


def list_layers(size: int, capacity: int = CAPACITY, most: int = MOST) -> list[Shape]:
    """The shapes of the layers of config f at a size: a convolution, its image, then two and an image a block."""
    width = most
    layers: list[Shape] = [(width, width, 3), (3, width, 1)]
    for side in (8 << level for level in range((size // 4).bit_length() - 1)):
        wide = min(capacity // side, most)
        layers += [(wide, width, 3), (wide, wide, 3), (3, wide, 1)]
        width = wide
    return layers


class SharedWeightsHyperNetResNet(Adapter):
    """A photograph and its reconstruction (N, 6, 256, 256) -> a list with the change of each layer, or None."""

    fills = ("hyperstyle.hypernetwork",)
    prefix = "hypernet."
    separable = False
    network: Any

    def __init__(
        self, output_size: int, n_hypernet_outputs: int = 0, layers_to_tune: str = "", input_nc: int = 6, *,
        widths: Sequence[int] = WIDTHS, vector: int = VECTOR, capacity: int = CAPACITY, most: int = MOST,
    ) -> None:  # fmt: skip
        shapes = list_layers(output_size, capacity, most)
        chosen = [int(number) for number in layers_to_tune.split(",") if number]
        chosen = [k for k in chosen or range(len(shapes)) if k < len(shapes) and (chosen or shapes[k][2] > 1)]
        layers = {number: shapes[number] for number in chosen}
        network = HyperNetwork(input_nc, SEEN, layers, widths, RESNET34, vector, separable=self.separable)
        names = resnet_names(sum(RESNET34)) | {SHARED: "shared"}
        sharing = [number for number in chosen if isinstance(network.heads[str(number)], SharedHead)]
        for number in chosen:
            theirs, ours = f"refinement_blocks.{number}", f"heads.{number}"
            names[f"{theirs}.convs"] = f"{ours}.convs"
            if number in sharing:
                names[f"{theirs}.linear"] = f"{ours}.linear"
            elif self.separable:
                names |= {f"{theirs}.output.0.{a}": f"{ours}.output.{b}" for a, b in SEPARATE.items()}
            else:
                names[f"{theirs}.output.{int(shapes[number][2] > 1)}"] = f"{ours}.output"
        super().__init__(network, names)
        self.sharing, self.count = sharing, n_hypernet_outputs or len(shapes)
        self.register_state_dict_post_hook(_repeat_shared)
        self.register_load_state_dict_pre_hook(_drop_repeated)

    def forward(self, x: Tensor) -> list[Tensor | None]:
        made = dict(zip(map(int, self.network.heads), self.network(x), strict=True))
        return [_spread(made[k]) if k in made else None for k in range(self.count)]

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        state["conv1.weight"]
        layers = sorted({int(key.split(".")[1]) for key in state if key.startswith("refinement_blocks.")})
        if (f"refinement_blocks.{layers[-1]}.output.0.make_kernel_in.weight" in state) != cls.separable:
            raise KeyError("refinement_blocks of this kind")
        side = 4 << ((layers[-1] - 2) // 3 + 1 if layers[-1] > 1 else 0)
        vector, most = len(state[f"{SHARED}.w1"]), state[f"{SHARED}.w1"].shape[1] // 9
        ends = [sum(RESNET34[: stage + 1]) - 1 for stage in range(4)]
        return {
            "widths": tuple(len(state[f"body.{end}.conv2.weight"]) for end in ends), "vector": vector, "most": most,
            "capacity": cls.capacity(state, layers, most),
            "output_size": side, "n_hypernet_outputs": len(list_layers(side)),
            "layers_to_tune": ",".join(map(str, layers)), "input_nc": state["conv1.weight"].shape[1],
        }  # fmt: skip

    @classmethod
    def capacity(cls, state: State, layers: Sequence[int], most: int) -> int:
        """Channels times side of the generator: from the first layer whose outputs are fewer than its inputs."""
        for number in (k for k in layers if k > 1 and (k - 2) % 3 == 0):
            theirs = f"refinement_blocks.{number}.output"
            if (key := f"{theirs}.0.kernel_linear_out.weight") in state:
                return len(state[key]) * (8 << (number - 2) // 3)
            if (key := f"{theirs}.1.weight") in state:
                return len(state[key]) // most * (8 << (number - 2) // 3)
        return CAPACITY

    @classmethod
    def assumed(cls, state: State, given: Any) -> tuple[str, ...]:
        return () if "output_size" in given else ("output_size",)

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        size = arguments["output_size"]
        layers = tuple(int(number) for number in arguments["layers_to_tune"].split(","))
        config = {"widths": arguments.get("widths", WIDTHS), "depths": RESNET34, "separable": cls.separable}
        config |= {"vector": arguments.get("vector", VECTOR), "layers": layers}
        return config, {"channels": arguments["input_nc"] // 2, "height": size, "width": size}


class SharedWeightsHyperNetResNetSeparable(SharedWeightsHyperNetResNet):
    """The same with heads whose kernels are products, where they share no layers."""

    separable = True


def _spread(change: Tensor) -> Tensor:
    """A change with the kernel's sides: theirs repeats the number of a pair of channels, but for layers to images."""
    return change.expand(-1, -1, -1, 3, 3) if change.shape[3] == 1 and change.shape[1] > 3 else change


def _repeat_shared(adapter: nn.Module, state: dict[str, Any], prefix: str, _metadata: object) -> None:
    assert isinstance(adapter, SharedWeightsHyperNetResNet)
    for key in [*state]:
        value = state.pop(key)
        state[key] = value
        number = key.removeprefix(f"{prefix}refinement_blocks.").partition(".")[0]
        if key.endswith(".linear.bias") and number.isdecimal() and int(number) in adapter.sharing:
            for name in ("w1", "b1", "w2", "b2"):
                state[f"{prefix}refinement_blocks.{number}.hypernet.{name}"] = state[f"{prefix}{SHARED}.{name}"]


def _drop_repeated(adapter: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Raises WeightsError where a head has other shared layers than the network."""
    for key in [key for key in state if ".hypernet." in key]:
        own = state.pop(key)
        if not own.equal(state.get(f"{prefix}{SHARED}.{key.rpartition('.')[2]}", own)):
            raise WeightsError(f"{key} is not what {SHARED} holds, and the two are one network.")
