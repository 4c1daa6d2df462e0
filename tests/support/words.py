"""A text encoder for tests: a frozen random vector a word, and the mean over a sentence."""

import torch
from torch import Tensor, nn


class WordTable(nn.Module):
    """tokens int64 (N, T), mask bool (N, T) -> features (N, T, K), their mean over the mask (N, K)."""

    def __init__(self, text_width: int = 12, vocabulary: int = 32) -> None:
        super().__init__()
        self.text_width = text_width
        source = torch.Generator().manual_seed(0)
        self.register_buffer("table", torch.randn(vocabulary, text_width, generator=source))
        self.table: Tensor

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        features, weight = self.table[tokens], mask[..., None].float()
        return features, (features * weight).sum(1) / weight.sum(1).clamp(min=1)
