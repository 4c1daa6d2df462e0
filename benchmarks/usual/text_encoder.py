"""A word GRU and a CNN with a hinge loss over all pairs, as one-file retrieval scripts have it."""

import torch
from torch import nn

from benchmarks.program import Program, sentences
from benchmarks.usual.training import autocast, count, data


class Words(nn.Module):
    """tokens (N, T) -> (N, width), the mean over the words."""

    def __init__(self, words: int, hidden: int, width: int) -> None:
        super().__init__()
        self.words, self.units = nn.Embedding(words, hidden, padding_idx=0), nn.GRU(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        mask = (tokens > 0)[..., None]
        return (self.out(self.units(self.words(tokens))[0]) * mask).sum(1) / mask.sum(1).clamp(min=1)


def loop(batch: int = 64, precision: str = "fp32", side: int = 32, width: int = 128, channels: int = 32) -> Program:
    """Both directions of the loss."""
    images, tokens = data(side, 3), torch.from_numpy(sentences(4_000))
    layers: list[nn.Module] = []
    inner = 3
    for halving in range(max(1, (side // 4).bit_length() - 1)):
        outer = channels * 2 ** min(halving, 3)
        layers += [nn.Conv2d(inner, outer, 4, 2, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()]
        inner = outer
    pictures = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * inner, width))
    words = Words(int(tokens.max()) + 1, width, width)
    step = torch.optim.RMSprop([*pictures.parameters(), *words.parameters()], 1e-3)
    others = ~torch.eye(batch, dtype=torch.bool)

    def play(steps: int) -> None:
        for _ in range(steps):
            rows = torch.randint(len(images), (batch,))
            step.zero_grad()
            with autocast(precision):
                scores = pictures(images[rows]) @ words(tokens[rows]).T
                right = scores.diagonal()
                loss = ((1 + scores - right[:, None]).clamp(min=0) * others).mean()
                loss = loss + ((1 + scores - right).clamp(min=0) * others).mean()
            loss.backward()
            step.step()

    return Program(play, batch, count(pictures, words))
