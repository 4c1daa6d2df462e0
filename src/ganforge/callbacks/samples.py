"""Images of the same latents, or of the same sources, as training progresses: grids, and an animation at the end.

samples/step-000001000.png   the images of latents 0 ... 63 of seed 0; for translators see translations.py
samples/reals.png            as many images of the data
samples/frames/              the first images of the grid, written more often: the frames of the animation
samples/training.gif         the animation
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganforge.callbacks.translations import TranslationGrid
from ganforge.capabilities import capabilities, text_questions
from ganforge.engine import Callback, Engine
from ganforge.images import enlarge, grid, read, to_uint8, visible_channels, write, write_gif
from ganforge.inference.inference_mode import sample_batches

SEED = 0
GRID_ROWS, FRAME_ROWS = 8, 4  # rows of a grid, and of a frame of the animation
FRAMES = 40
SIDE = 96  # pixels: smaller images are enlarged in the animation, so that they can be seen
SECONDS, HOLD = 6.0, 2.0  # how long the animation runs, and how long its last frame stays

GridListener = Callable[[int, np.ndarray], None]  # called with (step, grid)
ImageListener = Callable[[Engine, np.ndarray], None]  # called with the images of a grid, (n, H, W, C) of 0 ... 255
Renderer = Callable[[int], tuple[np.ndarray, int]]  # rows -> images (n, H, W, C) of 0 ... 255, and columns


class SampleGrids(Callback):
    """Writes grids and the animation of every game that can `sample` or `translate`; nothing for other games.

    Every grid is passed to `grid_listeners`; those of games that sample, as single images, to `image_listeners`.
    """

    def __init__(
        self,
        folder: Path,
        grid_listeners: Sequence[GridListener] = (),
        image_listeners: Sequence[ImageListener] = (),
    ) -> None:
        self.folder, self.frames = folder, folder / "frames"
        self.grid_listeners, self.image_listeners = grid_listeners, image_listeners

    def start(self, engine: Engine) -> None:
        """Draw the data and the untrained game; a resumed run deletes the frames that it will draw again."""
        self.render = choose_renderer(engine) if engine.run.sample_every > 0 else None
        self.frame_every = max(1, engine.run.steps // FRAMES)
        self.grid_at = self.frame_at = -1  # the step of the last grid and of the last frame
        for path in sorted(self.frames.glob("step-*.png")):
            if parse_step(path) > engine.step:
                path.unlink(missing_ok=True)
        if self.render and engine.step == 0:
            self.draw_reals(engine)
            self.draw(engine, sheet=True, frame=True)

    def after_step(self, engine: Engine) -> None:
        """Draw what is due at this step."""
        if self.render:
            self.draw(engine, sheet=engine.due(engine.run.sample_every), frame=engine.due(self.frame_every))

    def end(self, engine: Engine) -> None:
        """Draw the last grid and frame, and write the animation."""
        if self.render:
            self.draw(engine, sheet=self.grid_at != engine.step, frame=self.frame_at != engine.step)
            self.write_animation()

    def draw(self, engine: Engine, sheet: bool, frame: bool) -> None:
        """Write a grid, a frame of the animation, or both."""
        if self.render is None or not (sheet or frame):
            return
        name = f"step-{engine.step:09d}.png"
        images, columns = self.render(GRID_ROWS if sheet else FRAME_ROWS)
        if sheet:
            self.grid_at = engine.step
            whole = grid(images, columns)
            write(self.folder / name, whole)
            for listener in self.grid_listeners:
                listener(engine.step, whole)
            for listener in self.image_listeners if "sample" in capabilities(engine.game) else ():
                listener(engine, images)
        if frame:
            self.frame_at = engine.step
            if sheet:
                images, columns = self.render(FRAME_ROWS)
            write(self.frames / name, grid(enlarge(images, SIDE), columns, gap=4))

    def draw_reals(self, engine: Engine) -> None:
        """Write the first images of the run's batches, where its data has plain images."""
        if "images" in engine.game.batch_type.columns():
            batches = -(-(GRID_ROWS**2) // engine.run.batch)
            reals = torch.cat([engine.loader.batch(k, 0, 1).images for k in range(batches)])  # pyright: ignore
            write(self.folder / "reals.png", grid(visible_channels(to_uint8(reals[: GRID_ROWS**2]))))

    def write_animation(self) -> None:
        """Write the animation: at most 40 frames, evenly spread over the training so far."""
        paths = sorted(self.frames.glob("step-*.png"))
        steps = np.array([parse_step(path) for path in paths])
        targets = np.linspace(0, steps[-1], min(FRAMES, len(paths)))
        chosen = sorted({int(np.abs(steps - step).argmin()) for step in targets})
        frames = [read(paths[k]) for k in chosen]
        seconds = min(0.5, max(0.1, SECONDS / len(frames)))
        # Equal frames in a row become one that is shown longer.
        write_gif(self.folder / "training.gif", frames + frames[-1:] * round(HOLD / seconds), seconds)


def choose_renderer(engine: Engine) -> Renderer | None:
    """The function that draws the images of a grid with so many rows; None where the game cannot draw any."""
    can = capabilities(engine.game)
    if "sample" in can:
        return lambda rows: (generate_images(engine, rows**2), rows)
    translations = TranslationGrid(engine) if "translate" in can else None
    return translations.render if translations and translations.can_translate else None


def generate_images(engine: Engine, n: int) -> np.ndarray:
    """The first `n` images of the seed, (n, H, W, C) of 0 ... 255, in batches that fit a shard's memory."""
    answers = answer_questions(engine, n)

    def options(first: int, rows: int) -> dict[str, Any]:
        return {name: answer[first : first + rows] for name, answer in answers.items()}

    size = engine.run.batch // engine.shares
    batches = sample_batches(engine.averaged, n, SEED, engine.device, batch=size, options=options)
    # A game that has just diverged is stopped at the next log: until then NaN is drawn as grey.
    return np.concatenate([visible_channels(to_uint8(images.nan_to_num())) for images in batches])


def answer_questions(engine: Engine, n: int) -> dict[str, Tensor]:
    """The captions (n, T) of the first images that are trained on, where the game asks for a sentence."""
    names = text_questions(engine.game.sample)  # pyright: ignore[reportArgumentType]
    if not names or not hasattr(engine.loader.batch(0, 0, 1), "tokens"):
        return {}
    batches = range(-(-n // engine.run.batch))
    tokens = torch.cat([engine.loader.batch(number, 0, 1).tokens for number in batches])  # pyright: ignore
    return {names[0]: tokens[:n].to(engine.device)}


def parse_step(path: Path) -> int:
    """1000 of step-000001000.png."""
    return int(path.stem.removeprefix("step-"))
