"""Codes: a photograph is inverted to a code, and the code is decoded again."""

from typing import Any

import gradio as gr
import torch

from ganforge.images import fit, recolour, visible_channels
from ganforge.inference.given_images import to_tensor
from ganforge.inference.inference_mode import inference_mode
from ganforge.studio.context import ONCE, Context, answering, choose_run, widget, word
from ganforge.studio.pictures import read_upload, to_uri, to_uris

NAME = "edit"


def runs(context: Context) -> list[str]:
    """The runs that this page is for."""
    able = {*context.library.able("decode")}
    return [key for key in context.library.able("invert") if key in able]


def build(context: Context, tab: gr.Tab) -> list[gr.Dropdown]:
    """Build the page; returns its menus of runs."""
    run = choose_run(runs(context))
    with gr.Row():
        image = gr.Image(
            label=word("photograph"),
            type="filepath",
            sources=["upload", "webcam", "clipboard"],
            elem_id="edit-image",
            interactive=True,
        )
        shown = widget("split", elem_id="edit-result")

    @answering
    def answer(key: str | None, path: str | None) -> Any:
        return invert(context, key, path) if key and path else None

    for component in (run, image):
        component.change(answer, [run, image], shown, **ONCE)
    return [run]


def invert(context: Context, key: str, path: str) -> Any:
    """The photograph at the size of the run's data, and what the run makes of its code."""
    array = visible_channels(read_upload(path, context.uploads))
    with context.keeper.use(key) as trained:
        facts = trained.facts
        given = recolour(fit(array, (facts.height, facts.width), 3), facts.channels)
        images = to_tensor(given, facts.channels)[0].to(trained.device)
        with inference_mode(trained.game) as game, torch.no_grad():
            made = game.decode(game.invert(images)).float().cpu()  # pyright: ignore
    return {"before": to_uri(visible_channels(given)), "results": [{"name": key, "after": to_uris(made)[0]}]}
