"""Training settings that belong to no paper.  Imports no torch, so that the command line answers at once."""

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


@dataclass(frozen=True)
class Preset:
    """A named configuration of a model: its Config and its Run."""

    config: Any
    run: Run
