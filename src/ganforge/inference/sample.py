"""Write samples, interpolations and traversals of a run to files."""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from ganforge.errors import RunError
from ganforge.files import reason, replacing
from ganforge.images import Depth, grid, holds, lossless, stored, to_uint8, visible, write, write_gif
from ganforge.inference.load import load


def sample(
    run: str | Path,
    n: int = 64,
    seed: int = 0,
    out: str | Path = "",
    *,
    batch: int = 64,
    depth: Depth = "8",
    **answers: Any,
) -> Path:
    """Draw `n` pictures of a run into `out`: a grid (.png, .webp ...), an array (.npz) or a folder of single files.

    Without `out`: `samples/sample-seed0.png` in the run folder.  `depth` is that of the numbers written: 8 or 16
    bits, or the floats in [-1, 1] that the game made.  Single files are .png, or .npy for what PNG cannot hold:
    floats, more than four channels, and 16 bits in colour without the libraries of high_bit_depth.py, which
    write TIFFs (.tif) of anything, too.  Returns what was written.

    Raises DataError for a grid in a format that cannot hold the depth.
    """
    trained = load(run)
    target = Path(out) if str(out) else trained.path / "samples" / f"sample-seed{seed}.png"
    batches = (stored(pictures, depth) for pictures in trained.samples(n, seed, batch=batch, **answers))
    if target.suffix == ".npz":
        save_arrays(target, images=np.concatenate([*batches]))
    elif target.suffix:
        sheet = grid(np.concatenate([*batches]))
        write(target, sheet if holds(target.suffix.lower(), sheet) else visible(sheet))
    else:
        for number, picture in enumerate(picture for pictures in batches for picture in pictures):
            write(target / f"{number:06d}{lossless(picture)}", picture)
    return target


def interpolate(
    run: str | Path,
    out: str | Path = "",
    *,
    rows: int = 8,
    steps: int = 10,
    seed: int = 0,
    path: Literal["spherical", "linear"] = "spherical",
    **answers: Any,
) -> tuple[Path, Path]:
    """A walk between latents, as a grid (one row a walk) and as an animation that returns to where it began.

    `out` names the grid; the animation lies beside it as .gif.  Returns both.
    """
    trained = load(run)
    target = Path(out) if str(out) else trained.path / "samples" / f"interpolation-seed{seed}.png"
    if not target.suffix or target.suffix == ".gif":
        target = target.with_suffix(".png")
    walk = trained.interpolate(rows, steps, seed, path=path, **answers)
    write(target, grid(visible(to_uint8(walk.flatten(0, 1))), columns=steps))
    around = trained.interpolate(rows, steps + 1, seed, path=path, closed=True, **answers)[:, :-1]
    frames = [enlarged(picture) for picture in visible(to_uint8(around.flatten(0, 1)))]
    write_gif(target.with_suffix(".gif"), frames, 0.08)
    return target, target.with_suffix(".gif")


def traverse(
    run: str | Path, out: str | Path = "", *, rows: int = 1, steps: int = 10, seed: int = 0, **answers: Any
) -> tuple[Path, tuple[str, ...]]:
    """What each code of a run's noise stands for, as a grid: from left to right one code varies, all else stays.

    Every code has `rows` rows, each about another latent of the seed.  Returns the grid and the names of the codes
    from the top down.
    """
    trained = load(run)
    target = Path(out) if str(out) else trained.path / "samples" / f"traversal-seed{seed}.png"
    if not target.suffix:
        target = target.with_suffix(".png")
    codes = trained.traverse(rows, steps, seed, **answers)
    columns = max(pictures.shape[1] for pictures in codes.values())
    sheets = []
    for pictures in codes.values():
        shown = to_uint8(pictures.flatten(0, 1))
        blank = np.full((columns - pictures.shape[1], *shown.shape[1:]), 255, shown.dtype)
        sheets += [np.concatenate([row, blank]) for row in np.split(shown, rows)]
    write(target, grid(np.concatenate(sheets), columns=columns))
    return target, (*codes,)


def enlarged(picture: np.ndarray, least: int = 128) -> np.ndarray:
    """A small picture with every pixel repeated, so that a person sees it."""
    times = max(1, -(-least // min(picture.shape[:2])))
    return picture.repeat(times, 0).repeat(times, 1)


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write an .npz file.  Raises RunError where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    except OSError as error:
        raise RunError(f"{path} cannot be written ({reason(error)}).") from error
