"""Differentiable augmentation in front of a game's judges, for any game: the run's option `augment`.

While the engine plays a round, every picture that goes into a judge is augmented, real and fake, in the
judge's moves and in the generator's.  Each call draws anew (Karras 2020, Zhao 2020); several pictures of one
call, such as the source and the target of a pair, are changed alike, so that they go on belonging together.
The game knows nothing of it: its draws are the ones it would make without.

With `ada` the probability p follows how sure the judge is of real pictures (Karras 2020, section 3.1).
Departures: p never exceeds 1, and verdicts are found by `says_real`, as `Augmentation.hear` says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from ganforge import distributed
from ganforge.draw import RoundDraw, RowDraw, mix
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.nn.ada import ada
from ganforge.nn.diffaug import Chance, diffaug
from ganforge.run import Run

TARGET = 0.6  # of the mean sign of the verdicts on real pictures
INTERVAL = 4  # rounds between two adjustments of p
SPEED = 500_000  # pictures in which p could rise from 0 to 1
STREAM = 0xADA  # keeps these draws apart from the game's own


class Augmentation:
    """What a run puts in front of its judges, and ADA's p.  A context: it acts only inside `with`."""

    def __init__(self, game: Game[Any, Any], run: Run, device: torch.device | str) -> None:
        """Raises OptionError where the game has nothing to augment, or says nothing that ADA could follow."""
        self.name, self.run, self.device = type(game).__name__, run, torch.device(device)
        self.discriminators = networks(game, game.augmented) if run.augment != "none" else []
        self.adaptive = run.augment == "ada"
        self.p = 0.0
        self.turn = self.turn_of(0, 0, 1)
        """Whose turn it is to play: the engine sets it before it asks a share for its move."""
        self.handles: list[Any] = []
        self.heard = torch.zeros(3, device=self.device)  # mean signs, how many, how many were not found
        if run.augment != "none" and not self.discriminators:
            raise OptionError(
                f"--augment {run.augment}: {self.name} has no network that judges pictures; leave it out."
            )
        if self.adaptive and game.discriminator_output != "logits":
            raise OptionError(
                f"--augment ada follows the sign of a judge's logits, and {self.name} gives scores without a zero; "
                "--augment diffaug works."
            )

    # -- change -------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.handles = [judge.register_forward_pre_hook(self.before) for judge in self.discriminators]
        if self.adaptive:
            self.handles += [judge.register_forward_hook(self.listen) for judge in self.discriminators]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def turn_of(self, step: int, share: int, shares: int) -> "Turn":
        """A share's turn in one round.  Its draws are made on the CPU, where they decide the size of tensors."""
        return Turn(RoundDraw(mix(self.run.seed, STREAM), step, share, shares, "cpu"))

    def before(self, judge: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """A judge's inputs with all pictures among them changed alike."""
        size = next((x.shape[2:] for x in inputs if is_picture(x)), None)
        if size is None or any(lies_on(x, size) for x in inputs):
            raise OptionError(
                f"--augment {self.run.augment} changes pictures (N, C, H, W) of one size, and {self.name}'s judge "
                f"{type(judge).__name__} was given {described(inputs)}; leave --augment out for this model."
            )
        draws = Replay(self.turn.draw)
        return tuple(self.change(x, draws.again()) if is_picture(x) else x for x in inputs)

    def change(self, images: Tensor, chance: Chance) -> Tensor:
        return ada(images, self.p, chance) if self.adaptive else diffaug(images, chance)

    # -- adapt --------------------------------------------------------------------------------

    def listen(self, judge: nn.Module, inputs: tuple[Any, ...], answer: Any) -> None:
        """Note the mean of what a judge answers, and the mean of its signs."""
        answers = answer if isinstance(answer, tuple | list) else (answer,)
        with torch.no_grad():
            for verdicts in (a for a in answers if isinstance(a, Tensor) and a.is_floating_point()):
                self.turn.means.append(verdicts.mean().float())
                self.turn.signs.append(verdicts.sign().mean(dtype=torch.float32))

    def hear(self, says_real: Tensor | None) -> None:
        """Count the mean sign of a move's verdicts on real pictures.

        A move tells only their mean, `says_real`, and ADA needs their signs: the verdicts are the answer,
        among those that the judges have given in this turn, whose mean that is.
        """
        if not self.adaptive or says_real is None:
            return
        if not self.turn.means:
            self.heard += torch.tensor([0.0, 0.0, 1.0], device=self.device)
            return
        distances = (torch.stack(self.turn.means) - says_real.detach()).abs()
        nearest = distances.argmin()
        missed = distances[nearest] > 0.01 * says_real.detach().abs() + 1e-5
        sign = torch.stack(self.turn.signs)[nearest]
        self.heard += torch.stack([sign, torch.ones_like(sign), missed]) / self.run.accumulate

    def adapt(self, step: int) -> None:
        """Move p after every fourth round: up if the judge is surer of real pictures than the target, else down."""
        if not self.adaptive or step % INTERVAL:
            return
        self.agree()
        signs, count, missed = self.heard.tolist()
        self.heard.zero_()
        if missed:
            raise OptionError(
                f"--augment ada needs a says_real that is the mean of one answer of a judge, and {self.name}'s is not; "
                "--augment diffaug works."
            )
        if count:
            stride = self.run.batch * INTERVAL / SPEED
            self.p = min(1.0, max(0.0, self.p + stride * (signs / count > TARGET) - stride * (signs / count < TARGET)))

    def agree(self) -> None:
        """Give every process the mean of what all have heard."""
        if self.adaptive:
            distributed.average(self.heard)

    # -- keep and tell ------------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of ADA, to be called after `agree()`."""
        return {"p": torch.tensor(self.p, dtype=torch.float64), "heard": self.heard}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()`; from p = 0 where a run took up ADA only now, and the checkpoint has none."""
        if self.adaptive and state:
            self.p = state["p"].item()
            self.heard.copy_(state["heard"])

    def row(self) -> dict[str, float]:
        """What the log says of ADA."""
        return {"augment/p": self.p} if self.adaptive else {}


@dataclass
class Turn:
    """One share's part in a round: its draws, and what the judges have answered so far."""

    draw: Chance
    means: list[Tensor] = field(default_factory=list)
    signs: list[Tensor] = field(default_factory=list)


class Replay:
    """Draws that can be had again: what was drawn for one picture serves the next one too."""

    def __init__(self, chance: Chance) -> None:
        self.chance, self.drawn, self.place = chance, [], 0

    def again(self) -> Self:
        """From the first draw on."""
        self.place = 0
        return self

    def normal(self, n: int, *shape: int) -> Tensor:
        return self.next(lambda: self.chance.normal(n, *shape))

    def uniform(self, n: int, *shape: int) -> Tensor:
        return self.next(lambda: self.chance.uniform(n, *shape))

    def next(self, draw: Callable[[], Tensor]) -> Tensor:
        if self.place == len(self.drawn):
            self.drawn.append(draw())
        self.place += 1
        return self.drawn[self.place - 1]


def networks(game: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """The networks of those names; of a list of networks each one, for a list is never called itself."""
    found = [game.get_submodule(name) for name in names]
    return [n for net in found for n in (net.children() if isinstance(net, nn.ModuleList) else [net])]


def is_picture(x: Any) -> bool:
    """Whether an input of a judge is a batch of pictures (N, C, H, W)."""
    return isinstance(x, Tensor) and x.ndim == 4 and x.is_floating_point()


def lies_on(x: Any, size: torch.Size) -> bool:
    """Whether an input has places like the pictures of `size`, but could not be moved with them."""
    if not isinstance(x, Tensor):
        return isinstance(x, tuple | list)
    if is_picture(x):
        return x.shape[2:] != size
    return x.ndim >= 3 and not x.is_floating_point() and x.shape[-2:] == size  # a label map or masks


def described(inputs: Sequence[Any]) -> str:
    """The shapes of a judge's inputs, for a person."""
    shapes = [f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__ for x in inputs]
    return " and ".join(shapes) or "nothing"


def gallery(
    images: Tensor, kind: Literal["diffaug", "ada"], p: Sequence[float] = (0.2, 0.5, 0.8), seed: int = 0
) -> Tensor:
    """What an augmentation does, to look at: `images` (N, C, H, W), then a row of N for each probability in `p`.

    Returns (N * (1 + len(p)), C, H, W) in [-1, 1]; the same numbers are drawn for every row of `ada`, so that
    down a column more and more of the same befalls a picture.  `diffaug` has no p: its rows are draws of their own.
    """
    rows = [images]
    for number, probability in enumerate(p):
        if kind == "ada":
            rows.append(ada(images, probability, RowDraw(seed)))
        else:
            rows.append(diffaug(images, RowDraw(mix(seed, number))))
    return torch.cat(rows).clamp(-1, 1)
