"""Label maps to images: a map is painted, and the answer follows after each stroke."""

import base64
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from ganforge.batches import Facts
from ganforge.data.places_sheet import colours_of
from ganforge.errors import OptionError
from ganforge.images import fit_nearest
from ganforge.inference.input_columns import read_regions
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
from ganforge.studio.examples import locate_data, read_example
from ganforge.studio.forms import Field, answers_as_typed, build_fields, read_answers
from ganforge.studio.pictures import check_uploads, to_uris

NAME = "paint"
MOST = 8  # seeds beside each other


def runs(context: Context) -> list[str]:
    """The runs that this page is for."""
    return context.library.able("translate", "label_map")


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
                    canvas = widget("paint", elem_id="paint-canvas", **describe_canvas(facts))
                    load = gr.UploadButton(
                        word("load_map"), file_types=["image", ".npy"], elem_id="paint-load", interactive=True
                    )
                    example = build_example(context, trained.path)
                with gr.Column(scale=1, min_width=280):
                    images = widget("gallery", elem_id="paint-images", save="painted.png", large=True)
                    seed = gr.Slider(0, 999, 0, step=1, label=word("seed"), interactive=True)
                    count = gr.Slider(1, MOST, 1, step=1, label=word("seeds_beside"), interactive=True)
                    fields = build_fields(trained, "translate")
                    typed = command_box()
        given = [canvas, seed, count, *(field.component for field in fields)]

        @answering
        def answer(*values: Any) -> tuple[Any, str]:
            return paint(context, key, facts, fields, *values)

        @answering
        def load_map(path: str) -> Any:
            (checked,) = check_uploads([path], context.uploads)
            indices = fit_nearest(read_regions(checked, facts, checked.name).numpy(), (facts.height, facts.width))
            return {"map": encode(indices)}

        @answering
        def load_example(number: float | None) -> Any:
            path = context.library.path(key)
            if number is None:
                return gr.skip()
            if not context.trainings.may_read(locate_data(path)):
                raise OptionError("This studio does not show the data of that run: name their folder with --data-root.")
            return {"map": encode(fit_nearest(read_example(path, facts, int(number)), (facts.height, facts.width)))}

        for component in given:
            event = component.input if hasattr(component, "input") else component.change
            event(answer, given, [images, typed], **LIVE)
        load.upload(load_map, load, canvas, **ONCE).then(answer, given, [images, typed], **LIVE)
        if example is not None:
            loaded = example.input(load_example, example, canvas, **LIVE)
            loaded.then(answer, given, [images, typed], **LIVE)
        first = np.zeros((facts.height, facts.width), np.int64)
        canvas.value = {"map": encode(first)}
        values = [field.component.value for field in fields]
        images.value, typed.value = answer(canvas.value, 0, 1, *values)

    return [run]


def build_example(context: Context, run: Path) -> gr.Number | None:
    """The field for the number of a photograph of the run's data, whose map is loaded; None where none can be read."""
    if not context.trainings.may_read(locate_data(run)):
        return None
    return gr.Number(None, label=word("map_of"), precision=0, minimum=0, elem_id="paint-example", interactive=True)


def describe_canvas(facts: Facts) -> dict[str, Any]:
    """What the canvas has to know: its size, and the names and colours of the regions."""
    colours = colours_of(facts).tolist()
    regions = [{"name": name, "colour": colour} for name, colour in zip(facts.regions, colours, strict=False)]
    return {"regions": regions, "rows": facts.height, "columns": facts.width}


def encode(indices: np.ndarray) -> str:
    """A map (H, W) as text: 16 bits a pixel."""
    return base64.b64encode(indices.astype("<u2").tobytes()).decode()


def decode(value: Any, facts: Facts) -> np.ndarray:
    """int64 (H, W): the map that the canvas sent.  Raises OptionError for anything else."""
    try:
        flat = np.frombuffer(base64.b64decode(value["map"], validate=True), "<u2").astype(np.int64)
        indices = flat.reshape(facts.height, facts.width)
    except (TypeError, KeyError, ValueError) as error:
        raise OptionError("The canvas sent no map of this run: load the page anew.") from error
    if indices.max() >= len(facts.regions):
        raise OptionError(f"The map has the region {indices.max()}, and this run has {len(facts.regions)}.")
    return indices


def paint(
    context: Context, key: str, facts: Facts, fields: list[Field], value: Any, seed: int, count: int, *values: Any
) -> tuple[Any, str]:
    """The images of a painted map, one a seed, and the command for a saved map."""
    count = max(1, min(int(count), MOST))
    maps = np.stack([decode(value, facts)] * count)
    answers = read_answers(fields, values, context.uploads)
    with context.keeper.use(key) as trained:
        images = to_uris(trained.translate(maps, int(seed), **answers))
    words = ["translate", context.library.path(key), "map.png", "painted.png", "-n", count, "--seed", int(seed)]
    return {"images": images}, command(*words, *options_of(answers_as_typed(fields, values)))
