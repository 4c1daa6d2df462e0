"""The training doctor: detects common failures of GAN training and says what to try.

It reads only what the run produces anyway: the rows of the log, the images of the sample grids, and the generator's
gradients in the steps that are logged.  Each piece of advice is one line of doctor.jsonl, with the figure that caused
it.  Every threshold lies outside the range of healthy runs; the measurements are given beside it.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge import system
from ganforge.callbacks.log import log_error, mean_output
from ganforge.callbacks.progress_bar import probability
from ganforge.engine import Callback, Engine, Row
from ganforge.errors import NotFiniteError
from ganforge.game import parameters_of
from ganforge.images import to_uint8
from ganforge.inference.load import parse_run_address
from ganforge.runs.rows import append_rows, cut_rows, read_rows

REPEAT_AFTER = 1_000  # steps after which the same advice may be given again


# Good runs of DCGAN spend thousands of steps near D(x) = 0.9 and D(G(z)) = 0.1 and learn.  At 0.99 and 0.01 the
# discriminator makes no mistakes; a healthy run passes through this state and leaves it, so only a long stay counts.
CERTAIN, CERTAIN_ROWS = 0.99, 20  # a probability, rows of the log in a row


# Adam divides by the gradient's size plus 1e-8, so a smaller gradient changes little.  The smallest of healthy
# generators were 1e-2 a weight for DCGAN, 3e-4 for the first GAN, 3e-5 for WGAN with its clipped critic.
VANISHED, VANISHED_ROWS = 1e-8, 3  # root mean square over the weights, rows of the log in a row


# An untrained generator draws nearly the same image for every latent, so the first images do not count.  Healthy ones
# begin at 0.08 of the distance between real images and grow from there; a collapsed one ends near 0.
COLLAPSED, UNTRAINED, GRIDS = 0.05, 20_000, 2  # share of the real distance, images drawn, sample grids in a row


# Generated images lie farther from the nearest training image than training images do from theirs (1.4 to 3 times on
# the embedded shapes); an average of them all, the blurred image of a weak generator, still lies at 0.7 of that.
COPIED = 1 / 3  # share of the distance between real neighbours


# Saving, drawing and evaluating fall between rows of the log too, but not between several in a row, and they do not
# keep another program's share of the cores busy.
SLOWER, OTHERS, SLOW_ROWS = 5, 0.5, 3  # times the shortest step, cores, rows of the log in a row


REALS, SIDE = 512, 16  # real images to compare with, and the side they are reduced to


@dataclass(frozen=True)
class Advice:
    """One piece of advice, as stored in doctor.jsonl."""

    step: int
    cause: str
    says: str
    """The symptom, with its figure."""
    attempt: str
    """What to try."""

    def __str__(self) -> str:
        return f"{self.says} Try {self.attempt}."


class TrainingDoctor(Callback):
    """Watches a run for symptoms, and reports a symptom that lasts; silent on healthy runs."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path, self.say = path, say

    def start(self, engine: Engine) -> None:
        """Drop advice about steps that will be repeated, and hook the generators' optimisers."""
        kept = [advice for advice in read_advice(self.path) if advice.step <= engine.step]
        try:
            cut_rows(self.path, map(asdict, kept))
        except OSError as error:
            raise log_error(self.path, error) from error
        self.last_given = {advice.cause: advice.step for advice in kept}
        self.streaks: dict[str, int] = {}  # {cause: checks in a row that found the symptom}
        self.reals: Tensor | None = None
        self.gradients: dict[str, Tensor] = {}
        self.times, self.shortest = (engine.step, *measure_time()), math.inf
        self.end(engine)
        self.hooks = [
            engine.players[player].register_step_pre_hook(self.gradient_hook(engine, player))
            for player in generator_players(engine)
        ]

    def end(self, engine: Engine) -> None:
        """Remove the hooks."""
        for hook in getattr(self, "hooks", ()):
            hook.remove()

    def gradient_hook(self, engine: Engine, player: str) -> Callable[..., None]:
        """A hook that stores the size of a player's gradient before the optimiser steps, in steps that are logged."""

        def hook(optimiser: torch.optim.Optimizer, *_: Any) -> None:
            if (engine.step + 1) % engine.run.log_every == 0:
                gradients = [p.grad for p in parameters_of(optimiser) if p.grad is not None]
                weights = sum(gradient.numel() for gradient in gradients)
                self.gradients[player] = nn.utils.get_total_norm(gradients) / weights**0.5

        return hook

    def log(self, engine: Engine, row: Row) -> None:
        """Check the discriminator's outputs, the generators' gradients and the speed."""
        real, fake = mean_output(row, "real"), mean_output(row, "fake")
        if engine.game.discriminator_output == "logits" and real is not None and fake is not None:
            real, fake = probability(real), probability(fake)
            self.track(
                engine,
                Advice(
                    engine.step,
                    "strong judge",
                    f"The discriminator has been certain of every image for {CERTAIN_ROWS} rows of the log "
                    f"(D(x) {real:.3f}, D(G(z)) {fake:.3f}): the generator learns little from it.",
                    "--augment diffaug, more data, or a lower learning rate of the discriminator",
                ),
                real > CERTAIN and fake < 1 - CERTAIN,
                CERTAIN_ROWS,
            )
        for player, size in self.gradients.items():
            self.track(
                engine,
                Advice(
                    engine.step,
                    f"gradient of {player}",
                    f"The gradient of {player} is {float(size):.1e} a weight: it no longer learns.",
                    "--precision fp32, an objective that does not saturate, or a discriminator that is less certain",
                ),
                float(size) < VANISHED,
                VANISHED_ROWS,
            )
        self.check_speed(engine)

    def check_speed(self, engine: Engine) -> None:
        """Check how long steps take, and how many cores other programs use."""
        (step, wall, own, before), self.times = self.times, (engine.step, *measure_time())
        _, now, used, after = self.times
        took = (now - wall) / max(1, engine.step - step)
        self.shortest = min(self.shortest, took)
        cores, threads = system.cores(), torch.get_num_threads()
        others = cores - system.idle_between(before, after) - (used - own) / max(1e-9, now - wall)
        self.track(
            engine,
            Advice(
                engine.step,
                "busy machine",
                f"Steps take {took / self.shortest:.0f} times as long as before: other programs keep {others:.1f} of "
                f"{cores} cores busy, and {threads} threads wait for each other.",
                f"to stop here and continue with `ganforge resume RUN --threads {max(1, round(cores - others))}`",
            ),
            took > SLOWER * self.shortest and others > OTHERS and threads > 1,
            SLOW_ROWS,
        )

    def check_images(self, engine: Engine, images: np.ndarray) -> None:
        """Check generated images (n, H, W, C) of 0 ... 255 for mode collapse and for copies of training images."""
        if "images" not in engine.game.batch_type.columns() or engine.clock().seen < UNTRAINED or len(images) < 2:
            return
        self.reals = load_reals(engine) if self.reals is None else self.reals
        if len(self.reals) < 2:
            return
        fakes, reals = make_thumbnails(images), self.reals
        spread = distances(fakes).mean() / distances(reals).mean().clamp(min=1e-6)
        self.track(
            engine,
            Advice(
                engine.step,
                "mode collapse",
                f"The generated images are alike: two of them differ by {spread:.0%} of what two real images do.",
                "a larger --batch, a lower --config.lr, or a model with another objective (wgan)",
            ),
            bool(spread < COLLAPSED),
            GRIDS,
        )
        apart = distances(reals).amin(1).median()
        near = torch.cdist(fakes, reals).amin(1).median()
        self.track(
            engine,
            Advice(
                engine.step,
                "copies",
                f"The generated images look like copies of training images: they are "
                f"{near / apart.clamp(min=1e-6):.0%} as far from the nearest one as training images are from each "
                "other.",
                "more data, --flip, --augment ada, or an earlier checkpoint",
            ),
            bool(near < COPIED * apart),
            GRIDS,
        )

    def report_rollback(self, step: int, error: NotFiniteError) -> None:
        """Report that the run restarts at `step`, where its last good checkpoint is."""
        figure = str(error).split(".")[0]
        self.report(
            Advice(
                step,
                "not finite",
                f"{figure}: the run went back to step {step}, once, and skips the batches drawn since.",
                "a lower learning rate (--config.lr), --clip 1 or --precision fp32",
            )
        )

    def track(self, engine: Engine, advice: Advice, found: bool, patience: int) -> None:
        """Count how many checks in a row found a symptom; report it after `patience` of them."""
        self.streaks[advice.cause] = self.streaks.get(advice.cause, 0) + 1 if found else 0
        last = self.last_given.get(advice.cause)
        if self.streaks[advice.cause] >= patience and (last is None or engine.step - last >= REPEAT_AFTER):
            self.report(advice)

    def report(self, advice: Advice) -> None:
        """Print the advice and append it to doctor.jsonl."""
        self.last_given[advice.cause] = advice.step
        self.say(f"Training doctor, step {advice.step}: {advice}")
        try:
            append_rows(self.path, [asdict(advice)])
        except OSError as error:
            raise log_error(self.path, error) from error


def read_advice(path: Path) -> list[Advice]:
    """The advice in a doctor.jsonl; none where there is no file."""
    texts = ("cause", "says", "attempt")
    return [Advice(*(row[name] for name in ("step", *texts))) for row in read_rows(path, *texts, texts=texts)]


def summarise_advice(run: str | Path) -> Sequence[str]:
    """The advice given in a run, as one or two sentences each: the last of each cause."""
    given = read_advice(parse_run_address(run)[0] / "doctor.jsonl")
    return [f"step {a.step}: {a}" for a in {a.cause: a for a in given}.values()]


def measure_time() -> tuple[float, float, list[tuple[int, int]]]:
    """The time, the processor time of this program, and the ticks of each core, up to now."""
    return time.monotonic(), time.process_time(), system.ticks()


def generator_players(engine: Engine) -> list[str]:
    """The players that train a network which the capabilities use."""
    used = {id(p) for name in engine.game.averaged for p in getattr(engine.game, name).parameters()}
    return [name for name, own in engine.parameters.items() if any(id(p) in used for p in own)]


def load_reals(engine: Engine) -> Tensor:
    """Up to 512 different real images as thumbnails (n, D)."""
    count, batch = min(REALS, engine.loader.count), engine.run.batch
    batches = [engine.loader.batch(k, 0, 1).images for k in range(-(-count // batch))]  # pyright: ignore
    return torch.cat([make_thumbnails(to_uint8(images)) for images in batches])[:count]


def make_thumbnails(pixels: np.ndarray) -> Tensor:
    """Images (n, H, W, C) of 0 ... 255 as rows (n, D) of small ones, by averaging."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    height, width = (min(SIDE, side) for side in images.shape[2:])
    return F.adaptive_avg_pool2d(images, (height, width)).flatten(1)


def distances(rows: Tensor) -> Tensor:
    """(n, n - 1): from each row to every other."""
    n = len(rows)
    others = ~torch.eye(n, dtype=torch.bool)
    return torch.cdist(rows, rows)[others].view(n, n - 1)
