"""Several runs beside each other: the same latents, a leaderboard; and the data doctor of a folder."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from ganforge.errors import OptionError
from ganforge.images import read
from ganforge.studio.context import ONCE, Context, answering, command, command_box, widget, word
from ganforge.studio.pictures import to_uri, to_uris

NAME = "compare"
MOST, SHOWN = 8, 8  # runs; images of each
LEADERBOARD, EXAMINE = 1800.0, 300.0  # seconds that the commands may take


def runs(context: Context) -> list[str]:
    """The runs that this page is for."""
    return context.library.able("sample")


def build(context: Context, tab: gr.Tab) -> list[gr.Dropdown]:
    """Build the page; returns its menus of runs."""
    keys = runs(context)
    chosen = gr.Dropdown(keys, value=keys[:2], multiselect=True, max_choices=MOST, label=word("runs"), interactive=True)
    seed = gr.Slider(0, 999, 0, step=1, label=word("seed"), interactive=True)
    sheet = widget("sheet", elem_id="compare-sheet")

    @answering
    def same_latents(keys: Sequence[str], seed: int) -> Any:
        rows = []
        for key in (keys or [])[:MOST]:
            with context.keeper.use(key) as trained:
                rows.append({"name": key, "images": to_uris(trained.sample(SHOWN, int(seed)))})
        return {"rows": rows}

    live: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
    gr.on([tab.select, chosen.change, seed.input], same_latents, [chosen, seed], sheet, **live)
    build_leaderboard(context, chosen)
    if context.trainings.allowed:  # the events of a form that is only hidden could be asked for all the same
        build_doctor(context)
    return [chosen]


def build_leaderboard(context: Context, chosen: gr.Dropdown) -> None:
    """The runs against the same data, by the public command."""
    with gr.Row():
        count = gr.Number(value=200, minimum=10, maximum=5000, precision=0, label=word("images_each"), interactive=True)
        size = gr.Number(value=None, minimum=1, precision=0, label=word("common_size"), interactive=True)
        start = gr.Button(word("rank"), elem_id="compare-rank")
    board, page, typed = (
        gr.Textbox(label=word("leaderboard"), lines=3, interactive=False),
        widget("page"),
        command_box(),
    )

    @answering
    def rank(keys: Sequence[str], count: float, size: float | None) -> tuple[str, Any, str]:
        if len(keys or []) < 2:
            raise OptionError("A comparison needs two or more runs: choose them above.")
        paths = [context.library.path(key) for key in keys[:MOST]]
        words = ["compare", *paths, "--n", str(max(10, min(int(count or 0), 5000)))]
        words += ["--size", str(int(size))] if size else []
        with tempfile.TemporaryDirectory(dir=context.uploads) as room:
            out = Path(room) / "comparison.html"
            printed = context.trainings.run([*map(str, words), "--out", str(out)], LEADERBOARD)
            html = out.read_text(encoding="utf-8")
        lines = [line for line in printed.splitlines() if not line.startswith("Wrote")]
        return "\n".join(lines), {"html": html}, command(*words)

    start.click(rank, [chosen, count, size], [board, page, typed], **ONCE)


def build_doctor(context: Context) -> None:
    """The data doctor of a folder under the data roots, or of an embedded set."""
    with gr.Accordion(word("doctor"), open=False):
        names = [name for name in context.trainings.data() if name]
        data = gr.Dropdown(names, value=names[0], label=word("data"), interactive=True)
        start = gr.Button(word("examine"), elem_id="compare-examine")
        said = gr.Textbox(label=word("doctor"), lines=6, max_lines=30, interactive=False)
        sheet = widget("gallery", elem_id="compare-contact")

    @answering
    def examine(name: str) -> tuple[str, Any]:
        with tempfile.TemporaryDirectory(dir=context.uploads) as room:
            target = Path(room) / "sheet.png"
            printed = context.trainings.examine(name, EXAMINE, "--out", str(target))
            picture = {"images": [to_uri(read(target))], "names": [name]} if target.exists() else None
        return printed, picture

    start.click(examine, data, [said, sheet], **ONCE)
