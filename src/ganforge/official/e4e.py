"""The encoders of StyleGAN2's codes.

omertov/encoder4editing and eladrich/pixel2style2pixel (models/encoders/psp_encoders.py), yuval-alaluf/hyperstyle
(models/encoders/w_encoder.py, models/encoders/restyle_e4e_encoders.py).  Their files hold `encoder.` and `decoder.` in
one state dict, and beside it the mean code.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from ganforge.errors import WeightsError
from ganforge.models.e4e.encoder import StyleEncoder
from ganforge.models.e4e.encoder import WEncoder as OneCode
from ganforge.official import Adapter, State

WIDTHS = (64, 128, 256, 512)
DEPTHS = {50: (3, 4, 14, 3), 100: (3, 13, 30, 3), 152: (3, 8, 36, 3)}
RESNET34 = (3, 4, 6, 3)
STYLE, SEEN = 512, 256


def face_names(units: int) -> dict[str, str]:
    """{theirs: ours} of the body of face recognition."""
    names = {"input_layer": "body.enter"}
    for i in range(units):
        names |= {f"body.{i}.shortcut_layer": f"body.units.{i}.shortcut"}
        names |= {f"body.{i}.res_layer": f"body.units.{i}.residual"}
    return names


def resnet_names(blocks: int) -> dict[str, str]:
    """{theirs: ours} of ResNet34's body."""
    names = {"conv1": "body.conv1", "bn1": "body.bn1", "relu": "body.slope"}
    for i in range(blocks):
        names |= {f"body.{i}.{layer}": f"body.blocks.{i}.{layer}" for layer in ("conv1", "bn1", "conv2", "bn2")}
        names[f"body.{i}.downsample"] = f"body.blocks.{i}.shortcut"
    return names


def count_layers(size: int) -> int:
    """The styles of a generator of `size` pixels."""
    return 2 * (size.bit_length() - 1) - 2


class _Encoder(Adapter):
    """An encoder with the mean code, which stands beside its state dict."""

    unmapped = ("mean_code",)
    beside = ("latent_avg",)
    prefix = "encoder."
    network: Any
    mean: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Codes (N, L, 512), without the mean, of images (N, C, 256, 256) in [-1, 1]."""
        return self.network(x)

    def take(self, beside: Mapping[str, Tensor]) -> None:
        if not any(key.endswith("fc1.weight") for key in self.network.state_dict()):
            raise WeightsError(
                "its body has no squeeze and excitation (mode 'ir'), which no setting of e4e describes; "
                "official.network('e4e', ...) runs it."
            )
        self.mean = beside.get("latent_avg")

    def weights(self) -> dict[str, Tensor]:
        """With the mean code of the file, where it has one."""
        state = self.network.state_dict()
        if self.mean is not None:
            state["mean_code"] = self.mean.reshape(-1, self.mean.shape[-1]).expand_as(state["mean_code"]).clone()
        return state

    @staticmethod
    def depth(state: State) -> dict[str, Any]:
        """`num_layers`, `mode` and the widths of a body."""
        units = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("body."))
        layers = next(layers for layers, depths in DEPTHS.items() if sum(depths) == units)
        ends = [sum(DEPTHS[layers][: stage + 1]) - 1 for stage in range(4)]
        widths = tuple(len(state[f"body.{end}.res_layer.3.weight"]) for end in ends)
        mode = "ir_se" if "body.0.res_layer.5.fc1.weight" in state else "ir"
        return {"num_layers": layers, "mode": mode, "widths": widths}


def _game(size: int, given: Mapping[str, Any], **config: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    facts = {"channels": 3, "height": size, "width": size}
    return {"widths": given.get("widths", WIDTHS), "depths": DEPTHS[given["num_layers"]], **config}, facts


class WEncoder(_Encoder):
    """HyperStyle's encoder of one code for all layers."""

    file = "models/encoders/w_encoder.py"
    fills = ("e4e.encoder",)

    def __init__(
        self, num_layers: int, mode: str = "ir_se", opts: Mapping[str, Any] | None = None, *, output_size: int = 1024,
        widths: Sequence[int] = WIDTHS, style: int = STYLE,
    ) -> None:  # fmt: skip
        depths = DEPTHS[num_layers]
        count = count_layers((opts or {}).get("output_size", output_size))
        body = face_names(sum(depths))
        first = {"input_layer": body.pop("input_layer"), "linear": "linear"}
        super().__init__(OneCode(3, widths, depths, style, count, mode == "ir_se"), first | body)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        return {"style": len(state["linear.weight"]), **cls.depth(state), "output_size": 1024}

    @classmethod
    def assumed(cls, state: State, given: Mapping[str, Any]) -> tuple[str, ...]:
        return () if "output_size" in given or "opts" in given else ("output_size",)

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        size = (arguments.get("opts") or {}).get("output_size", arguments["output_size"])
        return _game(size, arguments, space="w")


class _Pyramid(_Encoder):
    """An encoder with a block for each layer, on three maps."""

    relative: ClassVar[bool]
    file = "models/encoders/psp_encoders.py"
    fills = ("e4e.encoder",)

    def __init__(
        self, num_layers: int, mode: str = "ir_se", opts: Mapping[str, Any] | None = None, *,
        stylegan_size: int = 1024, widths: Sequence[int] = WIDTHS, style: int = STYLE,
    ) -> None:  # fmt: skip
        depths = DEPTHS[num_layers]
        count = count_layers((opts or {}).get("stylegan_size", stylegan_size))
        names = face_names(sum(depths)) | {f"styles.{i}": f"blocks.{i}" for i in range(count)}
        names |= {"latlayer1": "middle", "latlayer2": "fine"}
        sizes = (3, SEEN, widths, depths, style, count)
        super().__init__(StyleEncoder(*sizes, relative=self.relative, excite=mode == "ir_se"), names)

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        style = len(state["latlayer1.weight"])
        count = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("styles."))
        return {**cls.depth(state), "style": style, "stylegan_size": 1 << (count + 2) // 2}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        size = (arguments.get("opts") or {}).get("stylegan_size", arguments["stylegan_size"])
        more = {} if cls.relative else {"adversarial": 0.0}
        return _game(size, arguments, space="w+", pyramid=True, relative=cls.relative, **more)


class Encoder4Editing(_Pyramid):
    """e4e."""

    relative = True


class GradualStyleEncoder(_Pyramid):
    """pSp."""

    relative = False


class ProgressiveBackboneEncoder(_Encoder):
    """e4e of ReStyle, which also sees what was drawn before: all blocks read the last map."""

    file = "models/encoders/restyle_e4e_encoders.py"

    def __init__(self, num_layers: int, mode: str, n_styles: int, input_nc: int = 6) -> None:
        depths = DEPTHS[num_layers]
        network = StyleEncoder(input_nc, SEEN, WIDTHS, depths, STYLE, n_styles, pyramid=False, excite=mode == "ir_se")
        super().__init__(network, face_names(sum(depths)) | {f"styles.{i}": f"blocks.{i}" for i in range(n_styles)})


class ResNetProgressiveBackboneEncoder(_Encoder):
    """The same with ResNet34's body."""

    file = "models/encoders/restyle_e4e_encoders.py"

    def __init__(self, n_styles: int, input_nc: int = 6) -> None:
        network = StyleEncoder(input_nc, SEEN, WIDTHS, RESNET34, STYLE, n_styles, pyramid=False, resnet=True)
        names = resnet_names(sum(RESNET34)) | {f"styles.{i}": f"blocks.{i}" for i in range(n_styles)}
        super().__init__(network, names)
