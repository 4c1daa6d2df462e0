"""Folders that are the two sides of something, and masks that lie beside them.

pairs, or two domains       A/ B/      train/A train/B test/A test/B      A/train B/train      source/ target/
two domains                 trainA/ trainB/ testA/ testB/
masks of either             trainA_seg/ A_masks/ train/A_mask/ ...: cat_0.png, cat_1.png or cat/*.png belong to
                            cat.jpg, an instance each; one cat.png holds an instance in each of its colours
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ganforge.data.decode import Picture
from ganforge.data.layouts.files import Files
from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.images import ImageHeader, white

TRAIN = ("train", "training")
HELD_OUT = ("test", "testing", "val", "valid", "validation")  # the first that is there
SPELLINGS = (("A", "B"), ("source", "target"), ("input", "output"))
FOLDER = re.compile(r"(train|test|val|valid)?(A|B)(_?(?:seg|segs|masks?|instances?))?|(source|target|input|output)")
MOST = 20  # colours of one file that are taken for instances; with more, it is a picture of one, with soft edges


@dataclass(frozen=True)
class Place:
    """What the folder of a picture says."""

    phase: str
    side: str
    masks: bool
    folder: str


def two_sides(files: Files, root: str, held_out: bool) -> ImageSource | None:
    """The pictures below `root` in two sides, `a` first; None where the folders are no sides.

    Raises:
        DataError: there is no test split.
    """
    inside = [name for name in files.pictures if name.startswith(root)]
    places = {name: place_of(name.removeprefix(root)) for name in inside}
    known = {name: place for name, place in places.items() if place}
    spelled = next((s for s in SPELLINGS if {*s} <= {place.side for place in known.values() if not place.masks}), None)
    if spelled is None or (len(known) < len(inside) and all(place.phase == "" for place in known.values())):
        return None  # A, B and C are classes
    phases = sorted({place.phase for place in known.values()})
    order = HELD_OUT if held_out else (*TRAIN, "")
    phase = next((phase for phase in order if phase in phases), None)
    if phase is None:
        if held_out:
            raise DataError(f"{files.where} has no test split: no folder in it is called testA, test/A or the like.")
        return None
    sides = [side_of(files, root, known, phase, side) for side in spelled]
    if any(not side.pictures for side in sides):
        return None
    return together(files, sides, {p: sum(q.phase == p and not q.masks for q in known.values()) for p in phases if p})


def place_of(name: str) -> Place | None:
    """What the folders of `trainA/1.png`, `train/A/1.png` or `A/train/1.png` say."""
    first, _, rest = name.partition("/")
    second = rest.partition("/")[0] if "/" in rest else ""
    if first.lower() in TRAIN + HELD_OUT and (match := FOLDER.fullmatch(second)) and not match[1]:
        return Place(first.lower(), match[2] or match[4], bool(match[3]), f"{first}/{second}/")
    if not rest or not (match := FOLDER.fullmatch(first)):
        return None
    if second.lower() in TRAIN + HELD_OUT and not match[1]:
        return Place(second.lower(), match[2] or match[4], bool(match[3]), f"{first}/{second}/")
    return Place(match[1] or "", match[2] or match[4], bool(match[3]), f"{first}/")


def side_of(files: Files, root: str, known: dict[str, Place], phase: str, side: str) -> ImageSource:
    """The pictures of one side, with their masks where there are any."""
    own = {name: p for name, p in known.items() if (p.phase, p.side) == (phase, side)}
    names = [name for name, place in own.items() if not place.masks]
    folder = root + next((place.folder for place in own.values() if not place.masks), "")
    masks = {name.removeprefix(root + place.folder): name for name, place in own.items() if place.masks}
    found = ImageSource(
        f"{files.where}/{folder}".rstrip("/"),
        "one side",
        [(name, files.marks[name]) for name in (*names, *masks.values())],
        [files.picture(name) for name in names],
        keys=tuple(stem(name.removeprefix(folder)) for name in names),
    )
    return with_masks(files, found, masks) if masks else found


def with_masks(files: Files, side: ImageSource, masks: dict[str, str]) -> ImageSource:
    """The side with every mask at its picture."""
    owner = {key: row for row, key in enumerate(side.keys)}
    mine: list[list[Picture]] = [[] for _ in side.keys]
    lost = []
    for inside, name in masks.items():
        key = next((key for key in shorter(stem(inside)) if key in owner), None)
        if key is None:
            lost.append(name)
        else:
            mine[owner[key]].append(files.picture(name))
    notes = [f"Not used: {len(lost)} masks that belong to no picture, the first {lost[0]}."] if lost else []
    bare = [side.pictures[row].name for row, own in enumerate(mine) if not own]
    if bare:
        notes.append(f"{len(bare)} of {len(mine)} pictures in {side.where} have no mask, the first {bare[0]}.")
    return replace(side, masks=tuple(map(tuple, mine)), notes=tuple(notes))


def shorter(key: str) -> Iterable[str]:
    """`cat_0_1`, `cat_0`, `cat`; of `cat/0` also `cat`: the pictures that a mask may belong to, the likeliest first."""
    yield key
    while cut := re.search(r"[_\-. /][^_\-. /]*$", key):
        key = key[: cut.start()]
        yield key


def stem(name: str) -> str:
    """The name without its ending."""
    return name.rpartition(".")[0]


def together(files: Files, sides: Sequence[ImageSource], splits: dict[str, int]) -> ImageSource:
    """Both sides as one set."""
    a, b = sides
    called = [f"{side.where.removeprefix(f'{files.where}/')} ({len(side.pictures)})" for side in sides]
    masked = ", with masks" * bool(a.masks and b.masks)
    return ImageSource(
        str(files.where),
        f"two sides, {called[0]} and {called[1]}{masked}",
        (a.source, b.source),
        [*a.pictures, *b.pictures],
        notes=(*files.notes, *a.notes, *b.notes),
        splits=splits,
        sides=(a, b),
    )


def by_class(found: ImageSource) -> ImageSource:
    """A set of two classes as two domains."""
    column = found.labels.column
    if found.sides or column is None or column.ndim != 1 or len(found.labels.names) != 2:
        return found
    sides = []
    for number, name in enumerate(found.labels.names):
        rows = np.flatnonzero(column == number).tolist()
        sides.append(
            ImageSource(f"{found.where}: {name}", "one class", (found.source, name), [found.pictures[r] for r in rows])
        )
    return replace(
        found, sides=tuple(sides), notes=(*found.notes, "Side a is {}, side b is {}.".format(*found.labels.names))
    )


def halves(found: ImageSource) -> ImageSource:
    """A set of pictures that are two squares wide as pairs: left is a, right is b."""
    sides = [
        ImageSource(f"{found.where}: {name}", "one half", (found.source, name), [half(p, k) for p in found.pictures],
              keys=tuple(p.name for p in found.pictures))
        for k, name in enumerate(("left", "right"))
    ]  # fmt: skip
    return replace(found, sides=tuple(sides), layout="pairs side by side")


def half(picture: Picture, side: int) -> Picture:
    """One half of a picture."""

    def look() -> ImageHeader:
        whole = picture.look()
        return replace(whole, width=whole.width // 2)

    def read() -> np.ndarray:
        whole = picture.read()
        width = whole.shape[1] // 2
        return whole[:, side * width : (side + 1) * width]

    return Picture(picture.name, look, read)


def instances(picture: Picture, masks: Sequence[Picture]) -> list[np.ndarray]:
    """A mask (H, W, 1) of 0 and 255 for each instance in a picture; none for empty masks.

    Several files hold an instance each, where they are brighter than half.  One file holds one in each of its
    colours but black; where it has more than twenty, it is one instance with soft edges.

    Raises:
        DataError: a mask has another size than its picture.
    """
    seen, found = picture.look(), []
    for mask in masks:
        array = mask.read()
        if array.shape[:2] != (seen.height, seen.width):
            raise DataError(
                f"{mask.name} is {array.shape[0]}x{array.shape[1]} pixels, and its picture {picture.name} is "
                f"{seen.height}x{seen.width}: a mask has the size of its picture."
            )
        colours = array[..., : 1 if array.shape[2] <= 2 else 3]
        planes = by_colour(colours) if len(masks) == 1 else [colours.max(2) >= white(array.dtype) / 2]
        found += [plane.astype(np.uint8)[..., None] * np.uint8(255) for plane in planes if plane.any()]
    return found


def by_colour(colours: np.ndarray) -> list[np.ndarray]:
    """Where each colour but black is."""
    if colours.dtype != np.float32:
        code = colours.astype(np.int64) @ (65536 ** np.arange(colours.shape[2]))  # one number a colour
        kinds = np.unique(code)
        if len(kinds) <= MOST + 1:
            return [code == kind for kind in kinds if kind]
    return [colours.max(2) >= white(colours.dtype) / 2]
