"""Settings of GigaGAN, and its presets."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from ganforge.capabilities import Range
from ganforge.game import Part
from ganforge.run import Preset, Run


@dataclass(frozen=True)
class Config:
    """Section 3 of the paper.  Its tables of widths and rates could not be checked: numbers are our choice."""

    networks: Literal["base", "upsampler"] = "base"
    """Sentences to images, or images to larger images."""
    reading: Literal["paper", "lucidrains"] = "paper"
    """How the paper is read: as it is described here, or as the networks of gigagan-pytorch, for their weights."""
    text: Annotated[str, Part("text_encoder", needed=lambda c: c.texts and not c.features)] = ""  # pyright: ignore
    """The frozen encoder of sentences: a run, a pretrained one (hf:NAME), or a folder of one."""
    texts: bool = True
    """Whether the networks read sentences; an upsampler can do without."""
    features: int = 0
    """Length of the encoder's features, for weights that were imported without one.  0: that of `text`."""
    style: int = 512
    """Length of the noise z and of the style w."""
    style_depth: int = 4
    """Layers of the style network M."""
    text_width: int = 512
    """Width of the learned layers T on the features of sentences."""
    text_depth: int = 2
    """Number of these layers, in each player."""
    capacity: int = 64
    """Channels of the generator: twice this in the largest map, doubled from map to map."""
    widest: int = 1024
    """At most so many."""
    start: Annotated[int, Range(1, 65_536)] = 1024
    """Channels of the learned map of 4 pixels."""
    bank: int = 8
    """Kernels of a sample-adaptive convolution; of one kernel nothing is chosen."""
    places: tuple[int, ...] = (8, 16, 32)
    """Sides of the generator's maps with self-attention."""
    words: tuple[int, ...] = (8, 16, 32)
    """Sides of the generator's maps that attend to the words."""
    head: int = 64
    """Width of an attention's head."""
    heads: int = 8
    """Number of heads."""
    times: int = 4
    """Width of the feed-forward network behind an attention, in multiples of the map's."""
    distance: bool = True
    """Self-attention of the generator by distances, with queries as keys; else by products."""
    shuffle: bool = False
    """Doublings by pixel shuffling; else bilinear and blurred."""
    skips: int = 0
    """Maps excite the channels of those so many stages later.  0: none."""
    scale: int = 8
    """Factor of the upsampler: 2, 4 or 8."""
    width: int = 128
    """Channels of the upsampler next to the image."""
    multiples: tuple[int, ...] = (1, 2, 4, 8, 8)
    """Channels of its stages, in multiples of the width."""
    whole: tuple[bool, ...] = (False, False, False, False, True)
    """Stages whose places attend to all places; the others' attention is linear."""
    reads: tuple[bool, ...] = (False, False, False, False, True)
    """Stages that attend to the words."""
    low_noise: Annotated[float, Range(0, 1)] = 0.05
    """Largest deviation of the noise that is added to the upsampler's input in training."""
    blank: Annotated[float, Range(0, 1)] = 0.1
    """Share of the sentences that are left out in the upsampler's training, so that it enlarges without one as well."""
    judge_capacity: int = 32
    """Channels of the discriminator: twice this in the first stage, doubled from stage to stage."""
    judge_widest: int = 1024
    """At most so many."""
    judge_text_width: int = 512
    """Width of the discriminator's layers T."""
    judge_text_depth: int = 2
    """Number of these layers."""
    judge_places: tuple[int, ...] = (8, 16)
    """Sides of its stages with self-attention."""
    judge_head: int = 64
    """Width of its heads."""
    judge_heads: int = 8
    """Number of its heads."""
    judge_times: int = 4
    """As `times`."""
    judge_distance: bool = True
    """As `distance`."""
    judge_bank: int = 1
    """Kernels of the convolutions in front of a score."""
    judge_depth: int = 1
    """Pairs of them."""
    judge_skips: int = 0
    """As `skips`."""
    enter: tuple[int, ...] = (64, 32, 16, 8, 4)
    """Sides at which smaller images enter the base's discriminator; an upsampler's are those that it makes."""
    decoders: tuple[int, ...] = ()
    """Sides of its stages that must suffice to draw the image again; gigagan-pytorch's."""
    matching: float = 1.0
    """Weight of the matching-aware loss: images with wrong sentences."""
    contrast: float = 0.1
    """Weight of the contrastive loss, where `text` embeds images as well."""
    vision: float = 0.5
    """Weight of the vision-aided losses, where `text` has a pretrained network of images."""
    vision_width: int = 512
    """Channels of the vision-aided discriminator."""
    r1: float = 1.0
    """gamma of the R1 penalty."""
    r1_every: Annotated[int, Range(1, 1e9)] = 16
    """Steps between two penalties, each so many times as large (StyleGAN2)."""
    content: Literal["none", "pixel", "vgg"] = "vgg"
    """What the upsampler compares with the true image beside: pixels, or features of VGG-19."""
    content_weight: float = 1.0
    """Its weight."""
    vgg: str = ""
    """torchvision's file of VGG-19's weights, vgg19-dcbb9e9d.pth; needed to train an upsampler with `content` vgg."""
    lr: float = 2e-4
    """Adam's learning rate, of both players."""
    beta1: float = 0.0
    """Adam's first momentum."""
    beta2: float = 0.99
    """Adam's second momentum."""
    decay: float = 0.01
    """Decay of the attentions' weights in a step, in multiples of the learning rate."""


TINY = Config(
    style=8, style_depth=2, text_width=8, text_depth=1, capacity=4, widest=8, start=8, bank=2, places=(8,), words=(8,),
    head=4, heads=2, times=2, scale=2, width=4, multiples=(1, 2), whole=(False, True), reads=(False, True),
    judge_capacity=2, judge_widest=8, judge_text_width=8, judge_text_depth=1, judge_places=(8,), judge_head=4,
    judge_heads=2, judge_times=2, enter=(8, 4), vision_width=8, r1_every=2, content="pixel", lr=1e-3,
)  # fmt: skip
SMALL = Config(
    style=64, text_width=64, text_depth=1, capacity=8, widest=96, start=64, bank=4, places=(8, 16), words=(8, 16),
    head=16, heads=4, times=2, scale=4, width=24, multiples=(1, 1, 2, 3), whole=(False, False, False, True),
    reads=(False, False, False, True), judge_capacity=8, judge_widest=96, judge_text_width=64, judge_text_depth=1,
    judge_places=(8,), judge_head=16, judge_heads=4, judge_times=2, enter=(16, 8), vision_width=32, r1=0.2,
    content="pixel", lr=1.5e-3,
)  # fmt: skip
SMALL_UPSAMPLER = replace(
    SMALL, networks="upsampler", width=16, head=8, heads=2, r1=1.0, content_weight=500.0, lr=5e-4,
    beta1=0.9,
)  # fmt: skip
PUBLISHED = Run(batch=1024, size=(64,), ema=10_000.0, save_every=5_000)
UPSAMPLER = Run(batch=192, size=(512,), native=True, crop=True, ema=10_000.0, save_every=5_000)

presets = {
    "tiny": Preset(TINY, Run(steps=6, batch=4, size=(16,), log_every=2)),
    "small": Preset(SMALL, Run(steps=5_000, batch=16, size=(32,), ema=2_000.0)),
    "small-upsampler": Preset(SMALL_UPSAMPLER, Run(steps=1_000, batch=8, size=(64,), ema=1_000.0)),
    "paper": Preset(Config(), replace(PUBLISHED, steps=1_350_000)),
    "paper-upsampler": Preset(Config(networks="upsampler"), replace(UPSAMPLER, steps=280_000)),
}
