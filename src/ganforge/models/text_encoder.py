"""text_encoder: sentences and images in one space, where an image is nearest to its own sentence.

Reed, Akata, Schiele, Lee, 2016.  https://arxiv.org/abs/1605.05395

    F(v, t) = theta(v)' phi(t)                              the compatibility of image v and text t (section 3)
    min  1/N^2 sum_n sum_m!=n  max(0, 1 + F(v_n, t_m) - F(v_n, t_n))               (equations 1 and 4)
           [ + the same with the roles of v and t exchanged ]                       (equation 5)

A hinge loss asks that an image fit its own sentence better, by a margin of 1, than any other of the batch.  phi is a
character CNN-RNN: convolutions find words in rows of letters, pooling shortens the row, and a recurrent network keeps
the order of what was found (section 4).  Models that draw from sentences use phi as a part: `--config.text RUN`.

Departures: 1. the CNN-RNN is the one that the code of GAN-CLS has, without a third pooling (18 steps of 201 letters),
and with gated units, the first state of which is tanh(W x); 2. theta is a small CNN trained together with phi, where
the paper has features of GoogLeNet; 3. equal sentences in a batch are not rows of different classes: no loss separates
them; 4. `gru` reads words: an embedding, and torch's gated units; 5. `small` and `paper` sum both directions, which
equation 1 does and the code of GAN-CLS does not (`symmetric`); 6. `small` is a narrow `gru` with torch's own first
weights, and its rate begins at 1e-3 and falls to zero by the cosine; 7. the length of `paper` is ours.

Train it small: `ganforge train text_encoder` (about a minute on two cores), then `ganforge evaluate RUN` for the share
of images whose own sentence is found among a hundred.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer, RMSprop

from ganforge.batches import Captioned, Facts
from ganforge.capabilities import Text
from ganforge.errors import ModelError
from ganforge.game import Clock, Game, Move
from ganforge.run import Preset, Run

KERNEL, POOL = 4, 3  # letters under a convolution, and positions that become one


@dataclass(frozen=True)
class Config:
    """Section 5 of the paper, and the authors' code."""

    networks: Literal["char-cnn-rnn", "gru"] = "char-cnn-rnn"
    """The paper's network, for letters (`--tokens characters`), or recurrent units alone, for words."""
    width: int = 1024
    """Length K of the features: of a sentence, of each of its steps, and of an image."""
    filters: tuple[int, ...] = (384, 512, 512)
    """Channels of the convolutions of char-cnn-rnn; the last is also the width of its recurrent units."""
    hidden: int = 512
    """Width of the words' embedding and of the recurrent units of gru."""
    average: bool = True
    """Whether a sentence is the mean of its steps, or the last one."""
    image_width: int = 64
    """Channels of the image network's first layer, doubled at every halving up to eight times."""
    symmetric: bool = False
    """Whether sentences must also fit their own image better than others (equation 5)."""
    initial: float = 0.08
    """Weights and biases of the text network are uniform in -initial ... initial at first; 0: torch's own."""
    lr: float = 7e-4
    """RMSprop (section 5)."""
    decay: float = 0.98
    """The learning rate is multiplied by it after every epoch."""


class GatedUnits(nn.Module):
    """x (N, T, C) -> states (N, T, C), by the units of Cho et al. 2014 that the authors use.

        z = s(W_z x + U_z h),  r = s(W_r x + U_r h),  h <- z tanh(W x + U (r h)) + (1 - z) h;   at first h = tanh(W x)

    Torch's own differ: r multiplies U h, and z is the share that is kept.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.update_x, self.update_h = nn.Linear(width, width), nn.Linear(width, width)
        self.reset_x, self.reset_h = nn.Linear(width, width), nn.Linear(width, width)
        self.new_x, self.new_h = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        update, reset, new = (layer(x).unbind(1) for layer in (self.update_x, self.reset_x, self.new_x))
        states = [new[0].tanh()]
        for step in range(1, x.shape[1]):
            h = states[-1]
            z = (update[step] + self.update_h(h)).sigmoid()
            r = (reset[step] + self.reset_h(h)).sigmoid()
            states.append(z * (new[step] + self.new_h(r * h)).tanh() + (1 - z) * h)
        return torch.stack(states, 1)


class CharCNNRNN(nn.Module):
    """tokens (N, T) -> features (N, T', K), pooled (N, K); 0 and 1 are no letter: rows of zeros (section 4)."""

    def __init__(self, letters: int, filters: tuple[int, ...], width: int, average: bool = True) -> None:
        super().__init__()
        self.letters, self.average = letters, average
        sides = zip((letters, *filters), filters, strict=False)
        self.layers = nn.ModuleList(nn.Conv1d(a, b, KERNEL) for a, b in sides)
        self.units, self.out = GatedUnits(filters[-1]), nn.Linear(filters[-1], width)
        self.least = 1  # letters for one step
        for _ in filters:
            self.least = (self.least if self.least == 1 else self.least * POOL) + KERNEL - 1

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        tokens = F.pad(tokens, (0, max(0, self.least - tokens.shape[1])))
        x = F.one_hot(tokens, self.letters + 2)[..., 2:].to(self.out.weight.dtype).transpose(1, 2)
        for number, layer in enumerate(self.layers, 1):
            x = F.threshold(layer(x), 1e-6, 0.0)
            x = F.max_pool1d(x, POOL) if number < len(self.layers) else x
        features = self.out(self.units(x.transpose(1, 2)))
        return features, features.mean(1) if self.average else features[:, -1]


class WordGRU(nn.Module):
    """tokens (N, T) -> features (N, T, K), 0 behind the end, and pooled (N, K)."""

    def __init__(self, words: int, hidden: int, width: int, average: bool = True) -> None:
        super().__init__()
        self.average = average
        self.words, self.units = nn.Embedding(words, hidden, padding_idx=0), nn.GRU(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        features = self.out(self.units(self.words(tokens))[0]) * mask[..., None]
        length = mask.sum(1).clamp(min=1)
        last = features[torch.arange(len(tokens), device=tokens.device), length - 1]
        return features, features.sum(1) / length[:, None] if self.average else last


def image_network(channels: int, width: int, side: int, outputs: int) -> nn.Sequential:
    """images (N, C, H, W) -> features (N, outputs): halvings to 4 x 4 places, and a linear layer."""
    layers: list[nn.Module] = []
    for halving in range(max(1, (side // 4).bit_length() - 1)):
        inner = width * 2 ** min(halving, 3)
        layers += [nn.Conv2d(channels, inner, 4, 2, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU()]
        channels = inner
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * channels, outputs))


def joint_embedding(one: Tensor, other: Tensor, same: Tensor | None = None) -> Tensor:
    """The mean over all N^2 pairs of max(0, 1 + <one_i, other_j> - <one_i, other_i>), i != j, of features (N, K).

    `same` bool (N, N): pairs that are no wrong ones.  Equation 4.
    """
    scores = one @ other.T
    excess = (1 + scores - scores.diagonal()[:, None]).clamp(min=0)
    right = torch.eye(len(one), dtype=torch.bool, device=one.device)
    return excess.masked_fill(right if same is None else right | same, 0).mean()


class JointEmbedding(Game[Config, Captioned]):
    """Two networks and a hinge loss; a text encoder for other games."""

    averaged = ("text_network", "image_network")

    @classmethod
    def token_kind(cls, config: Config) -> Literal["words", "characters"]:
        """The character CNN-RNN reads letters."""
        return "words" if config.networks == "gru" else "characters"

    def __init__(self, config: Config, facts: Facts) -> None:
        """Raises ModelError for data without captions, and for images of less than 4 pixels a side."""
        super().__init__(config, facts)
        c, side = config, min(facts.height, facts.width)
        if facts.vocabulary < 3:
            raise ModelError("text_encoder needs data with captions, and this data has none.")
        if side < 4:
            raise ModelError(f"text_encoder halves images to 4 pixels, and these have {side}: say --size 16 or more.")
        if c.networks == "gru":
            self.text_network = WordGRU(facts.vocabulary, c.hidden, c.width, c.average)
        else:
            self.text_network = CharCNNRNN(facts.vocabulary - 2, c.filters, c.width, c.average)
        self.image_network = image_network(facts.channels, c.image_width, side, c.width)
        self.text_width = c.width
        for weight in self.text_network.parameters() if c.initial else ():
            nn.init.uniform_(weight, -c.initial, c.initial)

    def players(self) -> dict[str, Optimizer]:
        networks = (self.text_network, self.image_network)
        return {"encoder": RMSprop([p for network in networks for p in network.parameters()], self.config.lr)}

    def tune(self, players: Mapping[str, Optimizer], now: Clock) -> None:
        for group in players["encoder"].param_groups:
            group["lr"] = self.config.lr * self.config.decay**now.epoch

    def play(self, batches: Iterator[Captioned], now: Clock) -> Iterator[Move]:
        batch = next(batches)
        _, texts = self(batch.tokens, batch.tokens > 0)
        images = self.embed(batch.images)
        same = (batch.tokens[:, None] == batch.tokens).all(2)
        terms = {"captions": joint_embedding(images, texts, same)}  # the right caption of an image
        if self.config.symmetric:
            terms["images"] = joint_embedding(texts, images, same)  # the right image of a caption
        yield Move("encoder", **terms)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """phi: tokens int64 (N, T), mask bool (N, T) -> features of steps (N, T', K) and of sentences (N, K)."""
        return self.text_network(tokens, mask)

    def embed(self, images: Tensor) -> Tensor:
        """theta: images (N, C, H, W) in [-1, 1] -> features (N, K)."""
        return self.image_network(images)

    def score(self, images: Tensor, text: Text) -> Tensor:
        """F(v, t) of each image (N, C, H, W) and its sentence (N, T): (N,), unbounded, the larger the better."""
        if text is None:
            raise ModelError("text_encoder scores images with a sentence each: give --text.")
        return (self.embed(images) * self(text, text > 0)[1]).sum(1)


presets = {
    "tiny": Preset(
        Config(networks="gru", width=8, filters=(8, 8), hidden=8, image_width=4, initial=0.0),
        Run(steps=6, batch=8, size=(16,), log_every=2, sample_every=0),
    ),
    "small": Preset(
        Config(
            networks="gru",
            width=128,
            filters=(64, 128),
            hidden=128,
            image_width=32,
            symmetric=True,
            initial=0.0,
            lr=1e-3,
            decay=1.0,
        ),
        Run(steps=1_000, batch=64, size=(32,), schedule="cosine", sample_every=0),
    ),
    "paper": Preset(  # Oxford-102: 82 of its classes, about 7,000 images
        Config(symmetric=True),
        Run(steps=35_000, batch=40, size=(224,), flip=True, crop=True, sample_every=0, save_every=5_000),
    ),
}
