"""Text encoders: from the tokens of a sentence to features of every token, and of the whole sentence."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ganforge.errors import OptionError


@runtime_checkable
class TextEncoder(Protocol):
    """What a game that reads sentences receives: a module with these two names."""

    text_width: int
    """Length K of the features."""

    def __call__(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens int64 (N, T) and `mask` bool (N, T), True where a token is -> features (N, T', K), pooled (N, K)."""
        ...


@torch.no_grad()
def embed_sentences(
    encoder: TextEncoder, text: Tensor | None, text_b: Tensor | None = None, mix: float | Tensor = 0.5
) -> Tensor:
    """The embeddings (n, K) of sentences int64 (n, T).

    With second sentences (n, T), what lies `mix` of the way from the first to them; `mix` may be (n,).  Raises
    OptionError where there are no sentences.
    """
    if text is None:
        raise OptionError("This run draws sentences and got none: give --text.")
    asked = encoder(text, text > 0)[1].float()
    if text_b is None:
        return asked
    return torch.lerp(asked, embed_sentences(encoder, text_b), torch.as_tensor(mix).to(asked).view(-1, 1))
