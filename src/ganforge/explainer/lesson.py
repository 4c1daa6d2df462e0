"""What a lesson about a model holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganforge.explainer.layers import Network
from ganforge.explainer.notes import Language, Words
from ganforge.serialize import to_plain
from ganforge.tracing import Round


@dataclass(frozen=True)
class Player:
    """Who moves what, and how."""

    name: str
    moves: tuple[str, ...]
    """The networks whose parameters it moves."""
    parameters: int
    optimiser: str
    """`Adam, lr 0.0002, betas (0.5, 0.999)`."""


@dataclass(frozen=True)
class LessonContent:
    """What `ganforge explain` teaches, as plain values."""

    name: str
    title: str
    """The idea in one line, in English, as the file has it."""
    about: str
    """The docstring of the file."""
    preset: str
    config: Any
    size: tuple[int, int, int]
    """Channels, height and width of the pictures it was traced with."""
    players: tuple[Player, ...]
    rounds: tuple[Round, ...]
    networks: tuple[Network, ...]
    words: Words

    def idea(self, language: Language) -> str:
        """The idea in one line: the file's own, or the words' in Korean where there are some."""
        return self.words.idea if language == "ko" and self.words.idea else self.title

    def settings(self) -> Mapping[str, Any]:
        """The Config as plain values."""
        return to_plain(self.config)
