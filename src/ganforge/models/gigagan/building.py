"""The networks of a Config, and which of their weights decay."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganforge.batches import Facts
from ganforge.errors import ModelError
from ganforge.models.gigagan.attention import CrossAttention, SelfAttention, TextNetwork
from ganforge.models.gigagan.discriminator import Discriminator
from ganforge.models.gigagan.generator import Generator, Guide, StyleNetwork
from ganforge.models.gigagan.settings import Config
from ganforge.models.gigagan.upsampler import Upsampler

Encoded = tuple[Tensor | None, Tensor | None, Tensor | None]
"""Features (N, T, K) of a sentence's words, their mask (N, T), and features (N, K) of the sentence."""


def make_guides(c: Config, features: int) -> tuple[StyleNetwork, TextNetwork | None]:
    """The style network, and the generator's layers T on features of that length; 0: none."""
    paper = c.reading == "paper"
    text = TextNetwork(features, c.text_width, c.text_depth, c.head, c.heads, learned=not paper) if features else None
    return StyleNetwork(c.style, c.style_depth, c.text_width if features else 0, paper), text


def make_generator(c: Config, facts: Facts, features: int) -> Generator:
    """The base generator."""
    paper = c.reading == "paper"
    return Generator(
        *make_guides(c, features), facts.channels, facts.height, c.capacity, c.widest, c.start, c.bank, c.places,
        c.words, (c.head, c.heads), c.times, c.distance, shuffle=c.shuffle, skips=c.skips, bias=paper, unit=not paper,
    )  # fmt: skip


def make_upsampler(c: Config, facts: Facts, features: int) -> Upsampler:
    """The upsampler.  Raises ModelError for sides that its halvings do not divide."""
    paper = c.reading == "paper"
    made = Upsampler(
        *make_guides(c, features), facts.channels, c.scale, c.width, c.multiples, c.bank, c.whole, c.reads,
        (c.head, c.heads), c.times, enlarged=paper, unit=not paper,
    )  # fmt: skip
    step = c.scale * 2**made.halvings
    if facts.height % step:
        raise ModelError(
            f"This upsampler is trained on images whose sides are multiples of {step}, and these have {facts.height}: "
            "choose another --size."
        )
    return made


def make_discriminator(c: Config, facts: Facts, features: int) -> Discriminator:
    """The discriminator: in the paper's reading every stage scores every size above it."""
    head, paper = (c.judge_head, c.judge_heads), c.reading == "paper"
    text = None
    if features:
        text = TextNetwork(features, c.judge_text_width, c.judge_text_depth, *head, learned=not paper)
    below = tuple(s // 2 for s in c.enter if 4 < s < facts.height)
    made = tuple(facts.height >> i for i in range(1, c.scale.bit_length() - 1))  # by an upsampler, above its input
    enter = made if paper and c.networks == "upsampler" else c.enter
    judged = tuple(facts.height >> i for i in range(facts.height.bit_length())) if paper else below
    return Discriminator(
        text, facts.channels, facts.height, c.judge_capacity, c.judge_widest, enter, c.judge_places, head,
        c.judge_times, c.judge_distance, judged=judged, kernel=1 if paper else 3, depth=c.judge_depth,
        bank=c.judge_bank, added=not paper, last=not paper, decoders=c.decoders, skips=c.judge_skips, unit=not paper,
    )  # fmt: skip


def attention_weights(networks: Sequence[nn.Module]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(weights of the attentions to places and words, all other parameters) of networks."""
    layers = [m for net in networks for m in net.modules() if isinstance(m, SelfAttention | CrossAttention)]
    decayed = {id(p): p for layer in layers for p in layer.parameters() if p.ndim > 1}
    return [*decayed.values()], [p for net in networks for p in net.parameters() if id(p) not in decayed]


def encode(encoder: nn.Module | None, tokens: Tensor) -> Encoded:
    """Sentences int64 (n, T) -> features of words, their mask, and features of sentences, without gradients.

    Encoders that shorten a sentence leave zeros where nothing is; a sentence without words attends to all of its
    features.  Raises ModelError without an encoder, which an imported run may lack.
    """
    if encoder is None:
        raise ModelError(
            "This run has no encoder of sentences: import it again with --config.text, for instance hf:NAME."
        )
    mask = tokens > 0
    with torch.no_grad():
        features, pooled = encoder(tokens, mask)
    if features.shape[1] != tokens.shape[1]:
        mask = (features != 0).any(2)
    return features.float(), mask | ~mask.any(1, keepdim=True), pooled.float()


def interpolate(one: Guide, other: Guide, share: float | Tensor) -> Guide:
    """The guide between two: the mean style, and the words of both, attended to by 1 - `share` and `share`.

    `share` is one for all, or (n,).
    """
    share = torch.as_tensor(share).to(one.style).view(-1, 1)
    style = torch.lerp(one.style, other.style, share)
    if one.words is None or other.words is None:
        return Guide(style)
    pairs = ((one.words, 1 - share), (other.words, share))
    logits = [torch.log(words[1] * part) for words, part in pairs]  # added to those of attention: -inf is a mask
    return Guide(style, (torch.cat([words[0] for words, _ in pairs], 1), torch.cat(logits, 1)))
