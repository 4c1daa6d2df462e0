"""Build the lesson about a model from its code, a traced step and its notes."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from torch.optim import Optimizer

from ganforge.catalogue import Model, build_stand_ins, find
from ganforge.errors import OptionError
from ganforge.explainer.layers import Network
from ganforge.explainer.lesson import LessonContent, Player
from ganforge.explainer.networks import trace_networks
from ganforge.explainer.notes import LANGUAGES, Language, read_notes
from ganforge.explainer.page import render_page
from ganforge.explainer.text import render_text
from ganforge.files import replacing
from ganforge.game import Game, parameters_of
from ganforge.tracing import build_from_preset, clock_at, find_rounds


class Lesson(LessonContent):
    """A lesson that can be printed, and written as a page."""

    def text(self, language: Language = "en") -> str:
        """The lesson as text for a terminal."""
        return render_text(self, language)

    def html(self) -> str:
        """The lesson as one self-contained HTML page, in both languages."""
        return render_page(self)

    def __str__(self) -> str:
        return self.text()


def explain(model: str, preset: str = "small", *, lang: Language = "en", html: str | Path = "") -> Lesson:
    """The lesson about a model, by name or by file, with the settings of a preset.

    `print` shows it in English, `.text("ko")` is the Korean text.  `html` names a file to write the page to, which
    has both languages; `lang` is only checked, so that the command and this function take the same arguments.

    Raises ModelError for an unknown model or preset, OptionError for an unknown language, RunError when the page
    cannot be written.
    """
    if lang not in LANGUAGES:
        raise OptionError(f"There is no lesson in {lang!r}: --lang is {' or '.join(LANGUAGES)}.")
    lesson = build_lesson(find(model), preset)
    if str(html):
        with replacing(Path(html)) as file:
            file.write(lesson.html().encode())
    return lesson


def build_lesson(model: Model, preset_name: str) -> Lesson:
    """Build the game, find its kinds of steps, and trace its networks in each."""
    preset = model.preset(preset_name)
    game = build_from_preset(model.game, preset, parts=partial(build_stand_ins, model, preset=preset_name))
    rounds = find_rounds(game, preset.run)
    networks: dict[str, Network] = {}
    for kind in rounds:  # a network may be used in some kinds of steps only
        for network in trace_networks(game, clock_at(kind.step, preset.run)):
            networks.setdefault(network.name, network)
    head = model.about.partition("\n")[0].partition(":")
    facts = game.facts
    return Lesson(
        name=Path(model.name).stem,
        title=head[2].strip() or head[0],
        about=model.about,
        preset=preset_name,
        config=preset.config,
        size=(facts.channels, facts.height, facts.width),
        players=tuple(list_players(game)),
        rounds=rounds,
        networks=tuple(networks.values()),
        notes=read_notes(model.name),
    )


def list_players(game: Game[Any, Any]) -> Iterable[Player]:
    """The players of a game, with the networks that they update."""
    for name, optimiser in game.players().items():
        own = {id(p) for p in parameters_of(optimiser)}
        updated = [child for child, net in game.named_children() if any(id(p) in own for p in net.parameters())]
        size = sum(p.numel() for p in parameters_of(optimiser))
        yield Player(name, tuple(updated), size, describe_optimiser(optimiser))


def describe_optimiser(optimiser: Optimizer) -> str:
    """An optimiser with the settings that papers name: `Adam, lr 0.0002, betas (0.5, 0.999)`."""
    group = optimiser.param_groups[0]
    settings = [f"lr {group['lr']:g}"]
    settings += [f"betas ({', '.join(f'{b:g}' for b in group['betas'])})"] if "betas" in group else []
    settings += [f"momentum {group['momentum']:g}"] if group.get("momentum") else []
    return ", ".join([type(optimiser).__name__, *settings])
