"""lostgan: an image from a layout, boxes with an object in each, that can be moved without redrawing the rest.

Sun and Wu, 2019 (V1, https://arxiv.org/abs/1908.07500) and 2020 (V2, https://arxiv.org/abs/2003.11571).

    L_D = lambda_im hinge(D_im) + lambda_obj hinge(D_obj)
    L_G = -lambda_im D_im(G) - lambda_obj D_obj(G) + lambda_pix |x - G|_1 + lambda_vgg |VGG(x) - VGG(G)|_1

Every object has a label, a box and a code z of its own; the image has one more.  From its label and code follow the
object's mask, which is stretched to the box, and the weights of the norms under it.  The discriminator scores the
whole image, and each object by the features in its box.  In V2 every block of the generator refines the masks.

Codes are drawn object by object, so the same seed keeps the code of every object when another is moved, resized,
relabelled to 0 (no object) in its place, or added at the end.

Departures: 1. a batch without any object has no object loss; 2. 16 and 32 pixels a side, with fewer blocks;
3. truncated codes, for translating, are normal ones mapped to the limits, and not drawn again until they are inside;
4. `small` is V1 at 32 pixels with narrow networks, short codes, batches of 16, a larger rate, averaged weights, the
whole image as an object, and neither L1 nor VGG; its discriminator also learns from real objects under wrong labels
(Reed et al. 2016, https://arxiv.org/abs/1605.05396); 5. images are mirrored at random, where the authors' set holds
every image and its mirror.  There is no differentiable augmentation: it would move objects out of their boxes.

Train it small: `ganforge train lostgan`, then `ganforge translate RUN "layout:star 0.1 0.2 0.5 0.6" out`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, LaidOut
from ganforge.capabilities import Range
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move
from ganforge.models.lostgan.discriminator import ObjectDiscriminator
from ganforge.models.lostgan.generator import LayoutGenerator
from ganforge.models.lostgan.layouts import to_inside
from ganforge.nn.losses import hinge
from ganforge.nn.spectral_norm import SpectralNorm
from ganforge.nn.vgg import CONTENT, LazyVGG, compare_images
from ganforge.run import Preset, Run

WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Config:
    """The settings of the authors' code (train.py)."""

    version: Literal[1, 2] = 2
    """LostGAN-V1, or V2, whose blocks refine the masks."""
    latent: int = 128
    """Length of the code of each object, and of that of the image."""
    embedding: int = 180
    """Length of a label's embedding: 128 in V1 of 64 pixels."""
    width: int = 64
    """Channels of the generator's last maps."""
    mask_width: int = 0
    """Channels of the regression of masks.  0: 128 in V1, 256 in V2."""
    judge_width: int = 64
    """Channels of the discriminator's first maps."""
    align_corners: bool = True
    """How masks are stretched to their boxes: as torch did when the code was written, or (False) since 1.3."""
    whole_image: bool = False
    """The whole image is one more object, with label 0 and a code of its own, as in the code for Visual Genome."""
    object_weight: float = 1.0
    """lambda_obj."""
    wrong_labels: bool = False
    """Real objects are scored under wrong labels as well, where they should score low, as generated ones should."""
    image_weight: float = 0.1
    """lambda_im."""
    pixel_weight: float = 1.0
    """lambda_pix."""
    vgg_weight: float = 1.0
    """lambda_vgg."""
    content: Literal["vgg", "none"] = "vgg"
    """Whether VGG-19 compares images with their truth as well."""
    vgg: str = ""
    """torchvision's file of VGG-19's weights, vgg19-dcbb9e9d.pth; needed for training, not for translating."""
    lr: float = 1e-4
    """Adam's learning rate, of both."""


class LostGAN(Game[Config, LaidOut]):
    """A conditional GAN with a score for the image and one for each object."""

    discriminator_output = "scores"

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for data without objects, or of one kind where wrong labels are asked for.

        Also for sides other than 16, 32, 64, 128 or 256.
        """
        super().__init__(config, facts)
        c, classes, side = config, len(facts.objects), facts.height
        self.extractor = LazyVGG(c.vgg, tuple(CONTENT), "leave VGG out with --config.content none")
        if classes < 2:
            raise ModelError("lostgan needs data with named objects in boxes; this has none.")
        if c.wrong_labels and classes < 3:
            raise ModelError(
                "Wrong labels need objects of two kinds, and this data has one: give --config.wrong-labels False."
            )
        if facts.width != side:
            raise ModelError(f"lostgan makes square images, not {side} x {facts.width}: give --size {side}.")
        self.generator = LayoutGenerator(
            classes, c.latent, c.embedding, c.width, side, c.version, facts.channels, c.mask_width, c.align_corners
        )
        self.discriminator = ObjectDiscriminator(classes, c.judge_width, side, facts.channels)
        orthogonal_weights(self.generator)
        if side <= 64:  # larger discriminators keep torch's first weights, as in the authors' code
            orthogonal_weights(self.discriminator)

    def players(self) -> dict[str, Optimizer]:
        """Raises WeightsError where VGG's weights are needed and missing."""
        if self.config.content == "vgg":
            self.extractor.load()
        networks = {"discriminator": self.discriminator, "generator": self.generator}
        return {name: Adam(net.parameters(), self.config.lr, (0.0, 0.999)) for name, net in networks.items()}

    def play(self, batches: Iterator[LaidOut], now: Clock) -> Iterator[Move]:
        c, batch = self.config, next(batches)
        real, boxes, labels = batch.images, to_inside(batch.boxes, batch.box_labels), batch.box_labels
        fake = self.draw_images(boxes, labels)
        wrong = (self.draw_wrong(labels),) if c.wrong_labels else ()
        on_real, real_objects = self.discriminator(real, boxes, labels, wrong)
        real_objects, *wrong_objects = real_objects.chunk(1 + len(wrong))
        more = {"wrong_label_objects": c.object_weight * hinge(-wrong_objects[0])} if wrong_objects else {}
        on_fake, fake_objects = self.discriminator(fake.detach(), boxes, labels)
        yield Move(
            "discriminator",
            real=c.image_weight * hinge(on_real),
            fake=c.image_weight * hinge(-on_fake),
            real_objects=c.object_weight * hinge(real_objects),
            fake_objects=c.object_weight * hinge(-fake_objects),
            **more,
            says_real=on_real.detach().mean(),
            says_fake=on_fake.detach().mean(),
        )
        on_fake, fake_objects = self.discriminator(fake, boxes, labels)
        terms = {
            "fool": -c.image_weight * mean(on_fake),
            "fool_objects": -c.object_weight * mean(fake_objects),
            "pixel": c.pixel_weight * F.l1_loss(fake, real),
        }
        if c.content == "vgg":
            terms["vgg"] = c.vgg_weight * compare_images(self.extractor.load().to(real.device), fake, real)
        yield Move("generator", **terms)

    def draw_images(self, boxes: Tensor, labels: Tensor, truncation: float = 0.0) -> Tensor:
        """Images of boxes (n, M, 4), as x, y, width, height, and labels (n, M), with random codes."""
        n, latent = len(boxes), self.config.latent
        image_code = self.draw.normal(n, latent)
        slots = 1 + boxes.shape[1] if self.config.whole_image else boxes.shape[1]
        codes = torch.stack([self.draw.normal(n, latent) for _ in range(slots)], 1)  # one after the other: see above
        if self.config.whole_image:  # it comes first, so that an object added at the end changes no code
            boxes = torch.cat([boxes.new_tensor(WHOLE).expand(n, 1, 4), boxes], 1)
            labels = F.pad(labels, (1, 0))
        if truncation:
            image_code, codes = truncate(image_code, truncation), truncate(codes, truncation)
        return self.generator(codes, image_code, boxes, labels)

    def draw_wrong(self, labels: Tensor) -> Tensor:
        """For every object of labels (n, M) one of the other labels, all equally likely; 0 stays 0."""
        n, others = len(labels), len(self.facts.objects) - 2
        by = torch.stack([1 + self.draw.choice(n, others) for _ in range(labels.shape[1])], 1)
        return torch.where(labels > 0, 1 + (labels - 1 + by) % (others + 1), 0)

    def translate(self, boxes: Tensor, box_labels: Tensor, truncation: Annotated[float, Range(0, 10)] = 2.0) -> Tensor:
        """Boxes (n, M, 4) of corners in [0, 1] and labels (n, M) -> images (n, C, H, W) of the facts' size.

        `truncation` is the largest value of a code (the authors test at 2); 0: no limit.  With one seed an object in
        the same place of M has the same code in every layout.
        """
        return self.draw_images(to_inside(boxes, box_labels), box_labels, truncation)


def mean(scores: Tensor) -> Tensor:
    """The mean of scores (K,); 0 of none, which a batch without objects has."""
    return scores.sum() / max(1, len(scores))


def truncate(codes: Tensor, limit: float) -> Tensor:
    """Standard normal codes of any shape -> the same from the normal distribution between -limit and limit.

    Each number keeps its rank: Phi(z) becomes Phi(-limit) + Phi(z) (Phi(limit) - Phi(-limit)).
    """
    ends = torch.special.ndtr(torch.tensor([-limit, limit], dtype=torch.float64, device=codes.device))
    ranks = torch.special.ndtr(codes.double())
    return torch.special.ndtri(ends[0] + ranks * (ends[1] - ends[0])).clamp(-limit, limit).to(codes.dtype)


@torch.no_grad()
def orthogonal_weights(network: nn.Module) -> None:
    """Parameters of several dimensions become orthogonal, biases 0: the authors' first weights."""
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.orthogonal_(parameter)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
    for layer in network.modules():
        if isinstance(layer, SpectralNorm):
            layer.settle()


PUBLISHED = Run(batch=128, size=(128,), flip=True, save_every=5_000)
# `small` has the whole image as an object: where a box is alone, the norms divide its mask by itself, so that the mask
# hardly matters and the object gets no shape.  COCO-Stuff has boxes of the ground, with masks below those of objects.
presets = {
    "tiny": Preset(
        Config(latent=4, embedding=4, width=2, mask_width=4, judge_width=2, content="none"),
        Run(steps=6, batch=4, size=(16,), log_every=2),
    ),
    "small": Preset(
        Config(
            version=1,
            latent=8,
            embedding=32,
            width=12,
            mask_width=32,
            judge_width=12,
            whole_image=True,
            wrong_labels=True,
            pixel_weight=0.0,
            content="none",
            lr=1e-3,
        ),
        Run(steps=1_500, batch=16, size=(32,), flip=True, ema=2_000.0),
    ),
    "paper": Preset(Config(), replace(PUBLISHED, steps=78_600)),  # 200 epochs of 25,210 images and their mirrors
    "paper-vg": Preset(Config(whole_image=True), replace(PUBLISHED, steps=195_400)),  # of 62,565
}
