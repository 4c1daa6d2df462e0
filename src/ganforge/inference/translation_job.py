"""One job of translating files: images, videos and their companions, of a run that translates images."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganforge.console import Say
from ganforge.data.contact_sheet import draw_cell
from ganforge.data.decode import LazyImage
from ganforge.data.layouts.files import ENDINGS, Files, check_regular, list_folder
from ganforge.data.layouts.names import clean_name
from ganforge.data.layouts.two_folders import candidate_names, read_instances, stem
from ganforge.data.layouts.zips import list_zip
from ganforge.data.value_range import to_units
from ganforge.errors import DataError, OptionError
from ganforge.images import Depth, grid, lossless_suffix, recolour, to_depth, write
from ganforge.images import video as videos
from ganforge.inference.preparing import ImagePreparer
from ganforge.inference.trained import Trained

ROWS, SIDE = 12, 192  # of a comparison sheet: the largest number of rows, and the side of its cells in pixels
DEPTHS: dict[str, Depth] = {"uint8": "8", "uint16": "16", "float32": "float"}


@dataclass
class Job:
    """A translation of several files: the run, the options, and what was converted so far."""

    trained: Trained
    files: Files
    n: int
    seed: int
    tile: int
    answers: dict[str, Any]
    masks: "Companions"
    truth: "Companions"
    say: Say
    rows: list[list[np.ndarray]] = field(default_factory=list)
    preparer: ImagePreparer = field(default_factory=ImagePreparer)
    takes_masks: bool = False

    @staticmethod
    def open(source: str | Path) -> Files:
        """The files to translate.  Raises DataError where there are none."""
        return open_sources(Path(source).expanduser())

    def names(self) -> list[str]:
        """What is translated: images, then videos.  Raises DataError where there is nothing."""
        names = [*self.files.image_names, *(name for name in sorted(self.files.marks) if is_video(name))]
        if not names:
            raise DataError(
                f"{self.files.where} holds no images and no videos: files ending in {', '.join(ENDINGS)} are expected."
            )
        return names

    def run(self, name: str, target: Path, exact: bool) -> int:
        """Translate one image or video to `target`, with a suffix added unless it is `exact`; returns how many."""
        return (self.video if is_video(name) else self.image)(name, target, exact)

    def image(self, name: str, target: Path, exact: bool) -> int:
        """Translate one image, and write its results."""
        shown, results = self.translate_file(name)
        base, suffix = (target.with_suffix(""), target.suffix) if exact else (target, lossless_suffix(results[0]))
        for k, result in enumerate(results):
            write(base.with_name(f"{base.name}{f'-{k}' if self.n > 1 else ''}{suffix}"), result)
        if self.n > 1 and all(np.array_equal(results[0], other) for other in results[1:]):
            once = "Inputs of one result, whatever the seed, which was written several times"
            self.preparer.changed[once] += 1
        if len(self.rows) < ROWS:
            truth = [t.read() for t in self.truth.of(name)[:1]]
            self.rows.append([draw_cell(one, SIDE) for one in (shown, *results, *truth)])
        return self.n

    def translate_file(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(the image as it is, its results (n, H, W, C))."""
        image = self.files.image(name)
        array = image.read()
        return array, self.translate_array(image, array)

    def video(self, name: str, target: Path, exact: bool) -> int:
        """Translate a video frame by frame; all frames use the same random numbers, so that it does not flicker."""
        if self.n > 1 or self.masks.files:
            raise DataError(f"{name} cannot be translated: a video can have neither several results nor masks.")
        path = self.files.open(name)
        if not isinstance(path, Path):
            raise DataError(f"{name} cannot be translated inside a zip: unpack it.")
        video = videos.read(path)
        frame = LazyImage(name, lambda: None, lambda: None)  # pyright: ignore[reportArgumentType]
        frames = (recolour(self.translate_array(frame, array)[0], 3) for array in video.frames)
        if exact and not is_video(target.name):
            raise DataError(f"{name} is a video, and {target} is not: videos end in {', '.join(videos.ENDINGS)}.")
        videos.write(target if exact else target.with_name(f"{target.name}.mp4"), frames, video.rate)
        self.preparer.changed["Videos, which were written without their sound"] += 1
        return 1

    def translate_array(self, image: LazyImage, array: np.ndarray) -> np.ndarray:
        """Translate one image (H, W, C) to its results (n, H, W, C), in the same bit depth; see `finish`."""
        reverse = bool(self.answers.get("reverse"))
        channels = self.trained.channels_in(reverse)
        try:
            tensor = self.preparer.prepare(image, array, channels, self.trained.range_in(reverse))
        except DataError as error:
            raise DataError(f"{image.name} cannot be translated: {str(error).rstrip('.')}.") from error
        masks = self.read_masks(image, tensor).expand(self.n, -1, -1, -1) if self.takes_masks else None
        images = tensor.expand(self.n, -1, -1, -1)
        results = self.trained.translate_batches(images, self.seed, masks=masks, tile=self.tile, **self.answers)
        depth = DEPTHS[array.dtype.name]
        return to_depth(results, depth) if is_video(image.name) else self.finish(results, depth)

    def finish(self, results: Tensor, depth: Depth) -> np.ndarray:
        """Results (n, C, H, W) in [-1, 1] as they are written, (n, H, W, C) of this depth.

        Where the run has a range of values, they are float32 in the units of its data instead.
        """
        span = self.trained.range_out(bool(self.answers.get("reverse")))
        return to_units(to_depth(results, "float"), span) if span else to_depth(results, depth)

    def check_masks(self) -> None:
        """Raise OptionError where masks are missing or superfluous."""
        self.takes_masks = "masks" in inspect.signature(self.trained.game.translate).parameters  # pyright: ignore
        if self.takes_masks != bool(self.masks.files):
            raise OptionError(f"{self.trained.model} {'needs' if self.takes_masks else 'takes no'} --masks FOLDER.")

    def read_masks(self, image: LazyImage, tensor: Tensor) -> Tensor:
        """(1, M, H, W): the masks of an image, one empty mask where it has none."""
        found = read_instances(image, self.masks.of(image.name))
        if not found:
            self.preparer.changed["Images without an instance in a mask"] += 1
            return torch.zeros(1, 1, *tensor.shape[2:])
        return torch.from_numpy(np.concatenate(found, 2) >= 128).permute(2, 0, 1)[None].float()

    def sheet(self) -> np.ndarray:
        """A page with a row for each of the first images: input | output | truth."""
        columns = max(map(len, self.rows))
        blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
        return grid([cell for row in self.rows for cell in [*row, *[blank] * (columns - len(row))]], columns, gap=4)

    def notes(self) -> list[str]:
        """The conversions, and how often each was made."""
        return self.preparer.notes()


class Companions:
    """A folder or zip with a companion for each source of the same name: masks or ground truth."""

    def __init__(self, where: str | Path, kind: str) -> None:
        """Raises DataError where there is no such folder, or it holds no images."""
        self.files = open_sources(Path(where).expanduser()) if str(where) else None
        self.names_by_key: dict[str, list[str]] = {}
        if self.files is not None and not self.files.image_names:
            raise DataError(f"{where} holds no images: it should hold the {kind}, under the names of the sources.")
        for name in self.files.image_names if self.files else ():
            for key in candidate_names(stem(name)):
                self.names_by_key.setdefault(key, []).append(name)

    def of(self, name: str) -> Sequence[LazyImage]:
        """The companions of a source, by its path or else by its bare name."""
        if self.files is None:
            return ()
        key = stem(name)
        names = self.names_by_key.get(key) or self.names_by_key.get(PurePosixPath(key).name, [])
        exact = [own for own in names if stem(own) == key]
        return [self.files.image(own) for own in exact or names]


def open_sources(path: Path) -> Files:
    """The files to translate: those of a folder or a zip, or a single file.

    Raises:
        DataError: there is nothing at `path`, or it is neither.
    """
    if path.is_dir():
        return list_folder(path)
    if not path.exists():
        raise DataError(f"{path} does not exist: give an image, a folder, a zip or a video.")
    if path.suffix.lower() == ".zip":
        return list_zip(path)
    check_regular(path)
    return Files(path, {clean_name(path.name): ""}, lambda _: path)


def is_video(name: str) -> bool:
    """Whether a file is a video, by its suffix."""
    return name.lower().endswith(videos.ENDINGS)
