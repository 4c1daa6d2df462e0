"""Find label maps beside images, and what their regions are.

The regions are decided over the maps of all splits, so that an index means the same in each.  A number k of a map is
region k, or the last region if it marks unknown pixels (255); colours are numbered in the order of the list of names,
or else by their code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from ganforge import images
from ganforge.console import track
from ganforge.data.cache import DecodeJob, DecodeReport, fingerprint, load_or_decode, map_in_threads
from ganforge.data.decode import attempt
from ganforge.data.layouts.files import Files
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.region_names import Colour, RegionNames, choose_colours, find_region_names
from ganforge.data.layouts.roles import Roles, describe_partners, find_roles
from ganforge.data.read_options import UNKNOWN_VALUE
from ganforge.data.regions import (
    COLOUR,
    MOST,
    UNKNOWN,
    OutsideError,
    Regions,
    decode_colour,
    describe_code,
    encode_colours,
    number_instances,
)
from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.images import LabelMap

MOST_IN_ONE = 128  # values of one map without a list of names: depth and other smooth images have more


@dataclass(frozen=True)
class MapSource:
    """Images with their label maps, none of them decoded yet; row k of each belongs together."""

    files: Files
    photos: tuple[str, ...]
    maps: tuple[str, ...]
    instances: tuple[str, ...]
    """Empty unless every image has an instance map."""
    regions: Regions
    layout: str
    notes: tuple[str, ...] = ()

    def read(self, row: int) -> np.ndarray:
        """The region of every pixel (H, W) of one image.  Raises DataError if its map cannot be read."""
        name = self.maps[row]
        try:
            return self.regions.index(read_map(self.files, name))
        except OutsideError as error:
            raise DataError(f"{name} has {describe_code(error.code)}, which no region has.") from error

    def read_instances(self, row: int) -> np.ndarray:
        """uint16 (H, W): the instances of one image, numbered from 0 in the order of their values."""
        return number_instances(read_map(self.files, self.instances[row]), self.instances[row])


def read_map(files: Files, name: str) -> LabelMap:
    """The map in a file.  Raises DataError if it cannot be read."""
    return images.read_label_map(files.open(name), name)


def looks_like_map(files: Files, name: str) -> bool:
    """Whether an image has a palette, or few numbers or colours, and was stored exactly."""
    if name.lower().endswith((".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".heic")):
        return False
    try:
        found = read_map(files, name)
    except DataError:
        return False
    return found.palette is not None or count_values(found) <= most_values(found, 64)


def count_values(found: LabelMap) -> int:
    """The number of different numbers or colours of a map."""
    return len(np.unique(encode_colours(found.pixels) if found.pixels.ndim == 3 else found.pixels))


def most_values(found: LabelMap, most: int) -> int:
    """The most values that a label map of this size may have: `most`, and in small ones fewer."""
    return min(most, max(16, found.size[0] * found.size[1] // 8))


def find_label_maps(source: ImageSource, unknown: int = UNKNOWN_VALUE) -> MapSource | None:
    """The label maps beside the images of a source; None if the names of its folders say none.

    `unknown` is the number that marks pixels without a region.

    Raises:
        DataError: a list of names cannot be read, or a map has a number or colour that it does not name.
    """
    files = source.files
    roles = find_roles(files, source.held_out, lambda name: looks_like_map(files, name)) if files else None
    if files is None or roles is None:
        return None
    keys = [key for key in roles.photos if key in roles.maps]
    if not keys:
        one, other = min(roles.photos.values()), min(roles.maps.values())
        raise DataError(
            f"No label map of {files.where} has the name of an image: the first are {shorten(one)} and "
            f"{shorten(other)}."
        )
    named = find_region_names(files, roles.folders)
    regions, notes = decide_regions(files, roles.every_map, named, unknown)
    instances, more = pick_instances(roles, keys)
    photos, maps = (tuple(chosen[key] for key in keys) for chosen in (roles.photos, roles.maps))
    where = f"{maps[0].rpartition('/')[0] or files.where.name} ({len(maps)})"
    layout = f"{where} of {len(regions.names)} regions" + ", with instances" * bool(instances)
    return MapSource(files, photos, maps, instances, regions, layout, (*notes, *describe_partners(roles), *more))


def pick_instances(roles: Roles, keys: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The instance maps of these keys, and a note if only some have one."""
    found = tuple(roles.instances[key] for key in keys if key in roles.instances)
    if not found or len(found) == len(keys):
        return found, ()
    return (), (f"Not used: instance maps, which {len(keys) - len(found)} of {len(keys)} images do not have.",)


# -- what the regions are ---------------------------------------------------------------------------


def find_codes(files: Files, maps: Sequence[str], is_named: bool) -> list[tuple[int, int]]:
    """(number, code of its colour) of all pixels of all maps, -1 for one that a map does not have; kept in the cache.

    Maps that cannot be read are passed over.  Raises NoMapError for one with too many values, unless they are named.
    """

    def find(name: str) -> np.ndarray:
        found = read_map(files, name)
        most = MOST if is_named or found.palette is not None else most_values(found, MOST_IN_ONE)
        if (count := count_values(found)) > most:
            raise NoMapError(name, count, "colours" if found.pixels.ndim == 3 else "different numbers")
        if found.pixels.ndim == 3:
            codes = np.unique(encode_colours(found.pixels))
            return np.stack([np.full_like(codes, -1), codes], 1)
        numbers = np.unique(found.pixels).astype(np.int64)
        colours = np.full_like(numbers, -1)
        if found.palette is not None:
            colours = encode_colours(LabelMap(numbers[None].astype(np.uint16), found.palette).colours())[0]
        return np.stack([numbers, colours], 1)

    def begin() -> DecodeJob:
        results = map_in_threads(lambda name: attempt(lambda: find(name)), maps)
        pairs: set[tuple[int, int]] = set()
        for result in track(results, len(maps), f"Reading label maps of {files.where}"):
            if isinstance(result, NoMapError):
                raise result
            if isinstance(result, np.ndarray):
                pairs |= {(number, colour) for number, colour in result.tolist()}
        rows = np.array(sorted(pairs), np.int64).reshape(-1, 2)
        return DecodeJob((2,), rows.dtype, [rows], lambda: DecodeReport(tuple(range(len(rows)))))

    found = load_or_decode(fingerprint("values of label maps", files.identify(maps), is_named), begin).images
    return [(int(number), int(colour)) for number, colour in found.tolist()]


class NoMapError(DataError):
    """An image has too many numbers or colours for a label map."""

    def __init__(self, name: str, count: int, what: str) -> None:
        super().__init__(
            f"{name} has {count:,} {what}, and is no label map, which has one exact value a region: save it as a PNG "
            "without smoothed edges, or list the names of so many regions in classes.txt."
        )


def decide_regions(
    files: Files, maps: Sequence[str], named: RegionNames | None, unknown: int
) -> tuple[Regions, tuple[str, ...]]:
    """The regions of all maps, and notes.

    Raises:
        DataError: a number or a colour is not named by the list, or there are too many.
    """
    pairs = find_codes(files, maps, named is not None)
    if not pairs:
        raise_unreadable(files, maps)
    both = [(number, colour) for number, colour in pairs if number >= 0 and colour >= 0]
    palette = dict(both)
    consistent = len(palette) == len(both)  # one colour a number in all maps
    listed = {int(encode_colours(np.array(colour))): k for k, colour in named.colours.items()} if named else {}
    by_palette = bool(palette) and (not consistent or (bool(listed) and {*palette.values()} <= {*listed}))
    numbers = {number for number, colour in pairs if number >= 0 and (colour < 0 or not by_palette)}
    shades = {colour for number, colour in pairs if colour >= 0 and (number < 0 or by_palette)}
    grey = bool(shades) and not listed and not by_palette and all(len({*decode_colour(c)}) == 1 for c in shades)
    if grey:
        numbers, shades = numbers | {decode_colour(c)[0] for c in shades}, set()
    reading = "palette" if by_palette else "grey" if grey else ""
    inside = {*numbers} - {unknown} if named is None or unknown not in named.names else {*numbers}
    is_unknown = unknown in numbers and unknown not in inside

    def fail(code: int) -> NoReturn:
        raise_outside(files, maps, Regions((), (), ((-1, 0),), reading), code, named)

    names, codes, colours = name_numbers(inside, named, fail) if inside or not shades else ([], {}, [])
    if shades:
        names, codes, colours = name_colours(names, codes, colours, shades, listed, named, fail)
    if named is None and not shades:
        colours = [decode_colour(palette[int(name)]) if int(name) in palette else None for name in names]
        colours = colours if len({*colours} - {None}) == sum(c is not None for c in colours) else [None] * len(names)
    if is_unknown:
        names, colours = [*names, UNKNOWN], [*colours, None]
        codes[unknown] = len(names) - 1
    note = f"{len(names)} regions: {', '.join(names if len(names) <= 12 else (*names[:11], '...'))}."
    regions = Regions(tuple(names), choose_colours(colours), tuple(sorted(codes.items())), reading)
    return regions, (note, *((f"Pixels of the value {unknown} are the last region, unknown.",) if is_unknown else ()))


Named = tuple[list[str], dict[int, int], list[Colour | None]]
Fail = Callable[[int], NoReturn]  # raises the error for a code that has no name


def name_numbers(inside: set[int], named: RegionNames | None, fail: Fail) -> Named:
    """Names, {code: index} and colours of maps of numbers: number k is region k."""
    most = max(inside, default=0)
    if named:
        if outside := sorted(inside - {*named.names} - {0}):
            fail(outside[0])
        most = max(most, *named.names)
    if most >= MOST:  # sparse numbers, such as those of 16 bits
        chosen = sorted(inside | ({*named.names} if named else set()))
        if len(chosen) > MOST:
            raise DataError(f"The label maps have {len(chosen):,} different numbers, and at most {MOST:,} are regions.")
    else:
        chosen = [*range(most + 1)]
    names = [named.names.get(k, "unlabelled" if k == 0 else str(k)) if named else str(k) for k in chosen]
    colours = [named.colours.get(k) if named else None for k in chosen]
    return names, {k: index for index, k in enumerate(chosen)}, colours


def name_colours(
    names: list[str],
    codes: dict[int, int],
    colours: list[Colour | None],
    shades: set[int],
    listed: Mapping[int, int],
    named: RegionNames | None,
    fail: Fail,
) -> Named:
    """The same with maps of colours, which the list names, or which are numbered in their order."""
    if listed and named:
        if outside := sorted(shades - {*listed}):
            fail(outside[0])
        if not names:
            names, codes, colours = name_numbers({*named.names}, named, fail)
            codes = {}
        place = {name: index for index, name in enumerate(names)}
        return names, {**codes, **{code: place[named.names[k]] for code, k in listed.items()}}, colours
    if names:
        raise DataError(
            "Some label maps hold numbers and others colours: list the colours in colours.txt beside them, a line "
            "`red green blue name` for each region."
        )
    chosen = sorted(shades)
    if named and len(named.names) != len(chosen):
        raise DataError(
            f"{named.file} names {len(named.names)} regions, and the label maps have {len(chosen)} colours: write each "
            "colour before its name, as in 230 25 75 circle."
        )
    labels = [*named.names.values()] if named else [str(k) for k in range(len(chosen))]
    return labels, {code: index for index, code in enumerate(chosen)}, [decode_colour(code) for code in chosen]


def raise_outside(
    files: Files, maps: Sequence[str], regions: Regions, code: int, named: RegionNames | None
) -> NoReturn:
    """Raise the error for a number or colour that the list does not name, with the first map that has it."""
    for name in maps:
        found = attempt(lambda name=name: read_map(files, name))
        if isinstance(found, LabelMap) and (regions.encode(found) == code).any():
            break
    else:
        name = maps[0]
    where = named.file if named else "the list"
    if code >= COLOUR:
        cure = f"add a line `{' '.join(map(str, decode_colour(code)))} NAME` to it, or repaint these pixels"
    else:
        cure = f"add its name, or say --unknown {code} if it marks pixels without a region"
    raise DataError(f"{name} has {describe_code(code)}, which {where} does not name: {cure}.")


def raise_unreadable(files: Files, maps: Sequence[str]) -> NoReturn:
    """Raise the error for maps of which none can be read."""
    first = attempt(lambda: read_map(files, maps[0]))
    raise DataError(f"None of the {len(maps)} label maps in {files.where} can be read. The first: {first}")


def without_rows(source: MapSource, rows: set[int]) -> MapSource:
    """The source without these rows."""
    kept = [row for row in range(len(source.maps)) if row not in rows]
    photos, maps = (tuple(names[row] for row in kept) for names in (source.photos, source.maps))
    instances = tuple(source.instances[row] for row in kept) if source.instances else ()
    return replace(source, photos=photos, maps=maps, instances=instances)
