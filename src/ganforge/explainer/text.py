"""A lesson as text for a terminal."""

import io
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ganforge.explainer.formulas import formula_to_text
from ganforge.explainer.layers import Layer, Network
from ganforge.explainer.lesson import LessonContent
from ganforge.explainer.notes import Language
from ganforge.explainer.strings import (
    PHRASES,
    format_cost,
    format_count,
    format_field,
    format_round_title,
    format_shape,
    format_turn_title,
    group_identical,
)
from ganforge.tracing import Term

WIDTH = 110


def render_text(lesson: LessonContent, language: Language) -> str:
    """The lesson as plain text, at most WIDTH columns a line."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None, highlight=False, emoji=False, markup=False)
    phrases, notes = PHRASES[language], lesson.notes

    def section(title: str, *paragraphs: str) -> None:
        console.print(f"\n{title}")
        for paragraph in paragraphs:
            console.print(Padding(Text(paragraph), (0, 0, 0, 2)))

    console.print(f"{lesson.name}: {lesson.idea(language)}")
    if notes.solves:
        section(phrases["solves"], notes.solves[language])
    section(phrases["players"])
    for player in lesson.players:
        console.print(Padding(Text(f"{player.name}: {phrases['updates']} {', '.join(player.networks)}"), (0, 0, 0, 2)))
        aim = notes.players.get(player.name, {}).get(language, "")
        facts = f"{phrases['parameters'].format(n=format_count(player.parameters))}, {player.optimiser}"
        console.print(Padding(Text(f"{aim} ({facts})" if aim else facts), (0, 0, 0, 4)))
    for k, kind in enumerate(lesson.rounds):
        section(format_round_title(lesson, k, language))
        for turn in kind.turns:
            console.print(Padding(Text(format_turn_title(turn, language)), (0, 0, 0, 2)))
            console.print(Padding(build_terms_table(lesson, turn.terms, language), (0, 0, 0, 4)))
    if notes.symbols:
        section(phrases["symbols"], notes.symbols[language])
    for names, network in group_identical(lesson.networks):
        section(f"{phrases['network']} {', '.join(names)}", summarise_network(network, language))
        console.print(Padding(build_layers_table(network, language), (0, 0, 0, 2)))
    if notes.result:
        section(phrases["result"], notes.result[language])
    if notes.trying:
        section(phrases["trying"], *(f"- {advice[language]}" for advice in notes.trying))
    section(phrases["next"], f"ganforge train {lesson.name}", f"ganforge show {lesson.name}")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def build_terms_table(lesson: LessonContent, terms: Sequence[Term], language: Language) -> Table:
    """The terms that a turn descends: name, initial value, formula and meaning."""
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    for term in (term for term in terms if term.descended):
        note = lesson.notes.find_term(term.name, lesson.config)
        formula = formula_to_text(note.formula) if note and note.formula else ""
        meaning = note.meaning[language] if note else ""
        name = term.name.partition("/")[2]
        table.add_row(name, f"{term.value:.3f}", "\n".join(filter(None, (formula, meaning))))
    return table


def summarise_network(network: Network, language: Language) -> str:
    """One line: `z 100 → 3×64×64; 3.58 M parameters, 0.21 G FLOPs per image`."""
    inputs = ", ".join(f"{name} {format_shape(size)}" for name, size in network.inputs)
    output = format_shape(network.layers[-1].shape) if network.layers else ""
    return f"{inputs} → {output}; {format_cost(network, language)}"


def build_layers_table(network: Network, language: Language) -> Table:
    """The layers of a network, one a row."""
    phrases, table = PHRASES[language], Table(box=None, padding=(0, 2, 0, 0), header_style="")
    table.add_column("")
    table.add_column(phrases["layer"])
    for title in ("shape", "parameters_short", "flops", "field", "from"):
        table.add_column(phrases[title], justify="right")
    for number, layer in enumerate(network.layers):
        table.add_row(
            str(number + 1),
            format_layer(layer),
            format_shape(layer.shape),
            *format_costs(layer),
            format_field(layer, language),
            format_inputs(network, number),
        )
    return table


def format_layer(layer: Layer) -> str:
    """A layer's class and settings: `Conv2d 4×4, stride 2`."""
    return f"{layer.kind} {layer.detail}".strip()


def format_costs(layer: Layer) -> tuple[str, str]:
    """Parameters and FLOPs, empty where there are none."""
    return (
        format_count(layer.parameters) if layer.parameters else "",
        format_count(layer.flops) if layer.flops else "",
    )


def format_inputs(network: Network, number: int) -> str:
    """Numbers of a layer's input layers, names of network inputs; empty where it takes the layer before."""
    inputs = network.layers[number].inputs
    if inputs == (number - 1,) or (number == 0 and len(network.inputs) == 1):
        return ""
    names = [name for name, _ in network.inputs]
    return ", ".join(str(n + 1) if n >= 0 else names[-1 - n] if -1 - n < len(names) else "?" for n in inputs)
