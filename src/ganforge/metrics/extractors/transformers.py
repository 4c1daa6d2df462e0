"""DINOv2 and CLIP as extractors, through the package `transformers`, which is optional.

DINOv2 (Oquab et al. 2023) gives the features of FD-DINOv2, which agrees with human judgement better than Inception
(Stein et al. 2023); CLIP (Radford et al. 2021) gives the embeddings of CMMD.  Weights are downloaded
once from the Hugging Face Hub, or read from a folder written by `save_pretrained`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge.errors import WeightsError
from ganforge.metrics.extractors.base import Features, hash_weights
from ganforge.metrics.extractors.resize import Rule, resize_images, to_255, to_colour


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
    select: Callable[[Any], Tensor]
    """Selects the features (N, D) from the network's output."""
    resize: Rule
    device: torch.device

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Features:
        """Features of images (N, 1 or 3, H, W) in [-1, 1] of any size."""
        inputs = resize_images(to_colour(to_255(images.to(self.device))), (self.side, self.side), self.resize) / 255
        mean, deviation = (torch.tensor(x, device=self.device).view(1, 3, 1, 1) for x in (self.mean, self.deviation))
        return Features(self.select(self.network(pixel_values=(inputs - mean) / deviation)).float())


def load_dinov2(weights: str | Path = "", *, resize: Rule = "clean", device: torch.device | str = "cpu") -> Vision:
    """DINOv2's ViT-L/14 at 224 pixels: the normalised class token.  Raises WeightsError where it cannot be loaded."""
    source = str(weights) or "facebook/dinov2-large"
    network = load_pretrained("dinov2", "Dinov2Model", source)
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
    return build_vision(
        "dinov2", network, source, 224, mean, deviation, lambda output: output.pooler_output, resize, device
    )


def load_clip(weights: str | Path = "", *, resize: Rule = "clean", device: torch.device | str = "cpu") -> Vision:
    """CLIP's ViT-L/14 at 336 pixels: the embedding of the image.  Raises WeightsError where it cannot be loaded."""
    source = str(weights) or "openai/clip-vit-large-patch14-336"
    network = load_pretrained("clip", "CLIPVisionModelWithProjection", source)
    mean = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's training images
    deviation = (0.26862954, 0.26130258, 0.27577711)
    side = int(network.config.image_size)
    return build_vision(
        "clip", network, source, side, mean, deviation, lambda output: output.image_embeds, resize, device
    )


def build_vision(
    name: str,
    network: Any,
    source: str,
    side: int,
    mean: tuple[float, float, float],
    deviation: tuple[float, float, float],
    select: Callable[[Any], Tensor],
    resize: Rule,
    device: torch.device | str,
) -> Vision:
    """A loaded network as an extractor, in evaluation mode."""
    key = f"{name}-{hash_weights(network.state_dict())}-{side}-{resize}"
    about = f"{name} ({source}) at {side} pixels, {resize} resizing"
    ready = network.to(device).eval().requires_grad_(False)
    return Vision(name, about, key, ready, side, mean, deviation, select, resize, torch.device(device))


def load_pretrained(name: str, kind: str, source: str) -> Any:
    """A pretrained network by its class in `transformers`.  Raises WeightsError, which names the alternatives."""
    try:
        import transformers  # pyright: ignore[reportMissingImports]

        model_class = getattr(transformers, kind)
    except (ImportError, RuntimeError, AttributeError) as error:
        raise WeightsError(
            f"--features {name} needs the package transformers ({' '.join(str(error).split())}): "
            "pip install 'ganforge[vision]', or use --features inception, classifier or pixels."
        ) from error
    try:
        return model_class.from_pretrained(source)
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"The weights {source} could not be loaded ({' '.join(str(error).split())[:200]}): name a folder written "
            "by save_pretrained with --weights PATH, or use --features inception, classifier or pixels."
        ) from error
