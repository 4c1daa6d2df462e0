"""Writes the model pages and the images of the documentation, from the code and from training runs.

    python docs/draw.py                    write the pages and lessons of all models, and the table of metrics
    python docs/draw.py demo dcgan wgan    first train these and draw their images again (minutes each)

`demo` is `make demo`, `lab` the figures of docs/lab.md; a model's name trains it with the options in RUNS.
Fashion-MNIST is read from GANFORGE_DATA.
"""

import ast
import inspect
import shutil
import subprocess
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
from ganforge.capabilities import capabilities, labels_of, offers
from ganforge.catalogue import Model, file_of, find, names
from ganforge.data.loader import BatchLoader
from ganforge.data.places_sheet import draw_places
from ganforge.data.synthetic.choose import choose_embedded
from ganforge.data.synthetic.shapes import COLOURS, HELD_OUT
from ganforge.data.synthetic.signed_distance import KINDS
from ganforge.evaluation.score import SMOOTH, smooth_maps
from ganforge.evaluation.score_items import list_drawn
from ganforge.evaluation.score_page import paint_heat
from ganforge.images import enlarge, grid, read, recolour, to_uint8, write
from ganforge.images.figure import save
from ganforge.inference.layouts import to_boxes
from ganforge.inference.place_jobs import draw_layout
from ganforge.metrics.catalogue import write_table
from ganforge.nn.bicubic import bicubic
from ganforge.runs.folder import RunFolder, read_options_of, run_of
from ganforge.training.plan import open_training_data

HERE = Path(__file__).parent
PICTURES, PAGES, LESSONS = HERE / "pictures", HERE / "models", HERE / "explain"
RUNS: dict[str, dict[str, Any]] = {
    "dcgan": {"data": "fashion-mnist", "preset": "pytorch", "size": (32,), "batch": 64, "epochs": 10},
    "dcgan-chapter": {"data": "fashion-mnist", "preset": "chapter", "epochs": 10},
    "cgan": {"channels": 1},
    "infogan-digits": {"data": "shapes-digits"},
    "bicyclegan": {"data": "shapes-edges"},
    "stargan": {"data": "shapes-attributes"},
    "r3gan": {"data": "shapes-attributes"},
    "stylegan2": {"data": "shapes"},
}
"""Training options of a model's image, where they differ from `ganforge train NAME` on Fashion-MNIST.

The image is a traversal for games with codes, a row for each class for games with classes, a row for each kind and a
column for each colour for games of sentences, and held-out images with their outputs for games that translate.
"""
CAPTIONS: dict[str, str] = {
    "pix2pix": (
        "label map, output, target. Shapes are where the map has them, with shadows; their colours are not in the map, "
        "so the output has others, and mixes them within a shape. Edges are still soft."
    ),
    "regression": (
        "label map, output, target. The map determines neither light nor colours, and the prediction with the least "
        "expected error is grey, which the discriminator of `pix2pix` rejects."
    ),
    "cyclegan": (
        "a scene by day, its translation to neon; a scene in neon, its translation to day. Shapes are kept, with most "
        "of their colours, and the light changes; stripes get lost, outlines sometimes stay outlines, and a fine grid "
        "remains."
    ),
    "bicyclegan": (
        "outlines, four outputs by four codes, target. The codes control light and colours, by day or by night; some "
        "outputs still have specks."
    ),
    "instagan": (
        "a scene of discs, its translation to stars; a scene of stars, its translation to discs. The background is "
        "kept, and each instance keeps its place and much of its colour; at 32 pixels stars have ragged edges rather "
        "than five tips."
    ),
    "rbdn": (
        "label map, output, target. Positions are known; colours and light are not, so the squared error leads to the "
        "mean of all, a grey, which the discriminator of `pix2pix` rejects."
    ),
    "stargan": (
        "an image, and its translations to red, orange, yellow, green, teal and blue. All have the requested colour; "
        "background, size and stripes are kept; shapes are distorted, because they are no attribute and only the "
        "reconstruction loss preserves them."
    ),
    "spade": (
        "label map, four outputs by four codes, true image. Shapes and grounds are where the map has them, and "
        "the codes give the shapes other colours; the ground differs little between codes, stripes are missing, some "
        "shapes have two colours, and edges are a little soft."
    ),
    "spade-edit": (
        "label map, output, the map with a circle painted into it, its output by the same code, true image. The circle "
        "has a colour of its own or that of another shape; around it the ground changes a little, and everything else "
        "stays as it is."
    ),
    "lostgan": (
        "layouts, three outputs by three seeds. Every object is in its box, and nearly all can be recognised; colours "
        "follow the codes, not the layout. Edges are soft, striped objects are missing, and some grounds are light in "
        "one part and dark in another."
    ),
    "lostgan-moves": (
        "a layout whose flower moves three times, and the outputs by one seed. The flower keeps its colours and the "
        "other objects stay as they are; the ground behind its old place is filled in."
    ),
    "f_anogan": (
        "from above an image, what the generator draws of it, the heat map, the flaw. Every flaw can be seen in its "
        "map. The generator does not always draw the weave where it is, so that sound cloth has some heat as well."
    ),
    "srgan": (
        "low-resolution image, output at four times its side, target. Edges are sharp; corners and tips are a little "
        "rounder than in the target."
    ),
}
"""Captions of the images of games that translate: the columns, and their quality."""
SOUND_SHOWN, STRANGE_SHOWN, BRIGHTEST = 3, 9, 0.995  # of the image of a game that scores: images, share of pixels
PAINTED, BLOB = (
    "circle",
    0.3,
)  # the region that is painted into label maps, and the radius of the blob, of half an image
BLOBS = ((-0.2, 0.45), (0.55, 0.45), (0.6, 0.5))  # their places, x and y from -1 to 1
EDITS = ({"dark": 3.0}, {"large": 4.0}, {"pink": 3.0})  # of the image of a game that inverts
ROWS = 6  # of the image of a game that translates
MOVED, MOVE = 2, ("flower", "0.05,0.16")  # the layout of the strip, and the object that moves three times


def draw_run(name: str) -> None:
    """Train a run and save its images."""
    model = name.partition("-")[0]
    with tempfile.TemporaryDirectory() as out:
        if name == "demo":
            run = run_demo(out)
            shutil.copy(run.path / "losses.png", PICTURES / "demo-losses.png")
            shrink(run.path / "samples" / "training.gif", PICTURES / "demo.gif")
            save_enlarged(grid(to_uint8(run.sample(64)), columns=8), "demo-grid")
            return
        game = find(model).game
        own = "translate" in capabilities(game) or "tokens" in game.batch_type.columns()
        data = {} if own else {"data": "fashion-mnist"}
        run = ganforge.train(model, outdir=out, **{**data, **RUNS.get(name, {})})
        draw_trained(run, name)


def run_demo(out: str) -> ganforge.Trained:
    """The run of the command that `make demo` types."""
    root = HERE.parent
    said = subprocess.run(["make", "-n", "demo"], cwd=root, check=True, capture_output=True, text=True).stdout
    subprocess.run([*said.splitlines()[-1].split(), "--outdir", out], cwd=root, check=True)
    return ganforge.load(next(Path(out).iterdir()))


def draw_trained(run: ganforge.Trained, name: str) -> None:
    """Save the images of a run."""
    columns = type(run.game).batch_type.columns()
    if "boxes" in columns:
        draw_layouts(run, name)
    elif offers(run.game, "score"):
        write(PICTURES / f"{name}.png", render_strange(run))
    else:
        save_enlarged(render_run(run), name)
    if "label_map" in columns:
        save_enlarged(render_edit(run), f"{name}-edit")


def render_run(run: ganforge.Trained) -> np.ndarray:
    """The image of a run on its page, (H, W, C) of 0 ... 255."""
    can = capabilities(run.game)
    if "traverse" in can:
        return read(ganforge.traverse(run.path, rows=2)[0])
    if "sample" not in can:
        columns = edit_held_out(run) if "edit" in can else translate_held_out(run)
        return grid([row for rows in zip(*columns, strict=True) for row in rows], columns=len(columns))
    if "label" in {question.name for question in can["sample"]} and run.game.labelled and run.facts.labels:
        rows = [run.sample(16, seed=k, label=name) for k, name in enumerate(run.facts.labels)]
        return grid(to_uint8(torch.cat(rows)), columns=16)
    if "text" in {question.name for question in can["sample"]} and run.tokeniser is not None:
        says = [f"there is a {colour} {kind}" for kind in KINDS for colour in COLOURS]
        return grid(to_uint8(run.sample(len(says), text=says)), columns=len(COLOURS))
    return grid(to_uint8(run.sample(64)), columns=16)


def draw_layouts(run: ganforge.Trained, name: str) -> None:
    """Save two images of a run: held-out layouts above outputs of three seeds, and a strip of one box that moves."""
    batch = read_held_out(run)
    columns = {column: batch[column] for column in ("boxes", "box_labels")}
    layouts = [to_boxes(boxes, labels, run.facts) for boxes, labels in zip(*columns.values(), strict=True)]
    above = [draw_layout(layout, run.facts) for layout in layouts]
    outputs = [to_uint8(run.translate_columns(columns, seed=seed)) for seed in range(3)]
    rows = [*above, *(enlarge(image, len(above[0])) for images in outputs for image in images)]
    write(PICTURES / f"{name}.png", grid(rows, columns=ROWS))
    ganforge.rearrange(run, layouts[MOVED], PICTURES / f"{name}-moves.png", move=MOVE * 3)


def render_edit(run: ganforge.Trained) -> np.ndarray:
    """A row for each held-out map: it, its output, the map with a blob of another region painted in, its output, truth.

    Both outputs have one seed.
    """
    batch = read_held_out(run)
    before = {name: batch[name] for name in ("label_map", "instance_map")}
    after = {name: maps.clone() for name, maps in before.items()}
    down, across = torch.meshgrid(
        *(torch.linspace(-1, 1, side) for side in before["label_map"].shape[1:]), indexing="ij"
    )
    for row, (x, y) in enumerate(BLOBS):
        blob = (across - x).square() + (down - y).square() < BLOB**2
        after["label_map"][row, blob] = run.facts.regions.index(PAINTED)
        after["instance_map"][row, blob] = before["instance_map"][row].max() + 1
    columns = []
    for maps in (before, after):
        output = run.translate(maps["label_map"], instance_map=maps["instance_map"], seed=3)
        columns += [draw_places(maps, run.facts), to_uint8(output)]
    rows = zip(*columns, to_uint8(batch["images"]), strict=True)
    return grid([image for row in [*rows][: len(BLOBS)] for image in row], columns=5)


def render_strange(run: ganforge.Trained) -> np.ndarray:
    """Held-out images, in columns: image, what the generator draws of it where a game says so, heat map, flaw.

    The maps have one scale, to the heat that a share of BRIGHTEST of the pixels does not exceed; the first SOUND_SHOWN
    images have no flaw.
    """
    items = [*list_drawn(run, HELD_OUT, 100)]
    sound, strange = ([item for item in items if item.strange is flawed] for flawed in (False, True))
    shown = [*sound[:SOUND_SHOWN], *strange[:STRANGE_SHOWN]]
    images = torch.cat([item.image for item in shown])
    maps = smooth_maps(run.heat(images), SMOOTH)[:, 0].numpy()
    drawn = [to_uint8(run.translate(images))] if "translate" in capabilities(run.game) else []
    heat = [paint_heat(one, float(np.quantile(maps, BRIGHTEST)), one.shape) for one in maps]
    flaws = [np.repeat(item.mask[..., None], 3, -1).astype(np.uint8) * 255 for item in shown if item.mask is not None]
    rows = [recolour(image, 3) for column in (to_uint8(images), *drawn, heat, flaws) for image in column]
    return grid([enlarge(image, 3 * images.shape[2]) for image in rows], columns=len(shown))


def read_held_out(run: ganforge.Trained) -> dict[str, Any]:
    """The columns of the first ROWS held-out rows of a run's data."""
    run_config, batch_type = RunFolder.open(run.path).run_config, type(run.game).batch_type
    settings = replace(run_of(run_config), batch=ROWS, crop=False, flip=False)
    held_out = open_training_data(
        run_config.data["asked"], settings, None, batch_type, read_options_of(run_config), held_out=True
    )
    return vars(BatchLoader(held_out, batch_type, settings).batch(0))


def translate_held_out(run: ganforge.Trained) -> list[np.ndarray]:
    """Columns of images (ROWS, H, W, 3) of 0 ... 255: held-out sources, outputs and, where they are known, targets."""
    batch = read_held_out(run)
    if "source" in batch:
        n = 4 if run.model == "bicyclegan" else 1
        shown = [batch["source"], *(run.translate(batch["source"], seed=k) for k in range(n)), batch["target"]]
    elif "label_map" in batch:
        columns = {name: batch[name] for name in ("label_map", "instance_map")}
        shown = [run.translate(columns["label_map"], instance_map=columns["instance_map"], seed=k) for k in range(4)]
        return [draw_places(columns, run.facts), *(to_uint8(each) for each in (*shown, batch["images"]))]
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


def edit_held_out(run: ganforge.Trained) -> list[np.ndarray]:
    """Columns of images (ROWS, H, W, 3) of 0 ... 255: held-out photographs, their reconstructions, and edits."""
    found = run.invert(photographs := read_held_out(run)["images"])
    ganforge.directions(run, components=0, factors=0)
    edited = [[run.edit(one, edit) for one in found] for edit in EDITS]
    return [to_uint8(column) for column in (photographs, *(run.decode(codes) for codes in (found, *edited)))]


def format_caption(name: str) -> list[str]:
    """The caption of an image, with the length of its training; empty where CAPTIONS has none."""
    if name not in CAPTIONS:
        return []
    options, model = RUNS.get(name, {}), find(name.partition("-")[0])
    preset = options.get("preset", "small")
    steps = options.get("steps", model.preset(preset).run.steps)
    data = options.get("data") or choose_embedded(model.game)
    make = f" with `--make {options['make']}`" if "make" in options else ""
    return [f"Held-out images of `{data}`{make} after {steps:,} steps of `{preset}`: {CAPTIONS[name]}", ""]


def save_enlarged(image: np.ndarray, name: str) -> None:
    """Save an image at twice its size, every pixel repeated."""
    write(PICTURES / f"{name}.png", image.repeat(2, 0).repeat(2, 1))


def draw_lab() -> None:
    """Draw the figures of docs/lab.md: one step of a one-dimensional GAN, gradients, mode coverage."""
    save(lab.density("mixture").figure(15), PICTURES / "lab-density.png")
    slopes = lab.gradients()
    save(slopes.starving.figure(), PICTURES / "lab-starving.png")
    save(slopes.clipping.figure(), PICTURES / "lab-clipping.png")
    with tempfile.TemporaryDirectory() as out:
        contest = lab.modes(out)
    save(contest.figure(), PICTURES / "lab-modes.png")
    print(contest.table())


def shrink(film: Path, target: Path) -> None:
    """Save every other frame of an animation at half its size and in few colours, for a web page."""
    with Image.open(film) as frames:
        kept = [frame.convert("RGB") for k, frame in enumerate(ImageSequence.Iterator(frames)) if k % 2]
    half = (kept[0].width // 2, kept[0].height // 2)
    small = [frame.resize(half, Image.Resampling.BOX).quantize(48, dither=Image.Dither.NONE) for frame in kept]
    pace = [300] * (len(small) - 1) + [2500]
    small[0].save(target, save_all=True, append_images=small[1:], duration=pace, loop=0, optimize=True)


def format_page(model: Model) -> str:
    """The Markdown page of a model: its docstring, its images, and its settings with their meanings."""
    head, _, rest = model.about.partition("\n")
    lines = [f"# {head.partition(':')[0]}", "", f"*{head.partition(':')[2].strip().rstrip('.')}.*", ""]
    for paragraph in rest.strip().split("\n\n"):
        formula = paragraph.startswith("    ")
        lines += ["```", inspect.cleandoc(paragraph), "```", ""] if formula else [paragraph, ""]
    for image in [*PICTURES.glob(f"{model.name}.png"), *sorted(PICTURES.glob(f"{model.name}-*.png"))]:
        lines += [f"![{image.stem}](../pictures/{image.name})", "", *format_caption(image.stem)]
    lines += ["## Settings", "", "| `--config.` | " + " | ".join(model.presets) + " | meaning |"]
    lines += ["|---|" + "---|" * (len(model.presets) + 1)]
    meanings = parse_field_docs(model.game.Config)
    for setting in fields(model.game.Config):
        values = " | ".join(str(getattr(p.config, setting.name)) for p in model.presets.values())
        lines.append(f"| `{setting.name}` | {values} | {meanings.get(setting.name, '')} |")
    lines += ["", f"The lesson, with formulas, diagrams and layers: [{model.name}.html](../explain/{model.name}.html),"]
    lines += [f"or `ganforge explain {model.name}`."]
    file = file_of(model.name)
    what, path = ("folder", file.parent) if file.name == "__init__.py" else ("file", file)
    where = path.relative_to(HERE.parent).as_posix()
    lines += ["", f"The {what}: [{where}](../../{where})", ""]
    return "\n".join(lines)


def parse_field_docs(config: type) -> dict[str, str]:
    """{field: the docstring below it} of a Config, as one line."""
    found, last = {}, ""
    for node in ast.parse(inspect.cleandoc(inspect.getsource(config))).body[0].body:  # pyright: ignore
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and last:
            found[last], last = " ".join(str(node.value.value).split()), ""
    return found


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for target in sys.argv[1:]:
        draw_lab() if target == "lab" else draw_run(target)
    for name in names():
        (PAGES / f"{name}.md").write_text(format_page(find(name)), encoding="utf-8")
        ganforge.explain(name, html=LESSONS / f"{name}.html")
    write_table(HERE / "metrics.md")
