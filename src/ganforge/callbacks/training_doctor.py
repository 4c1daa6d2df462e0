"""The training doctor: notices what commonly goes wrong with a game, and says what to try.

It only reads what the run has at hand: the rows of the log, the pictures of the sample grids, a generator's
gradient in the rounds that are logged.  What it says stands in doctor.jsonl, one line each with the figure
that raised it.  A threshold is placed where healthy runs do not come; the reason stands beside it.
"""

import json
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
from ganforge.callbacks import training_doctor as clinic
from ganforge.callbacks.log import rows, says, unwritable
from ganforge.callbacks.progress_bar import probability
from ganforge.engine import Callback, Engine, Row
from ganforge.errors import NotFiniteError
from ganforge.files import write_whole
from ganforge.game import parameters_of
from ganforge.images import to_uint8
from ganforge.inference.load import address


def advice(run: str | Path) -> Sequence[str]:
    """What the training doctor said in a run, one sentence or two each: the last word about each cause."""
    said = clinic.read(address(run)[0] / "doctor.jsonl")
    return [f"step {a.step}: {a}" for a in {a.cause: a for a in said}.values()]


AGAIN = 1_000  # rounds in which the same thing is not said twice


# Good runs of DCGAN spend thousands of rounds near D(x) = 0.9 and D(G(z)) = 0.1 and learn.  At 0.99 and 0.01 the
# discriminator makes no mistakes; a run passes there and comes back, so that only a long stay counts.
SURE, LONG = 0.99, 20  # a probability, rows of the log in a row


# Adam divides by the gradient's size plus 1e-8: a smaller gradient moves little.  The smallest of healthy generators
# were 1e-2 a weight for DCGAN, 3e-4 for the first GAN, 3e-5 for WGAN behind its clipped critic.
VANISHED, ROWS = 1e-8, 3  # root mean square over the weights, rows of the log in a row


# An untrained generator draws nearly the same picture for every latent, so that the first images do not count.
# Healthy ones begin at 0.08 of the distance between real pictures and grow from there; a collapsed one ends near 0.
ALIKE, LEARNING, SHEETS = 0.05, 20_000, 2  # share of the real distance, images dealt, sample grids in a row


# New pictures lie farther from the nearest training picture than training pictures do from theirs (1.4 to 3 times on
# the embedded shapes); an average of them all, the blurred picture of a weak generator, still lies at 0.7 of that.
COPIED = 1 / 3  # share of the distance between real neighbours


# Saving, drawing and judging fall between rows of the log too, but not between several in a row, nor do they keep
# another program's share of the cores busy.
SLOWER, OTHERS, WAITING = 5, 0.5, 3  # times the shortest round, cores, rows of the log in a row


REALS, SIDE = 512, 16  # real pictures to compare with, and the side they are reduced to


@dataclass(frozen=True)
class Advice:
    """One thing that the doctor said."""

    step: int
    cause: str
    says: str
    """What is the matter, with its figure."""
    attempt: str
    """What to try."""

    def __str__(self) -> str:
        return f"{self.says} Try {self.attempt}."


class Doctor(Callback):
    """Watches over a run's health.  Silent as long as it is well."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path, self.say = path, say

    def start(self, engine: Engine) -> None:
        """Forget what was said about rounds that will be played again."""
        kept = [advice for advice in read(self.path) if advice.step <= engine.step]
        if self.path.exists():
            write_whole(self.path, "".join(json.dumps(asdict(advice)) + "\n" for advice in kept))
        self.told = {advice.cause: advice.step for advice in kept}
        self.sick: dict[str, int] = {}  # how many times in a row a symptom was seen
        self.reals: Tensor | None = None
        self.gradients: dict[str, Tensor] = {}
        self.seen, self.shortest = (engine.step, *spent()), math.inf
        self.end(engine)
        self.hooks = [
            engine.players[player].register_step_pre_hook(self.listener(engine, player))
            for player in generating(engine)
        ]

    def end(self, engine: Engine) -> None:
        """Take the listeners off."""
        for hook in getattr(self, "hooks", ()):
            hook.remove()

    def listener(self, engine: Engine, player: str) -> Callable[..., None]:
        """What notes the size of a player's gradient before it steps, in rounds that will be logged."""

        def listen(optimiser: torch.optim.Optimizer, *_: Any) -> None:
            if (engine.step + 1) % engine.run.log_every == 0:
                gradients = [p.grad for p in parameters_of(optimiser) if p.grad is not None]
                weights = sum(gradient.numel() for gradient in gradients)
                self.gradients[player] = nn.utils.get_total_norm(gradients) / weights**0.5

        return listen

    def log(self, engine: Engine, row: Row) -> None:
        """Look at the figures."""
        real, fake = says(row, "real"), says(row, "fake")
        if engine.game.discriminator_output == "logits" and real is not None and fake is not None:
            real, fake = probability(real), probability(fake)
            self.look(
                engine,
                Advice(
                    engine.step,
                    "strong judge",
                    f"The discriminator has been sure of everything for {LONG} rows of the log (D(x) {real:.3f}, "
                    f"D(G(z)) {fake:.3f}): the generator learns little from it.",
                    "--augment diffaug, more data, or a lower learning rate of the discriminator",
                ),
                real > SURE and fake < 1 - SURE,
                LONG,
            )
        for player, size in self.gradients.items():
            self.look(
                engine,
                Advice(
                    engine.step,
                    f"gradient of {player}",
                    f"The gradient that reaches {player} is {float(size):.1e} a weight: it stands still.",
                    "--precision fp32, an objective that does not saturate, or a discriminator that is less sure",
                ),
                float(size) < VANISHED,
                ROWS,
            )

        self.pace(engine)

    def pace(self, engine: Engine) -> None:
        """Look at how long rounds take, and at who else computes."""
        (step, wall, own, before), self.seen = self.seen, (engine.step, *spent())
        _, now, used, after = self.seen
        took = (now - wall) / max(1, engine.step - step)
        self.shortest = min(self.shortest, took)
        cores, threads = system.cores(), torch.get_num_threads()
        others = cores - system.idle_between(before, after) - (used - own) / max(1e-9, now - wall)
        self.look(
            engine,
            Advice(
                engine.step,
                "busy machine",
                f"Rounds take {took / self.shortest:.0f} times as long as before: other programs keep {others:.1f} of "
                f"{cores} cores busy, and {threads} threads wait for each other's turns.",
                f"to stop here and go on with `ganforge resume RUN --threads {max(1, round(cores - others))}`",
            ),
            took > SLOWER * self.shortest and others > OTHERS and threads > 1,
            WAITING,
        )

    def pictures(self, engine: Engine, drawn: np.ndarray) -> None:
        """Look at pictures (n, H, W, C) of 0 ... 255 that the game has just drawn."""
        if "images" not in engine.game.batch_type.columns() or engine.clock().seen < LEARNING or len(drawn) < 2:
            return
        self.reals = some_reals(engine) if self.reals is None else self.reals
        if len(self.reals) < 2:
            return
        fakes, reals = thumbnails(drawn), self.reals
        spread = distances(fakes).mean() / distances(reals).mean().clamp(min=1e-6)
        self.look(
            engine,
            Advice(
                engine.step,
                "mode collapse",
                f"The pictures are alike: two of them differ by {spread:.0%} of what two real ones do.",
                "a larger --batch, a lower --config.lr, or a game with another objective (wgan)",
            ),
            bool(spread < ALIKE),
            SHEETS,
        )
        apart = distances(reals).amin(1).median()
        near = torch.cdist(fakes, reals).amin(1).median()
        self.look(
            engine,
            Advice(
                engine.step,
                "copies",
                f"The pictures look like copies of training pictures: they are {near / apart.clamp(min=1e-6):.0%} as "
                "far from the nearest one as training pictures are from each other.",
                "more data, --flip, --augment ada, or an earlier checkpoint",
            ),
            bool(near < COPIED * apart),
            SHEETS,
        )

    def went_back(self, step: int, error: NotFiniteError) -> None:
        """Note that the run begins again at `step`, where its last good checkpoint stands."""
        figure = str(error).split(".")[0]
        self.note(
            Advice(
                step,
                "not finite",
                f"{figure}: the run went back to step {step}, once, and skips the batches dealt since.",
                "a lower learning rate (--config.lr), --clip 1 or --precision fp32",
            )
        )

    def look(self, engine: Engine, advice: Advice, sick: bool, patience: int) -> None:
        """Count how long a symptom lasts, and speak up when it has lasted."""
        self.sick[advice.cause] = self.sick.get(advice.cause, 0) + 1 if sick else 0
        told = self.told.get(advice.cause)
        if self.sick[advice.cause] >= patience and (told is None or engine.step - told >= AGAIN):
            self.note(advice)

    def note(self, advice: Advice) -> None:
        """Say it, and write it down."""
        self.told[advice.cause] = advice.step
        self.say(f"Training doctor, step {advice.step}: {advice}")
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(advice)) + "\n")
        except OSError as error:
            raise unwritable(self.path, error) from error


def read(path: Path) -> list[Advice]:
    """What the doctor said in a run; nothing where there is no file."""
    return [Advice(**row) for row in rows(path)]  # pyright: ignore[reportArgumentType]


def spent() -> tuple[float, float, list[tuple[int, int]]]:
    """The time, the processor time of this program, and what each core has done, up to now."""
    return time.monotonic(), time.process_time(), system.ticks()


def generating(engine: Engine) -> list[str]:
    """The players that move a network which the capabilities use."""
    used = {id(p) for name in engine.game.averaged for p in getattr(engine.game, name).parameters()}
    return [name for name, own in engine.parameters.items() if any(id(p) in used for p in own)]


def some_reals(engine: Engine) -> Tensor:
    """Up to 512 different real pictures, reduced."""
    wanted, batch = min(REALS, engine.deck.count), engine.run.batch
    dealt = [engine.deck.batch(k, 0, 1).images for k in range(-(-wanted // batch))]  # pyright: ignore
    return torch.cat([thumbnails(to_uint8(images)) for images in dealt])[:wanted]


def thumbnails(pictures: np.ndarray) -> Tensor:
    """Pictures (n, H, W, C) of 0 ... 255 as rows (n, D) of small ones, by averaging."""
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    height, width = (min(SIDE, side) for side in images.shape[2:])
    return F.adaptive_avg_pool2d(images, (height, width)).flatten(1)


def distances(rows: Tensor) -> Tensor:
    """(n, n - 1): from each row to every other."""
    n = len(rows)
    others = ~torch.eye(n, dtype=torch.bool)
    return torch.cdist(rows, rows)[others].view(n, n - 1)
