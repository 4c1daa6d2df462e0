"""The content of a lesson about a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganforge.explainer.layers import Network
from ganforge.explainer.notes import Language, Notes
from ganforge.serialize import to_plain
from ganforge.tracing import Round


@dataclass(frozen=True)
class Player:
    """A player, the networks that it updates, and its optimiser."""

    name: str
    networks: tuple[str, ...]
    """Names of the networks whose parameters it updates."""
    parameters: int
    optimiser: str
    """`Adam, lr 0.0002, betas (0.5, 0.999)`."""


@dataclass(frozen=True)
class LessonContent:
    """What `ganforge explain` shows, as plain values."""

    name: str
    title: str
    """The idea in one line, in English, from the model file."""
    about: str
    """The docstring of the file."""
    preset: str
    config: Any
    size: tuple[int, int, int]
    """Channels, height and width of the images it was traced with."""
    players: tuple[Player, ...]
    rounds: tuple[Round, ...]
    networks: tuple[Network, ...]
    notes: Notes

    def idea(self, language: Language) -> str:
        """The idea in one line: the Korean one of the notes where there is one, else the file's own."""
        return self.notes.idea if language == "ko" and self.notes.idea else self.title

    def settings(self) -> Mapping[str, Any]:
        """The Config as plain values."""
        return to_plain(self.config)
