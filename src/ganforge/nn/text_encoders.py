"""Text encoders: from the tokens of a sentence to features of every token, and of the whole sentence."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class TextEncoder(Protocol):
    """What a game that reads sentences receives: a module with these two names."""

    text_width: int
    """Length K of the features."""

    def __call__(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens int64 (N, T) and `mask` bool (N, T), True where a token is -> features (N, T', K), pooled (N, K)."""
        ...
