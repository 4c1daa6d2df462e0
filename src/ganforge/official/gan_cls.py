"""The image networks of reedscot/icml2016 (main_cls.lua) and of its port, aelnouby/Text-to-Image-Synthesis.

Of the first a state dict is what a converted file holds: a key a tensor, the number of its layer, counted depth first,
and the name of its class in Torch7 (`03_SpatialConvolution.weight`).  Sentences come as embeddings.
"""

from typing import Any

import torch
from torch import Tensor, nn

from ganforge.models.gan_cls.networks import Discriminator, Generator
from ganforge.official import Adapter, State

LUA, PORT, PORT_MORE = "main_cls.lua", "models/gan_cls.py", "utils.py"
TORCH7 = {
    nn.Linear: "Linear",
    nn.Conv2d: "SpatialConvolution",
    nn.ConvTranspose2d: "SpatialFullConvolution",
    nn.BatchNorm1d: "BatchNormalization",
    nn.BatchNorm2d: "SpatialBatchNormalization",
}

# -- Lua -------------------------------------------------------------------------------------------


def count_layers(network: nn.Module) -> dict[str, str]:
    """{number and Torch7 class: our name} of every layer with parameters, in our order, which is theirs."""
    named = [(name, TORCH7[type(layer)]) for name, layer in network.named_modules() if type(layer) in TORCH7]
    return {f"{number:02d}_{kind}": name for number, (name, kind) in enumerate(named)}


def layers_of(state: State, kind: str) -> list[Tensor]:
    """The weights of the layers of a Torch7 class, in order.  Raises KeyError where there are none."""
    found = [state[key] for key in sorted(state) if key.endswith(f"_{kind}.weight")]
    if not found:
        raise KeyError(f"00_{kind}.weight")
    return found


class netG(Adapter):
    """noise (N, nz, 1, 1), text (N, txtSize) -> images (N, 3, 64, 64) in [-1, 1]."""

    file = LUA
    fills = ("gan_cls.generator",)

    def __init__(
        self, txtSize: int = 1024, nt: int = 256, nz: int = 100, ngf: int = 128, large: int = 0, **script: Any
    ) -> None:
        """`script`: options of the program that the network does not depend on."""
        ours = Generator(txtSize, nt, nz, ngf, 3, (4, 4), 4, 2 if large else 1, bias=True)
        super().__init__(ours, count_layers(ours))

    def forward(self, noise: Tensor, text: Tensor) -> Tensor:
        return self.network(noise.flatten(1), text)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        up, (nt, text) = layers_of(state, "SpatialFullConvolution"), state["00_Linear.weight"].shape
        large = int(len(layers_of(state, "SpatialConvolution")) > 6)  # three in a block
        return {"txtSize": text, "nt": nt, "nz": len(up[0]) - nt, "ngf": len(up[-1]), "large": large}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {
            "latent": a["nz"],
            "projected": a["nt"],
            "width": a["ngf"],
            "residual": 2 if a["large"] else 1,
            "smooth": False,
        }
        return {**config, **PAPERS, "bias": True, "text_norm": False}, SIDES


PAPERS = {"joint": True}
SIDES = {"channels": 3, "height": 64, "width": 64}


class netD(Adapter):
    """images (N, 3, 64, 64), text (N, txtSize) -> probabilities of being real and right (N,)."""

    file = LUA
    fills = ("gan_cls.discriminator",)

    def __init__(self, txtSize: int = 1024, nt: int = 256, ndf: int = 64, **script: Any) -> None:
        """`script`: options of the program that the network does not depend on."""
        ours = Discriminator(txtSize, nt, ndf, 3, (4, 4), 4, bias=True)
        super().__init__(ours, count_layers(ours))

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        return torch.sigmoid(self.network(image, text))

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        nt, text = layers_of(state, "Linear")[0].shape
        return {"txtSize": text, "nt": nt, "ndf": len(state["00_SpatialConvolution.weight"])}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {"projected": arguments["nt"], "judge_width": arguments["ndf"]}
        return {**config, **PAPERS, "bias": True, "text_norm": False}, SIDES


# -- the port --------------------------------------------------------------------------------------


class generator(Adapter):
    """text (N, 1024), noise (N, 100, 1, 1) -> images (N, 3, 64, 64) in [-1, 1]; text is joined before noise."""

    file = PORT
    fills = ("gan_cls.generator",)

    def __init__(self) -> None:
        ours = Generator(1024, 128, 100, 64, 3, (4, 4), 4, residual=0, text_norm=True)
        super().__init__(ours, {"projection": "project", **{f"netG.{i}": f"body.{i + 1}" for i in range(13)}})

    def forward(self, embed_vector: Tensor, z: Tensor) -> Tensor:
        return self.network(z.flatten(1), embed_vector)

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        return tensor.roll(-128, 0) if key == "netG.0.weight" else tensor

    def to_theirs(self, key: str, tensor: Tensor) -> Tensor:
        return tensor.roll(128, 0) if key == "netG.0.weight" else tensor

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        _ = state["projection.0.weight"], state["netG.12.weight"]
        return {}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"latent": 100, "projected": 128, "width": 64, "residual": 0, "smooth": False, **PORTS}, SIDES


PORTS = {"joint": False, "text_norm": True, "bias": False}


class discriminator(Adapter):
    """images (N, 3, 64, 64), text (N, 1024) -> probabilities (N,), the last features (N, 512, 4, 4)."""

    file = PORT
    fills = ("gan_cls.discriminator",)

    def __init__(self) -> None:
        ours = Discriminator(1024, 128, 64, 3, (4, 4), 4, residual=False, joint=False, text_norm=True)
        names = {f"netD_1.{i}": f"features.{i}" for i in (0, 2, 3, 5, 6, 8, 9)}
        super().__init__(ours, {**names, "projector.projection": "project", "netD_2.0": "judge.0"})

    def forward(self, inp: Tensor, embed: Tensor) -> tuple[Tensor, Tensor]:
        network: Any = self.network
        return torch.sigmoid(network(inp, embed)), network.features(inp)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        _ = state["projector.projection.0.weight"], state["netD_2.0.weight"]
        return {}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"projected": 128, "judge_width": 64, "residual": 0, **PORTS}, SIDES


class MinibatchDiscrimination(nn.Module):
    """features (N, F) -> (N, kernels): how many rows of the batch are like each, sum_j exp(-|M_i - M_j|_1), M = f T.

    Salimans et al. 2016, section 3.2 (https://arxiv.org/abs/1606.03498): so a discriminator sees that images are alike.
    """

    def __init__(self, inputs: int, kernels: int, length: int = 4) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.normal_(torch.empty(inputs, kernels * length), 0.0, 0.02))
        self.length = length

    def forward(self, features: Tensor) -> Tensor:
        points = (features @ self.weight).unflatten(1, (-1, self.length)).float()
        return (points[:, None] - points).abs().sum(3).neg().exp().sum(1)


class minibatch_discriminator(Adapter):
    """features (N, num_channels, 4, 4) -> (N, 16 num_channels + B_dim): the features, flat, and how alike rows are."""

    file = PORT_MORE

    def __init__(self, num_channels: int, B_dim: int, C_dim: int) -> None:
        super().__init__(MinibatchDiscrimination(16 * num_channels, B_dim, C_dim), {"T_tensor": "weight"})

    def forward(self, inp: Tensor) -> Tensor:
        flat = inp.flatten(1)
        return torch.cat([flat, self.network(flat)], 1)
