"""Write samples, interpolations and traversals of a run to files."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from ganforge.capabilities import text_questions
from ganforge.data.value_range import to_units
from ganforge.errors import RunError
from ganforge.files import reason, replacing
from ganforge.images import (
    Depth,
    can_write,
    enlarge,
    grid,
    lossless_suffix,
    recolour,
    to_depth,
    to_uint8,
    video,
    visible_channels,
    write,
    write_gif,
)
from ganforge.inference.answers import rows_of
from ganforge.inference.load import RunLike, load
from ganforge.inference.trained import Trained

ANIMATED = 128  # pixels: smaller images are enlarged in an animation
FRAME = Fraction(2, 25)  # seconds of a frame


def sample(
    run: RunLike,
    n: int = 64,
    seed: int = 0,
    out: str | Path = "",
    *,
    batch: int = 64,
    depth: Depth = "8",
    upscale: RunLike = "",
    trust: bool = False,
    **answers: Any,
) -> Path:
    """Write `n` samples of a run to `out`: a grid (.png, .webp ...), an array (.npz) or a folder of single files.

    Without `out`: `samples/sample-seed0.png` in the run folder.  `depth` is the bit depth written: 8 or 16 bits, or
    floats: in the units of the data if these are scientific images, else in [-1, 1].  Single files are .png, or .npy
    for what PNG cannot hold: floats, more than four channels, and 16 bits in colour.  With the libraries of
    high_bit_depth.py they may be TIFFs (.tif).  `upscale` is a second run that translates the images, an upsampler;
    where it reads sentences too, it gets the same.  `trust` runs the code of a model that was not trained here.
    Returns the path written.

    Raises DataError for a grid in a format that cannot hold the depth.
    """
    trained = last = load(run, trust=trust)
    target = Path(out) if str(out) else trained.path / "samples" / f"sample-seed{seed}.png"
    if str(upscale):
        last = load(upscale, trust=trust)
        texts = text_questions(trained.game.sample) if hasattr(trained.game, "sample") else []  # pyright: ignore
        if texts and trained.captions and answers.get(texts[0]) is None:
            answers[texts[0]] = [*trained.captions]  # both runs show the same
    made = trained.samples(n, seed, batch=batch, **answers)
    made = translate_samples(last, made, seed, answers) if str(upscale) else made
    batches = (to_depth(images, depth) for images in made)
    if depth == "float" and (span := last.range_out()):
        batches = (to_units(images, span) for images in batches)
    if target.suffix == ".npz":
        save_arrays(target, images=np.concatenate([*batches]))
    elif target.suffix:
        sheet = grid(np.concatenate([*batches]))
        write(target, sheet if can_write(target.suffix.lower(), sheet) else visible_channels(sheet))
    else:
        for number, image in enumerate(image for images in batches for image in images):
            write(target / f"{number:06d}{lossless_suffix(image)}", image)
    return target


def translate_samples(
    second: Trained, batches: Iterable[Tensor], seed: int, answers: Mapping[str, Any]
) -> Iterator[Tensor]:
    """Samples (n, C, H, W) translated by a second run, which gets the same sentences where it reads any."""
    second.require("translate")
    texts = text_questions(second.game.translate) if second.tokeniser is not None else []  # pyright: ignore
    first = 0
    for images in batches:
        own = {name: rows_of(answers.get(name), first, len(images)) for name in texts}
        yield second.translate_batches(images, seed, start=first, **own)
        first += len(images)


def interpolate(
    run: RunLike,
    out: str | Path = "",
    *,
    rows: int = 8,
    steps: int = 10,
    seed: int = 0,
    path: Literal["spherical", "linear"] = "spherical",
    between: tuple[int, ...] = (),
    space: Literal["latent", "code"] = "latent",
    trust: bool = False,
    **answers: Any,
) -> tuple[Path, Path]:
    """Interpolate between latents: a grid (one row per walk), and an animation that returns to its start.

    `between` holds the numbers of the seed's images to walk between, instead of the first ones.  `space` code: straight
    lines between the codes of the latents, of games that have codes; of the game's options only `truncation` counts
    there.  `out` names the grid; the animation is written beside it as .gif, or as .mp4 where `out` ends so.  Returns
    both paths.  Raises DataError for a video where PyAV is not installed.
    """
    ending = ".mp4" if Path(out).suffix.lower() == ".mp4" else ".gif"
    if ending == ".mp4":
        video.import_av()  # before anything is drawn
    trained = load(run, trust=trust)
    target = Path(out) if str(out) else trained.path / "samples" / f"interpolation-seed{seed}.png"
    if not target.suffix or target.suffix.lower() in (".gif", ".mp4"):
        target = target.with_suffix(".png")
    walk: Callable[..., Tensor] = partial(trained.interpolate, path=path, between=between, **answers)
    if space == "code":
        psi = answers.get("truncation")
        walk = partial(trained.interpolate_codes, between=between, truncation=1.0 if psi is None else psi)
    write(target, grid(visible_channels(to_uint8(walk(rows, steps, seed).flatten(0, 1))), columns=steps))
    around = walk(rows, steps + 1, seed, closed=True)[:, :-1]
    frames = enlarge(visible_channels(to_uint8(around.flatten(0, 1))), ANIMATED)
    animation = target.with_suffix(ending)
    write_walk(animation, list(frames))
    return target, animation


def write_walk(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Write the images of a walk, uint8 (H, W, C), as a GIF, or as a video where the path ends in .mp4."""
    if path.suffix == ".mp4":
        video.write(path, (recolour(frame, 3) for frame in frames), 1 / FRAME)
    else:
        write_gif(path, frames, float(FRAME))


def mix(
    run: RunLike,
    out: str | Path = "",
    *,
    coarse: tuple[int, ...] = (0, 1, 2),
    fine: tuple[int, ...] = (3, 4, 5, 6),
    layers: int = 0,
    seed: int = 0,
    trust: bool = False,
    **answers: Any,
) -> Path:
    """Write a table of mixed styles, of games that have codes: see `Trained.mix`.  Returns the path written."""
    trained = load(run, trust=trust)
    target = Path(out) if str(out) else trained.path / "samples" / f"mixing-seed{seed}.png"
    if not target.suffix:
        target = target.with_suffix(".png")
    table = trained.mix(coarse, fine, seed, layers=layers, **answers)
    write(target, grid(visible_channels(to_uint8(table.flatten(0, 1))), columns=table.shape[1]))
    return target


def traverse(
    run: RunLike,
    out: str | Path = "",
    *,
    rows: int = 1,
    steps: int = 10,
    seed: int = 0,
    trust: bool = False,
    **answers: Any,
) -> tuple[Path, tuple[str, ...]]:
    """Write a grid that shows the meaning of each code of the noise: one code varies from left to right.

    Every code has `rows` rows, each for another latent of the seed.  Returns the path and the names of the codes from
    top to bottom.
    """
    trained = load(run, trust=trust)
    target = Path(out) if str(out) else trained.path / "samples" / f"traversal-seed{seed}.png"
    if not target.suffix:
        target = target.with_suffix(".png")
    codes = trained.traverse(rows, steps, seed, **answers)
    columns = max(images.shape[1] for images in codes.values())
    sheets = []
    for images in codes.values():
        shown = to_uint8(images.flatten(0, 1))
        blank = np.full((columns - images.shape[1], *shown.shape[1:]), 255, shown.dtype)
        sheets += [np.concatenate([row, blank]) for row in np.split(shown, rows)]
    write(target, grid(np.concatenate(sheets), columns=columns))
    return target, (*codes,)


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an .npz file.  Raises RunError where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    except OSError as error:
        raise RunError(f"{path} cannot be written ({reason(error)}).") from error
