"""Create a study from generated and real images of equal size, depth and number of channels."""

from collections.abc import Callable
from os import fspath
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.errors import DataError, OptionError
from ganforge.evaluation.inputs import EvalOptions, open_inputs
from ganforge.human_study.server import PORT, serve
from ganforge.human_study.store import Settings, Study, check_settings
from ganforge.images import encode_png, recolour, to_uint8, visible_channels
from ganforge.inference.load import RunLike
from ganforge.metrics.image_set import ImageSet

MOST = 500  # images per side by default: enough for ten sessions
ALL = 1_000_000


def study(
    fakes: RunLike,
    against: str | Path | None,
    out: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    say: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> None:
    """Make a study and serve it until Ctrl-C.

    `options` are those of `make`; errors are those of `make` and `serve`.
    """
    serve(make(fakes, against, out, **options).path, host=host, port=port, say=say)


def make(
    fakes: RunLike,
    against: str | Path | None,
    out: str | Path,
    *,
    practice: int = Settings.practice,
    trials: int = Settings.trials,
    seconds: float = Settings.seconds,
    same_input: bool = False,
    pictures: int = MOST,
    size: tuple[int, ...] = (),
    seed: int = 0,
    held_out: bool = False,
    trust: bool = False,
    data_home: str | Path | None = None,
) -> Study:
    """Create a study file `out` of generated images `fakes` against real ones, without answers.

    `fakes` is a run (RUN, RUN@best) or images: a folder, zip, .npz, .npy or a named set; `against` is images; for a
    run, None means its own data.  A sampling run generates; a translator is given the sources of `against`, whose
    targets are the real images.  `pictures` is the maximum per side; `size` resizes to a side, or height and width;
    `seed` chooses the images; `held_out` takes real images from the held-out split; `trust` runs the code of a run's
    model that was not trained here.

    Raises OptionError for contradictory settings or too few images, DataError for images that cannot be read, RunError
    where the file cannot be written.
    """
    check_settings(Settings(practice, trials, seconds), practice + trials, practice + trials)
    if Path(out).exists():
        raise OptionError(f"{out} exists already: serve it with ganforge study {out}, or name another file.")
    if pictures < practice + trials:
        raise OptionError(f"--pictures {pictures} are fewer than the {practice + trials} trials of a session.")
    if len(size) > 2 or any(side < 1 for side in size):
        raise OptionError(f"--size {' '.join(map(str, size))} is no size: give one side, or height and width.")
    most = ALL if same_input else pictures  # matching rows are chosen below, the same on both sides
    options = EvalOptions(n=max(2, most), reals=max(2, most), seed=seed, size=size, held_out=held_out, trust=trust)
    inputs = open_inputs(fakes, against, options, Path(data_home) if data_home is not None else None)
    if same_input and inputs.run is not None and not inputs.paired:
        raise OptionError(f"The fakes of {fspath(fakes)} share no inputs with real images: leave --same-input out.")
    if same_input and inputs.fake.count != inputs.real.count:
        raise OptionError(
            f"With the same inputs, fake k belongs to real k: {inputs.fake.count} fakes do not match "
            f"{inputs.real.count} reals."
        )
    fake, real = choose_images(inputs.fake, pictures, seed), choose_images(inputs.real, pictures, seed)
    if (first := fake[0][1].shape) != (other := real[0][1].shape):
        raise DataError(
            f"The fakes are {first} and the reals {other}: both sides must have one size and number of channels."
        )
    height, width = first[:2]
    settings = Settings(
        practice, trials, seconds, same_input, height, width, fspath(fakes), str(against or "its own data")
    )
    pictures_of = [[(name, encode_png(image)) for name, image in side] for side in (fake, real)]
    return Study.create(out, settings, *pictures_of)


def choose_images(side: ImageSet, most: int, seed: int) -> list[tuple[str, np.ndarray]]:
    """At most `most` (name, image (H, W, C) uint8), chosen by the seed, in ascending order."""
    rows = np.sort(np.random.default_rng(seed).permutation(side.count)[:most])
    parts = np.array_split(rows, -(-len(rows) // 16))
    return [(f"{k}", to_opaque(p)) for part in parts for k, p in zip(part, to_uint8(side.take(part)), strict=True)]


def to_opaque(image: np.ndarray) -> np.ndarray:
    """The image (H, W, 1 or 3) without alpha, so that the browser's background does not show through one side."""
    opaque = visible_channels(image[None])[0]
    return recolour(opaque, 1 if opaque.shape[2] <= 2 else 3)
