"""All runs with what is known of them; start a training, watch it, stop it, resume it."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from ganforge.callbacks.log import losses
from ganforge.callbacks.training_doctor import summarise_advice
from ganforge.catalogue import headline, names
from ganforge.errors import GANForgeError
from ganforge.images import fit, read
from ganforge.studio.context import LIVE, ONCE, Context, answering, command, command_box, widget, word
from ganforge.studio.library import Card, log_of
from ganforge.studio.pictures import to_uri
from ganforge.studio.trainings import find_listed
from ganforge.training.suitable_models import PREFERRED

NAME = "home"
MOST, THUMBNAIL, WATCHED = 60, 230, 480  # cards; pixels of their pictures and of the watched run's
POINTS = 300  # of a curve
EXAMINE = 180.0  # seconds that the data doctor may take
EVERY = 2.0  # seconds between two looks at a run that is watched


def runs(context: Context) -> list[str]:
    """The runs that this page is for; it is there without any."""
    return ["", *context.library.runs()]


def build(context: Context, tab: gr.Tab) -> list[gr.Dropdown]:
    """Build the page; its menu of runs is the cards."""
    watched = gr.State("")
    if context.trainings.allowed:  # the events of a form that is only hidden could be asked for all the same
        build_start(context, watched)
    with gr.Column(visible=False) as panel:
        picture, curves = widget("watch", elem_id="home-watch"), widget("curves", elem_id="home-curves")
        with gr.Row(visible=context.trainings.allowed):
            stop = gr.Button(word("stop"), elem_id="home-stop")
            resume = gr.Button(word("resume"), elem_id="home-resume")
        said = gr.Textbox(label=word("said"), lines=4, max_lines=12, interactive=False, elem_classes="studio-command")
    cards = widget("cards", elem_id="home-cards")

    def look(key: str) -> tuple[Any, Any, str]:
        return watch(context, key)

    @answering
    def end(key: str) -> None:
        context.trainings.stop(key)

    @answering
    def go_on(key: str) -> None:
        context.trainings.resume(context.trainings.find_key(key))

    def choose(event: gr.EventData) -> str:
        return str(event.key)

    shown = [picture, curves, said]
    watched.change(lambda key: gr.Column(visible=bool(key)), watched, panel, api_visibility="private")
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    cards.select(choose, None, watched, **quiet).then(look, watched, shown, **quiet)
    stop.click(end, watched, None, **ONCE)
    resume.click(go_on, watched, None, **ONCE)
    gr.Timer(EVERY).tick(look, watched, shown, trigger_mode="once", **quiet)
    tab.select(lambda: list_cards(context), None, cards, **quiet)
    gr.Timer(5 * EVERY).tick(lambda: list_cards(context), None, cards, trigger_mode="once", **quiet)
    cards.value = list_cards(context)
    return []


def build_start(context: Context, watched: gr.State) -> None:
    """The form that starts a training, with the data doctor's word before it."""
    with gr.Accordion(word("start_one"), open=False):
        with gr.Row():
            labels = [(headline(name), name) for name in names()]
            first = next(name for name in (*PREFERRED, *names()) if name in names())
            model = gr.Dropdown(labels, value=first, label=word("model"), elem_id="home-model", interactive=True)
            chosen = [(name or "—", name) for name in context.trainings.data()]
            data = gr.Dropdown(chosen, value="", label=word("data"), interactive=True)
            preset = choose_preset(first, label=word("preset"), elem_id="home-preset")
            steps = gr.Number(value=None, label=word("steps"), precision=0, minimum=1, interactive=True)
        with gr.Row():
            examine = gr.Button(word("examine"), elem_id="home-examine")
            start = gr.Button(word("start"), variant="primary", elem_id="home-start")
        doctor, typed = gr.Textbox(label=word("doctor"), lines=4, max_lines=24, interactive=False), command_box()

    @answering
    def consult(name: str) -> str:
        return context.trainings.examine(name, EXAMINE, "--no-sheet") if name else ""

    @answering
    def begin(model: str, data: str, preset: str, steps: float | None) -> tuple[str, str]:
        training = context.trainings.start(model, data, preset, int(steps) if steps else None)
        return training.name, command(*training.words)

    model.change(answering(choose_preset), model, preset, **LIVE)
    examine.click(consult, data, doctor, **ONCE)
    start.click(begin, [model, data, preset, steps], [watched, typed], **ONCE)


def choose_preset(model: str, **props: Any) -> gr.Dropdown:
    """The menu of a model's presets.  Raises OptionError for a model that the catalogue lacks."""
    presets = [*find_listed(model).presets]
    return gr.Dropdown(presets, value="small" if "small" in presets else presets[0], interactive=True, **props)


def list_cards(context: Context) -> list[dict[str, Any]]:
    """The newest runs, as their cards show them."""
    return [card_of(card) for card in context.library.cards()[:MOST]]


def card_of(card: Card) -> dict[str, Any]:
    """A card as plain JSON."""
    shown = {name: getattr(card, name) for name in ("key", "model", "data", "step", "steps", "problem", "active")}
    return {**shown, "scores": dict(card.scores), "picture": thumbnail(card.picture, THUMBNAIL)}


SHOWN: dict[tuple[Path, int], tuple[int, str]] = {}


def thumbnail(path: Path | None, side: int) -> str:
    """A picture of a run folder, at most `side` pixels wide, as a data URI; empty where it cannot be read."""
    try:
        if path is None:
            return ""
        changed = path.stat().st_mtime_ns
        if SHOWN.get((path, side), (0, ""))[0] != changed:
            if len(SHOWN) > 4 * MOST:
                SHOWN.clear()
            SHOWN[path, side] = changed, to_uri(shrink(read(path), side))
        return SHOWN[path, side][1]
    except (GANForgeError, OSError):
        return ""


def shrink(image: np.ndarray, side: int) -> np.ndarray:
    """An image (H, W, C) of 8 bits with at most `side` columns."""
    colour = image if image.dtype == np.uint8 else (image / max(1, image.max()) * 255).astype(np.uint8)
    height, width = colour.shape[:2]
    if width <= side:
        return colour
    return fit(colour, (max(1, round(height * side / width)), side), min(3, colour.shape[2]))


def watch(context: Context, key: str) -> tuple[Any, Any, str]:
    """(newest picture and progress, curves, what the process printed) of a run by its key or a training by its name."""
    if not key:
        return None, None, ""
    name = context.trainings.find_key(key)
    said = context.trainings.said(name or key)
    if not name:
        return None, None, said
    path = context.library.path(name)
    card = context.library.card(name, path)
    shown = {**card_of(card), "picture": thumbnail(card.picture, WATCHED), "advice": list_advice(path)}
    return shown, curves_of(log_of(path)), said


def list_advice(path: Path) -> list[str]:
    """The training doctor's advice of a run; none where it cannot be read."""
    try:
        return [*summarise_advice(path)]
    except (GANForgeError, OSError):
        return []


def curves_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """[{name, points: [[step, value]]}] of each player's loss, thinned to POINTS."""
    thinned = rows[:: max(1, len(rows) // POINTS)]
    sums = [(int(row["step"]), losses(row)) for row in thinned]
    players = sorted({player for _, terms in sums for player in terms})
    return [
        {"name": player, "points": [[step, terms[player]] for step, terms in sums if player in terms]}
        for player in players
    ]
