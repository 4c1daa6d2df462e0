"""Data sets with a name: the drawn ones, and the one that is downloaded."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ganforge.batches import is_image, is_mask
from ganforge.data.dataset import DataSet
from ganforge.data.decode import LazyImage
from ganforge.data.source import ImageSource, Labels
from ganforge.data.synthetic.captions import VARIANTS as CAPTIONED
from ganforge.data.synthetic.captions import open_described
from ganforge.data.synthetic.domains import DOMAINS, open_domains
from ganforge.data.synthetic.places import VARIANTS, open_places
from ganforge.data.tokens import TokenColumn
from ganforge.images import header_of


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
    captions: bool = False
    """Whether captions are wanted, of a set that has them for the models that read them."""


def to_source(data: DataSet) -> ImageSource:
    """A named set as a source of images, as if they were files."""
    columns = {name: _lazy_images(name, data.columns[name]) for name in data.columns if is_image(name) or is_mask(name)}
    names = [name for name in columns if is_image(name)]
    labels, keys = Labels(data.columns.get("condition"), data.facts.labels, data.facts.attributes), ()
    if len(names) == 1:
        images, tokens = columns[names[0]], data.columns.get("tokens")
        source = ImageSource(data.name, "a named set", data.fingerprint, images, labels, data.notes, named=data)
        if not isinstance(tokens, TokenColumn):
            return source
        return replace(source, read_captions=lambda: [tokens.captions(row) for row in range(len(tokens))])
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
        held_out, captions = options.held_out, options.captions and variant == "shapes-scenes"
        return open_shapes(
            variant, size=size, channels=channels, seed=options.seed, held_out=held_out, captions=captions
        )

    return open_variant


def _drawn_opener(
    open_drawn: Callable[..., DataSet], variant: str, size: tuple[int, int] | None = None
) -> Callable[[OpenOptions], DataSet]:
    def open_variant(options: OpenOptions) -> DataSet:
        wanted = {name: getattr(options, name) for name in ("channels", "crop", "seed", "held_out")}
        return open_drawn(variant, size=options.size or size, **wanted)

    return open_variant


def _described_opener(variant: str) -> Callable[[OpenOptions], DataSet]:
    def open_variant(options: OpenOptions) -> DataSet:
        size, channels, seed = options.size, options.channels, options.seed
        return open_described(variant, size=size, channels=channels, seed=seed, held_out=options.held_out)

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
    **{name: _drawn_opener(open_domains, name, (32, 32)) for name in DOMAINS},
    **{name: _drawn_opener(open_places, name) for name in VARIANTS},
    "shapes-attributes": _shapes_opener("shapes-attributes"),
    **{name: _described_opener(name) for name in CAPTIONED},
    "fashion-mnist": _open_fashion_mnist,
}
DOWNLOADED = frozenset({"fashion-mnist"})
"""Named sets that are fetched from the network where they are not there."""
