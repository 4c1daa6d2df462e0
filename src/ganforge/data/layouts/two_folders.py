"""Find two sides in folders (pairs or two domains), and the masks that lie beside them.

pairs, or two domains       A/ B/      train/A train/B test/A test/B      A/train B/train      source/ target/
two domains                 trainA/ trainB/ testA/ testB/                 A/trainA A/testA ...
masks of either             trainA_seg/ A_masks/ train/A_mask/ ...: cat_0.png, cat_1.png or cat/*.png belong to
                            cat.jpg, an instance each; one cat.png holds an instance in each of its colours
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ganforge.console import count
from ganforge.data.decode import LazyImage
from ganforge.data.layouts.files import Files
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.splits import HELD_OUT, phase_of
from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.images import ImageHeader, white_value

SPELLINGS = (("A", "B"), ("source", "target"), ("input", "output"))
FOLDER = re.compile(
    r"(?:(.+?)[_\- ]?([ABab])|(A|B))(_?(?:seg|segs|masks?|instances?))?|(source|target|input|output)"
)  # trainA, train_a; A; with masks; source
MOST = 20  # colours of one file that are taken for instances; with more it is one instance with soft edges


@dataclass(frozen=True)
class FolderRole:
    """Split, side and kind of an image, from the name of its folder."""

    phase: str
    """`train`, `test`, `val` or empty."""
    side: str
    masks: bool
    folder: str
    """The path down to the folder that says so, with a slash."""
    inner: str
    """The path of the image without the folders of sides and splits."""


def find_two_sides(
    files: Files, root: str, held_out: bool, phases: Mapping[str, Mapping[str, str]]
) -> ImageSource | None:
    """Find the images below `root` in two sides, `a` first; None if the folders are not sides.

    `phases` are the splits that folders say, {folder: {name of one in it: phase}}.

    Raises:
        DataError: there is no test split, or nothing but one.
    """
    inside = [name for name in files.image_names if name.startswith(root)]
    roles = {name: parse_folders(name.removeprefix(root), phases) for name in inside}
    known = {name: role for name, role in roles.items() if role}
    spelling = next((s for s in SPELLINGS if {*s} <= {role.side for role in known.values() if not role.masks}), None)
    if spelling is None or (len(known) < len(inside) and all(role.phase == "" for role in known.values())):
        return None  # with a folder C beside A and B, they are classes
    found = sorted({role.phase for role in known.values()})
    phase = next((phase for phase in (HELD_OUT if held_out else ("train", "")) if phase in found), None)
    if phase is None and held_out:
        raise DataError(f"{files.where} has no test split: no folder in it is called testA, test/A or the like.")
    if phase is None and len(known) < len(inside):
        return None
    if phase is None:
        raise held_out_only_error(files, root, known)
    sides = [build_side(files, root, known, phase, side) for side in spelling]
    if any(not side.images for side in sides):
        return None
    counts = {p: sum(q.phase == p and not q.masks for q in known.values()) for p in found if p}
    return combine_sides(files, sides, counts)


def held_out_only_error(files: Files, root: str, known: Mapping[str, FolderRole]) -> DataError:
    """The error for two sides of which all images are held out."""
    counts = Counter(role.folder.rstrip("/") for role in known.values() if not role.masks)
    found = ", ".join(
        f"{shorten(root + folder)} ({count(number, 'image')})" for folder, number in sorted(counts.items())
    )
    tops = {folder.split("/")[0] for folder in counts}
    way = "rename those to train on"
    if files.where.is_dir() and len(tops) == 1 and phase_of(*tops):
        way = f"to train on them all the same, give that folder: --data {files.where}/{root}{tops.pop()}"
    return DataError(
        f"{files.where} has no training images, only held-out ones: {found}. Add folders trainA and trainB, or {way}."
    )


def parse_folders(name: str, phases: Mapping[str, Mapping[str, str]]) -> FolderRole | None:
    """The role of `trainA/1.png`, `train/A/1.png`, `A/train/1.png` or `A/x/test/1.png`; None if it is on no side.

    A side is said by the first folder that says no split; splits may be said before and behind it.
    """
    *folders, file = name.split("/")
    phase, side, masks, inner, above, reach = "", "", False, [], "", 0
    for k, folder in enumerate(folders):
        said, own = parse_side(folder), phases.get(above, {}).get(folder, "")
        above = f"{above}/{folder}".lstrip("/")
        if said and (not side or (said.phase and said.side == side)):
            side, masks, own = said.side, masks or said.masks, said.phase
            reach = k + 1
        elif side and own == "train" and k > 1 and not phase:  # of deeper words only held-out ones count
            own = ""
            inner.append(folder)
        elif own:
            reach = k + 1 if not inner else reach
        elif side:
            inner.append(folder)
        else:
            return None
        if own and (not phase or (phase == "train" and own != "train")):
            phase = own
    if not side:
        return None
    return FolderRole(phase, side, masks, "".join(f"{folder}/" for folder in folders[:reach]), "/".join([*inner, file]))


def parse_side(folder: str) -> FolderRole | None:
    """Side, phase and kind that the name of one folder says; None if it says no side."""
    match = FOLDER.fullmatch(folder)
    if not match:
        return None
    prefix, small, large, masks, word = match.groups()
    phase = phase_of(prefix) if prefix else ""
    if prefix and not phase:
        return None
    return FolderRole(phase, word or large or small.upper(), bool(masks), f"{folder}/", "")


def build_side(files: Files, root: str, known: Mapping[str, FolderRole], phase: str, side: str) -> ImageSource:
    """Build the source of one side, with masks if there are any."""
    own = {name: p for name, p in known.items() if (p.phase, p.side) == (phase, side)}
    names = [name for name, role in own.items() if not role.masks]
    folder = root + next((role.folder for role in own.values() if not role.masks), "")
    masks = {role.inner: name for name, role in own.items() if role.masks}
    source = ImageSource(
        f"{files.where}/{folder}".rstrip("/"),
        "one side",
        files.identify((*names, *masks.values())),
        [files.image(name) for name in names],
        keys=tuple(stem(own[name].inner) for name in names),
    )
    return attach_masks(files, source, masks) if masks else source


def attach_masks(files: Files, side: ImageSource, masks: dict[str, str]) -> ImageSource:
    """Assign every mask to its image."""
    owner = {key: row for row, key in enumerate(side.keys)}
    of_image: list[list[LazyImage]] = [[] for _ in side.keys]
    unmatched = []
    for inside, name in masks.items():
        key = next((key for key in candidate_names(stem(inside)) if key in owner), None)
        if key is None:
            unmatched.append(name)
        else:
            of_image[owner[key]].append(files.image(name))
    notes = [f"Not used: {count(len(unmatched), 'mask')} of no image, the first {unmatched[0]}."] if unmatched else []
    unmasked = [side.images[row].name for row, own in enumerate(of_image) if not own]
    if unmasked:
        notes.append(
            f"{len(unmasked)} of {len(of_image)} images in {side.where} have no mask, the first {unmasked[0]}."
        )
    return replace(side, masks=tuple(map(tuple, of_image)), notes=tuple(notes))


def candidate_names(key: str) -> Iterable[str]:
    """`cat_0_1`, `cat_0`, `cat`; of `cat/0` also `cat`: images that a mask may belong to, likeliest first."""
    yield key
    while cut := re.search(r"[_\-. /][^_\-. /]*$", key):
        key = key[: cut.start()]
        yield key


def stem(name: str) -> str:
    """The name without its suffix."""
    return name.rpartition(".")[0]


def combine_sides(files: Files, sides: Sequence[ImageSource], splits: dict[str, int]) -> ImageSource:
    """Combine two sides to one source."""
    a, b = sides
    names = [f"{side.where.removeprefix(f'{files.where}/')} ({len(side.images)})" for side in sides]
    masked = ", with masks" * bool(a.masks and b.masks)
    return ImageSource(
        str(files.where),
        f"two sides, {names[0]} and {names[1]}{masked}",
        (a.identity, b.identity),
        [*a.images, *b.images],
        notes=(*files.notes, *a.notes, *b.notes),
        splits=splits,
        sides=(a, b),
    )


def split_by_class(source: ImageSource) -> ImageSource:
    """Turn a source of two classes into two domains; other sources are returned as they are."""
    column = source.labels.column
    if source.sides or column is None or column.ndim != 1 or len(source.labels.names) != 2:
        return source
    sides = []
    for number, name in enumerate(source.labels.names):
        rows = np.flatnonzero(column == number).tolist()
        sides.append(
            ImageSource(
                f"{source.where}: {name}", "one class", (source.identity, name), [source.images[r] for r in rows]
            )
        )
    return replace(
        source, sides=tuple(sides), notes=(*source.notes, "Side a is {}, side b is {}.".format(*source.labels.names))
    )


def split_halves(source: ImageSource) -> ImageSource:
    """Turn wide images into pairs: the left half is a, the right half b."""
    sides = [
        ImageSource(
            f"{source.where}: {name}",
            "one half",
            (source.identity, name),
            [crop_half(image, side) for image in source.images],
            keys=tuple(image.name for image in source.images),
        )
        for side, name in enumerate(("left", "right"))
    ]
    return replace(source, sides=tuple(sides), layout="pairs side by side")


def crop_half(image: LazyImage, side: int) -> LazyImage:
    """The left (0) or right (1) half of an image; a column in the middle belongs to neither."""

    def read_header() -> ImageHeader:
        header = image.read_header()
        return replace(header, width=header.width // 2)

    def read() -> np.ndarray:
        array = image.read()
        width = array.shape[1] // 2
        if not width:
            raise DataError(f"{image.name} cannot be read: it is one pixel wide, and has no halves.")
        return array[:, :width] if side == 0 else array[:, -width:]

    return LazyImage(image.name, read_header, read)


def read_instances(image: LazyImage, masks: Sequence[LazyImage]) -> list[np.ndarray]:
    """Read a mask (H, W, 1) of 0 and 255 for each instance in an image; empty masks are dropped.

    Of several files each holds one instance, where it is brighter than half.  A single file holds one instance in each
    of its colours but black; with more than twenty colours it is one instance with soft edges.

    Raises:
        DataError: a mask has another size than its image.
    """
    header, planes_found = image.read_header(), []
    for mask in masks:
        array = mask.read()
        if array.shape[:2] != (header.height, header.width):
            raise DataError(
                f"{mask.name} is {array.shape[0]}x{array.shape[1]} pixels, and its image {image.name} is "
                f"{header.height}x{header.width}: a mask has the size of its image."
            )
        colours = array[..., : 1 if array.shape[2] <= 2 else 3]
        planes = split_by_colour(colours) if len(masks) == 1 else [colours.max(2) >= white_value(array.dtype) / 2]
        planes_found += [plane.astype(np.uint8)[..., None] * np.uint8(255) for plane in planes if plane.any()]
    return planes_found


def split_by_colour(colours: np.ndarray) -> list[np.ndarray]:
    """Boolean masks (H, W) of each colour but black."""
    if colours.dtype != np.float32:
        code = colours.astype(np.int64) @ (65536 ** np.arange(colours.shape[2]))  # one number a colour
        kinds = np.unique(code)
        if len(kinds) <= MOST + 1:
            return [code == kind for kind in kinds if kind]
    return [colours.max(2) >= white_value(colours.dtype) / 2]
