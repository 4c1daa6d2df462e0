"""Differentiable augmentation in front of the discriminators of any game: the run's option `augment`.

During a training step every image that enters a discriminator is augmented, real and fake, in the discriminator's
moves and in the generator's.  Each call draws anew (Karras 2020, Zhao 2020); several images of one call, such as
the source and the target of a pair, are augmented alike, so that they still match.  The game's own random
numbers are the same with and without augmentation.

With `ada` the probability p follows the sign of the discriminator's outputs on real images (Karras 2020, section
3.1).  Departures: p never exceeds 1, and these outputs are identified by `says_real` (`Augmentation.update`).  The
option `augment_p` sets p instead, or leaves it to the game's method of that name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from ganforge import distributed
from ganforge.draw import RoundDraw, RowDraw, mix
from ganforge.errors import CheckpointError, ContractError, OptionError
from ganforge.game import Clock, Game
from ganforge.nn.ada import BLIT, COLOR, GEOM, Pipe, ada
from ganforge.nn.diffaug import Chance, diffaug
from ganforge.run import Run
from ganforge.runs.fitting import check_tensors

TARGET = 0.6  # for the mean sign of the outputs on real images
INTERVAL = 4  # steps between two adjustments of p
SPEED = 500_000  # images in which p could rise from 0 to 1
STREAM = 0xADA  # separates these random numbers from the game's own
GROUPS = {
    **{"blit": (*BLIT,), "geom": (*GEOM,), "color": (*COLOR,), "filter": ("imgfilter",)},
    **{"noise": ("noise",), "cutout": ("cutout",)},
    **{"bg": (*BLIT, *GEOM), "bgc": (*BLIT, *GEOM, *COLOR), "bgcf": (*BLIT, *GEOM, *COLOR, "imgfilter")},
    "bgcfn": (*BLIT, *GEOM, *COLOR, "imgfilter", "noise"),
    "bgcfnc": (*BLIT, *GEOM, *COLOR, "imgfilter", "noise", "cutout"),
}
"""{name of a pipe in StyleGAN2-ADA: its transformations}."""


class Augmentation:
    """The augmentation of a run, and ADA's p.  A context manager: it acts only inside `with`.

    `ada` says whether it is ADA's pipeline, `adaptive` whether p follows the discriminator.
    """

    def __init__(self, game: Game[Any, Any], run: Run, device: torch.device | str) -> None:
        """Raises OptionError where the game has no discriminator to augment, or none whose outputs ADA can use."""
        self.name, self.run, self.device = type(game).__name__, run, torch.device(device)
        self.discriminators = find_networks(game, game.augmented) if run.augment != "none" else []
        self.ada, self.game = run.augment == "ada", game
        self.adaptive = self.ada and run.augment_p == "adaptive"
        self.p = 0.0 if isinstance(run.augment_p, str) else run.augment_p
        self.pipe = make_pipe(game) if self.ada else Pipe()
        self.turn = self.new_turn(0, 0, 1)
        """The turn of the micro-batch that is running; set by the engine."""
        self.handles: list[Any] = []
        self.sign_sums = torch.zeros(3, device=self.device)  # sum of mean signs, their number, how many were not found
        if run.augment != "none" and not self.discriminators:
            raise OptionError(f"--augment {run.augment}: {self.name} has no discriminator of images; leave it out.")
        if self.adaptive and game.discriminator_output != "logits":
            raise OptionError(
                f"--augment ada needs the sign of the discriminator's logits, and {self.name} gives scores without a "
                "zero; --augment diffaug works, and so does a fixed --augment-p 0.2."
            )
        if self.ada and run.augment_p == "game" and type(game).augment_p is Game.augment_p:
            raise OptionError(
                f"--augment-p game: {self.name} has no method augment_p(now); give a number or leave it out."
            )

    # -- augment ------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.handles = [net.register_forward_pre_hook(self.augment_inputs) for net in self.discriminators]
        if self.adaptive:
            self.handles += [net.register_forward_hook(self.record_outputs) for net in self.discriminators]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def new_turn(self, step: int, share: int, shares: int) -> "Turn":
        """The turn of a share in one step.  Its numbers are drawn on the CPU, where they decide tensor sizes."""
        return Turn(RoundDraw(mix(self.run.seed, STREAM), step, share, shares, "cpu"))

    def augment_inputs(self, discriminator: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """A discriminator's inputs with all images among them augmented alike.

        Raises OptionError for images of several sizes, and for label maps or masks, which would not move along.
        """
        size = next((x.shape[2:] for x in inputs if is_image_batch(x)), None)
        if size is None or any(cannot_follow(x, size) for x in inputs):
            raise OptionError(
                f"--augment {self.run.augment} augments images (N, C, H, W) of one size, and {self.name}'s network "
                f"{type(discriminator).__name__} was given {describe_shapes(inputs)}; leave --augment out for "
                "this model."
            )
        draws = Replay(self.turn.draw)
        return tuple(self.augment(x, draws.restart()) if is_image_batch(x) else x for x in inputs)

    def augment(self, images: Tensor, chance: Chance) -> Tensor:
        return ada(images, self.p, chance, self.pipe) if self.ada else diffaug(images, chance)

    def set_probability(self, now: Clock) -> None:
        """Set p for the step at `now`, where the game says it.  Raises ContractError where that is no probability."""
        if self.ada and self.run.augment_p == "game":
            p = self.game.augment_p(now)
            if p is None or not 0 <= p <= 1:
                raise ContractError(f"{self.name}.augment_p gave {p} at step {now.step}: it is a number from 0 to 1.")
            self.p = float(p)

    # -- adapt --------------------------------------------------------------------------------

    def record_outputs(self, discriminator: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Record the mean of each of a discriminator's outputs, and the mean of its signs."""
        outputs = output if isinstance(output, tuple | list) else (output,)
        with torch.no_grad():
            for values in (o for o in outputs if isinstance(o, Tensor) and o.is_floating_point()):
                self.turn.means.append(values.mean().float())
                self.turn.signs.append(values.sign().mean(dtype=torch.float32))

    def update(self, says_real: Tensor | None) -> None:
        """Add the mean sign of a move's outputs on real images.

        A move has only their mean, `says_real`, and ADA needs their signs: of the outputs recorded in this turn,
        those with that mean are taken.
        """
        if not self.adaptive or says_real is None:
            return
        if not self.turn.means:
            self.sign_sums += torch.tensor([0.0, 0.0, 1.0], device=self.device)
            return
        distances = (torch.stack(self.turn.means) - says_real.detach()).abs()
        nearest = distances.argmin()
        missed = distances[nearest] > 0.01 * says_real.detach().abs() + 1e-5
        sign = torch.stack(self.turn.signs)[nearest]
        self.sign_sums += torch.stack([sign, torch.ones_like(sign), missed]) / self.run.accumulate

    def adapt(self, step: int) -> None:
        """Adjust p after every fourth step: up if the mean sign on real images exceeds the target, else down."""
        if not self.adaptive or step % INTERVAL:
            return
        self.average_signs()
        signs, count, missed = self.sign_sums.tolist()
        self.sign_sums.zero_()
        if missed:
            raise OptionError(
                f"--augment ada needs a says_real that is the mean of one output of a discriminator, and {self.name}'s "
                "is not; --augment diffaug works."
            )
        if count:
            stride = self.run.batch * INTERVAL / SPEED
            self.p = min(1.0, max(0.0, self.p + stride * (signs / count > TARGET) - stride * (signs / count < TARGET)))

    def average_signs(self) -> None:
        """Average the sign sums over the processes."""
        if self.adaptive:
            distributed.average(self.sign_sums)

    # -- state and log -----------------------------------------------------------------------

    def state(self) -> dict[str, Tensor]:
        """ADA's state for a checkpoint; call `average_signs()` before."""
        return {"p": torch.tensor(self.p, dtype=torch.float64), "heard": self.sign_sums}

    def check(self, state: dict[str, Tensor]) -> None:
        """Raise CheckpointError unless `state` is one of `state()`, or empty."""
        if not self.adaptive or not state:
            return
        for name, own in self.state().items():
            if name not in state:
                raise CheckpointError(f"The checkpoint does not fit: it lacks {name} of augmentation.safetensors.")
            check_tensors(self.name, "augmentation", {name: state[name]}, {name: own})
        if not 0 <= state["p"].item() <= 1:
            raise CheckpointError(f"The checkpoint's augmentation has a probability of {state['p'].item()}.")

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from `state()`; from p = 0 where the checkpoint was written without ADA."""
        if self.adaptive and state:
            self.p = state["p"].item()
            self.sign_sums.copy_(state["heard"])

    def row(self) -> dict[str, float]:
        """ADA's columns of the log."""
        return {"augment/p": self.p} if self.ada else {}


@dataclass
class Turn:
    """The augmentation of one micro-batch in one step: random numbers, and statistics of the outputs so far."""

    draw: Chance
    means: list[Tensor] = field(default_factory=list)
    signs: list[Tensor] = field(default_factory=list)


class Replay:
    """Random numbers that can be repeated: the numbers of the first image are used for the others too."""

    def __init__(self, chance: Chance) -> None:
        self.chance, self.drawn, self.place = chance, [], 0

    def restart(self) -> Self:
        """Start again from the first draw."""
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


def make_pipe(game: Game[Any, Any]) -> Pipe:
    """The transformations that `Game.pipe` names, and their shares of p.

    Raises ContractError, with the known names, for others, and for a share that is no number.
    """
    known, shares = {**{f.name: (f.name,) for f in fields(Pipe)}, **GROUPS}, {}
    for word in (game.pipe,) if isinstance(game.pipe, str) else game.pipe:
        name, _, share = word.partition("=")
        if name not in known:
            raise ContractError(f"{type(game).__name__}.pipe names {name!r}, which is none of {', '.join(known)}.")
        try:
            shares |= dict.fromkeys(known[name], float(share or 1))
        except ValueError as error:
            raise ContractError(
                f"{type(game).__name__}.pipe has {word!r}: write a number after =, as in color=0.5."
            ) from error
    return Pipe(**shares)


def find_networks(game: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """The networks of those names; a ModuleList is replaced by its networks, since it is never called itself."""
    listed = [game.get_submodule(name) for name in names]
    return [n for net in listed for n in (net.children() if isinstance(net, nn.ModuleList) else [net])]


def is_image_batch(x: Any) -> bool:
    """Whether an input of a discriminator is a batch of images (N, C, H, W)."""
    return isinstance(x, Tensor) and x.ndim == 4 and x.is_floating_point()


def cannot_follow(x: Any, size: torch.Size) -> bool:
    """Whether an input has pixels like the images of `size` but cannot be augmented with them."""
    if not isinstance(x, Tensor):
        return isinstance(x, tuple | list)
    if is_image_batch(x):
        return x.shape[2:] != size
    return x.ndim >= 3 and not x.is_floating_point() and x.shape[-2:] == size  # a label map or masks


def describe_shapes(inputs: Sequence[Any]) -> str:
    """The shapes of a discriminator's inputs, for an error message."""
    shapes = [f"{x.dtype} {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__ for x in inputs]
    return " and ".join(shapes) or "nothing"


def show_augmentation(
    images: Tensor, kind: Literal["diffaug", "ada"], p: Sequence[float] = (0.2, 0.5, 0.8), seed: int = 0
) -> Tensor:
    """Examples of an augmentation: `images` (N, C, H, W), then a row of N for each probability in `p`.

    Returns (N * (1 + len(p)), C, H, W) in [-1, 1].  Every row of `ada` uses the same random numbers, so that an image
    changes more and more down its column.  `diffaug` has no p: its rows use different random numbers.
    """
    rows = [images]
    for number, probability in enumerate(p):
        if kind == "ada":
            rows.append(ada(images, probability, RowDraw(seed)))
        else:
            rows.append(diffaug(images, RowDraw(mix(seed, number))))
    return torch.cat(rows).clamp(-1, 1)
