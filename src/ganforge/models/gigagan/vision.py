"""A discriminator on the features of a pretrained image network (section 3.3, vision-aided loss)."""

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.models.gigagan.adaptive import AdaptiveConv2d
from ganforge.models.gigagan.losses import average


@runtime_checkable
class ImageEncoder(Protocol):
    """What a part must have for the vision-aided discriminator; that of CLIP has it."""

    image_width: int
    """Length K of the tokens."""

    def image_tokens(self, images: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) in [-1, 1] -> the tokens (N, 1 + h h, K) of every layer, the class token first."""
        ...


class LayerHead(nn.Module):
    """Tokens of a layer (N, 1 + h h, K), sentences (N, text) -> scores (N, h, h)."""

    projection: Tensor

    def __init__(self, inputs: int, width: int, text: int, bank: int = 2) -> None:
        """`text` 0: without sentences."""
        super().__init__()
        # The projection is random, and never trained.
        self.register_buffer("projection", nn.init.normal_(torch.empty(inputs, width), std=inputs**-0.5))
        self.conv = AdaptiveConv2d(width, width, 3, bank) if text else nn.Conv2d(width, width, 3, padding=1)
        self.style = nn.Linear(text, width) if text else None
        self.choice = nn.Linear(text, bank) if text else None
        self.score = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, tokens: Tensor, sentence: Tensor | None = None) -> Tensor:
        places = tokens[:, 1:] + tokens[:, :1]
        side = round(places.shape[1] ** 0.5)
        x = (places @ self.projection).transpose(1, 2).unflatten(2, (side, side))
        if self.style is None or self.choice is None:
            return self.score(self.conv(x))[:, 0]
        assert sentence is not None
        return self.score(self.conv(x, self.style(sentence), self.choice(sentence)))[:, 0]


class VisionDiscriminator(nn.Module):
    """Tokens of several layers of a pretrained network -> scores (N, h, h) of each; `layers` counts from the last."""

    def __init__(
        self, inputs: int, width: int, text: int, layers: tuple[int, ...] = (-1, -2, -3), bank: int = 2
    ) -> None:
        super().__init__()
        self.layers = layers
        self.heads = nn.ModuleList(LayerHead(inputs, width, text, bank) for _ in layers)

    def forward(self, tokens: list[Tensor], sentence: Tensor | None = None) -> list[Tensor]:
        return [head(tokens[layer], sentence) for head, layer in zip(self.heads, self.layers, strict=True)]


def judge_tokens(
    judge: VisionDiscriminator, encoder: ImageEncoder, real: Tensor, fake: Tensor, sentence: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The losses of real and of generated images, by their tokens."""
    with torch.no_grad():
        tokens = [encoder.image_tokens(images) for images in (real, fake.detach())]
    on_real, on_fake = (judge(each, sentence) for each in tokens)
    return average([F.softplus(-s) for s in on_real]), average([F.softplus(s) for s in on_fake])


def contrast(images: Tensor, sentences: Tensor, temperature: float = 0.07) -> Tensor:
    """The cross entropy of finding each image's sentence among those of the batch: embeddings (N, K), a scalar.

    Equal sentences are as right as the image's own.
    """
    logits = F.normalize(images, dim=1) @ F.normalize(sentences, dim=1).T / temperature
    same = (sentences[:, None] == sentences).all(2)
    return (logits.logsumexp(1) - logits.masked_fill(~same, -torch.inf).logsumexp(1)).mean()
