"""How strange images are to a run, and where: a heat map over the image, and a threshold."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from torch import Tensor

from ganforge.images import visible_channels
from ganforge.studio.context import LIVE, Context, answering, choose_run, command, command_box, widget, word
from ganforge.studio.pictures import check_uploads, read_upload, to_uri

NAME = "score"
MOST = 24  # images at once
SCORING: dict[str, Any] = LIVE | {"show_progress": "full"}


def runs(context: Context) -> list[str]:
    """The runs that this page is for."""
    return context.library.able("score")


def build(context: Context, tab: gr.Tab) -> list[gr.Dropdown]:
    """Build the page; returns its menus of runs."""
    run = choose_run(runs(context))
    with gr.Row():
        with gr.Column(scale=1, min_width=240):
            files = gr.File(label=word("photographs"), file_count="multiple", elem_id="score-files", interactive=True)
            seed = gr.Number(value=0, label=word("seed"), precision=0, interactive=True)
        with gr.Column(scale=2, min_width=280):
            heat, typed = widget("heat", elem_id="score-heat"), command_box()

    @answering
    def answer(key: str | None, paths: list[str] | None, seed: float) -> tuple[Any, str]:
        return score(context, key, paths, int(seed or 0))

    for component in (run, files, seed):
        component.change(answer, [run, files, seed], [heat, typed], **SCORING)
    return [run]


def score(context: Context, key: str | None, paths: Sequence[str] | None, seed: int) -> tuple[Any, str]:
    """Images with their scores and maps, the strangest first, and the command."""
    if not key or not paths:
        return None, ""
    scored = []
    for path in check_uploads(paths, context.uploads, MOST):
        array = read_upload(path, context.uploads)
        with context.keeper.use(key) as trained:
            verdict, _ = trained.judge(visible_channels(array), seed)
            maps = verdict.full_heat()[0, 0] if hasattr(trained.game, "heat") else None
        shown = {"name": path.name, "picture": to_uri(visible_channels(array)), "score": float(verdict.scores[0])}
        scored.append(shown | (encode_heat(maps) if maps is not None else {}))
    scored.sort(key=lambda one: -one["score"])
    given = Path(paths[0]).name if len(paths) == 1 else "images"  # several as a folder
    words = ["score", context.library.path(key), given, "results", "--seed", seed]
    return {"images": scored}, command(*words)


def encode_heat(heat: Tensor) -> dict[str, Any]:
    """A map (H, W) as text of 8 bits a pixel, its sides, and what 255 stands for."""
    values = heat.numpy()
    most = float(values.max()) or 1.0
    bits = (values / most * 255).round().astype(np.uint8)
    return {"heat": base64.b64encode(bits.tobytes()).decode(), "sides": [*values.shape], "most": most}
