"""DINOv2 and CLIP as extractors, through the package `transformers`, which is optional.

DINOv2 (Oquab et al. 2023) gives the features of FD-DINOv2, which people agree with more than with Inception's
(Stein et al. 2023); CLIP (Radford et al. 2021) gives the embeddings of CMMD.  Weights come from the Hugging Face Hub
once, or from a folder that `save_pretrained` wrote.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge.errors import WeightsError
from ganforge.metrics.extractors.base import Features, digest
from ganforge.metrics.extractors.resize import Rule, in_colour, resized, to_255


@dataclass(frozen=True)
class Vision:
    """A network of `transformers` as an extractor."""

    name: str
    about: str
    key: str
    network: Any
    side: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    look: Callable[[Any], Tensor]
    """What the network's answer has for features."""
    resize: Rule
    device: torch.device

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Features:
        """What it sees in pictures (N, 1 or 3, H, W) in [-1, 1] of any size."""
        pictures = resized(in_colour(to_255(images.to(self.device))), (self.side, self.side), self.resize) / 255
        mean, deviation = (torch.tensor(x, device=self.device).view(1, 3, 1, 1) for x in (self.mean, self.deviation))
        return Features(self.look(self.network(pixel_values=(pictures - mean) / deviation)).float())


def dinov2(weights: str | Path = "", *, resize: Rule = "clean", device: torch.device | str = "cpu") -> Vision:
    """DINOv2's ViT-L/14 at 224 pixels: the normalised class token.  Raises WeightsError where it cannot be had."""
    source = str(weights) or "facebook/dinov2-large"
    network = loaded("dinov2", "Dinov2Model", source)
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
    return vision("dinov2", network, source, 224, mean, deviation, lambda said: said.pooler_output, resize, device)


def clip(weights: str | Path = "", *, resize: Rule = "clean", device: torch.device | str = "cpu") -> Vision:
    """CLIP's ViT-L/14 at 336 pixels: the embedding of the picture.  Raises WeightsError where it cannot be had."""
    source = str(weights) or "openai/clip-vit-large-patch14-336"
    network = loaded("clip", "CLIPVisionModelWithProjection", source)
    mean = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's own pictures
    deviation = (0.26862954, 0.26130258, 0.27577711)
    side = int(network.config.image_size)
    return vision("clip", network, source, side, mean, deviation, lambda said: said.image_embeds, resize, device)


def vision(
    name: str,
    network: Any,
    source: str,
    side: int,
    mean: tuple[float, float, float],
    deviation: tuple[float, float, float],
    look: Callable[[Any], Tensor],
    resize: Rule,
    device: torch.device | str,
) -> Vision:
    """A loaded network, ready to look."""
    key = f"{name}-{digest(network.state_dict())}-{side}-{resize}"
    about = f"{name} ({source}) at {side} pixels, {resize} resizing"
    ready = network.to(device).eval().requires_grad_(False)
    return Vision(name, about, key, ready, side, mean, deviation, look, resize, torch.device(device))


def loaded(name: str, kind: str, source: str) -> Any:
    """A network by the name of its class in `transformers`.  Raises WeightsError with the ways out."""
    try:
        import transformers  # pyright: ignore[reportMissingImports]

        made = getattr(transformers, kind)
    except (ImportError, RuntimeError, AttributeError) as error:
        raise WeightsError(
            f"--features {name} needs the package transformers ({' '.join(str(error).split())}): "
            "pip install 'ganforge[vision]', or take --features inception, classifier or pixels."
        ) from error
    try:
        return made.from_pretrained(source)
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"The weights {source} could not be had ({' '.join(str(error).split())[:200]}): name a folder that "
            "save_pretrained wrote with --weights PATH, or take --features inception, classifier or pixels."
        ) from error
