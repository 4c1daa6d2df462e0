"""A text encoder for tests: an embedding of every word, and their mean."""

import torch
from torch import Tensor, nn


class Embeddings(nn.Module):
    """Tokens (N, T), mask (N, T) -> the words' vectors (N, T, K), 0 where no word is, and their mean (N, K)."""

    def __init__(self, vocabulary: int = 16, width: int = 12) -> None:
        super().__init__()
        self.text_width = width
        source = torch.Generator().manual_seed(0)
        self.words = nn.Parameter(torch.randn(vocabulary, width, generator=source), requires_grad=False)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        features = self.words[tokens] * mask[..., None]
        return features, features.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


class Seeing(Embeddings):
    """The same, which embeds images as well, and has tokens of them."""

    image_width = 6

    def embed(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)).repeat(1, self.text_width // images.shape[1])

    def image_tokens(self, images: Tensor) -> list[Tensor]:
        places = nn.functional.adaptive_avg_pool2d(images, 2).flatten(2).transpose(1, 2).repeat(1, 1, 2)
        return [torch.cat([places.mean(1, keepdim=True), places], 1) * scale for scale in (1, 2, 3)]
