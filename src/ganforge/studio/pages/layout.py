"""Layouts to images: boxes are drawn, named, dragged, resized and deleted; what moved is compared."""

from typing import Any

import gradio as gr

from ganforge.batches import Facts
from ganforge.data.places_sheet import object_colours
from ganforge.errors import OptionError
from ganforge.images import to_uint8, visible_channels
from ganforge.inference.layouts import PREFIX, Box, box_of, check_boxes
from ganforge.studio.context import (
    LIVE,
    Context,
    answering,
    choose_run,
    command,
    command_box,
    options_of,
    widget,
    word,
)
from ganforge.studio.forms import Field, answers_as_typed, build_fields, read_answers
from ganforge.studio.pictures import to_uri

NAME = "layout"
Seen = tuple[str, str, Any]
"""The image before the last change, the last image, and the number of that change."""
START = (0.2, 0.2, 0.65, 0.65)


def runs(context: Context) -> list[str]:
    """The runs that this page is for."""
    return context.library.able("translate", "boxes")


def build(context: Context, tab: gr.Tab) -> list[gr.Dropdown]:
    """Build the page; returns its menus of runs."""
    run = choose_run(runs(context))

    @gr.render(inputs=[run], triggers=[tab.select, run.change])
    @answering
    def form(key: str | None) -> None:
        if not key:
            gr.Markdown(word("no_runs"))
            return
        with context.keeper.use(key) as trained:
            facts = trained.facts
            with gr.Row():
                with gr.Column(scale=1, min_width=300):
                    named = {"objects": [*facts.objects[1:]], "colours": [*map(list, object_colours(facts)[1:])]}
                    board = widget("boxes", elem_id="layout-board", most=facts.most, **named)
                with gr.Column(scale=1, min_width=280):
                    images = widget("gallery", elem_id="layout-images", save="layout.png", large=True)
                    seed = gr.Slider(0, 999, 0, step=1, label=word("seed"), interactive=True)
                    fields = build_fields(trained, "translate")
                    typed = command_box()
        before = gr.State(("", "", 0))
        given = [board, seed, before, *(field.component for field in fields)]

        @answering
        def answer(*values: Any) -> tuple[Any, str, Seen]:
            return lay_out(context, key, facts, fields, *values)

        for component in given:
            if component is not before:
                event = component.input if hasattr(component, "input") else component.change
                event(answer, given, [images, typed, before], **LIVE)
        board.value = {"boxes": [[facts.objects[1], *START]]}
        values = [field.component.value for field in fields]
        images.value, typed.value, before.value = answer(board.value, 0, before.value, *values)

    return [run]


def read_boxes(value: Any, facts: Facts) -> list[Box]:
    """The layout that the board sent; a deleted box keeps its place.  Raises OptionError for anything else."""
    entries = value.get("boxes") if isinstance(value, dict) else None
    if not isinstance(entries, list) or len(entries) > max(1, facts.most):
        raise OptionError(f"The board sent no layout of at most {facts.most} boxes: load the page anew.")
    boxes = [box_of(entry, "The box") for entry in entries]
    check_boxes(boxes, facts)
    return boxes


def lay_out(
    context: Context, key: str, facts: Facts, fields: list[Field], value: Any, seed: int, seen: Seen, *values: Any
) -> tuple[Any, str, Seen]:
    """(the image now and the one before the last change, the command, what the next change is compared with).

    All that one drag of a box sends is one change.
    """
    boxes, answers = read_boxes(value, facts), read_answers(fields, values, context.uploads)
    with context.keeper.use(key) as trained:
        made = trained.translate(boxes, int(seed), **answers)
    (now,) = (to_uri(image) for image in visible_channels(to_uint8(made[None])))
    change, (before, last, past) = value.get("change", 0), seen
    before = before if change == past else last
    layout = "; ".join(f"{name} {x0:.3f} {y0:.3f} {x1:.3f} {y1:.3f}" if name else "" for name, x0, y0, x1, y1 in boxes)
    words = ["translate", context.library.path(key), PREFIX + layout, "layout.png", "--seed", int(seed)]
    typed = command(*words, *options_of(answers_as_typed(fields, values)))
    return {"images": [now, *[before] * bool(before)], "keys": ["now", "previous"]}, typed, (before, now, change)
