"""Images to images: a photograph or many, one run or several side by side, a folder with progress."""

import inspect
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import torch

from ganforge.console import silent
from ganforge.errors import DataError, OptionError
from ganforge.images import fit_nearest, recolour, visible_channels
from ganforge.inference.given_images import to_tensor
from ganforge.inference.trained import Trained
from ganforge.inference.translate import result_name
from ganforge.inference.translation_job import Companions, Job
from ganforge.studio.context import (
    ONCE,
    Context,
    answering,
    command,
    command_box,
    options_of,
    widget,
    word,
)
from ganforge.studio.forms import Field, answers_as_typed, build_fields, read_answers
from ganforge.studio.pictures import MOST_FILES, check_uploads, read_upload, to_uri, to_uris

NAME = "translate"
MOST_RUNS = 6  # side by side
SOURCES: list[Any] = ["upload", "webcam", "clipboard"]


def runs(context: Context) -> list[str]:
    """The runs that this page is for."""
    return context.library.able("translate", "images")


def build(context: Context, tab: gr.Tab) -> list[gr.Dropdown]:
    """Build the page; returns its menus of runs."""
    keys = runs(context)
    run = gr.Dropdown(
        keys, value=keys[:1], multiselect=True, max_choices=MOST_RUNS, label=word("runs"), interactive=True
    )

    @gr.render(inputs=[run], triggers=[tab.select, run.change])
    @answering
    def form(chosen: Sequence[str]) -> None:
        if not chosen:
            gr.Markdown(word("choose_run"))
            return
        with gr.Row():
            with gr.Column(scale=1, min_width=240):
                image = gr.Image(
                    label=word("photograph"),
                    type="filepath",
                    sources=SOURCES,
                    elem_id="translate-image",
                    interactive=True,
                )
                seed = gr.Number(value=0, label=word("seed"), precision=0, interactive=True)
                tile = gr.Slider(0, 1024, 0, step=64, label=word("tile"), interactive=True)
                with context.keeper.use(chosen[0]) as trained:
                    fields = build_fields(trained, "translate")
                    masks = build_masks(trained)
            with gr.Column(scale=2, min_width=280):
                shown = widget("split", elem_id="translate-result")
                typed = command_box()
        given = [image, seed, tile, masks, *(field.component for field in fields)]

        @answering
        def answer(*values: Any) -> tuple[Any, str]:
            return translate_one(context, chosen, fields, *values)

        for component in given:
            component.change(answer, given, [shown, typed], show_progress="minimal", trigger_mode="always_last")
        build_folder(context, chosen[0], fields, seed, tile)

    return [run]


def build_masks(trained: Trained) -> gr.File:
    """The field for a mask of each instance; hidden for runs that take none."""
    takes = "masks" in inspect.signature(trained.game.translate).parameters  # pyright: ignore
    return gr.File(label=word("masks"), file_count="multiple", file_types=["image"], visible=takes, interactive=True)


def translate_one(
    context: Context,
    chosen: Sequence[str],
    fields: Sequence[Field],
    image: str | None,
    seed: float,
    tile: int,
    masks: Sequence[str] | None,
    *values: Any,
) -> tuple[Any, str]:
    """The results of every chosen run for one image, and the command of the first."""
    if not image:
        return None, ""
    array = visible_channels(read_upload(image, context.uploads))
    answers, results = read_answers(fields, values, context.uploads), []
    for key in chosen[:MOST_RUNS]:
        with context.keeper.use(key) as trained:
            own = {name: value for name, value in answers.items() if name in questions_of(trained)}
            given = recolour(array, trained.channels_in(bool(own.get("reverse"))))
            held = {"masks": read_masks(masks, given.shape[:2], context.uploads)} if masks else {}
            made = trained.translate_batches(
                to_tensor(given, given.shape[2])[0], int(seed or 0), tile=tile_of(trained, tile), **held, **own
            )
        results.append({"name": key, "after": to_uris(made)[0]})
    words = ["translate", context.library.path(chosen[0]), Path(image).name, "results", "--seed", int(seed or 0)]
    words += [*(["--tile", tile] if tile else []), *(["--masks", "masks"] if masks else [])]
    return {"before": to_uri(array), "results": results}, command(*words, *options_of(answers_as_typed(fields, values)))


def tile_of(trained: Trained, tile: int) -> int:
    """The side of tiles; 0 for runs of a fixed size, which cannot be tiled."""
    return 0 if trained.game.fixed_size else int(tile)


def questions_of(trained: Trained) -> set[str]:
    """The names of the questions of a run's `translate`."""
    from ganforge.capabilities import list_questions

    return {question.name for question in list_questions(trained.game.translate)}  # pyright: ignore


def read_masks(paths: Sequence[str], sides: tuple[int, ...], uploads: Path) -> torch.Tensor:
    """(1, M, H, W) in {0, 1}: uploaded masks of an image of these sides."""
    planes = [fit_nearest(recolour(read_upload(path, uploads), 1), (sides[0], sides[1]))[..., 0] for path in paths]
    return torch.from_numpy(np.stack(planes) >= 128)[None].float()


def build_folder(context: Context, key: str, fields: list[Field], seed: gr.Number, tile: gr.Slider) -> None:
    """Many files at once: progress, and a zip of the results."""
    with gr.Accordion(word("many"), open=False):
        files = gr.File(label=word("files"), file_count="multiple", elem_id="translate-files", interactive=True)
        start = gr.Button(word("translate_all"), elem_id="translate-all")
        result = gr.File(label=word("results"), interactive=False, elem_id="translate-zip")
        skipped = gr.Markdown()

    @answering
    def translate_all(paths: list[str] | None, seed: float, tile: int, *values: Any, bar: Any = gr.Progress()) -> Any:  # noqa: B008 - how Gradio hands it in
        uploaded = check_uploads(paths or [], context.uploads)
        answers = read_answers(fields, values, context.uploads)
        room = Path(tempfile.mkdtemp(dir=context.uploads))
        try:
            source = gather(uploaded, room / "in")
            notes = translate_files(context, key, source, room / "out", int(seed or 0), int(tile), answers, bar)
            packed = shutil.make_archive(str(context.uploads / f"results-{room.name}"), "zip", room / "out")
        finally:
            shutil.rmtree(room, ignore_errors=True)
        return packed, "  \n".join(f"`{note}`" for note in notes)

    start.click(translate_all, [files, seed, tile, *(f.component for f in fields)], [result, skipped], **ONCE)


def gather(uploaded: Sequence[Path], folder: Path) -> Path:
    """Uploaded images in one folder under names of their own; a single zip as it is.

    Raises OptionError for a zip beside other files.
    """
    packed = [path for path in uploaded if path.suffix.lower() == ".zip"]
    if packed and len(uploaded) > 1:
        raise OptionError(f"{packed[0].name} is a zip beside other files: give a single zip, or images alone.")
    if packed:
        return packed[0]
    folder.mkdir()
    for number, path in enumerate(uploaded):
        name = path.name if not (folder / path.name).exists() else f"{number}-{path.name}"
        shutil.copyfile(path, folder / name)
    return folder


def translate_files(
    context: Context, key: str, source: Path, out: Path, seed: int, tile: int, answers: dict[str, Any], bar: Any
) -> list[str]:
    """Translate files one after another, each in its own turn; returns a sentence about each that was skipped."""
    none, skipped, taken = Companions("", "masks"), [], Counter[str]()
    with context.keeper.use(key) as trained:
        job = Job(trained, Job.open(source), 1, seed, tile_of(trained, tile), answers, none, none, silent)
        job.check_masks()
    names = job.names()
    if len(names) > MOST_FILES:
        raise OptionError(f"There are {len(names)} images: give at most {MOST_FILES}, or use the command for a folder.")
    for number, name in enumerate(names):
        bar((number, len(names)), desc=name)
        with context.keeper.use(key) as trained:
            job.trained = trained
            try:
                job.run(name, out / result_name(name, taken), False)
            except DataError as error:
                skipped.append(str(error))
    if len(skipped) == len(names):
        raise DataError(f"None of the {len(names)} files could be translated. The first: {skipped[0]}")
    return skipped
