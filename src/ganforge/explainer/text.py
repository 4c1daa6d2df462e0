"""A lesson for a terminal."""

import io
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ganforge.explainer.formulas import spelled
from ganforge.explainer.layers import Layer, Network
from ganforge.explainer.lesson import LessonContent
from ganforge.explainer.notes import Language
from ganforge.explainer.strings import PHRASES, alike, big, cost, rounds_title, seen, shape, turn_title
from ganforge.tracing import Term

WIDTH = 110


def text(lesson: LessonContent, language: Language) -> str:
    """Plain text, at most WIDTH letters a line."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None, highlight=False, emoji=False, markup=False)
    say, words = PHRASES[language], lesson.words

    def section(title: str, *paragraphs: str) -> None:
        console.print(f"\n{title}")
        for paragraph in paragraphs:
            console.print(Padding(Text(paragraph), (0, 0, 0, 2)))

    console.print(f"{lesson.name}: {lesson.idea(language)}")
    if words.solves:
        section(say["solves"], words.solves[language])
    section(say["players"])
    for player in lesson.players:
        console.print(Padding(Text(f"{player.name}: {say['moves']} {', '.join(player.moves)}"), (0, 0, 0, 2)))
        after = words.players.get(player.name, {}).get(language, "")
        facts = f"{say['parameters'].format(n=big(player.parameters))}, {player.optimiser}"
        console.print(Padding(Text(f"{after} ({facts})" if after else facts), (0, 0, 0, 4)))
    for k, kind in enumerate(lesson.rounds):
        section(rounds_title(lesson, k, language))
        for turn in kind.turns:
            console.print(Padding(Text(turn_title(turn, language)), (0, 0, 0, 2)))
            console.print(Padding(terms(lesson, turn.terms, language), (0, 0, 0, 4)))
    if words.symbols:
        section(say["symbols"], words.symbols[language])
    for names, network in alike(lesson.networks):
        section(f"{say['network']} {', '.join(names)}", summary(network, language))
        console.print(Padding(table(network, language), (0, 0, 0, 2)))
    if words.result:
        section(say["result"], words.result[language])
    if words.trying:
        section(say["trying"], *(f"- {each[language]}" for each in words.trying))
    section(say["next"], f"ganforge train {lesson.name}", f"ganforge show {lesson.name}")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def terms(lesson: LessonContent, named: Sequence[Term], language: Language) -> Table:
    """The terms of a turn: name, formula and meaning, first value."""
    made = Table.grid(padding=(0, 2))
    made.add_column()
    made.add_column(justify="right")
    made.add_column()
    for term in named:
        about = lesson.words.about(term.name, lesson.config)
        formula = spelled(about.formula) if about and about.formula else ""
        meaning = about.says[language] if about else ""
        name = term.name.partition("/")[2]
        made.add_row(name, f"{term.value:.3f}", "\n".join(filter(None, (formula, meaning))))
    return made


def summary(network: Network, language: Language) -> str:
    """One line about a network."""
    given = ", ".join(f"{name} {shape(size)}" for name, size in network.given)
    last = shape(network.layers[-1].shape) if network.layers else ""
    return f"{given} → {last}; {cost(network, language)}"


def table(network: Network, language: Language) -> Table:
    """The layers of a network."""
    say, made = PHRASES[language], Table(box=None, padding=(0, 2, 0, 0), header_style="")
    made.add_column("")
    made.add_column(say["layer"])
    for title in ("shape", "parameters_short", "flops", "sees", "from"):
        made.add_column(say[title], justify="right")
    for number, layer in enumerate(network.layers):
        made.add_row(
            str(number + 1),
            titled(layer),
            shape(layer.shape),
            *costs(layer),
            seen(layer, language),
            source(network, number),
        )
    return made


def titled(layer: Layer) -> str:
    """A layer's class and what it was made with."""
    return f"{layer.kind} {layer.detail}".strip()


def costs(layer: Layer) -> tuple[str, str]:
    """Parameters and FLOPs, blank where there are none."""
    return big(layer.parameters) if layer.parameters else "", big(layer.flops) if layer.flops else ""


def source(network: Network, number: int) -> str:
    """The numbers of the layers that a layer is given, where they are not the one before; inputs by their names."""
    inputs = network.layers[number].inputs
    if inputs == (number - 1,) or (number == 0 and len(network.given) == 1):
        return ""
    names = [name for name, _ in network.given]
    return ", ".join(str(n + 1) if n >= 0 else names[-1 - n] if -1 - n < len(names) else "?" for n in inputs)
