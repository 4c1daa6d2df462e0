"""The images that `score` scores, one after another, with what is known about them."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.console import Say
from ganforge.data.layouts.folders import SOUND as SOUND_FOLDERS
from ganforge.data.layouts.two_folders import stem
from ganforge.data.layouts.untaken import describe_untaken
from ganforge.data.loader import to_images
from ganforge.data.synthetic.fabric import Fabric
from ganforge.data.synthetic.shapes import HELD_OUT, luminance, make_scenes
from ganforge.errors import DataError
from ganforge.images import to_uint8, visible_channels, white_value
from ganforge.inference.preparing import ImagePreparer
from ganforge.inference.trained import Trained
from ganforge.inference.translation_job import Companions, open_sources

NAMED = "shapes-defects"
"""The embedded set with flaws, whose truth is known."""
DRAWN, SOUND_FROM, SOUND_DRAWN = 300, HELD_OUT + 100_000, 600
"""Held-out scenes of NAMED that are scored; the first, and how many, of others, whose sound ones set a threshold."""
SOUND = {*SOUND_FOLDERS, "0", "false", "no", "healthy", "정상", "양품"}
STRANGE = {
    "1",
    "true",
    "yes",
    "bad",
    "strange",
    "anomaly",
    "anomalous",
    "defect",
    "defective",
    "abnormal",
    "불량",
    "이상",
}


@dataclass(frozen=True)
class Item:
    """One image to score."""

    name: str
    image: Tensor
    """(1, C, H, W) in [-1, 1]."""
    shown: np.ndarray
    """(H, W, 1 or 3) of 0 ... 255."""
    strange: bool | None = None
    """None: not known."""
    mask: np.ndarray | None = None
    """(H, W) of bools: the flaws; None: not known where."""


@dataclass(frozen=True)
class Truth:
    """What is known about images: masks or the labels of a table, and what the folders say of images in neither."""

    folders: Mapping[str, bool]
    """{file, without its ending: whether it is strange} by its folder; empty where folders say nothing."""
    labels: Mapping[str, bool] = field(default_factory=dict)
    """The same by a table."""
    masks: Companions | None = None

    def of(self, name: str, sides: tuple[int, int]) -> tuple[bool | None, np.ndarray | None]:
        """(whether it is strange, its flaws (H, W)) of an image, as far as they are known.

        An image without a mask is sound unless its folder says otherwise.  Raises DataError for a mask of another size.
        """
        by_folder = self.folders.get(stem(name))
        if self.masks is None:
            by_row = self.row_of(name)
            return by_folder if by_row is None else by_row, None
        mask, files = np.zeros(sides, bool), self.masks.of(name)
        if by_folder and not files:
            return True, None
        for file in files:
            array = file.read()
            if array.shape[:2] != sides:
                raise DataError(
                    f"The mask {file.name} is {array.shape[0]}x{array.shape[1]} pixels, and its image {name} is "
                    f"{sides[0]}x{sides[1]}: a mask has the size of its image."
                )
            mask |= array[..., : 1 if array.shape[2] <= 2 else 3].max(2) >= white_value(array.dtype) / 2
        return bool(mask.any()), mask

    def row_of(self, name: str) -> bool | None:
        """Whether an image is strange by the table; None where it has no row."""
        return self.labels.get(stem(name), self.labels.get(PurePosixPath(stem(name)).name))


def read_truth(truth: str | Path, names: Sequence[str], notes: list[str]) -> Truth:
    """The truth that `--truth` names, a folder or zip of masks or a table; without one, what the folders say.

    Folders say it where one of them is called good, sound, normal or ok: images in others are strange then.  `notes`
    receives how many images have no mask or row.

    Raises DataError for a table or masks that fit none of the images.
    """
    path, folders = Path(truth).expanduser(), read_folders(names)
    if not str(truth):
        return Truth(folders)
    if path.suffix.lower() in (".csv", ".tsv"):
        found = Truth(folders, read_table(path))
        missing = [name for name in names if found.row_of(name) is None]
        if len(missing) == len(names):
            first = next(iter(found.labels), "none")
            raise DataError(f"{path} names none of the {len(names)} images; its first is {first}.")
        lacking = f"not named in {path}"
        known = "their folders say whether they are strange" if folders else "whether they are strange is not known"
    else:
        found = Truth(folders, masks=(masks := Companions(path, "masks")))
        missing = [name for name in names if not masks.of(name)]
        if len(missing) == len(names):
            raise DataError(f"No mask in {path} has the name of one of the {len(names)} images, such as {names[0]}.")
        missing = [name for name in missing if folders.get(stem(name), True)]  # sound images have none
        lacking = f"without a mask in {path}"
        known = "by their folders they are strange" if folders else "they count as sound"
    if missing:
        notes.append(f"{len(missing)} of {len(names)} images, the first {missing[0]}, are {lacking}: {known}.")
    return found


def read_folders(names: Sequence[str]) -> dict[str, bool]:
    """{file, without its ending: whether it is strange} by its folder; empty where no folder is called good or so."""
    tops = {name: name.rpartition("/")[0].rpartition("/")[2].lower() for name in names}
    if SOUND.isdisjoint(tops.values()):
        return {}
    return {stem(name): top not in SOUND for name, top in tops.items()}


def read_table(path: Path) -> dict[str, bool]:
    """{file, without its ending: whether it is strange} of a table with a file and a label a row.

    Raises DataError where it cannot be read, or for a label that says neither.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: it should be a table, a file name and a label a row.") from error
    rows = [row for row in csv.reader(text.splitlines(), delimiter="\t" if path.suffix == ".tsv" else ",") if row]
    labels: dict[str, bool] = {}
    for number, row in enumerate(rows):
        name, label = row[0].strip(), row[1].strip().lower() if len(row) > 1 else ""
        if label in SOUND or label in STRANGE:
            labels[stem(name) or name] = label in STRANGE
        elif number or len(rows) == 1:  # the first row may name the columns
            raise DataError(
                f"Row {number + 1} of {path} says {label!r} of {name}: a label is 1, strange, bad or defect, or 0, "
                "sound, good or normal."
            )
    return labels


def list_items(
    trained: Trained, source: str, truth: str | Path, say: Say, notes: list[str], skipped: list[str]
) -> Iterator[Item]:
    """The images of a file, a folder, a zip or of the embedded set; files that cannot be read are said and left out.

    `notes` receives what was converted and what was not taken, `skipped` a sentence for each file that was left out.
    Raises DataError where there are none.
    """
    if source == NAMED:
        yield from list_drawn(trained, HELD_OUT, DRAWN)
        return
    files, preparer = open_sources(Path(source).expanduser()), ImagePreparer()
    names = files.image_names
    if not names:
        raise DataError(f"{source} holds no images.")
    notes += [*files.notes, *describe_untaken(files)]
    known = read_truth(truth, names, notes)
    for name in names:
        try:
            image = files.image(name)
            array = image.read()
            tensor = preparer.prepare(image, array, trained.facts.channels, trained.range_in())
            yield Item(name, tensor, visible_channels(to_uint8(tensor))[0], *known.of(name, array.shape[:2]))
        except DataError as error:
            say(f"Skipped: {error}")
            skipped.append(str(error))
    notes += preparer.notes()


def list_drawn(trained: Trained, first: int, count: int, only_sound: bool = False) -> Iterator[Item]:
    """Scenes of the embedded set, at the size and in the channels of the run, with their truth."""
    facts = trained.facts
    size = (facts.height, facts.width)
    scenes = make_scenes(NAMED, range(first, first + count))
    assert isinstance(scenes, Fabric)
    images = scenes.images(size) if facts.channels == 3 else luminance(scenes.images(size))
    flaws = scenes.masks(size)[:, 0].astype(bool) & (scenes.condition > 0)[:, None, None]
    for k, (image, strange, mask) in enumerate(zip(images, scenes.condition > 0, flaws, strict=True)):
        if not (only_sound and strange):
            yield Item(f"{k:04d}.png", to_images(image[None]), image, bool(strange), mask)


def reduce_mask(mask: np.ndarray, sides: tuple[int, int]) -> np.ndarray:
    """A mask (H, W) at another size: pixels of which half is covered, and the one covered most where there are none."""
    if mask.shape == sides or not mask.any():
        return mask if mask.shape == sides else np.zeros(sides, bool)
    cover = F.interpolate(torch.from_numpy(mask)[None, None].float(), sides, mode="area")[0, 0].numpy()
    return cover >= min(0.5, float(cover.max()))
