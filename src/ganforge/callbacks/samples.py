"""Pictures of the same latents, or of the same sources, as training goes on: grids, and an animation at the end.

samples/step-000001000.png   the pictures of latents 0 ... 63 of seed 0; or of a translator, see translations.py
samples/reals.png            as many of the data
samples/frames/              the first of them, more often: what the animation is made of
samples/training.gif         the animation
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ganforge.callbacks.translations import Translations
from ganforge.capabilities import capabilities
from ganforge.draw import RowDraw
from ganforge.engine import Callback, Engine
from ganforge.images import grid, read, to_uint8, visible, write, write_gif
from ganforge.inference.inference_mode import inference_mode

SEED = 0
SHEET, SCENE = 8, 4  # rows of a grid, and of a frame of the animation
FRAMES = 40
SIDE = 96  # pixels: smaller pictures are enlarged in the animation, so that a person sees them
SECONDS, HOLD = 6.0, 2.0  # how long the animation runs, and how long its last frame stays

Show = Callable[[int, np.ndarray], None]  # told (step, grid)
Shown = Callable[[int], tuple[np.ndarray, int]]  # rows -> pictures (n, H, W, C) of 0 ... 255, and columns
Look = Callable[[Engine, np.ndarray], None]  # told the pictures of a grid, (n, H, W, C) of 0 ... 255


class Samples(Callback):
    """Draws the grids and the animation of every game that can `sample` or `translate`; others have nothing to show."""

    def __init__(self, folder: Path, shows: Sequence[Show] = (), looks: Sequence[Look] = ()) -> None:
        self.folder, self.frames, self.shows, self.looks = folder, folder / "frames", shows, looks

    def start(self, engine: Engine) -> None:
        """The data and the untrained game; a resumed run drops the frames that it will play again."""
        self.shown = shown_by(engine) if engine.run.sample_every > 0 else None
        self.between = max(1, engine.run.steps // FRAMES)
        self.sheet_at = self.frame_at = -1  # the round of the last grid and of the last frame
        for path in sorted(self.frames.glob("step-*.png")):
            if step_of(path) > engine.step:
                path.unlink(missing_ok=True)
        if self.shown and engine.step == 0:
            self.draw_reals(engine)
            self.draw(engine, sheet=True, frame=True)

    def round(self, engine: Engine) -> None:
        """What is due."""
        if self.shown:
            self.draw(engine, sheet=engine.due(engine.run.sample_every), frame=engine.due(self.between))

    def end(self, engine: Engine) -> None:
        """The last pictures, and the animation."""
        if self.shown:
            self.draw(engine, sheet=self.sheet_at != engine.step, frame=self.frame_at != engine.step)
            self.animate()

    def draw(self, engine: Engine, sheet: bool, frame: bool) -> None:
        """Write a grid, a frame of the animation, or both."""
        if self.shown is None or not (sheet or frame):
            return
        name = f"step-{engine.step:09d}.png"
        pictures, columns = self.shown(SHEET if sheet else SCENE)
        if sheet:
            self.sheet_at = engine.step
            whole = grid(pictures, columns)
            write(self.folder / name, whole)
            for show in self.shows:
                show(engine.step, whole)
            for look in self.looks if "sample" in capabilities(type(engine.game)) else ():
                look(engine, pictures)
        if frame:
            self.frame_at = engine.step
            if sheet:
                pictures, columns = self.shown(SCENE)
            write(self.frames / name, enlarged(pictures, columns))

    def draw_reals(self, engine: Engine) -> None:
        """Write the first pictures that the run will be dealt, where its data is pictures alone."""
        if "images" in engine.game.batch_type.columns():
            batches = -(-(SHEET**2) // engine.run.batch)
            dealt = torch.cat([engine.deck.batch(k, 0, 1).images for k in range(batches)])  # pyright: ignore
            write(self.folder / "reals.png", grid(visible(to_uint8(dealt[: SHEET**2]))))

    def animate(self) -> None:
        """Make the animation of at most 40 frames, evenly spread over the training so far."""
        paths = sorted(self.frames.glob("step-*.png"))
        steps = np.array([step_of(path) for path in paths])
        wanted = np.linspace(0, steps[-1], min(FRAMES, len(paths)))
        chosen = sorted({int(np.abs(steps - step).argmin()) for step in wanted})
        frames = [read(paths[k]) for k in chosen]
        seconds = min(0.5, max(0.1, SECONDS / len(frames)))
        # Equal frames in a row become one that is shown longer.
        write_gif(self.folder / "training.gif", frames + frames[-1:] * round(HOLD / seconds), seconds)


def shown_by(engine: Engine) -> Shown | None:
    """What makes the pictures of a grid with so many rows, and says its columns; None where a game shows nothing."""
    can = capabilities(type(engine.game))
    if "sample" in can:
        return lambda rows: (fakes(engine, rows**2), rows)
    translations = Translations(engine) if "translate" in can else None
    return translations.tiles if translations and translations.possible else None


def fakes(engine: Engine, n: int) -> np.ndarray:
    """The first `n` pictures of the seed, (n, H, W, C) of 0 ... 255, a share's batch at a time: that fits in memory."""
    rows = engine.run.batch // engine.shares
    pictures = []
    for first in range(0, n, rows):
        with inference_mode(engine.averaged) as game:
            game.draw = RowDraw(SEED, first, engine.device)
            drawn = game.sample(min(rows, n - first))  # pyright: ignore
            # A game that has just broken down is stopped at the next log: until then NaN is grey.
            pictures.append(visible(to_uint8(drawn.nan_to_num())))
    return np.concatenate(pictures)


def step_of(path: Path) -> int:
    """1000 of step-000001000.png."""
    return int(path.stem.removeprefix("step-"))


def enlarged(pictures: np.ndarray, columns: int, gap: int = 4) -> np.ndarray:
    """A grid of pictures set apart, every pixel repeated until they are large enough."""
    times = -(-SIDE // min(pictures.shape[1:3]))
    return grid(pictures.repeat(times, 1).repeat(times, 2), columns, gap)
