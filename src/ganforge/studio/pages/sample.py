"""Images from noise: a seed, the game's own questions, a walk between two of the images, and mixtures of styles."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from ganforge.images import enlarge, to_uint8, video, visible_channels
from ganforge.inference.sample import ANIMATED, write_walk
from ganforge.studio.context import (
    LIVE,
    ONCE,
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
from ganforge.studio.pictures import to_data, to_uri, to_uris

NAME = "sample"
MOST, FIRST = 64, 16  # images of a page
FRAMES = 24  # of a walk
MIXED = 6  # images of either kind in a table of mixed styles


def runs(context: Context) -> list[str]:
    """The runs that this page is for."""
    return context.library.able("sample")


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
            with gr.Row():
                with gr.Column(scale=1, min_width=240):
                    seed = gr.Slider(0, 999, 0, step=1, label=word("seed"), elem_id="sample-seed", interactive=True)
                    count = gr.Slider(1, MOST, FIRST, step=1, label=word("count"), interactive=True)
                    fields = build_fields(trained, "sample")
                with gr.Column(scale=2, min_width=280):
                    images = widget("gallery", elem_id="sample-images", save="samples.png", picks=True)
                    typed = command_box()
            build_walk(context, key, seed, images, fields, share_fields(fields, trained.game.generate))
            if (layers := trained.count_layers()) > 1:
                build_mixing(context, key, seed, share_fields(fields, trained.game.code), layers)
        given = [seed, count, *(field.component for field in fields)]
        asked = answering(lambda *values: answer(context, key, fields, *values))
        for component in given:
            event = component.input if hasattr(component, "input") else component.change
            event(asked, given, [images, typed], **LIVE)
        gr.on([tab.select], asked, given, [images, typed], **LIVE)
        first = asked(0, FIRST, *(field.component.value for field in fields))
        images.value, typed.value = first

    return [run]


def answer(context: Context, key: str, fields: list[Field], seed: int, count: int, *values: Any) -> tuple[Any, str]:
    """The images, and the command that makes them."""
    answers = read_answers(fields, values, context.uploads)
    count = max(1, min(int(count), MOST))
    with context.keeper.use(key) as trained:
        images = to_uris(trained.sample(count, int(seed), **answers))
    words = ["sample", context.library.path(key), "-n", count, "--seed", int(seed)]
    return {"images": images}, command(*words, *options_of(answers_as_typed(fields, values)))


def share_fields(fields: list[Field], method: Any) -> list[Field]:
    """The fields of `sample` whose questions a method of the game has too: a walk or a mixture answers them alike."""
    from ganforge.capabilities import list_questions

    known = {question.name for question in list_questions(method)}
    return [field for field in fields if field.question.name in known and field.question.name != "text_b"]


def build_walk(
    context: Context, key: str, seed: gr.Slider, images: gr.HTML, fields: list[Field], shared: list[Field]
) -> None:
    """What follows when two images are picked; `shared` are the fields that a walk answers as well."""
    gr.Markdown(word("walk_hint"))
    walk = widget("walk", elem_id="sample-walk")
    typed = command_box()

    @answering
    def go(event: gr.EventData, seed: int, *values: Any) -> tuple[Any, str]:
        between = tuple(int(number) for number in event.picked if 0 <= int(number) < MOST)
        if len(between) < 2:
            return None, ""
        chosen = [value for field, value in zip(fields, values, strict=True) if field in shared]
        answers = read_answers(shared, chosen, context.uploads)
        with context.keeper.use(key) as trained:
            made = trained.interpolate(1, FRAMES, int(seed), between=between, **answers)[0]
        frames = visible_channels(to_uint8(made))
        large = enlarge(frames, ANIMATED)
        around = [*large, *large[-2:0:-1]]
        kinds = {"gif": "image/gif"} | ({"mp4": "video/mp4"} if video.is_supported() else {})
        files = {kind: to_data(encode_walk(around, kind, context.uploads), media) for kind, media in kinds.items()}
        words = [
            "interpolate",
            context.library.path(key),
            "--between",
            *between,
            "--steps",
            FRAMES,
            "--seed",
            int(seed),
        ]
        shown = {"images": [to_uri(frame) for frame in frames], **files}
        return shown, command(*words, *options_of(answers_as_typed(shared, chosen)))

    images.select(go, [seed, *(field.component for field in fields)], [walk, typed], **LIVE)


def encode_walk(frames: Sequence[np.ndarray], kind: str, uploads: Path) -> bytes:
    """The file that `ganforge interpolate` writes: a gif or an mp4."""
    with tempfile.TemporaryDirectory(dir=uploads) as room:
        path = Path(room) / f"walk.{kind}"
        write_walk(path, frames)
        return path.read_bytes()


def build_mixing(context: Context, key: str, seed: gr.Slider, shared: list[Field], layers: int) -> None:
    """The table of mixed styles, which is drawn while it is open; `shared` are the fields that codes answer as well."""
    open_now = gr.State(False)
    with gr.Accordion(word("mixing"), open=False, elem_id="sample-mix") as frame:
        gr.Markdown(word("mixing_hint"))
        with gr.Row():
            numbers: dict[str, Any] = {"multiselect": True, "max_choices": MIXED, "interactive": True}
            coarse = gr.Dropdown([*range(MOST)], value=[0, 1, 2], label=word("coarse"), **numbers)
            fine = gr.Dropdown([*range(MOST)], value=[3, 4, 5, 6], label=word("fine"), **numbers)
            split = gr.Slider(
                1, max(2, layers - 1), layers // 2, step=1, label=word("coarse_layers"), elem_id="sample-split",
                interactive=layers > 2,
            )  # fmt: skip
        table = widget("sheet", elem_id="sample-mixing", columns=MIXED + 1)
        typed = command_box()
    given = [open_now, seed, coarse, fine, split, *(field.component for field in shared)]

    @answering
    def answer(there: bool, seed: int, coarse: Sequence[int], fine: Sequence[int], split: int, *values: Any) -> Any:
        if not there or not coarse or not fine:
            return gr.skip(), gr.skip()
        left, above = ([int(number) for number in side[:MIXED]] for side in (coarse, fine))
        answers = read_answers(shared, values, context.uploads)
        with context.keeper.use(key) as trained:
            made = trained.mix(left, above, int(seed), layers=int(split), **answers)
        rows = [{"name": "", "images": to_uris(row)} for row in made]
        words = ["mix", context.library.path(key), "--coarse", *left, "--fine", *above, "--layers", int(split)]
        return {"rows": rows}, command(*words, "--seed", int(seed), *options_of(answers_as_typed(shared, values)))

    for component in given[1:]:
        event = component.input if hasattr(component, "input") else component.change
        event(answer, given, [table, typed], **LIVE)
    frame.expand(lambda: True, None, open_now, **ONCE).then(answer, given, [table, typed], **LIVE)
    frame.collapse(lambda: False, None, open_now, **ONCE)
