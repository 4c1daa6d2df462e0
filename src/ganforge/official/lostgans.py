"""The networks of WillSuen/LostGANs (model/resnet_generator_v1.py, resnet_generator_v2.py, rcnn_discriminator.py).

Boxes come as x, y, width, height in [0, 1]; theirs are converted in place, here they never change.  `align_corners` is
not among their arguments: it says how masks are placed in their boxes, True as in torch 1.0, for which the code was
written, False as since 1.3.
"""

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from ganforge.models.lostgan.discriminator import ObjectDiscriminator
from ganforge.models.lostgan.generator import LayoutGenerator
from ganforge.models.lostgan.layouts import MaskRegression, Version, place_masks
from ganforge.nn.spectral_norm import SpectralNorm
from ganforge.official import Adapter, State

V1, V2 = "model/resnet_generator_v1.py", "model/resnet_generator_v2.py"
STAGE_CLASSES = 184
"""Classes of the masks and shares in V2, whatever `num_classes` is."""


class _Spectral(Adapter):
    """A network some of whose layers are spectrally normalised."""

    def __init__(self, network: nn.Module, layers: Iterable[tuple[str, str]]) -> None:
        """`layers` names whole layers or single tensors, (theirs, ours); layers that are not there are left out."""
        names, modules = {}, dict(network.named_modules())
        tensors = network.state_dict(keep_vars=True)
        for theirs, ours in layers:
            layer = modules.get(ours)
            if isinstance(layer, SpectralNorm):
                bias = {f"{theirs}.bias": f"{ours}.bias"} if f"{ours}.bias" in tensors else {}
                own = {"weight_orig": "weight", "weight_u": "u", "weight_v": "v"}
                names |= bias | {f"{theirs}.{key}": f"{ours}.{name}" for key, name in own.items()}
            elif layer is not None or ours in tensors:
                names[theirs] = ours
        super().__init__(network, names)


def _mask_layers(theirs: str, ours: str) -> list[tuple[str, str]]:
    names = [("fc", "start")]
    for number, part in enumerate(("four", "eight", "sixteen"), 1):
        names += [(f"conv{number}.0", f"{part}.0"), (f"conv{number}.1", f"{part}.1")]
    return [(theirs + a, ours + b) for a, b in [*names, ("conv3.3", "read")]]


class MaskRegressNet(_Spectral):
    """codes (N * M, obj_feat), boxes (N, M, 4) -> layouts (N, M, map_size, map_size): that of V1."""

    version: Version = 1

    def __init__(self, obj_feat: int, mask_size: int = 16, map_size: int = 64, *, align_corners: bool = True) -> None:
        if mask_size != 16:
            raise ValueError("theirs makes masks of 16 x 16 pixels alone")
        super().__init__(MaskRegression(obj_feat, type(self).version), _mask_layers("", ""))
        self.map_size, self.align_corners = map_size, align_corners

    def forward(self, obj_feat: Tensor, bbox: Tensor) -> Tensor:
        masks = self.network(obj_feat.unflatten(0, bbox.shape[:2]))
        return place_masks(masks, bbox, self.map_size, self.align_corners)


class MaskRegressNetv2(MaskRegressNet):
    """The same of V2."""

    version = 2


class _Generator(_Spectral):
    """codes (N, M, z_dim), boxes (N, M, 4), image codes (N, z_dim), labels (N, M) -> images (N, output_dim, H, W)."""

    side = 64
    version: Version = 2
    embedding = 180
    fills = ("lostgan.generator",)

    def __init__(
        self,
        ch: int = 64,
        z_dim: int = 128,
        num_classes: int = 10,
        output_dim: int = 3,
        *,
        align_corners: bool = True,
    ) -> None:
        kind = type(self)
        stage_classes = num_classes if kind.version == 1 else STAGE_CLASSES
        sizes = {"latent": z_dim, "embedding": kind.embedding, "width": ch, "side": kind.side}
        ours = LayoutGenerator(
            stage_classes, **sizes, version=kind.version, channels=output_dim, align_corners=align_corners
        )
        if num_classes != stage_classes:
            ours.embedding = nn.Embedding(num_classes, kind.embedding)
        super().__init__(ours, kind.names(ours))
        self.classes = num_classes

    @classmethod
    def names(cls, ours: LayoutGenerator) -> list[tuple[str, str]]:
        """(theirs, ours) of every layer, in their order."""
        names = [(f"alpha{i}", f"shares.{i - 1}") for i in range(1, len(ours.shares) + 1)]
        names += [("label_embedding", "embedding"), ("fc", "first.0")]
        start = 2 if cls.side == 64 else 1  # theirs of 64 pixels begins with res2
        parts = {"conv1": "conv1", "conv2": "conv2"}
        for norm in ("1", "2"):
            parts |= {f"b{norm}.weight_proj": f"norm{norm}.weight", f"b{norm}.bias_proj": f"norm{norm}.bias"}
            parts[f"b{norm}.batch_norm2d"] = f"norm{norm}.norm"
        for i in range(len(ours.blocks)):
            block, stage = f"res{i + start}", f"stages.{i}"
            names += [(f"{block}.{a}", f"blocks.{i}.{b}") for a, b in [*parts.items(), ("c_sc", "short")]]
            pyramid = cls.version == 2 and f"{stage}.features.merge" in dict(ours.named_modules())
            head = f"{block}.conv_mask"
            if pyramid:
                for k in range(4):
                    names += [(f"{head}.0.stages.{k}.{j}", f"{stage}.features.pools.{k}.{j}") for j in (1, 2)]
                names += [(f"{head}.0.bottleneck.{j}", f"{stage}.features.merge.{j}") for j in (0, 1)]
            else:
                names += [(f"{head}.{j}", f"{stage}.features.{j}") for j in (0, 1)]
            names.append((f"{head}.{1 if pyramid else 3}", f"{stage}.read"))
        names += [("final.0", "last.0"), ("final.2", "last.2")]
        return names + _mask_layers("mask_regress.", "masks.")

    def forward(self, z: Tensor, bbox: Tensor, z_im: Tensor, y: Tensor) -> Tensor:
        return self.network(z, z_im, bbox, y.view(bbox.shape[:2]))

    def weights(self) -> dict[str, Tensor]:
        """Without masks and shares for classes that there are none of."""
        state = self.network.state_dict()
        for key, value in state.items():
            if key.startswith("shares."):
                state[key] = value[:, : self.classes]
            elif key.startswith("stages.") and ".read." in key:
                state[key] = value[: self.classes]
        return state

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        """The side follows from the number of blocks: a class of another side lacks keys or has more."""
        out, width = state["final.2.weight_orig"].shape[:2]
        classes, _ = state["label_embedding.weight"].shape
        return {"ch": width, "z_dim": state["fc.weight_orig"].shape[1], "num_classes": classes, "output_dim": out}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        config = {"version": cls.version, "width": a["ch"], "latent": a["z_dim"], "embedding": cls.embedding}
        config |= {"align_corners": a.get("align_corners", True), "whole_image": False, "content": "none"}
        return config, _facts(a["num_classes"], a["output_dim"], cls.side)


def _facts(classes: int, channels: int, side: int) -> dict[str, Any]:
    """The facts of data with so many classes, which no file names; label 0 is no object."""
    names = ["", *map(str, range(1, classes))]
    return {"channels": channels, "height": side, "width": side, "objects": names, "most": 8}


class ResnetGenerator64(_Generator):
    """LostGAN-V1 of 64 pixels."""

    file, version, embedding = V1, 1, 128


class ResnetGenerator128V1(_Generator):
    """LostGAN-V1 of 128 pixels."""

    called, file, side, version = ("ResnetGenerator128",), V1, 128, 1


class ResnetGenerator128(_Generator):
    """LostGAN-V2 of 128 pixels."""

    file, side = V2, 128


class ResnetGenerator256(_Generator):
    """LostGAN-V2 of 256 pixels."""

    file, side = V2, 256


class _Discriminator(_Spectral):
    """images (N, C, H, W), boxes (N, M, 4), labels (N, M, 1) -> scores of images (N, 1) and of objects (K, 1).

    Objects with label 0 are left out; from 128 pixels on large objects come first.
    """

    side = 64
    start = ""
    fills = ("lostgan.discriminator",)

    def __init__(self, num_classes: int = 0, input_dim: int = 3, ch: int = 64) -> None:
        ours, side = ObjectDiscriminator(num_classes, ch, type(self).side, input_dim), type(self).side
        blocks = len(ours.body)
        names = [(f"block{i + 1}", f"body.{i}") for i in range(blocks)]
        names.append(({64: "l_im", 128: "l7", 256: "l8"}[side], "image_score"))
        objects = [*(f"near.{i}" for i in range(len(ours.near))), *(f"shared.{i}" for i in range(len(ours.shared)))]
        first = {64: 4, 128: 3, 256: 4}[side]
        names += [(f"block_obj{first + i}", own) for i, own in enumerate([*objects, "last"])]
        parts = {"conv1": "conv1", "conv2": "conv2", "c_sc": "short"}
        whole = {"image_score", "object_score", "label_score"}
        names += [("l_obj", "object_score"), ("l_y", "label_score")]
        layers = []
        for theirs, own in names:
            layers += [(theirs, own)] if own in whole else [(f"{theirs}.{a}", f"{own}.{b}") for a, b in parts.items()]
        super().__init__(ours, [(type(self).start + theirs, own) for theirs, own in layers])

    def forward(self, images: Tensor, bbox: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        on_images, on_objects = self.network(images, bbox, label.view(bbox.shape[:2]))
        return on_images[:, None], on_objects[:, None]

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        width, channels = state[f"{cls.start}block1.conv1.weight_orig"].shape[:2]
        return {"num_classes": len(state[f"{cls.start}l_y.weight_orig"]), "input_dim": channels, "ch": width}

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        return {"judge_width": a["ch"]}, _facts(a["num_classes"], a["input_dim"], cls.side)


class ResnetDiscriminator64(_Discriminator):
    """Of 64 pixels."""


class ResnetDiscriminator128(_Discriminator):
    """Of 128 pixels."""

    side = 128


class ResnetDiscriminator256(_Discriminator):
    """Of 256 pixels."""

    side = 256


class CombineDiscriminator64(ResnetDiscriminator64):
    """The same behind the name `obD`, as the training program saves it."""

    start = "obD."

    def __init__(self, num_classes: int = 81, input_dim: int = 3, ch: int = 64) -> None:
        super().__init__(num_classes, input_dim, ch)


class CombineDiscriminator128(CombineDiscriminator64):
    """The same of 128 pixels."""

    side = 128


class CombineDiscriminator256(CombineDiscriminator64):
    """The same of 256 pixels."""

    side = 256
