"""The two sides of a study: generated and real pictures, of one size, one depth and one number of channels."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ganforge.errors import DataError, OptionError
from ganforge.evaluation.image_sets import ImageSet
from ganforge.evaluation.inputs import EvalOptions, case
from ganforge.human_study.server import PORT, serve
from ganforge.human_study.store import Settings, Study, check
from ganforge.images import recolour, to_uint8, visible

MOST = 500  # pictures of a side, unless asked otherwise: ten sessions' worth
ALL = 1_000_000


def study(
    fakes: str | Path,
    against: str | Path | None,
    out: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    practice: int = Settings.practice,
    trials: int = Settings.trials,
    seconds: float = Settings.seconds,
    same_input: bool = False,
    pictures: int = MOST,
    size: tuple[int, ...] = (),
    seed: int = 0,
    held_out: bool = False,
    data_home: str | Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Make a study and serve it until Ctrl-C: `make` and `serve`, which say what the arguments mean and raise."""
    made = make(
        fakes,
        against,
        out,
        practice=practice,
        trials=trials,
        seconds=seconds,
        same_input=same_input,
        pictures=pictures,
        size=size,
        seed=seed,
        held_out=held_out,
        data_home=data_home,
    )
    serve(made.path, host=host, port=port, say=say)


def make(
    fakes: str | Path,
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
    data_home: str | Path | None = None,
) -> Study:
    """A new study file `out` of generated pictures `fakes` against real ones; nobody has answered yet.

    `fakes` is a run (RUN, RUN@best) or pictures: a folder, zip, .npz, .npy or a named set; `against` is pictures, for a
    run its own data where it is None.  A run that samples draws; one that translates is given the sources of `against`,
    of which the targets are the reals.  `pictures` is the most that each side takes; `size` brings them to a side, or
    height and width; `seed` chooses; `held_out` takes reals that training never sees.

    Raises OptionError for settings that do not fit together or too few pictures, DataError for pictures that cannot
    be read, RunError when the file cannot be written.
    """
    check(Settings(practice, trials, seconds), practice + trials, practice + trials)
    if Path(out).exists():
        raise OptionError(f"{out} exists already: serve it with ganforge study {out}, or name another file.")
    if pictures < practice + trials:
        raise OptionError(f"--pictures {pictures} are fewer than the {practice + trials} trials of a session.")
    if len(size) > 2 or any(side < 1 for side in size):
        raise OptionError(f"--size {' '.join(map(str, size))} is no size: give one side, or height and width.")
    most = ALL if same_input else pictures  # rows that belong together are chosen below, on both sides alike
    terms = EvalOptions(n=max(2, most), reals=max(2, most), seed=seed, size=size, held_out=held_out)
    found = case(fakes, against, terms, Path(data_home) if data_home is not None else None)
    if same_input and found.run is not None and not found.paired:
        raise OptionError(f"A fake of {fakes} shares its input with no real picture: leave --same-input out.")
    if same_input and found.fake.count != found.real.count:
        raise OptionError(
            f"With the same inputs, fake k belongs to real k: {found.fake.count} fakes do not match "
            f"{found.real.count} reals."
        )
    made, real = taken(found.fake, pictures, seed), taken(found.real, pictures, seed)
    if (first := made[0][1].shape) != (other := real[0][1].shape):
        raise DataError(f"The fakes are {first} and the reals {other}: both sides must be of one size and colour.")
    height, width = first[:2]
    settings = Settings(
        practice, trials, seconds, same_input, height, width, str(fakes), str(against or "its own data")
    )
    return Study.create(out, settings, encoded(made), encoded(real))


def taken(side: ImageSet, most: int, seed: int) -> list[tuple[str, np.ndarray]]:
    """At most so many pictures (H, W, C) of 0 ... 255 with their names, chosen by the seed, in rising order."""
    rows = np.sort(np.random.default_rng(seed).permutation(side.count)[:most])
    parts = np.array_split(rows, -(-len(rows) // 16))
    return [(f"{k}", plain(p)) for part in parts for k, p in zip(part, to_uint8(side.chosen(part)), strict=True)]


def plain(picture: np.ndarray) -> np.ndarray:
    """(H, W, C) grey or in colour: a browser's background must not shine through one side alone."""
    seen = visible(picture[None])[0]
    return recolour(seen, 1 if seen.shape[2] <= 2 else 3)


def encoded(pictures: list[tuple[str, np.ndarray]]) -> list[tuple[str, bytes]]:
    """The pictures as PNG, written by the same hand on both sides."""
    files = []
    for name, picture in pictures:
        buffer = BytesIO()
        Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(buffer, "PNG")
        files.append((name, buffer.getvalue()))
    return files
