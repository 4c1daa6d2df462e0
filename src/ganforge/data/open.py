"""Open the data set that `--data` names: a named set, a path, or a data set of the Hugging Face Hub."""

import difflib
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ganforge.batches import is_image, is_mask
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions, LazyImage
from ganforge.data.layouts.derived_pairs import derive_pairs
from ganforge.data.layouts.folders import find_images
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.pairings import pair_up
from ganforge.data.layouts.pairs import build_two_sided_dataset
from ganforge.data.layouts.superresolution import build_superresolution_pairs, has_two_sizes
from ganforge.data.layouts.two_folders import split_halves
from ganforge.data.paths import data_home
from ganforge.data.read_options import DEFAULT_READ_OPTIONS, ReadOptions
from ganforge.data.source import ImageSource, Labels, build_dataset
from ganforge.data.synthetic.domains import DOMAINS, open_domains
from ganforge.data.value_range import Range
from ganforge.errors import DataError, OptionError
from ganforge.images import header_of

HUB = "hub:"
OTHER = {"source": "target", "target": "source", "a": "b", "b": "a", "a_masks": "b_masks", "b_masks": "a_masks"}
NO_RANGES: Mapping[str, Range] = MappingProxyType({})


@dataclass(frozen=True)
class OpenOptions:
    """The arguments of `open_data` that the opener of a named set receives."""

    size: tuple[int, int] | None
    channels: int
    crop: bool
    seed: int
    home: Path | None
    held_out: bool
    native: bool = False


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
) -> DataSet:
    """Open the data set `spec`: a name in NAMED, a name under the data home, a path, or hub:owner/name.

    `size` is height and width, None: as stored; `channels` 0: as stored; `crop` stores a margin for random windows;
    `seed` seeds the synthetic data; `held_out` selects the split that is never trained on; `needed` are the columns
    that a model requires, which decides whether two sides are read as pairs or as domains; `optional` are columns that
    it uses if they are there; `native` keeps the images at their own scale and cuts windows from them; `ranges` are
    those of a run, {column: (low, high)}, and columns without one get theirs from the images (None: each split by its
    own extremes, as in runs that have stored none); `where` is the name of the data in messages and fingerprints.

    Raises:
        DataError: there is no such data set, it cannot be read, or it lacks a column.
        OptionError: `reading` does not fit a model with these columns.
    """
    sided = not {"source", "a"}.isdisjoint(needed)
    makes, derived = reading.make != "none", reading.make not in ("none", "halves")
    if makes and "source" not in needed:
        raise OptionError(f"--make {reading.make} makes pairs, and this model needs {' and '.join(needed)}.")
    if reading.direction == "BtoA" and not sided:
        raise OptionError("--direction is for two sides, and this model learns from one.")
    if spec in NAMED and reading.make == "halves":
        raise OptionError(f"--make halves is for images of a person's own, and {spec} is a named set.")
    if spec in NAMED:
        data = NAMED[spec](OpenOptions(size, channels, crop, seed, home, held_out, native))
    else:
        source = find_data(spec, home=home, held_out=held_out)
        source = rename_source(source, source.where, where) if where else source
        legacy, known = ranges is None, ranges_in_files(ranges or {}, reading, derived)
        options = DecodeOptions(size, channels, crop, native, known.get("images"), legacy)
        if makes and source.sides:
            one = source.sides[0].where
            raise DataError(f"{spec} has two sides already; --make is for plain images, as in --data {one}.")
        if "low" in optional and has_two_sizes(pair_up(source)):
            data = build_superresolution_pairs(pair_up(source), options, known)
        elif reading.make == "halves":
            data = build_two_sided_dataset(split_halves(source), options, needed, known)
        elif sided and not derived:
            data = build_two_sided_dataset(source, options, needed, known)
        else:
            data = build_dataset(source, options, "condition" in {*needed, *optional})
    if derived:
        data = derive_pairs(data, reading.make, seed)
    return swap_sides(data) if reading.direction == "BtoA" else data


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
        return _source_of_named_set(NAMED[spec](OpenOptions(None, 0, False, 0, home, held_out)))
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


def _source_of_named_set(data: DataSet) -> ImageSource:
    """A named set as a source of images, as if they were files."""
    columns = {name: _lazy_images(name, data.columns[name]) for name in data.columns if is_image(name) or is_mask(name)}
    names = [name for name in columns if is_image(name)]
    labels, keys = Labels(data.columns.get("condition"), data.facts.labels, data.facts.attributes), ()
    if len(names) == 1:
        return ImageSource(data.name, "a named set", data.fingerprint, columns[names[0]], labels, data.notes)
    if "source" in columns:
        keys = tuple(str(k) for k in range(len(data)))
    masks = {name: tuple((mask,) for mask in columns.get(f"{name}_masks", ())) for name in names}
    sides = tuple(
        ImageSource(
            f"{data.name}: {name}", "one side", (data.fingerprint, name), columns[name], keys=keys, masks=masks[name]
        )
        for name in names
    )
    images = [image for side in sides for image in side.images]
    layout = "a named set of pairs" if keys else "a named set of two domains" + " with masks" * ("a_masks" in columns)
    return ImageSource(data.name, layout, data.fingerprint, images, Labels(), data.notes, sides=sides)


def _lazy_images(name: str, column: np.ndarray) -> list[LazyImage]:
    def lazy_image(k: int) -> LazyImage:
        return LazyImage(
            f"{name} {k}" if name != "images" else f"image {k}",
            lambda: header_of(column[k]),
            partial(column.__getitem__, k),
        )

    return [lazy_image(k) for k in range(len(column))]


def _shapes_opener(variant: str) -> Callable[[OpenOptions], DataSet]:
    def open_variant(options: OpenOptions) -> DataSet:
        from ganforge.data.synthetic.shapes import open_shapes

        size, channels = options.size or (32, 32), options.channels or 3
        return open_shapes(variant, size=size, channels=channels, seed=options.seed, held_out=options.held_out)

    return open_variant


def _domains_opener(variant: str) -> Callable[[OpenOptions], DataSet]:
    def open_variant(options: OpenOptions) -> DataSet:
        size, channels, seed = options.size or (32, 32), options.channels, options.seed
        return open_domains(
            variant, size=size, channels=channels, crop=options.crop, seed=seed, held_out=options.held_out
        )

    return open_variant


def _open_fashion_mnist(options: OpenOptions) -> DataSet:
    from ganforge.data.layouts.fashion_mnist import open_fashion_mnist

    arguments = {"size": options.size, "channels": options.channels, "native": options.native}
    return open_fashion_mnist(options.home, held_out=options.held_out, **arguments)


NAMED: dict[str, Callable[[OpenOptions], DataSet]] = {
    "shapes": _shapes_opener("shapes"),
    "shapes-scenes": _shapes_opener("shapes-scenes"),
    "shapes-digits": _shapes_opener("shapes-digits"),
    "shapes-defects": _shapes_opener("shapes-defects"),
    **{name: _domains_opener(name) for name in DOMAINS},
    "shapes-attributes": _shapes_opener("shapes-attributes"),
    "fashion-mnist": _open_fashion_mnist,
}
