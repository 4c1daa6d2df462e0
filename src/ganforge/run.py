"""Training settings that belong to no paper.  Imports no torch, so that the command line answers at once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ganforge.errors import OptionError


@dataclass(frozen=True)
class Run:
    """The settings of a training run that do not depend on the model."""

    steps: int = 2_000
    """Training steps: the length of the run."""
    batch: int = 64
    """Images per batch, over all processes and micro-batches."""
    size: tuple[int, ...] = ()
    """Side of the images in pixels: one number, or height and width.  Empty: as the data has it."""
    channels: int = 0
    """1 for grey, 3 for colour, 4 to keep alpha.  0: as the data has it."""
    flip: bool = False
    """Mirror images left to right at random."""
    crop: bool = False
    """Crop at random instead of at the centre where an image is larger than the size."""
    native: bool = False
    """Crop images at their own scale, instead of resizing their short side to the size first."""
    augment: Literal["none", "diffaug", "ada"] = "none"
    """Differentiable augmentation in front of the discriminators."""
    seed: int = 0
    """Random seed of the run."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """Precision of the networks; weights and sums stay in fp32.  auto: bf16 where the device is faster in it."""
    threads: int = 0
    """CPU threads.  0: OMP_NUM_THREADS where that is set, else as many as there are cores; the command leaves out
    cores that other programs keep busy."""
    fast: bool = True
    """Choose memory layouts and optimisers for speed: results may differ from --exact in the last digits."""
    accumulate: int = 1
    """Micro-batches per batch (gradient accumulation): the same batch in less memory."""
    clip: float = 0.0
    """Clip the norm of each player's gradient to this.  0: no clipping."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Learning rate schedule: constant; constant for half of the run, then linear to zero; cosine to zero."""
    warmup: int = 0
    """Steps over which the learning rate rises from zero."""
    ema: float | None = None
    """Half-life, in images, of the moving average of weights.  Empty: the paper's choice; 0: no averaging."""
    log_every: int = 50
    """Steps between two rows of the log."""
    sample_every: int = 500
    """Steps between two sample grids.  0: none."""
    save_every: int = 1_000
    """Steps between two checkpoints.  0: only at the end."""
    keep: int = 3
    """Number of newest checkpoints to keep; the best one is always kept."""
    select: str = ""
    """Metric by which the best checkpoint, RUN@best, is chosen: fid, kid ...; l1, psnr ... for translators."""
    every: int = 0
    """Steps between two evaluations, each with a checkpoint.  0: at every checkpoint."""
    patience: int = 0
    """Evaluations in a row without improvement after which the run stops.  0: never."""
    judged: int = 2_000
    """Images drawn for an evaluation, always with the same seed."""
    ema_rampup: float | None = 0.05
    """The half-life of --ema is at most this share of the images seen so far, as in StyleGAN2.  None: no such limit."""
    augment_p: Literal["adaptive", "game"] | float = "adaptive"
    """Probability of --augment ada: adaptive, a number from 0 to 1, or game, the model's own choice."""
    save_minutes: float = 10.0
    """A checkpoint is also made when the last is so many minutes old; the next one replaces it.  0: never."""

    def __post_init__(self) -> None:
        """Raises OptionError naming the first number that is out of range."""
        for name, (low, high) in LIMITS.items():
            check_number(f"--{FLAGS.get(name, name).replace('_', '-')}", getattr(self, name), low, high)
        if not isinstance(self.augment_p, str):
            check_number("--augment-p", self.augment_p, 0, 1)
        if self.augment != "ada" and self.augment_p != "adaptive":
            raise OptionError(f"--augment-p {self.augment_p} belongs to --augment ada: give both.")
        if len(self.size) > 2 or not all(1 <= side < 2**16 for side in self.size):
            sides = " ".join(map(str, self.size))
            raise OptionError(f"--size {sides} is not a size: give one side, or height and width.")


LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("clip", "ema", "ema_rampup", "save_minutes"), (0, math.inf)),
    **dict.fromkeys(("steps", "warmup", "sample_every", "save_every", "every", "patience"), (0, 10**9)),
    **dict.fromkeys(("log_every", "keep", "judged"), (1, 10**9)),
    **dict.fromkeys(("batch", "accumulate"), (1, 10**6)),
    **dict.fromkeys(("channels", "threads"), (0, 10_000)),
    "seed": (0, 2**63 - 1),
}
"""{field of Run: its least and its largest value}; infinity itself is refused."""

FLAGS = {"native": "native_crops", "every": "eval_every", "judged": "eval_images"}
"""{field of Run: its flag} where they differ.  The fields keep their names, which are keys of config.yaml; as flags the
old names work for one more release."""


def to_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Run options under the names of the fields, given under those or the flags' names.

    Raises OptionError for an option that is given under both.
    """
    if both := [(old, new) for old, new in FLAGS.items() if old in options and new in options]:
        raise OptionError(f"{both[0][0]} is the old name of {both[0][1]}: give one of them.")
    fields = {flag: field for field, flag in FLAGS.items()}
    return {fields.get(name, name): value for name, value in options.items()}


def check_number(name: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Raise OptionError unless a number, where there is one, is finite and lies between `low` and `high`."""
    if value is None or (isinstance(value, int | float) and low <= value <= high and abs(value) != math.inf):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise OptionError(f"{name} cannot be {value}: it is a finite number.")
    limits = f"the least is {low}" if value < low else f"the largest is {high}"
    raise OptionError(f"{name} cannot be {value}: {limits}.")


def check_seed(seed: int) -> int:
    """The seed itself.  Raises OptionError where it is out of range."""
    check_number("--seed", seed, *LIMITS["seed"])
    return seed


@dataclass(frozen=True)
class Preset:
    """A named configuration of a model: its Config and its Run."""

    config: Any
    run: Run
