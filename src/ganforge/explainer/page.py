"""A lesson as one self-contained HTML page: formulas and diagrams inline, both languages, no JavaScript needed."""

import html
import re
from pathlib import Path

from ganforge.explainer import strings
from ganforge.explainer.diagram import draw_network
from ganforge.explainer.formulas import draw_formula
from ganforge.explainer.lesson import LessonContent
from ganforge.explainer.notes import LANGUAGES
from ganforge.explainer.text import format_costs, format_inputs, format_layer
from ganforge.files import render_html

TEMPLATE = Path(__file__).with_name("page.html")
OPEN_LAYERS = 16  # tables with at most so many layers are shown open


def render_page(lesson: LessonContent) -> str:
    """The whole HTML document."""
    return render_html(
        TEMPLATE,
        lesson=lesson,
        languages=LANGUAGES,
        phrases=strings.PHRASES,
        groups=strings.group_identical(lesson.networks),
        links=find_links(lesson.about),
        open_layers=OPEN_LAYERS,
        mark_code=mark_code,
        draw_formula=draw_formula,
        draw_network=draw_network,
        format_cost=strings.format_cost,
        format_costs=format_costs,
        format_count=strings.format_count,
        format_field=strings.format_field,
        format_inputs=format_inputs,
        format_layer=format_layer,
        format_round_title=strings.format_round_title,
        format_shape=strings.format_shape,
        format_turn_title=strings.format_turn_title,
    )


def mark_code(text: str) -> str:
    """A text as HTML, with the parts between backticks as <code>."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", html.escape(text))


def find_links(about: str) -> list[str]:
    """The links in a docstring, each once."""
    links = re.findall(r"https?://[^\s)>\]]+", about)
    return list(dict.fromkeys(link.rstrip(".") for link in links))
