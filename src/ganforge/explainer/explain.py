"""A lesson about a model, gathered from its code, its rounds and its words."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch.optim import Optimizer

from ganforge.catalogue import Model, find
from ganforge.errors import OptionError
from ganforge.explainer.layers import Network
from ganforge.explainer.lesson import LessonContent, Player
from ganforge.explainer.networks import networks
from ganforge.explainer.notes import LANGUAGES, Language, words_of
from ganforge.explainer.page import page
from ganforge.explainer.text import text
from ganforge.files import replacing
from ganforge.game import Game, parameters_of
from ganforge.tracing import built, clock, rounds


class Lesson(LessonContent):
    """A lesson that prints itself."""

    def text(self, language: Language = "en") -> str:
        """The lesson for a terminal."""
        return text(self, language)

    def html(self) -> str:
        """The lesson as one page that needs nothing else, in both languages."""
        return page(self)

    def __str__(self) -> str:
        return self.text()


def explain(model: str, preset: str = "small", *, lang: Language = "en", html: str | Path = "") -> Lesson:
    """The lesson about a model, by name or by file, under the settings of a preset.

    Printed, it is a text in English; `.text("ko")` is one in Korean.  `html` names a file for the page, in both;
    `lang` is checked here so that the command and this function take the same.

    Raises ModelError for an unknown model or preset, OptionError for another language, RunError when the page cannot
    be written.
    """
    if lang not in LANGUAGES:
        raise OptionError(f"There is no lesson in {lang!r}: --lang is {' or '.join(LANGUAGES)}.")
    found = find(model)
    lesson = learned(found, preset)
    if str(html):
        with replacing(Path(html)) as file:
            file.write(lesson.html().encode())
    return lesson


def learned(model: Model, preset: str) -> Lesson:
    """Build the game, play its rounds, follow its tensors."""
    chosen = model.preset(preset)
    game = built(model.game, chosen)
    kinds = rounds(game, chosen.run)
    seen: dict[str, Network] = {}
    for kind in kinds:  # a network may be used in some rounds alone
        for network in networks(game, clock(kind.step, chosen.run)):
            seen.setdefault(network.name, network)
    head = model.about.partition("\n")[0].partition(":")
    facts = game.facts
    return Lesson(
        name=Path(model.name).stem,
        title=head[2].strip() or head[0],
        about=model.about,
        preset=preset,
        config=chosen.config,
        size=(facts.channels, facts.height, facts.width),
        players=tuple(players(game)),
        rounds=kinds,
        networks=tuple(seen.values()),
        words=words_of(model.name),
    )


def players(game: Game[Any, Any]) -> Iterable[Player]:
    """The players of a game with the networks that they move."""
    for name, optimiser in game.players().items():
        own = {id(p) for p in parameters_of(optimiser)}
        moved = [child for child, net in game.named_children() if any(id(p) in own for p in net.parameters())]
        yield Player(name, tuple(moved), sum(p.numel() for p in parameters_of(optimiser)), described(optimiser))


def described(optimiser: Optimizer) -> str:
    """An optimiser and the settings that papers tell."""
    group = optimiser.param_groups[0]
    told = [f"lr {group['lr']:g}"]
    told += [f"betas ({', '.join(f'{b:g}' for b in group['betas'])})"] if "betas" in group else []
    told += [f"momentum {group['momentum']:g}"] if group.get("momentum") else []
    return ", ".join([type(optimiser).__name__, *told])
