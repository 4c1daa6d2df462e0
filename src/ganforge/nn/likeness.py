"""How unlike two images look: the losses of encoders beside the squared difference of pixels.

Perceptual: LPIPS on AlexNet, or the features that the generator's own discriminator has learned.  Identity: the cosine
of a face network's vectors (Richardson et al. 2020, https://arxiv.org/abs/2008.00951, section 3.2), or for other images
that of the discriminator's last features, where the papers have a network trained with MoCo.
"""

from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.errors import ModelError, WeightsError
from ganforge.nn.backbones import ArcFace
from ganforge.nn.last_layer import features_of, read_last_input
from ganforge.nn.lpips import LPIPS, load_mapped
from ganforge.nn.vgg import read_weights

Perception = Literal["lpips", "own"]
Identity = Literal["face", "own", "none"]
ALEXNET, LINEAR, FACE = "alexnet-owt-7be5be79.pth", "alex.pth", "model_ir_se50.pth"
SEEN, INNER, ENTERS = 256, (slice(35, 223), slice(32, 220)), 112  # the face within a picture of that side


class Likeness:
    """Loads its networks when they are first used; not a module, so no state of a game holds them."""

    def __init__(self, perception: Perception, identity: Identity, folder: str, flags: str = "--config.") -> None:
        """`folder` holds the published weights: torchvision's AlexNet, LPIPS 0.1's `alex.pth`, IR-SE50's of ArcFace.

        `flags` is what stands before the names of the options, in messages.
        """
        self.perception, self.identity, self.folder = perception, identity, Path(folder or ".")
        self.flags = flags
        self.lpips: LPIPS | None = None
        self.face: ArcFace | None = None

    def check(self, gan: Any) -> None:
        """Raise ModelError where `identity` is `own` and the discriminator of `gan` also needs a label."""
        if self.identity == "own" and gan.labelled and (gan.facts.labels or gan.facts.attributes):
            raise ModelError(
                f"{self.flags}identity own reads images without labels, and the discriminator of this "
                f"{type(gan).__name__} needs them: name an unconditional run with --config.generator, or say "
                f"{self.flags}identity face, or none."
            )

    def terms(
        self, gan: Any, made: Tensor, real: Tensor, sides: tuple[int, int], weights: tuple[float, float]
    ) -> dict[str, Tensor]:
        """{perceptual, identity: its mean, times its weight} of images (N, C, H, W) in [-1, 1] and the real ones.

        `gan` has the discriminator, which sees images at its own sides (H, W).  Raises WeightsError where weights are
        missing or damaged.
        """

        def resize(setting: str) -> list[Tensor]:
            return [enlarge(images, sides) if setting == "own" else images for images in (made, real)]

        terms = {"perceptual": weights[0] * self.distances(gan, *resize(self.perception)).mean()}
        if self.identity != "none":
            terms["identity"] = weights[1] * (1 - self.similarities(gan, *resize(self.identity))).mean()
        return terms

    def distances(self, gan: Any, made: Tensor, real: Tensor) -> Tensor:
        """Perceptual distances (N,): LPIPS, or squared ones of features in units of the real ones' square."""
        if self.perception == "lpips":
            return self.load_lpips().to(made.device)(made, real)
        with torch.no_grad():
            wanted = features_of(gan, real).flatten(1)
        return (features_of(gan, made).flatten(1) - wanted).square().sum(1) / wanted.square().sum(1).clamp_min(1e-8)

    def similarities(self, gan: Any, made: Tensor, real: Tensor) -> Tensor:
        """Cosines (N,)."""

        def read(images: Tensor) -> Tensor:
            if self.identity == "face":
                return self.load_face().to(images.device)(cut_face(images))
            return read_last_input(getattr(gan, gan.augmented[0]), images).flatten(1)

        with torch.no_grad():
            wanted = read(real)
        return F.cosine_similarity(read(made), wanted)

    def load_lpips(self) -> LPIPS:
        """LPIPS on AlexNet."""
        if self.lpips is None:
            weights = [self.read(file, "LPIPS on AlexNet", "perception") for file in (ALEXNET, LINEAR)]
            self.lpips = LPIPS().load(*weights)
        return self.lpips

    def load_face(self) -> ArcFace:
        """The network of faces."""
        if self.face is None:
            given, face = self.read(FACE, "ArcFace's IR-SE50", "identity"), ArcFace()
            load_mapped(face, {key: rename(key) for key in face.state_dict()}, given, "ArcFace's IR-SE50")
            self.face = face
        return self.face

    def read(self, file: str, name: str, option: str) -> dict[str, Tensor]:
        """The tensors of a file of the folder."""
        if not (self.folder / file).is_file():
            raise WeightsError(
                f"The weights of {name} are needed, and there is no {self.folder / file}: name its folder with "
                f"{self.flags}weights FOLDER, or say {self.flags}{option} own."
            )
        return dict(read_weights(self.folder / file, name))


def enlarge(images: Tensor, sides: tuple[int, int]) -> Tensor:
    """Images (N, C, h, w) at the sides (H, W), which a discriminator works at."""
    return images if images.shape[-2:] == sides else F.interpolate(images, sides, mode="area")


def cut_face(images: Tensor) -> Tensor:
    """The face (N, 3, 112, 112) within pictures (N, C, H, W) of aligned faces."""
    whole = F.adaptive_avg_pool2d(images, SEEN) if images.shape[-2:] != (SEEN, SEEN) else images
    return F.adaptive_avg_pool2d(whole[..., *INNER], ENTERS).expand(-1, 3, -1, -1)


def rename(key: str) -> str:
    """The published name of one of ArcFace's tensors."""
    key = key.replace("body.enter", "input_layer").replace("body.units", "body").replace("head", "output_layer")
    return key.replace("shortcut", "shortcut_layer").replace("residual", "res_layer")
