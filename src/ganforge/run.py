"""How to train, whatever the game.  Imports no torch, so that the command line can ask quickly."""

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Run:
    """Everything about a training run that no paper decides."""

    steps: int = 2_000
    """Rounds to play: the length of the run."""
    batch: int = 64
    """Images in a round's batch, over all processes and micro-batches."""
    size: tuple[int, ...] = ()
    """Side of the images in pixels: one number, or height and width.  Empty: as the data has it."""
    channels: int = 0
    """1 for grey, 3 for colour, 4 to keep alpha.  0: as the data has it."""
    flip: bool = False
    """Mirror images left to right at random."""
    crop: bool = False
    """Cut a random window instead of the central one where an image is larger than the size."""
    native: bool = False
    """Cut windows out of images at their own scale, instead of bringing their short side to the size first."""
    augment: Literal["none", "diffaug", "ada"] = "none"
    """Differentiable augmentation in front of the networks that judge."""
    seed: int = 0
    """Everything drawn in the run follows from it."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """Arithmetic of the networks; weights and sums stay in fp32.  auto: bf16 where the device is faster in it."""
    threads: int = 0
    """CPU threads.  0: OMP_NUM_THREADS where that is set, else as many as there are cores; the command leaves out
    cores that other programs keep busy."""
    fast: bool = True
    """Choose memory layout and optimiser form for speed: results may differ in the last digits from --exact."""
    accumulate: int = 1
    """Micro-batches a move: the same batch in less memory."""
    clip: float = 0.0
    """Largest norm of a player's gradient.  0: unlimited."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Learning rate over the run: constant, constant then linear to zero from the half on, or cosine to zero."""
    warmup: int = 0
    """Rounds over which the learning rate rises from zero."""
    ema: float | None = None
    """Half-life, in images, of the averaged networks.  Empty: the paper's choice; 0: no averaging."""
    log_every: int = 50
    """Rounds between two rows of the log."""
    sample_every: int = 500
    """Rounds between two sample grids.  0: none."""
    save_every: int = 1_000
    """Rounds between two checkpoints.  0: only at the end."""
    keep: int = 3
    """Newest checkpoints to keep; the best one always stays."""
    select: str = ""
    """Measure by which the best checkpoint is kept, as RUN@best: fid, kid ...; l1, psnr ... for translators."""
    every: int = 0
    """Rounds between two measurements, each with a checkpoint.  0: at every checkpoint."""
    patience: int = 0
    """Measurements in a row without improvement after which the run stops.  0: it plays to its end."""
    judged: int = 2_000
    """Pictures that a measurement draws, always of the same seed."""


@dataclass(frozen=True)
class Preset:
    """A named setting of a model: its Config and the run that goes with it."""

    config: Any
    run: Run
