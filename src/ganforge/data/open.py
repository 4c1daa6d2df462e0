"""Open the data set that `--data` names: a named set, a path, or a data set of the Hugging Face Hub."""

import difflib
import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from ganforge.batches import column_of
from ganforge.console import Say, silent
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions
from ganforge.data.layouts.captions import CaptionSource, build_captioned, find_captions
from ganforge.data.layouts.derived_pairs import derive_from_maps, derive_pairs
from ganforge.data.layouts.folders import find_images
from ganforge.data.layouts.label_maps import MapSource, NoMapError, find_label_maps
from ganforge.data.layouts.laid_out import LayoutSource, build_laid_out, find_layouts
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.pairings import pair_up
from ganforge.data.layouts.pairs import build_two_sided_dataset
from ganforge.data.layouts.segmented import build_segmented
from ganforge.data.layouts.superresolution import build_superresolution_pairs, has_two_sizes
from ganforge.data.layouts.two_folders import split_halves
from ganforge.data.named_sets import NAMED, OpenOptions, to_source
from ganforge.data.one_class import select_rows, select_source
from ganforge.data.paths import data_home
from ganforge.data.read_options import DEFAULT_READ_OPTIONS, ReadOptions
from ganforge.data.source import ImageSource, build_dataset
from ganforge.data.synthetic.places import VARIANTS
from ganforge.data.tokens import tokenise
from ganforge.data.value_range import Range
from ganforge.errors import DataError, OptionError
from ganforge.text.tokeniser import Tokeniser

HUB = "hub:"
OTHER = {"source": "target", "target": "source", "a": "b", "b": "a", "a_masks": "b_masks", "b_masks": "a_masks"}
OF_MAPS = ("colours", "one-hot")  # pairs that are made of label maps
NO_RANGES: Mapping[str, Range] = MappingProxyType({})


def open_data(
    spec: str,
    *,
    size: tuple[int, int] | None,
    channels: int = 0,
    crop: bool = False,
    seed: int = 0,
    home: Path | None = None,
    held_out: bool = False,
    needed: Collection[str] = ("images",),
    optional: Collection[str] = (),
    reading: ReadOptions = DEFAULT_READ_OPTIONS,
    native: bool = False,
    ranges: Mapping[str, Range] | None = NO_RANGES,
    where: str = "",
    tokeniser: Tokeniser | None = None,
) -> DataSet:
    """Open the data set `spec`: a name in NAMED, a name under the data home, a path, or hub:owner/name.

    `size` is height and width, None: as stored; `channels` 0: as stored; `crop` stores a margin for random windows;
    `seed` seeds the synthetic data; `held_out` selects the split that is never trained on; `needed` are the columns
    that a model requires, which decides whether two sides are read as pairs or as domains; `optional` are columns that
    it uses if they are there; `native` keeps the images at their own scale and cuts windows from them; `ranges` are
    those of a run, {column: (low, high)}, and columns without one get theirs from the images (None: each split by its
    own extremes, as in runs that have stored none); `where` is the name of the data in messages and fingerprints;
    `tokeniser` is that of a run or of a text encoder, and without one it is built from the captions of these data.

    Raises:
        DataError: there is no such data set, it cannot be read, or it lacks a column.
        OptionError: `reading` does not fit a model with these columns.
    """
    sided = not {"source", "a"}.isdisjoint(needed)
    makes, derived = reading.make != "none", reading.make not in ("none", "halves")
    of_maps, captioned = reading.make in OF_MAPS, "tokens" in {*needed, *optional}
    if makes and "source" not in needed:
        raise OptionError(f"--make {reading.make} makes pairs, and this model needs {' and '.join(needed)}.")
    if reading.direction == "BtoA" and not sided:
        raise OptionError("--direction is for two sides, and this model learns from one.")
    if reading.only and not {*needed} <= {"images", "tokens"}:
        raise OptionError(f"One class alone is for models of single images; this one needs {' and '.join(needed)}.")
    if spec in NAMED and reading.make == "halves":
        raise OptionError(f"--make halves is for images of a person's own, and {spec} is a named set.")
    if spec in NAMED:
        data = NAMED[spec](OpenOptions(size, channels, crop, seed, home, held_out, native, captioned))
        data = select_rows(data, reading.only) if reading.only else data
    else:
        source = find_data(spec, home=home, held_out=held_out)
        source = select_source(source, reading.only) if reading.only else source
        source = rename_source(source, source.where, where) if where else source
        known = ranges_in_files(ranges or {}, reading, derived)
        options = DecodeOptions(size, channels, crop, native, known.get("images"), ranges is None)
        if makes and source.sides and not of_maps:
            one = source.sides[0].where
            raise DataError(f"{spec} has two sides already; --make is for plain images, as in --data {one}.")
        data = build(source, options, needed, optional, reading, known)
    if derived:
        data = derive_from_maps(data, reading.make) if of_maps else derive_pairs(data, reading.make, seed)
    kind = "words" if reading.tokens == "auto" else reading.tokens
    data = tokenise(data, tokeniser, kind) if captioned else data
    return swap_sides(data) if reading.direction == "BtoA" else data


def choose_make(
    spec: str, reading: ReadOptions, needed: Collection[str], home: str | Path | None = None, say: Say = silent
) -> ReadOptions:
    """How a new run reads pairs: label maps that are no side of pairs in their colours, which `say` is told.

    What the user has said stays, and so do folders A and B, whose files are read as the images that they are.

    Raises:
        DataError: there is no such data set.
    """
    if reading.make != "none" or "source" not in needed:
        return reading
    if spec in NAMED:
        found = "label_map" in VARIANTS.get(spec, ())
    else:
        source = find_data(spec, home=None if home is None else Path(home))
        found = not source.sides and has_maps(source, reading, say)
    if not found:
        return reading
    say("The source is the label map in the colours of its regions; --make one-hot has a channel for each region.")
    return replace(reading, make="colours")


def has_maps(source: ImageSource, reading: ReadOptions, say: Say) -> bool:
    """Whether label maps lie beside the images.  `say` is told why some cannot be used, which stay images."""
    try:
        return find_label_maps(source, reading.unknown) is not None
    except NoMapError:  # smooth colours: images that were called labels
        return False
    except DataError as error:
        say(f"The label maps are read as images: {error}")
        return False


def need_maps(source: ImageSource, reading: ReadOptions) -> MapSource:
    """The label maps beside the images.  Raises DataError if there are none."""
    if found := find_label_maps(source, reading.unknown):
        return found
    raise DataError(f"{source.where} has no label maps. What would provide them: {column_of('label_map').layout}.")


def need_layouts(source: ImageSource, reading: ReadOptions) -> LayoutSource:
    """The boxes beside the images.  Raises DataError if there are none."""
    if found := find_layouts(source, reading.unknown):
        return found
    raise DataError(f"{source.where} has no boxes. What would provide them: {column_of('boxes').layout}.")


def need_captions(source: ImageSource, found: CaptionSource | None) -> CaptionSource:
    """The captions that were found.  Raises DataError if there are none."""
    if found:
        return found
    raise DataError(f"{source.where} has no captions. What would provide them: {column_of('tokens').layout}.")


def build(
    source: ImageSource,
    options: DecodeOptions,
    needed: Collection[str],
    optional: Collection[str],
    reading: ReadOptions,
    ranges: Mapping[str, Range],
) -> DataSet:
    """Decode the columns that a model needs, or those that they are derived from."""
    if reading.make in OF_MAPS or "label_map" in needed:
        return build_segmented(need_maps(source, reading), options)
    if "boxes" in needed:
        return build_laid_out(need_layouts(source, reading), options)
    if "tokens" in {*needed, *optional}:
        found = find_captions(source)
        if found or "tokens" in needed:
            return build_captioned(need_captions(source, found), options, "condition" in {*needed, *optional})
    if "low" in optional and has_two_sizes(pair_up(source)):
        return build_superresolution_pairs(pair_up(source), options, ranges)
    if reading.make == "halves":
        return build_two_sided_dataset(split_halves(source), options, needed, ranges)
    if reading.make == "none" and not {"source", "a"}.isdisjoint(needed):
        return build_two_sided_dataset(source, options, needed, ranges)
    return build_dataset(source, options, "condition" in {*needed, *optional})


def ranges_in_files(ranges: Mapping[str, Range], reading: ReadOptions, derived: bool) -> dict[str, Range]:
    """The ranges of a run under the names that the columns have before sides are swapped or sources derived."""
    if derived:
        name = "source" if reading.direction == "BtoA" else "target"
        return {"images": ranges[name]} if name in ranges else {}
    return {OTHER.get(name, name) if reading.direction == "BtoA" else name: span for name, span in ranges.items()}


def rename_source(source: ImageSource, old: str, new: str) -> ImageSource:
    """The same images under another name: fingerprints of sides contain the path as it was typed."""
    named = f"{new}{source.where[len(old) :]}" if source.where.startswith(old) else source.where
    return replace(source, where=named, sides=tuple(rename_source(side, old, new) for side in source.sides))


def swap_sides(data: DataSet) -> DataSet:
    """The same data with its sides exchanged: source and target, a and b, and their masks."""
    columns = {OTHER.get(name, name): column for name, column in data.columns.items()}
    ranges = {OTHER.get(name, name): span for name, span in data.ranges.items()}
    facts = data.facts
    if facts.source_channels:
        facts = replace(facts, channels=facts.source_channels, source_channels=facts.channels)
    return replace(data, columns=columns, facts=facts, fingerprint=f"{data.fingerprint} turned", ranges=ranges)


def find_data(spec: str, *, home: Path | None = None, held_out: bool = False) -> ImageSource:
    """Find the images of the data set `spec` without decoding them.

    Raises:
        DataError: there is no such data set.
    """
    if spec in NAMED:
        return to_source(NAMED[spec](OpenOptions(None, 0, False, 0, home, held_out, captions=True)))
    if spec.startswith(HUB):
        from ganforge.data.layouts.hub import open_hub

        return open_hub(spec.removeprefix(HUB), held_out)
    at_home = data_home(home) / spec
    path = next((p for p in (Path(spec).expanduser(), at_home) if spec and os.path.exists(p)), None)  # noqa: PTH110
    if path is None:
        near = difflib.get_close_matches(spec, NAMED, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise DataError(
            f"There is no data called {shorten(repr(spec))}: no such path, here or in {data_home(home)}, "
            f"and the named sets are {', '.join(NAMED)}; hub:owner/name is one of the Hugging Face Hub.{hint}"
        )
    return find_images(path, held_out)
