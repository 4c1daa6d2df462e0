"""A lesson as one page that needs nothing else: formulas and drawings inline, both languages, no script needed."""

import html
import re
from collections.abc import Callable, Mapping

from ganforge.explainer.diagram import drawing
from ganforge.explainer.formulas import drawn
from ganforge.explainer.layers import Network
from ganforge.explainer.lesson import LessonContent, Player
from ganforge.explainer.notes import LANGUAGES, Language
from ganforge.explainer.strings import PHRASES, alike, big, cost, rounds_title, seen, shape, turn_title
from ganforge.explainer.text import costs, source, titled
from ganforge.tracing import Term, Turn

OPEN = 16  # layers up to which a table lies open

STYLE = """
:root { font: 17px/1.6 system-ui, "Noto Sans KR", sans-serif; color: #1d2430; background: #fff; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem 1.2rem 4rem; }
h1 { font-size: 1.9rem; margin: .5rem 0 .2rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; } p { margin: .5rem 0; } code { font-size: .9em; }
.idea { font-size: 1.15rem; color: #475467; margin: 0; }
.small { font-size: .85rem; color: #475467; }
:lang(ko) { word-break: keep-all; }
body:has(#show-en:checked) .ko, body:has(#show-ko:checked) .en { display: none; }
.choice { text-align: right; } .choice label { cursor: pointer; padding: .2rem .5rem; border-radius: .4rem; }
.choice input { position: absolute; opacity: 0; } .choice input:checked + label { background: #16305c; color: #fff; }
.choice input:focus-visible + label { outline: 3px solid #1a5fd0; outline-offset: 2px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: .8rem; }
.card { border: 1px solid #d0d5dd; border-radius: .6rem; padding: .7rem .9rem; } .card p { margin: .2rem 0; }
.card h3 { margin: 0; }
.turn { border-left: 5px solid #4477aa; padding: .1rem 0 .1rem .9rem; margin: .9rem 0; }
.turn:nth-of-type(even) { border-color: #cc7a29; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-size: .85rem; color: #475467; }
td, th { padding: .35rem .7rem .35rem 0; border-bottom: 1px solid #eaecf0; vertical-align: top; }
td:first-child { min-width: 5.5rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.layers { font-size: .85rem; }
.layers td:first-child { min-width: 1.6rem; } .layers td { padding: .15rem .7rem .15rem 0; }
.scroll { overflow-x: auto; } svg.network { display: block; } svg.formula { max-width: 100%; }
summary { cursor: pointer; } pre { white-space: pre-wrap; font-size: .8rem; background: #f5f6f8; padding: .8rem; }
@media (prefers-color-scheme: dark) {
  :root { color: #e4e7ec; background: #14181f; } .idea, .small, th { color: #a6b0c0; }
  .card, td, th { border-color: #344054; } pre { background: #1d2430; }
}
"""


def page(lesson: LessonContent) -> str:
    """The whole document."""
    name, title = html.escape(lesson.name), html.escape(lesson.title.rstrip("."))
    channels, height, width = lesson.size
    size = shape((channels, height, width))
    parts = [
        choice(),
        f'<h1>{name}</h1><p class="idea">{each(lambda _, code: html.escape(lesson.idea(code)))}</p>',
        said("solves", lesson.words.solves),
        players(lesson),
        *(played(lesson, number) for number in range(len(lesson.rounds))),
        said("symbols", lesson.words.symbols),
        *(network(names, found) for names, found in alike(lesson.networks)),
        f'<p class="small">{each(lambda say, _: say["sees_note"])}</p>',
        said("result", lesson.words.result),
        trying(lesson),
        f"<h2>{each(lambda say, _: say['next'])}</h2>",
        f"<p><code>ganforge train {name}</code> · <code>ganforge show {name}</code> · {linked(lesson.about)}</p>",
        f"<details><summary>{each(lambda say, _: say['file'])}</summary>"
        f"<pre>{html.escape(lesson.about)}</pre></details>",
        f'<p class="small">'
        f"{each(lambda say, _: say['made'].format(name=name, preset=html.escape(lesson.preset), size=size))}</p>",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}: {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n"
        "<script>if ((location.hash || '#' + navigator.language).startsWith('#ko'))"
        " document.getElementById('show-ko').checked = true;</script>\n</body>\n</html>\n"
    )


def choice() -> str:
    """The switch between the languages."""
    buttons = (
        f'<input type="radio" name="language" id="show-{code}"{" checked" * (code == "en")}>'
        f'<label for="show-{code}" lang="{code}">{title}</label>'
        for code, title in (("en", "English"), ("ko", "한국어"))
    )
    return f'<div class="choice">{" ".join(buttons)}</div>'


def each(words: Callable[[dict[str, str], Language], str]) -> str:
    """A text in both languages, of which the page shows one."""
    return "".join(f'<span class="{code}" lang="{code}">{words(PHRASES[code], code)}</span>' for code in LANGUAGES)


def both(texts: Mapping[str, str]) -> str:
    """A text that lies in both languages."""
    return each(lambda _, language: marked(texts[language])) if texts else ""


def marked(text: str) -> str:
    """A text for HTML; what stands between backticks is code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", html.escape(text))


def said(key: str, texts: Mapping[str, str]) -> str:
    """A section of words; nothing where there are none."""
    return f"<h2>{each(lambda say, _: say[key])}</h2><p>{both(texts)}</p>" if texts else ""


def players(lesson: LessonContent) -> str:
    """A card a player."""

    def card(player: Player) -> str:
        facts = each(lambda say, _: f"{say['parameters'].format(n=big(player.parameters))}, {player.optimiser}")
        moves = each(lambda say, _: f"{say['moves']} {html.escape(', '.join(player.moves))}")
        after = both(lesson.words.players.get(player.name, {}))
        about = f"<p>{after}</p>" if after else ""
        return f'<div class="card"><h3>{player.name}</h3>{about}<p class="small">{moves}<br>{facts}</p></div>'

    cards = "".join(card(player) for player in lesson.players)
    return f'<h2>{each(lambda say, _: say["players"])}</h2><div class="cards">{cards}</div>'


def played(lesson: LessonContent, number: int) -> str:
    """One kind of round, turn after turn."""
    title = each(lambda _, language: html.escape(rounds_title(lesson, number, language)))
    turns = "".join(turned(lesson, turn) for turn in lesson.rounds[number].turns)
    note = f'<p class="small">{each(lambda say, _: say["value_note"])}</p>' if number == 0 else ""
    return f"<h2>{title}</h2>{turns}{note}"


def turned(lesson: LessonContent, turn: Turn) -> str:
    """One move with its terms."""

    def row(term: Term) -> str:
        about = lesson.words.about(term.name, lesson.config)
        formula = f"{drawn(about.formula)}<br>" if about and about.formula else ""
        meaning = both(about.says) if about else ""
        short = html.escape(term.name.partition("/")[2])
        return (
            f'<tr><td><code>{short}</code></td><td>{formula}{meaning}</td><td class="number">{term.value:.3f}</td></tr>'
        )

    heads = [each(lambda say, _, k=key: say[k]) for key in ("term", "formula", "value")]  # pyright: ignore
    rows = "".join(row(term) for term in turn.terms)
    return (
        f'<div class="turn"><h3>{each(lambda _, language: html.escape(turn_title(turn, language)))}</h3><table>'
        f'<tr><th>{heads[0]}</th><th>{heads[1]}</th><th class="number">{heads[2]}</th></tr>{rows}</table></div>'
    )


def network(names: list[str], found: Network) -> str:
    """A network: its drawing, and a table of its layers."""
    key = "network" if len(names) == 1 else "networks"
    title = each(lambda say, _: f"{say[key]} <code>{html.escape(', '.join(names))}</code>")
    lies_open = " open" if len(found.layers) <= OPEN else ""
    count = each(lambda say, _: say["layers"].format(n=len(found.layers)))
    return (
        f'<h2>{title}</h2><p class="small">{each(lambda _, language: cost(found, language))}</p>'
        f'<div class="scroll" tabindex="0">{drawing(found)}</div>'
        f"<details{lies_open}><summary>{count}</summary>{layers(found)}</details>"
    )


def layers(found: Network) -> str:
    """The table of a network's layers."""
    heads = [
        each(lambda say, _, k=key: say[k])  # pyright: ignore
        for key in ("shape", "parameters_short", "flops", "sees", "from")
    ]
    rows = []
    for number, layer in enumerate(found.layers):
        sees = each(lambda _, language, one=layer: seen(one, language))  # pyright: ignore
        cells = [shape(layer.shape), *costs(layer), sees, html.escape(source(found, number))]
        numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
        named = not layer.name.replace(".", "").isdigit()  # in a plain sequence the number says it all
        path = f' <span class="small">{html.escape(layer.name)}</span>' if layer.name and named else ""
        rows.append(f"<tr><td>{number + 1}</td><td>{html.escape(titled(layer))}{path}</td>{numbers}</tr>")
    titles = "".join(f'<th class="number">{head}</th>' for head in heads)
    first = each(lambda say, _: say["layer"])
    return (
        f'<div class="scroll"><table class="layers"><tr><th></th><th>{first}</th>{titles}</tr>'
        f"{''.join(rows)}</table></div>"
    )


def trying(lesson: LessonContent) -> str:
    """What to try when it fails."""
    if not lesson.words.trying:
        return ""
    items = "".join(f"<li>{both(advice)}</li>" for advice in lesson.words.trying)
    return f"<h2>{each(lambda say, _: say['trying'])}</h2><ul>{items}</ul>"


def linked(about: str) -> str:
    """Links to the papers that a docstring names."""
    links = dict.fromkeys(re.findall(r"https?://[^\s)>\]]+", about))
    return " · ".join(
        f'<a href="{html.escape(link.rstrip("."))}">{html.escape(link.rstrip("."))}</a>' for link in links
    )
