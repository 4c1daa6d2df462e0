"""Translating files with a run: pictures, folders and zips of them, videos; names, folders and sizes are kept."""

import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganforge.console import Say, silent
from ganforge.data.contact_sheet import cell
from ganforge.data.decode import Picture
from ganforge.data.layouts.files import ENDINGS, Files, in_folder, in_zip
from ganforge.data.layouts.two_folders import instances, shorter, stem
from ganforge.data.loader import to_images
from ganforge.errors import DataError, OptionError
from ganforge.images import Depth, grid, lossless, recolour, stored, write
from ganforge.images import video as videos
from ganforge.inference.load import load
from ganforge.inference.trained import Trained

ROWS, SIDE = 12, 192  # of a comparison sheet: its most rows, and the side of its cells in pixels
DEPTHS: dict[str, Depth] = {"uint8": "8", "uint16": "16", "float32": "float"}


@dataclass
class Translated:
    """What became of the files."""

    out: Path
    """Where the results are."""
    written: int = 0
    """Pictures and videos that were written."""
    skipped: list[str] = field(default_factory=list)
    """A sentence about each file that could not be translated."""
    notes: list[str] = field(default_factory=list)
    """What was made of pictures that are not what the run learned from."""
    sheet: str = ""
    """The comparison sheet, if one was written."""


def translate(
    run: str | Path,
    source: str | Path,
    out: str | Path,
    *,
    n: int = 1,
    seed: int = 0,
    tile: int = 0,
    masks: str | Path = "",
    truth: str | Path = "",
    sheet: str | Path = "",
    device: str = "auto",
    say: Say = silent,
    **answers: Any,
) -> Translated:
    """Translate a picture, a folder or zip of them, or videos, into `out`, under the same names.

    Results are lossless: PNG, or NPY for what PNG cannot hold; 16 bits stay 16 bits, floats stay floats.  With `n`
    above 1 a picture has several answers, `name-0.png` and so on; answer k follows from (seed, k).  `masks` is a
    folder of masks by the pictures' names, `truth` one of what should come out: it and `sheet` make a page with the
    rows input | output | truth.  `answers` are the game's own questions.

    Files that cannot be read are told by `say`, skipped and counted; nothing is ever written among the sources.

    Raises:
        OptionError: the run does not translate, or the places or numbers make no sense.
        DataError: nothing could be translated.
    """
    source, out = Path(source).expanduser(), Path(out).expanduser()
    if n < 1 or tile < 0:
        raise OptionError(f"{n} answers in tiles of {tile} cannot be made: the least is one answer, and tile 0.")
    trained = load(run, device)
    trained.can("translate")
    files = sources(source)
    apart(source, out)
    names = [*files.pictures, *(name for name in sorted(files.marks) if is_video(name))]
    if not names:
        raise DataError(
            f"{source} holds no pictures and no videos: files ending in {', '.join(ENDINGS)} are looked for."
        )
    job = Job(trained, files, n, seed, tile, answers, Beside(masks, "masks"), Beside(truth, "truth"), say)
    job.check_masks()
    done = Translated(out)
    single = source.is_file() and source.suffix.lower() != ".zip" and out.suffix != "" and not out.is_dir()
    taken: Counter[str] = Counter()
    for name in names:
        target = out if single else out / result_name(name, taken)
        try:
            done.written += (job.video if is_video(name) else job.picture)(name, target, single)
        except DataError as error:
            done.skipped.append(str(error))
            say(f"Skipped: {error}")
    if not done.written:
        raise DataError(f"None of the {len(names)} files in {source} could be translated. The first: {done.skipped[0]}")
    done.notes = job.notes()
    if job.rows and (str(sheet) or str(truth)):
        page = Path(sheet) if str(sheet) else out.with_name(f"{out.stem}-sheet.png")
        write(page, job.sheet())
        done.sheet = str(page)
    return done


@dataclass
class Job:
    """Everything that is the same for all files."""

    trained: Trained
    files: Files
    n: int
    seed: int
    tile: int
    answers: dict[str, Any]
    masks: "Beside"
    truth: "Beside"
    say: Say
    rows: list[list[np.ndarray]] = field(default_factory=list)
    changed: Counter[str] = field(default_factory=Counter)
    takes_masks: bool = False

    def picture(self, name: str, target: Path, exact: bool) -> int:
        """Translate one picture to `target`, without an ending unless it is `exact`; returns how many were written."""
        picture = self.files.picture(name)
        array = picture.read()
        made = self.made(picture, array)
        base, suffix = (target.with_suffix(""), target.suffix) if exact else (target, lossless(made[0]))
        for k, result in enumerate(made):
            write(base.with_name(f"{base.name}{f'-{k}' if self.n > 1 else ''}{suffix}"), result)
        if len(self.rows) < ROWS:
            beside = [p.read() for p in self.truth.of(name)[:1]]
            self.rows.append([cell(shown, SIDE) for shown in (array, *made, *beside)])
        return self.n

    def video(self, name: str, target: Path, exact: bool) -> int:
        """Translate a video frame by frame, each under the same draws, so that nothing flickers by chance."""
        if self.n > 1 or self.masks.files:
            raise DataError(f"{name} cannot be translated: a video takes neither several answers nor masks.")
        place = self.files.open(name)
        if not isinstance(place, Path):
            raise DataError(f"{name} cannot be translated inside a zip: unpack it.")
        video = videos.read(place)
        frame = Picture(name, lambda: None, lambda: None)  # pyright: ignore[reportArgumentType]
        made = (recolour(self.made(frame, array)[0], 3) for array in video.frames)
        if exact and not is_video(target.name):
            raise DataError(f"{name} is a video, and {target} is none: videos end in {', '.join(videos.ENDINGS)}.")
        videos.write(target if exact else target.with_name(f"{target.name}.mp4"), made, video.rate)
        self.changed["videos were written without their sound"] += 1
        return 1

    def made(self, picture: Picture, array: np.ndarray) -> np.ndarray:
        """The answers (n, H, W, C) to one picture (H, W, C), in its own depth."""
        channels = self.trained.channels_in(bool(self.answers.get("reverse")))
        try:
            image = to_images(in_range(picture.name, self.fitted(array, channels))[None])
        except DataError as error:
            raise DataError(f"{picture.name} cannot be translated: {str(error).rstrip('.')}.") from error
        masks = self.masks_of(picture, image) if self.takes_masks else None
        pictures, same = image.expand(self.n, -1, -1, -1), None if masks is None else masks.expand(self.n, -1, -1, -1)
        answers = self.trained.translate(pictures, self.seed, masks=same, tile=self.tile, **self.answers)
        return stored(answers, DEPTHS[array.dtype.name])

    def fitted(self, array: np.ndarray, channels: int) -> np.ndarray:
        """The picture in the channels that the game takes; what had to change is counted.

        Raises:
            DataError: there is no way from its channels to those.
        """
        has = array.shape[2]
        if has != channels:
            if has in (2, 4) and channels not in (2, 4):
                self.changed["pictures have transparent parts, which were laid on white"] += 1
            if has <= 2 < channels:
                self.changed["pictures are grey, and were given three equal colours"] += 1
            if has > 2 >= channels:
                self.changed["pictures are in colour, of which the luminance was taken"] += 1
        return np.array(recolour(array, channels))  # a copy: what was read may not be written to

    def check_masks(self) -> None:
        """Raise OptionError where the game needs masks and there are none, or the other way round."""
        self.takes_masks = "masks" in inspect.signature(self.trained.game.translate).parameters  # pyright: ignore
        if self.takes_masks != bool(self.masks.files):
            raise OptionError(f"{self.trained.model} {'needs' if self.takes_masks else 'takes no'} --masks FOLDER.")

    def masks_of(self, picture: Picture, image: Tensor) -> Tensor:
        """(1, M, H, W): the masks of a picture, one empty mask where it has none."""
        found = instances(picture, self.masks.of(picture.name))
        if not found:
            self.changed["pictures have no instance in a mask"] += 1
            return torch.zeros(1, 1, *image.shape[2:])
        return torch.from_numpy(np.concatenate(found, 2) >= 128).permute(2, 0, 1)[None].float()

    def sheet(self) -> np.ndarray:
        """A page with a row for each of the first pictures: input | output | truth."""
        columns = max(map(len, self.rows))
        blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
        return grid([cell for row in self.rows for cell in [*row, *[blank] * (columns - len(row))]], columns, gap=4)

    def notes(self) -> list[str]:
        """What had to be changed, and how often."""
        return [f"{count} {what}." for what, count in self.changed.items()]


class Beside:
    """A folder or zip with files that belong to others of their names."""

    def __init__(self, where: str | Path, kind: str) -> None:
        """Raises OptionError where there is no such folder, DataError where it holds no pictures."""
        self.files = sources(Path(where).expanduser()) if str(where) else None
        self.named: dict[str, list[str]] = {}
        if self.files is not None and not self.files.pictures:
            raise DataError(f"{where} holds no pictures: it should hold the {kind}, under the names of the sources.")
        for name in self.files.pictures if self.files else ():
            for key in shorter(stem(name)):
                self.named.setdefault(key, []).append(name)

    def of(self, name: str) -> Sequence[Picture]:
        """The pictures that belong to a source, by its path or else by its bare name."""
        if self.files is None:
            return ()
        key = stem(name)
        names = self.named.get(key) or self.named.get(PurePosixPath(key).name, [])
        exact = [own for own in names if stem(own) == key]
        return [self.files.picture(own) for own in exact or names]


def sources(path: Path) -> Files:
    """The files to translate: those of a folder or a zip, or one alone.

    Raises:
        DataError: there is nothing at `path`, or it is neither.
    """
    if path.is_dir():
        return in_folder(path)
    if not path.exists():
        raise DataError(f"{path} does not exist: give a picture, a folder, a zip or a video.")
    if path.suffix.lower() == ".zip":
        return in_zip(path)
    return Files(path, {path.name: ""}, lambda _: path)


def apart(source: Path, out: Path) -> None:
    """Raise OptionError where results would fall among the sources."""
    here, there = source.resolve(), out.resolve()
    if there == here or (source.is_dir() and there.is_relative_to(here)):
        raise OptionError(f"The results would fall among the sources: write them outside {source}.")


def is_video(name: str) -> bool:
    """Whether a file is a video, by its ending."""
    return name.lower().endswith(videos.ENDINGS)


def result_name(name: str, taken: Counter[str]) -> str:
    """The source's name without its ending; with it where two sources differ by their endings alone."""
    key = stem(name)
    taken[key] += 1
    return key if taken[key] == 1 else name


def in_range(name: str, array: np.ndarray) -> np.ndarray:
    """A picture whose floats are in [-1, 1], from [0, 1] or [-1, 1].

    Raises:
        DataError: its floats are in neither, or not finite.
    """
    if array.dtype != np.float32:
        return array
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(array).all() and low >= -1 and high <= 1):
        raise DataError(f"its values run from {low:g} to {high:g}; floats are in [0, 1] or [-1, 1]")
    return array * 2 - 1 if low >= 0 else array
