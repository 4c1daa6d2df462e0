"""Draws the documentation's pictures and writes its model pages, from the code and from runs of it.

    python docs/draw.py                    pages and lessons of all models, from their files
    python docs/draw.py demo dcgan wgan    first train these, and draw their pictures anew (minutes each)

`demo` is `make demo`, `lab` what docs/lab.md shows; a model's name trains what RUNS says.  Fashion-MNIST is looked
for under GANFORGE_DATA.
"""

import inspect
import shutil
import sys
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageSequence

import ganforge
from ganforge import lab
from ganforge.capabilities import capabilities, labels_of
from ganforge.catalogue import Model, find, names
from ganforge.data.loader import BatchLoader
from ganforge.data.synthetic.domains import embedded
from ganforge.images import grid, read, recolour, to_uint8, write
from ganforge.lab import style
from ganforge.nn.bicubic import bicubic
from ganforge.runs.folder import RunFolder, reading_of, run_of
from ganforge.training.plan import opened_data

HERE = Path(__file__).parent
PICTURES, PAGES, LESSONS = HERE / "pictures", HERE / "models", HERE / "explain"
RUNS: dict[str, dict[str, Any]] = {
    "dcgan": {"data": "fashion-mnist", "preset": "paper", "size": (32,), "batch": 64, "epochs": 10},
    "dcgan-chapter": {"data": "fashion-mnist", "preset": "chapter", "epochs": 10},
    "cgan": {"channels": 1},
    "infogan-digits": {"data": "shapes-digits"},
    "bicyclegan": {"data": "shapes-edges"},
    "regression": {"steps": 800},
    "stargan": {"data": "shapes-attributes"},
}
"""How a model's picture is made where `ganforge train NAME` on Fashion-MNIST is not it.

Of a game with codes it is the traversal, of one with classes a row a class, of a translator its answers to pictures
that it never learned from.
"""
SEEN: dict[str, str] = {
    "pix2pix": (
        "the label map, the answer, the scene. Shapes stand where the map has them, with shadows; their true colours "
        "are not in the map, so the answer has others, and mixes them within a shape. Edges are soft still."
    ),
    "regression": (
        "the label map, the answer, the scene. The map says neither the light nor the colours, and the safest answer "
        "to all that may be is grey: what the judge of `pix2pix` does not let pass."
    ),
    "cyclegan": (
        "a scene by day, the same in neon as the model sees it; another in neon, and that by day. Shapes stay, with "
        "most of their colours, and the light changes; stripes get lost, outlines stay outlines now and then, and a "
        "fine grid is left."
    ),
    "bicyclegan": (
        "the outlines, four answers by four codes, the scene. Codes choose light and colours, by day or by night; some "
        "answers still fall apart into specks."
    ),
    "instagan": (
        "a scene of discs, its discs as stars; one of stars, its stars as discs. The ground stays, and each thing "
        "keeps its place and much of its colour; at 32 pixels stars have ragged edges rather than five tips."
    ),
    "rbdn": (
        "the label map, the answer, the scene. Where things are is known; their colours and the light are not, so the "
        "squared error settles on the mean of all, a grey: what the judge of `pix2pix` does not let pass."
    ),
    "stargan": (
        "a picture, and the same asked to be red, orange, yellow, green, teal and blue. Every one obeys, and ground, "
        "size and stripes stay; shapes bend, for they are no attribute, and only the way back asks for them."
    ),
    "srgan": (
        "the small picture, what became of it at four times its side, the truth. Edges are sharp again; corners and "
        "tips are a little rounder than they were."
    ),
}
"""What a person sees in a translator's picture: its columns, and what is good or bad about them."""
ROWS = 6  # of a translator's picture


def draw(name: str) -> None:
    """Train and keep the pictures of one run."""
    model = name.partition("-")[0]
    with tempfile.TemporaryDirectory() as out:
        if name == "demo":
            run = ganforge.train("dcgan", outdir=out)
            shutil.copy(run.path / "losses.png", PICTURES / "demo-losses.png")
            shrink(run.path / "samples" / "training.gif", PICTURES / "demo.gif")
            enlarge(grid(to_uint8(run.sample(64)), columns=8), "demo-grid")
            return
        data = {} if "translate" in capabilities(find(model).game) else {"data": "fashion-mnist"}
        run = ganforge.train(model, outdir=out, **{**data, **RUNS.get(name, {})})
        enlarge(picture_of(run), name)


def picture_of(run: ganforge.Trained) -> np.ndarray:
    """What a page shows of a run."""
    can = capabilities(type(run.game))
    if "traverse" in can:
        return read(ganforge.traverse(run.path, rows=2)[0])
    if "sample" not in can:
        columns = translations(run)
        return grid([row for rows in zip(*columns, strict=True) for row in rows], columns=len(columns))
    if "label" in {question.name for question in can["sample"]} and run.facts.labels:
        rows = [run.sample(16, seed=k, label=name) for k, name in enumerate(run.facts.labels)]
        return grid(to_uint8(torch.cat(rows)), columns=16)
    return grid(to_uint8(run.sample(64)), columns=16)


def translations(run: ganforge.Trained) -> list[np.ndarray]:
    """Columns of pictures (ROWS, H, W, 3) of 0 ... 255: held-out sources, answers and, where it is known, the truth."""
    card, batch_type = RunFolder.open(run.path).card, type(run.game).batch_type
    settings = replace(run_of(card), batch=ROWS, crop=False, flip=False)
    held_out = opened_data(card.data["asked"], settings, None, batch_type, reading_of(card), held_out=True)
    batch = vars(BatchLoader(held_out, batch_type, settings).batch(0))
    if "source" in batch:
        n = 4 if run.model == "bicyclegan" else 1
        shown = [batch["source"], *(run.translate(batch["source"], seed=k) for k in range(n)), batch["target"]]
    elif "a" in batch:
        there, back = (run.translate(batch[k], masks=batch.get(f"{k}_masks"), reverse=k == "b") for k in "ab")
        shown = [batch["a"], there, batch["b"], back]
    elif labels := labels_of(run.game):
        shown = [batch["images"], *(run.translate(batch["images"], to=name) for name in labels[:6])]
    else:
        low = bicubic(batch["images"], 1 / run.game.config.scale)  # pyright: ignore
        shown = [low, run.translate(low), batch["images"]]
    size = shown[-1].shape[2:]
    return [
        np.stack([recolour(p, 3) for p in to_uint8(column.repeat_interleave(size[0] // column.shape[2], 2)
                                                   .repeat_interleave(size[1] // column.shape[3], 3))])
        for column in shown
    ]  # fmt: skip


def caption(name: str) -> list[str]:
    """What a picture shows, and how long was learned for it; nothing where SEEN has no word about it."""
    if name not in SEEN:
        return []
    options, model = RUNS.get(name, {}), find(name.partition("-")[0])
    preset = options.get("preset", "small")
    steps = options.get("steps", model.preset(preset).run.steps)
    where = options.get("data") or embedded(model.game.batch_type.columns())
    made = f" with `--make {options['make']}`" if "make" in options else ""
    return [f"Held-out pictures of `{where}`{made} after {steps:,} rounds of `{preset}`: {SEEN[name]}", ""]


def enlarge(picture: np.ndarray, name: str) -> None:
    """Keep a picture with every pixel repeated, so that a person sees it."""
    write(PICTURES / f"{name}.png", picture.repeat(2, 0).repeat(2, 1))


def draw_lab() -> None:
    """The lab's pictures: a moment of a training on the line, gradients, the mode contest."""
    style.save(lab.density("mixture").figure(15), PICTURES / "lab-density.png")
    slopes = lab.gradients()
    style.save(slopes.starving.figure(), PICTURES / "lab-starving.png")
    style.save(slopes.clipping.figure(), PICTURES / "lab-clipping.png")
    with tempfile.TemporaryDirectory() as out:
        contest = lab.modes(out)
    style.save(contest.figure(), PICTURES / "lab-modes.png")
    print(contest.table())


def shrink(film: Path, target: Path) -> None:
    """Every other frame of an animation at half its side and in few colours: what a web page wants."""
    with Image.open(film) as frames:
        kept = [frame.convert("RGB") for k, frame in enumerate(ImageSequence.Iterator(frames)) if k % 2]
    half = (kept[0].width // 2, kept[0].height // 2)
    small = [frame.resize(half, Image.Resampling.BOX).quantize(48, dither=Image.Dither.NONE) for frame in kept]
    pace = [300] * (len(small) - 1) + [2500]
    small[0].save(target, save_all=True, append_images=small[1:], duration=pace, loop=0, optimize=True)


def page(model: Model) -> str:
    """The page of a model: its docstring, its settings with what they mean, its pictures."""
    head, _, rest = model.about.partition("\n")
    lines = [f"# {head.partition(':')[0]}", "", f"*{head.partition(':')[2].strip().rstrip('.')}.*", ""]
    for paragraph in rest.strip().split("\n\n"):
        formula = paragraph.startswith("    ")
        lines += ["```", inspect.cleandoc(paragraph), "```", ""] if formula else [paragraph, ""]
    for picture in [*PICTURES.glob(f"{model.name}.png"), *sorted(PICTURES.glob(f"{model.name}-*.png"))]:
        lines += [f"![{picture.stem}](../pictures/{picture.name})", "", *caption(picture.stem)]
    lines += ["## Settings", "", "| `--config.` | " + " | ".join(model.presets) + " | meaning |"]
    lines += ["|---|" + "---|" * (len(model.presets) + 1)]
    meanings = documented(model.game.Config)
    for setting in fields(model.game.Config):
        values = " | ".join(str(getattr(p.config, setting.name)) for p in model.presets.values())
        lines.append(f"| `{setting.name}` | {values} | {meanings.get(setting.name, '')} |")
    lines += ["", f"The lesson, with formulas, drawings and layers: [{model.name}.html](../explain/{model.name}.html),"]
    lines += [f"or `ganforge explain {model.name}`."]
    lines += ["", f"The file: [src/ganforge/models/{model.name}.py](../../src/ganforge/models/{model.name}.py)", ""]
    return "\n".join(lines)


def documented(config: type) -> dict[str, str]:
    """{field: the string below it} of a Config."""
    found, last = {}, ""
    for line in inspect.getsource(config).splitlines():
        text = line.strip()
        if text.startswith('"""') and last:
            found[last], last = text.strip('"').strip(), ""
        elif ":" in text and text.partition(":")[0].isidentifier():
            last = text.partition(":")[0]
    return found


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for wanted in sys.argv[1:]:
        draw_lab() if wanted == "lab" else draw(wanted)
    for name in names():
        (PAGES / f"{name}.md").write_text(page(find(name)), encoding="utf-8")
        ganforge.explain(name, html=LESSONS / f"{name}.html")
