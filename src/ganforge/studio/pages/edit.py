"""Codes: that of a photograph, or of a random image, is moved along the stored directions of a run."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ganforge.errors import OptionError
from ganforge.evaluation.directions import FARTHEST
from ganforge.evaluation.directions import directions as find_directions
from ganforge.evaluation.edit import draw_random
from ganforge.images import recolour, visible_channels
from ganforge.inference.codes import Photograph
from ganforge.inference.coding import fit_window
from ganforge.inference.directions import list_directions
from ganforge.inference.given_images import to_tensor
from ganforge.inference.inversion import Inversion
from ganforge.inference.trained import Trained
from ganforge.studio.context import LIVE, ONCE, Context, answering, choose_run, command, command_box, widget, word
from ganforge.studio.pictures import check_uploads, read_upload, to_uris

NAME = "edit"
SEARCH: dict[str, Any] = LIVE | {"show_progress": "full"}
FIND: dict[str, Any] = ONCE | {"show_progress": "full"}
"""Options of events that take their time: of several photographs the last wins."""
SAMPLED = 2_000  # codes in which directions are found


@dataclass(frozen=True)
class Held:
    """The photograph of a visitor, with its code."""

    asked: tuple[str, str, int]
    """The run's key, the SHA-256 of the photograph's file, the steps of the descent."""
    file: str
    """The uploaded file."""
    target: str
    """The photograph at the run's size, as a data URI."""
    photograph: Photograph


def runs(context: Context) -> list[str]:
    """The runs that this page is for."""
    return context.library.able("edit")


def build(context: Context, tab: gr.Tab) -> list[gr.Dropdown]:
    """Build the page; returns its menus of runs."""
    run, held, found = choose_run(runs(context)), gr.State(), gr.State()

    @gr.render(inputs=[run, held], triggers=[tab.select, run.change, found.change])
    @answering
    def form(key: str | None, kept: Held | None) -> None:
        if not key:
            gr.Markdown(word("no_runs"))
            return
        with context.keeper.use(key) as trained:
            names, encodes = list_directions(trained.path), hasattr(trained.game, "invert")
        with gr.Row():
            with gr.Column(scale=1, min_width=240):
                image, steps, seed = build_source(kept, encodes)
                sliders = [build_slider(name, number) for number, name in enumerate(names)]
                if not names:
                    build_finder(context, key, found)
                reset = gr.Button(word("reset"), elem_id="edit-reset", visible=bool(names), interactive=True)
            with gr.Column(scale=2, min_width=280):
                shown, typed = widget("split", elem_id="edit-result"), command_box()
                save = gr.Button(word("save_code"), elem_id="edit-save", interactive=True)
                file = gr.File(show_label=False, interactive=False, visible="hidden", height=60, elem_id="edit-code")
        given, results = [held, image, steps, seed, *sliders], [shown, typed]

        @answering
        def draw(*values: Any) -> Any:
            return edit(context, key, names, *values)

        for event in (image.change, steps.release):
            searched = event(searching(context, key), [held, image, steps], held, show_progress_on=shown, **SEARCH)
            searched.then(draw, given, results, **LIVE)
        for slider in (seed, *sliders):
            slider.input(draw, given, results, **LIVE)
        if sliders:
            reset.click(lambda: [0] * len(sliders), None, sliders, **ONCE).then(draw, given, results, **LIVE)
        save.click(answering(lambda *values: save_code(context, key, names, *values)), given, file, **ONCE)
        values = [slider.value for slider in (steps, seed, *sliders)]
        if not image.value:  # else it is a change of a new form: its code is looked for
            shown.value, typed.value = draw(None, None, *values)

    return [run]


def build_source(kept: Held | None, encodes: bool) -> tuple[gr.Image, gr.Slider, gr.Slider]:
    """The fields of the photograph, of the steps of its descent where the run does not encode, and of the seed."""
    steps = kept.asked[2] if kept else Inversion().steps
    return (
        gr.Image(
            value=kept.file if kept and Path(kept.file).is_file() else None,
            label=word("photograph"),
            type="filepath",
            sources=["upload", "webcam", "clipboard"],
            elem_id="edit-image",
            interactive=True,
        ),
        gr.Slider(10, 1000, steps, step=10, label=word("search_steps"), visible=not encodes, interactive=True),
        gr.Slider(0, 999, 0, step=1, label=word("seed_alone"), elem_id="edit-seed", interactive=True),
    )


def build_slider(name: str, number: int) -> gr.Slider:
    """The size of a direction, in standard deviations."""
    return gr.Slider(-FARTHEST, FARTHEST, 0, step=0.1, label=name, elem_id=f"edit-size-{number}", interactive=True)


def build_finder(context: Context, key: str, found: gr.State) -> None:
    """What stands in the place of sliders: how directions are found; a button does so where visitors may."""
    gr.Markdown(word("no_directions"))
    command_box().value = command("directions", context.library.path(key))
    if not context.trainings.allowed:
        return

    @answering
    def find() -> list[str]:
        with context.keeper.use(key) as trained:
            return [one.direction.name for one in find_directions(trained, labels=False, n=SAMPLED)]

    button = gr.Button(word("find_directions"), elem_id="edit-find", interactive=True)
    button.click(find, None, found, show_progress_on=button, **FIND)


def searching(context: Context, key: str) -> Callable[..., Any]:
    """The function that finds the code of a photograph, with progress."""

    @answering
    def search(kept: Held | None, path: str | None, steps: int, bar: Any = gr.Progress()) -> Any:  # noqa: B008 - how Gradio hands it in
        if not path:
            return None
        array = visible_channels(read_upload(path, context.uploads))
        asked = key, hash_upload(context, path), max(1, min(int(steps), 1000))
        if kept and kept.asked == asked:
            return kept
        with context.keeper.use(key) as trained:
            channels = trained.facts.channels
            target = fit_window(to_tensor(recolour(array, channels), channels)[0], trained.facts)
            (one,) = trained.invert(target, steps=asked[2], progress=bar)
        return Held(asked, path, to_uris(target)[0], one)

    return search


def photograph_of(
    context: Context, trained: Trained, key: str, held: Held | None, path: str | None, seed: int
) -> Photograph | None:
    """The code that is edited: of the photograph, else of a random image; None while that of another is held."""
    if not path:
        return draw_random(trained, 1, int(seed))[0]
    return held.photograph if held and held.asked[:2] == (key, hash_upload(context, path)) else None


def hash_upload(context: Context, path: str) -> str:
    """The SHA-256 of an uploaded file: Gradio copies that of a form which is made anew.  Raises as `check_uploads`."""
    (checked,) = check_uploads([path], context.uploads)
    return hashlib.sha256(checked.read_bytes()).hexdigest()


def sizes_of(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """{direction: its size} of those that are moved."""
    return {name: float(value) for name, value in zip(names, values, strict=True) if value}


def edit(
    context: Context, key: str, names: Sequence[str], held: Held | None, path: str | None, steps: int, seed: int,
    *values: float,
) -> Any:  # fmt: skip
    """The photograph, what is drawn of its code, the edit, and the command; nothing changes until the code is found."""
    sizes = sizes_of(names, values)
    with context.keeper.use(key) as trained:
        one = photograph_of(context, trained, key, held, path, seed)
        if one is None:
            return gr.skip(), gr.skip()
        drawn, moved = to_uris(trained.decode([one, move(trained, one, sizes)]))
        encodes = hasattr(trained.game, "invert")
    results = [{"name": "edited", "key": "edited", "before": drawn, "after": moved}]
    if held and path:
        results.insert(0, {"name": "code", "key": "drawn_of_code", "before": held.target, "after": drawn})
    typed = type_command(context.library.path(key), sizes, path, 0 if encodes else int(steps), int(seed))
    return {"results": results}, typed


def move(trained: Trained, one: Photograph, sizes: Mapping[str, float]) -> Photograph:
    """The photograph with its code moved; as it is without sizes."""
    return trained.edit(one, sizes) if sizes else one


def type_command(run: Path, sizes: Mapping[str, float], path: str | None, steps: int, seed: int) -> str:
    """The command of a result; without sizes that of the inversion, or none."""
    moved = [f"{name}={size:g}" for name, size in sizes.items()]
    directions = ["--direction", *moved, "-o", "edited"]
    if not path:
        return command("edit", run, "-n", 1, "--seed", seed, *directions) if moved else ""
    found = ["--steps", steps] if steps not in (0, Inversion().steps) else []
    verb, rest = ("edit", directions) if moved else ("invert", ["-o", "inverted"])
    return command(verb, run, Path(path).name, *found, *rest)


def save_code(
    context: Context, key: str, names: Sequence[str], held: Held | None, path: str | None, _: int, seed: int,
    *values: float,
) -> gr.File:  # fmt: skip
    """A file of the code that is shown: `ganforge edit` takes it.  Raises OptionError while none is found."""
    file = Path(tempfile.mkdtemp(dir=context.uploads)) / "edited.safetensors"
    with context.keeper.use(key) as trained:
        one = photograph_of(context, trained, key, held, path, seed)
        if one is None:
            raise OptionError("The code of this photograph is not found yet: wait, or drop it again.")
        trained.save_code(move(trained, one, sizes_of(names, values)), file)
    return gr.File(str(file), visible=True)
