"""Find the codes of photographs: by the game's own encoder, or by a descent on what the game draws.

The descent is that of Karras et al. 2020 (https://arxiv.org/abs/1912.04958), appendix D, from the mean code.  Pivotal
tuning (Roich et al. 2021, https://arxiv.org/abs/2106.05744) then moves the weights, for one photograph at a time.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d
from torch.optim import Adam

from ganforge.capabilities import Codes
from ganforge.catalogue import able
from ganforge.draw import RowDraw
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.inference.codes import Photograph, codes_type, split_codes, tuned_weights
from ganforge.inference.given_images import whole_number
from ganforge.inference.inference_mode import inference_mode
from ganforge.nn.likeness import Likeness, Perception

Method = Literal["auto", "encoder", "descent"]
Space = Literal["w", "w+"]
Progress = Callable[[float], object]
"""Is called with the share of the work that is done, from 0 to 1."""
RISE, FALL = 0.05, 0.25  # shares of the steps in which the learning rate rises and falls
STRAY = 0.05  # of the codes' deviation: the noise on codes at first, which is gone after three quarters of the steps
SAMPLES = 1_000  # codes whose mean deviation is the unit of that noise
PATTERNS = 1e5  # weight of patterns in the noise (Karras et al. 2020, equation 5)
FAR = 30.0  # how far from the pivot tuned weights should draw as before (Roich et al., equation 6)


HELP = {
    "method": "By the run's own encoder, by a descent, or auto: the encoder where there is one.",
    "space": "Of a descent: one code for all layers, or one for each.",
    "steps": "Of a descent.",
    "lr": "Adam's learning rate in a descent.",
    "noise": "Whether a descent also finds the noise of the layers, held without patterns.",
    "perception": "What compares images beside pixels: features of the run's discriminator, or LPIPS, from --weights.",
    "weights": "Folder of alexnet-owt-7be5be79.pth and alex.pth. Empty: the working directory.",
    "tune": "Pivotal tuning: most steps in which the weights follow each photograph; 350 in the paper, 0: none.",
    "tune_lr": "Adam's learning rate in them.",
    "near": "The perceptual distance at which tuning ends.",
    "locality": "Weight of drawing as before at a distance from the code, in tuning.",
}
"""What the fields of `Inversion` mean."""


@dataclass(frozen=True)
class Inversion:
    """How codes are found; `HELP` says what each field means."""

    method: Method = "auto"
    space: Space = "w+"
    steps: int = 300
    lr: float = 0.1
    noise: bool = False
    perception: Perception = "own"
    weights: str = ""
    tune: int = 0
    tune_lr: float = 3e-4
    near: float = 0.07
    locality: float = 0.1

    def __post_init__(self) -> None:
        """Raises OptionError for numbers that are not possible, and for unknown words."""
        for name, least in (("steps", 1), ("tune", 0)):
            whole_number(name, getattr(self, name), least)
        for name, words in (("method", Method), ("space", Space), ("perception", Perception)):
            if (given := getattr(self, name)) not in get_args(words):
                raise OptionError(f"{name} cannot be {given!r}: it is {' or '.join(get_args(words))}.")
        for name in ("lr", "tune_lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise OptionError(f"{name} cannot be {getattr(self, name)}: it is a number above 0.")


def no_progress(share: float) -> None:
    """Say nothing of what is done."""


def find_photographs(
    game: Game[Any, Any],
    images: Tensor,
    device: torch.device,
    how: Inversion,
    seed: int = 0,
    batch: int = 16,
    progress: Progress = no_progress,
) -> list[Photograph]:
    """The codes of images (N, C, H, W) in [-1, 1] of the facts' size.

    `progress` is called in descents.
    The code of an image does not depend on the others.  Raises OptionError for a game that has no encoder where
    one is asked for.
    """
    by_encoder = choose_encoder(game, how.method)
    likeness, found = Likeness(how.perception, "none", how.weights, flags="--"), []
    for part in images.split(batch):
        given, began = part.to(device), time.perf_counter()
        if by_encoder:
            with inference_mode(game):
                codes = game.invert(given)  # pyright: ignore
            codes = replace(codes, w=codes.w.clone())
        else:
            before, share = len(found) / len(images), len(part) / len(images)
            codes = descend_on_codes(game, given, likeness, how, seed, partly(progress, before, share))
        seconds = (time.perf_counter() - began) / len(part)
        found += [Photograph(one, seconds=seconds) for one in split_codes(codes)]
    if how.tune:
        pairs = zip(found, images.to(device).split(1), strict=True)
        found = [tune_weights(game, one, image, likeness, how, seed) for one, image in pairs]
    return found


def partly(progress: Progress, before: float, share: float) -> Progress:
    """The progress of a part of the work, which is `share` of it and comes after `before`."""
    return lambda done: progress(before + share * done)


def choose_encoder(game: Any, method: Method) -> bool:
    """Whether codes are found by the game's encoder."""
    if method == "encoder" and not hasattr(game, "invert"):
        raise OptionError(
            f"{type(game).__name__} has no encoder: say --method descent, or train one for it, with "
            f"--config.generator RUN; of the models, {able('invert')} can find codes."
        )
    return method != "descent" and hasattr(game, "invert")


def critic_of(game: Any) -> Any:
    """The game whose discriminator compares images: its own, or that of the generator that it is built on."""
    inner = game if game.augmented or hasattr(game, "features") else getattr(game, "generator", None)
    if inner is None:
        raise OptionError(
            f"{type(game).__name__} has no discriminator whose features could compare images: say --perception lpips."
        )
    return inner


def differences(game: Any, made: Tensor, given: Tensor, likeness: Likeness) -> tuple[Tensor, Tensor]:
    """(mean squared differences of pixels (N,), perceptual distances (N,))."""
    critic = critic_of(game) if likeness.perception == "own" else None
    return (made - given).square().flatten(1).mean(1), likeness.distances(critic, made, given)


def descend_on_codes(
    game: Any, images: Tensor, likeness: Likeness, how: Inversion, seed: int, progress: Progress
) -> Codes:
    """Codes whose images are near to the given ones, (N,) descents at once."""
    n, device, kind = len(images), images.device, codes_type(game)
    source = torch.Generator().manual_seed(seed)  # what it draws is equal for all rows
    with inference_mode(game, RowDraw(seed, 0, device)), torch.inference_mode(False), torch.no_grad():
        mean = game.code(game.noise(1), 0.0).w
        spread = (game.code(game.noise(SAMPLES)).w[:, 0] - mean[:, 0]).square().mean().sqrt()
        given, layers = images.clone(), mean.shape[1]
        with torch.enable_grad():
            w = (mean if how.space == "w+" else mean[:, :1]).expand(n, -1, -1).clone().requires_grad_()
            free = {"w": w, **({"noise": begin_noise(game, n, source, device)} if how.noise else {})}
            optimiser = Adam([*free.values()], how.lr, (0.9, 0.999))
            for step in range(how.steps):
                share = step / how.steps
                progress(share)
                optimiser.param_groups[0]["lr"] = how.lr * ramp(share)
                size = STRAY * spread * max(0.0, 1 - share / 0.75) ** 2
                stray = torch.randn(1, *w.shape[1:], generator=source).to(device) * size
                made = game.decode(kind(**{**free, "w": (w + stray).expand(-1, layers, -1)}))
                loss = sum(differences(game, made, given, likeness))
                if how.noise:
                    loss = loss + PATTERNS * find_patterns(game.noise_maps(free["noise"]))
                slopes = torch.autograd.grad(loss.sum(), [*free.values()])  # pyright: ignore
                for value, slope in zip(free.values(), slopes, strict=True):
                    value.grad = slope
                optimiser.step()
                if how.noise:
                    normalise_maps(game, free["noise"])
    found = {name: value.detach().clone() for name, value in free.items()}
    return kind(**{**found, "w": found["w"].expand(-1, layers, -1).clone()})


def begin_noise(game: Any, n: int, source: torch.Generator, device: torch.device) -> Tensor:
    """Random noise (N, P) of the game's layers, equal in all rows.  Raises OptionError for a game that has none."""
    if not hasattr(game, "noise_maps"):
        raise OptionError(f"{type(game).__name__} has no noise that a descent could find: leave --noise out.")
    return torch.randn(1, game.noise_size, generator=source).to(device).expand(n, -1).clone().requires_grad_()


def find_patterns(maps: Sequence[Tensor]) -> Tensor:
    """(N,): the squared correlation of noise with itself one pixel beside and below, at all sizes down to 8 pixels."""
    total = maps[0].new_zeros(len(maps[0]))
    for noise in maps:
        while True:
            for side in (2, 3):
                total = total + (noise * noise.roll(1, side)).mean((1, 2, 3)).square()
            if min(noise.shape[2:]) <= 8:
                break
            noise = avg_pool2d(noise, 2) * 2  # of unit variance again
    return total


@torch.no_grad()
def normalise_maps(game: Any, noise: Tensor) -> None:
    """Bring each map of noise (N, P) to mean 0 and variance 1, in place."""
    for one in game.noise_maps(noise):
        one -= one.mean((1, 2, 3), keepdim=True)
        one *= one.square().mean((1, 2, 3), keepdim=True).add(1e-8).rsqrt()


def ramp(share: float) -> float:
    """The learning rate's factor at a share of the steps."""
    fall = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - share) / FALL))
    return fall * min(1.0, share / RISE + 0.05)


def tune_weights(
    game: Any, one: Photograph, image: Tensor, likeness: Likeness, how: Inversion, seed: int
) -> Photograph:
    """The photograph with weights that were moved until its image is near; the game's own weights stay."""
    began = time.perf_counter()
    with inference_mode(game, RowDraw(seed, 0, image.device)), torch.inference_mode(False):
        given, codes = image.clone(), one.codes
        names = used_weights(game, codes)
        own = dict(game.named_parameters())
        with tuned_weights(game, {name: own[name].detach() for name in names}):
            tuned = tune(game, {name: own[name] for name in names}, codes, given, likeness, how)
    return replace(one, tuned=tuned, seconds=one.seconds + time.perf_counter() - began)


def used_weights(game: Any, codes: Codes) -> Sequence[str]:
    """The names of the weights from which the image of a code follows."""
    weights = dict(game.named_parameters())
    states = {name: weight.requires_grad for name, weight in weights.items()}
    try:
        for weight in weights.values():
            weight.requires_grad_(True)
        with torch.enable_grad():
            slopes = torch.autograd.grad(game.decode(codes).sum(), [*weights.values()], allow_unused=True)
    finally:
        for name, weight in weights.items():
            weight.requires_grad_(states[name])
    return [name for name, slope in zip(weights, slopes, strict=True) if slope is not None]


def tune(
    game: Any, weights: Mapping[str, Tensor], codes: Codes, given: Tensor, likeness: Likeness, how: Inversion
) -> dict[str, Tensor]:
    """The weights after the steps of pivotal tuning (Roich et al., section 3)."""
    states = {name: weight.requires_grad for name, weight in weights.items()}
    with torch.no_grad():
        others = game.code(game.noise(how.tune)).w
        steps = others - codes.w
        others = codes.w + FAR * steps / steps[:, 0].norm(dim=1)[:, None, None]
        before = torch.cat([game.decode(Codes(row)) for row in others.split(16)])
    try:
        for weight in weights.values():
            weight.requires_grad_(True)
        optimiser = Adam([*weights.values()], how.tune_lr)
        with torch.enable_grad():
            for step in range(how.tune):
                pixels, looks = differences(game, game.decode(codes), given, likeness)
                if float(looks.detach()) < how.near:
                    break
                loss = (pixels + looks).sum()
                if how.locality:
                    far = differences(
                        game, game.decode(Codes(others[step : step + 1])), before[step : step + 1], likeness
                    )
                    loss = loss + how.locality * (far[0] + far[1]).sum()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return {name: weight.detach().to("cpu", copy=True) for name, weight in weights.items()}
    finally:
        for name, weight in weights.items():
            weight.requires_grad_(states[name])
            weight.grad = None
