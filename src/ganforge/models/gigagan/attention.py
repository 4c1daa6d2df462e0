"""Attention over places and words (section 3.2): by distances, with one projection for queries and keys."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TENTH = 0.1
"""First weights of the last layer of a branch, so that a block begins near the identity."""


class RMSNorm(nn.Module):
    """Vectors of length sqrt(width), times a weight for each channel: of maps (N, C, H, W), or of tokens (N, T, C)."""

    def __init__(self, width: int, maps: bool = True) -> None:
        super().__init__()
        self.axis = 1 if maps else -1
        self.weight = nn.Parameter(torch.ones(width, 1, 1) if maps else torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=self.axis) * (self.weight * len(self.weight) ** 0.5)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, twice: bool = False) -> Tensor:
    """(N, heads, T, K) by (N, heads, S, K) -> (N, heads, T, K); `twice`: where it is differentiated twice."""
    if not twice:
        return F.scaled_dot_product_attention(query, key, value, mask)
    shares = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
    return shares @ value


def attend_by_distance(query: Tensor, key: Tensor, value: Tensor, twice: bool = False) -> Tensor:
    """As `attend`, with the logits -|q - k|^2 / sqrt(K).

    The part |q|^2 is the same for all keys, and a softmax ignores it; -|k|^2 becomes the product of one more number.
    """
    length = query.shape[-1]
    norms = key.square().sum(-1, keepdim=True)
    if twice:
        shares = ((2 * query @ key.transpose(-1, -2) - norms.transpose(-1, -2)) * length**-0.5).softmax(-1)
        return shares @ value
    query = torch.cat([2 * query, -torch.ones_like(query[..., :1])], -1)
    key, value = torch.cat([key, norms], -1), F.pad(value, (0, 1))
    return F.scaled_dot_product_attention(query, key, value, scale=length**-0.5)[..., :length]


def split_heads(maps: Tensor, heads: int) -> Tensor:
    """(N, heads * K, H, W) -> (N, heads, H * W, K)."""
    return maps.flatten(2).unflatten(1, (heads, -1)).transpose(2, 3)


def join_heads(x: Tensor, sides: torch.Size) -> Tensor:
    """The inverse of `split_heads`."""
    return x.transpose(2, 3).flatten(1, 2).unflatten(2, sides)


class SelfAttention(nn.Module):
    """x (N, C, H, W) -> (N, C, H, W).  Every place may also attend to nothing: a learned key with a learned value.

    `distance`: by distances, keys are queries.  `twice`: where a gradient penalty differentiates it again.
    """

    def __init__(self, channels: int, head: int, heads: int, distance: bool = True, twice: bool = False) -> None:
        super().__init__()
        self.heads, self.distance, self.twice = heads, distance, twice
        self.norm = RMSNorm(channels)
        self.query = nn.Conv2d(channels, head * heads, 1, bias=False)
        self.key = None if distance else nn.Conv2d(channels, head * heads, 1, bias=False)
        self.value = nn.Conv2d(channels, head * heads, 1, bias=False)
        self.null = nn.Parameter(nn.init.normal_(torch.empty(2, heads, head)))
        self.out = nn.Conv2d(head * heads, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        sides, x = x.shape[2:], self.norm(x)
        query, value = (split_heads(layer(x), self.heads) for layer in (self.query, self.value))
        key = query if self.key is None else split_heads(self.key(x), self.heads)
        key, value = prepend(self.null, key, value)
        if self.distance:
            return self.out(join_heads(attend_by_distance(query, key, value, self.twice), sides))
        return self.out(join_heads(attend(query, key, value, twice=self.twice), sides))


def prepend(null: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values (N, heads, T, K) with those that stand for nothing, null (2, heads, K), in front."""
    first = null.to(key.dtype)[:, None, :, None].expand(-1, len(key), -1, -1, -1)
    return torch.cat([first[0], key], 2), torch.cat([first[1], value], 2)


class CrossAttention(nn.Module):
    """x (N, C, H, W), tokens (N, T, width), mask (N, T) -> (N, C, H, W): places attend to words.

    The mask is bool, or numbers that are added to the logits.
    """

    def __init__(self, channels: int, width: int, head: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_tokens = RMSNorm(channels), RMSNorm(width, maps=False)
        self.query = nn.Conv2d(channels, head * heads, 1, bias=False)
        self.key_value = nn.Linear(width, 2 * head * heads, bias=False)
        self.out = nn.Conv2d(head * heads, channels, 1, bias=False)

    def forward(self, x: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        query = split_heads(self.query(self.norm(x)), self.heads)
        both = self.key_value(self.norm_tokens(tokens)).unflatten(2, (2, self.heads, -1))
        key, value = both.permute(2, 0, 3, 1, 4).unbind(0)
        mask = mask if mask.dtype == torch.bool else mask.to(query.dtype)
        return self.out(join_heads(attend(query, key, value, mask[:, None, None]), x.shape[2:]))


class WordAttention(nn.Module):
    """tokens (N, T, width), mask bool (N, T) -> (N, T, width): words attend to words, or to nothing."""

    def __init__(self, width: int, head: int, heads: int) -> None:
        super().__init__()
        self.heads, self.norm = heads, RMSNorm(width, maps=False)
        self.read = nn.Linear(width, 3 * head * heads, bias=False)
        self.null = nn.Parameter(nn.init.normal_(torch.empty(2, heads, head)))
        self.out = nn.Linear(head * heads, width, bias=False)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        query, key, value = self.read(self.norm(tokens)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mask = F.pad(mask, (1, 0), value=True)
        return self.out(attend(query, *prepend(self.null, key, value), mask[:, None, None]).transpose(1, 2).flatten(2))


def feed_forward(width: int, times: int, maps: bool = True) -> nn.Sequential:
    """A norm and two layers, the inner one `times` as wide; of maps by 1 x 1 convolutions."""
    inner = width * times
    layers = [nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)]
    if not maps:
        layers = [nn.Linear(width, inner), nn.Linear(inner, width)]
    return nn.Sequential(RMSNorm(width, maps), layers[0], nn.GELU(), layers[1])


class Block(nn.Module):
    """Attention, then a feed-forward network, each added to its input."""

    def __init__(self, attention: nn.Module, forward: nn.Sequential) -> None:
        super().__init__()
        self.attention, self.feed = attention, forward
        out = attention.out
        last = [out[0] if isinstance(out, nn.Sequential) else out, forward[3]]
        for layer in last:
            layer.weight.data.mul_(TENTH)  # pyright: ignore

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        x = x + self.attention(x, *context)
        return x + self.feed(x)


def self_attention(channels: int, head: int, heads: int, times: int, distance: bool, twice: bool = False) -> Block:
    """x (N, C, H, W) -> (N, C, H, W)."""
    return Block(SelfAttention(channels, head, heads, distance, twice), feed_forward(channels, times))


def cross_attention(channels: int, width: int, head: int, heads: int, times: int) -> Block:
    """x (N, C, H, W), tokens (N, T, width), mask (N, T) -> (N, C, H, W)."""
    return Block(CrossAttention(channels, width, head, heads), feed_forward(channels, times))


class TextNetwork(nn.Module):
    """T: learned layers on the frozen features of a sentence (section 3.1).

    Features (N, T, inputs), mask bool (N, T), pooled (N, inputs) -> a vector of the sentence (N, width), and vectors of
    its words (N, T, width).  The sentence's is the first token of the sequence, `pooled` at its start; with `learned`
    that token is a parameter instead.
    """

    def __init__(
        self, inputs: int, width: int, depth: int, head: int, heads: int, times: int = 4, learned: bool = False
    ) -> None:
        super().__init__()
        self.width, self.inputs = width, inputs
        self.first = nn.Parameter(nn.init.normal_(torch.empty(width))) if learned else None
        self.project = nn.Identity() if learned and inputs == width else nn.Linear(inputs, width)
        self.layers = nn.ModuleList(
            Block(WordAttention(width, head, heads), feed_forward(width, times, maps=False)) for _ in range(depth)
        )
        self.norm = RMSNorm(width, maps=False)

    def forward(self, features: Tensor, mask: Tensor, pooled: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.first is None:
            assert pooled is not None
            first = self.project(pooled)
        else:
            first = self.first.expand(len(features), -1)
        x = torch.cat([first[:, None], self.project(features)], 1)
        mask = F.pad(mask, (1, 0), value=True)
        for layer in self.layers:
            x = layer(x, mask)
        x = self.norm(x)
        return x[:, 0], x[:, 1:]
