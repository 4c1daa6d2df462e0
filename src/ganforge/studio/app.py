"""The frame of the studio: its pages in a menu, the words, the theme."""

from types import ModuleType
from typing import Any

import gradio as gr
from gradio.themes import Base

from ganforge.studio.context import Context, update_runs, word
from ganforge.studio.pages import compare, edit, home, layout, paint, sample, score, translate
from ganforge.studio.strings import sentence

PAGES: tuple[ModuleType, ...] = (home, sample, paint, layout, translate, edit, score, compare)
"""Each has a NAME, `runs(context)`, the runs that it is for, and `build(context, tab)`, which returns its menus."""
SYSTEM = ("system-ui", "sans-serif")
THEME = Base(font=SYSTEM, font_mono=("ui-monospace", "monospace"))


def build_app(context: Context) -> gr.Blocks:
    """The studio as a Gradio application."""
    with gr.Blocks(analytics_enabled=False, title=sentence("title")) as app:
        gr.Markdown(f"# {sentence('title')}")
        with gr.Tabs():
            for page in PAGES:
                build_page(context, page, app)
    return app


def build_page(context: Context, page: ModuleType, app: gr.Blocks) -> None:
    """One page of the menu, which is left out where no run is for it."""
    there = bool(page.runs(context))
    with gr.Tab(word(page.NAME), id=page.NAME, elem_id=f"page-{page.NAME}", visible=there) as tab:
        menus = page.build(context, tab)

    def refresh(*chosen: Any) -> Any:
        keys = page.runs(context)
        own = gr.skip() if bool(keys) == there else gr.Tab(visible=bool(keys))  # an update makes an open page anew
        updates = [own, *(update_runs(keys, value) for value in chosen)]
        return updates if menus else updates[0]  # Gradio takes a list as the value of a single output

    app.load(refresh, menus, [tab, *menus], show_progress="hidden", api_visibility="private")
