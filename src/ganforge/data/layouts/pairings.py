"""Find pairs where no folders A and B say so: two folders or two endings of known names, and halves of wide images."""

import re
from collections.abc import Mapping
from dataclasses import replace

from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.two_folders import split_by_class, split_halves, stem
from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.images import ImageHeader

SPELLINGS = (  # source and target, in lower case
    *(("a", "b"), ("source", "target"), ("input", "output"), ("input", "target"), ("x", "y"), ("before", "after")),
    *(("labels", "images"), ("label", "image"), ("masks", "images"), ("mask", "image")),
    *(("sketches", "photos"), ("sketch", "photo"), ("edges", "photos"), ("edge", "photo")),
    *(
        ("lr", "hr"),
        ("lq", "hq"),
        ("lq", "gt"),
        ("low", "high"),
        ("noisy", "clean"),
        ("blurred", "sharp"),
        ("blur", "sharp"),
    ),
)
ENDING = re.compile(r"(.*[^_\-. ])[_\-. ]+([a-z]+)", re.IGNORECASE | re.DOTALL)
WIDE = 2.3  # width / height from which images may be two landscapes side by side


def pair_up(source: ImageSource) -> ImageSource:
    """The source with two sides whose images share names, if its folders or the endings of its names say them."""
    if source.sides:
        return source
    return pair_classes(source) or pair_endings(source) or source


def divide(source: ImageSource) -> ImageSource:
    """The source with two domains, if its folders, classes or the endings of its names say them."""
    two = split_by_class(source)
    return two if two.sides else pair_endings(two) or two


def pair_classes(source: ImageSource) -> ImageSource | None:
    """Pairs of two folders that are called like a source and a target, in any case of letters."""
    names, column = source.labels.names, source.labels.column
    lower = [name.lower() for name in names]
    spelling = next((pair for pair in SPELLINGS if sorted(pair) == sorted(lower)), None)
    if spelling is None or column is None or column.ndim != 1 or not source.layout.endswith("one folder a class"):
        return None
    side_of = {lower.index(word): side for side, word in enumerate(spelling)}
    sides = [side_of[number] for number in column.tolist()]
    keys = [stem(image.name.rpartition("/")[2]) for image in source.images]
    return build_sides(source, sides, keys, [names[lower.index(word)] for word in spelling])


def pair_endings(source: ImageSource) -> ImageSource | None:
    """Pairs of images whose names differ by their endings alone, as 1_A.png and 1_B.png."""
    matches = [ENDING.fullmatch(stem(image.name)) for image in source.images]
    words = {match[2].lower() if match else "" for match in matches}
    spelling = next((pair for pair in SPELLINGS if {*pair} == words), None)
    if spelling is None:
        return None
    sides = [spelling.index(match[2].lower()) for match in matches if match]
    keys = [match[1] for match in matches if match]
    return build_sides(source, sides, keys, [f"_{word}" for word in spelling])


def build_sides(source: ImageSource, sides: list[int], keys: list[str], names: list[str]) -> ImageSource:
    """The source with two sides, given the side (0 or 1) and the key of each image."""
    built = []
    for side, name in enumerate(names):
        rows = [row for row, own in enumerate(sides) if own == side]
        built.append(
            ImageSource(
                f"{source.where}: {name}",
                "one side",
                (source.identity, name),
                [source.images[row] for row in rows],
                keys=tuple(keys[row] for row in rows),
            )
        )
    note = f"Source is {names[0]}, target is {names[1]}: --direction BtoA exchanges them."
    return replace(source, sides=tuple(built), notes=(*source.notes, note))


def are_partners(source: ImageSource) -> bool:
    """Whether each image of one side has exactly one partner on the other."""
    a, b = (side.keys for side in source.sides)
    return len(a) == len(b) == len({*a}) and {*a} == {*b} != set()


def is_two_squares(height: int, width: int) -> bool:
    """Whether an image is two squares side by side, perhaps with a line of one pixel between them."""
    return width in (2 * height, 2 * height + 1)


def split_wide(source: ImageSource, sizes: list[tuple[int, int, str]], layout: str) -> ImageSource:
    """Split images that are two squares wide in the middle; `sizes` are those of the readable images.

    Raises:
        DataError: some images have another shape; `layout` says what would provide pairs.
    """
    other = [size for size in sizes if not is_two_squares(*size[:2])]
    if sizes and not other:
        return split_halves(source)
    height, width, name = other[0] if other else (0, 0, "none")
    raise DataError(
        f"This model needs source and target, and {source.where} has plain images: {shorten(name)} is "
        f"{height}x{width}, where two squares side by side would be twice as wide as high."
        f"{hint_at_pairs(source, width > height)} What would provide pairs: {layout}."
    )


def hint_at_pairs(source: ImageSource, is_wide: bool) -> str:
    """A sentence on what may have been meant as pairs, with a space before it; empty if nothing was."""
    if is_wide:
        return " If a source and a target lie side by side in each image, say --make halves."
    if len(source.labels.names) == 2 and source.layout.endswith("one folder a class"):
        return " If {} and {} are the two sides of pairs, call these folders A and B.".format(*source.labels.names)
    return ""


def note_on_wide_images(headers: Mapping[int, ImageHeader]) -> str:
    """A note for images so wide that two may lie side by side; empty if they are not."""
    sizes = {(header.height, header.width) for header in headers.values()}
    if sizes and all(width >= WIDE * height for height, width in sizes):
        return (
            "The images are wide: if a source and a target lie side by side in each, --make halves makes pairs of them."
        )
    return ""
