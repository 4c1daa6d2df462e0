"""From what a person writes after --data to a data set: a named one, or a path."""

import difflib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ganforge.batches import MASKS, PIXELS
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions, Picture
from ganforge.data.layouts.derived_pairs import made_pairs
from ganforge.data.layouts.folders import find
from ganforge.data.layouts.pairs import assemble_sides
from ganforge.data.layouts.superresolution import enlargements, two_sizes
from ganforge.data.paths import data_home
from ganforge.data.read_options import AS_IT_IS, ReadOptions
from ganforge.data.source import ImageSource, Labels, assemble
from ganforge.data.synthetic.domains import DOMAINS, open_domains
from ganforge.errors import DataError, OptionError
from ganforge.images import look_at

HUB = "hub:"


@dataclass(frozen=True)
class Asked:
    """What was asked for, whatever the data set."""

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
    welcome: Collection[str] = (),
    reading: ReadOptions = AS_IT_IS,
    native: bool = False,
) -> DataSet:
    """The data set called `spec`: a name of NAMED, a name under the data home, a path, or hub:owner/name.

    `size` is height and width, None: as the data has it; `channels` 0 likewise; `crop` stores a margin
    for random windows; `seed` draws the embedded world; `held_out` asks for what training never sees;
    `needed` are the columns that a model asks for, by which two sides are read as pairs or as domains, and `welcome`
    those that it takes where they are; `native` keeps the pictures' own scale, of which windows are cut.

    Raises:
        DataError: there is no such data set, it cannot be read, or has other columns.
        OptionError: the reading is not for a model with these columns.
    """
    sided = not {"source", "a"}.isdisjoint(needed)
    made = reading.make != "none"
    if made and "source" not in needed:
        raise OptionError(f"--make {reading.make} makes pairs, and this model needs {' and '.join(needed)}.")
    if reading.direction == "BtoA" and not sided:
        raise OptionError("--direction is for two sides, and this model learns from one.")
    if spec in NAMED:
        data = NAMED[spec](Asked(size, channels, crop, seed, home, held_out, native))
    else:
        found, wanted = find_data(spec, home=home, held_out=held_out), DecodeOptions(size, channels, crop, native)
        if made and found.sides:
            one = found.sides[0].where
            raise DataError(f"{spec} has two sides already; --make is for plain pictures, as in --data {one}.")
        if "low" in welcome and two_sizes(found):
            data = enlargements(found, wanted)
        else:
            data = assemble_sides(found, wanted, needed) if sided and not made else assemble(found, wanted)
    if made:
        data = made_pairs(data, reading.make, seed)
    return turned(data) if reading.direction == "BtoA" else data


def turned(data: DataSet) -> DataSet:
    """The same data the other way round: what was the source is the target, what was a is b."""
    other = {"source": "target", "target": "source", "a": "b", "b": "a", "a_masks": "b_masks", "b_masks": "a_masks"}
    columns = {other.get(name, name): column for name, column in data.columns.items()}
    facts = data.facts
    if facts.source_channels:
        facts = replace(facts, channels=facts.source_channels, source_channels=facts.channels)
    return replace(data, columns=columns, facts=facts, fingerprint=f"{data.fingerprint} turned")


def find_data(spec: str, *, home: Path | None = None, held_out: bool = False) -> ImageSource:
    """The pictures of the data set called `spec`, before any is decoded.

    Raises:
        DataError: there is no such data set.
    """
    if spec in NAMED:
        return _drawn(NAMED[spec](Asked(None, 0, False, 0, home, held_out)))
    if spec.startswith(HUB):
        from ganforge.data.layouts.hub import in_hub

        return in_hub(spec.removeprefix(HUB), held_out)
    at_home = data_home(home) / spec
    path = next((p for p in (Path(spec).expanduser(), at_home) if spec and p.exists()), None)
    if path is None:
        near = difflib.get_close_matches(spec, NAMED, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise DataError(
            f"There is no data called {spec!r}: no such path, here or in {data_home(home)}, "
            f"and the named sets are {', '.join(NAMED)}; hub:owner/name is one of the Hugging Face Hub.{meant}"
        )
    return find(path, held_out)


def _drawn(data: DataSet) -> ImageSource:
    """A named set as though its pictures lay in files."""
    columns = {name: _pictures(name, data.columns[name]) for name in data.columns if name in PIXELS | MASKS}
    sides = [name for name in columns if name in PIXELS]
    labels, keys = Labels(data.columns.get("condition"), data.facts.labels, data.facts.attributes), ()
    if len(sides) == 1:
        return ImageSource(data.name, "a named set", data.fingerprint, columns[sides[0]], labels, data.notes)
    if "source" in columns:
        keys = tuple(str(k) for k in range(len(data)))
    masks = {name: tuple((mask,) for mask in columns.get(f"{name}_masks", ())) for name in sides}
    found = tuple(
        ImageSource(
            f"{data.name}: {name}", "one side", (data.fingerprint, name), columns[name], keys=keys, masks=masks[name]
        )
        for name in sides
    )
    every = [picture for side in found for picture in side.pictures]
    layout = "a named set of pairs" if keys else "a named set of two domains" + " with masks" * ("a_masks" in columns)
    return ImageSource(data.name, layout, data.fingerprint, every, Labels(), data.notes, sides=found)


def _pictures(name: str, column: np.ndarray) -> list[Picture]:
    def picture(k: int) -> Picture:
        return Picture(
            f"{name} {k}" if name != "images" else f"picture {k}",
            lambda: look_at(column[k]),
            partial(column.__getitem__, k),
        )

    return [picture(k) for k in range(len(column))]


def _shapes(variant: str) -> Callable[[Asked], DataSet]:
    def opener(asked: Asked) -> DataSet:
        from ganforge.data.synthetic.shapes import open_shapes

        size, channels = asked.size or (32, 32), asked.channels or 3
        return open_shapes(variant, size=size, channels=channels, seed=asked.seed, held_out=asked.held_out)

    return opener


def _domains(variant: str) -> Callable[[Asked], DataSet]:
    def opener(asked: Asked) -> DataSet:
        size, channels, seed = asked.size or (32, 32), asked.channels, asked.seed
        return open_domains(variant, size=size, channels=channels, crop=asked.crop, seed=seed, held_out=asked.held_out)

    return opener


def _fashion_mnist(asked: Asked) -> DataSet:
    from ganforge.data.layouts.fashion_mnist import open_fashion_mnist

    asked_for = {"size": asked.size, "channels": asked.channels, "native": asked.native}
    return open_fashion_mnist(asked.home, held_out=asked.held_out, **asked_for)


NAMED: dict[str, Callable[[Asked], DataSet]] = {
    "shapes": _shapes("shapes"),
    "shapes-scenes": _shapes("shapes-scenes"),
    "shapes-digits": _shapes("shapes-digits"),
    "shapes-defects": _shapes("shapes-defects"),
    **{name: _domains(name) for name in DOMAINS},
    "shapes-attributes": _shapes("shapes-attributes"),
    "fashion-mnist": _fashion_mnist,
}
