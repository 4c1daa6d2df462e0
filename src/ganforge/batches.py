"""Types of batches, and the facts of a data set.

A batch is a frozen dataclass of tensors.  The name of a field says what it holds, the same in every batch:

    images, source, target, a, b    float (N, C, H, W) in [-1, 1]
    low                             float (N, C, H / k, W / k): the low-resolution versions of `images`
    a_masks, b_masks                float (N, M, H, W) in {0, 1}: one instance per mask, padded with empty masks
    condition                       int64 (N,), or float (N, K)
    label_map                       int64 (N, H, W): the region of every pixel, an index into `Facts.regions`
    instance_map                    int64 (N, H, W): pixels of one instance of a region have one number
    boxes                           float (N, M, 4): x, y of the upper left and the lower right corner, in [0, 1]
    box_labels                      int64 (N, M): what is in a box, an index into `Facts.objects`; 0: nothing
    tokens                          int64 (N, T): a caption as the run's tokeniser writes it; 0 fills up at the end,
                                    1 is an unknown word
"""

from dataclasses import MISSING, dataclass, fields, replace
from typing import Literal, Self

import torch
from torch import Tensor

from ganforge.errors import ContractError

Kind = Literal["image", "mask", "label_map", "boxes", "rows", "tokens"]


@dataclass(frozen=True)
class Column:
    """The declaration of one column of data; the loader, example batches, errors and exports read it."""

    kind: Kind
    side: str = ""
    """Columns of one side have one length and are loaded together; rows of different sides are unrelated."""
    layout: str = ""
    """How a user can provide it; docs/data.md shows every layout."""


PAIRS = (
    "two folders with the same names (path/A/1.png, path/B/1.png), images of two squares side by side, or plain "
    "images with --make edges, grey, lowres, blur, mask or noise"
)
DOMAINS = "two folders (path/trainA/1.png, path/trainB/7.png)"
MAPS = (
    "label maps beside the images: two folders (path/images, path/labels) or pairs of a photograph and an indexed PNG "
    "with the same names"
)
LAYOUTS = "a COCO instances.json, YOLO .txt or Pascal VOC .xml files, or metadata.jsonl with objects beside the images"
CAPTIONS = (
    "captions beside the images: metadata.jsonl or metadata.csv with file_name and text, a .txt beside each "
    "image with a line a caption, COCO's captions.json, or Flickr8k's token file"
)
INSTANCES = "masks beside the two folders (path/trainA_masks/1_0.png, 1_1.png ..., an instance each)"

COLUMNS: dict[str, Column] = {
    "images": Column("image", layout="a folder, a zip or tars of images"),
    "low": Column("image", layout="a folder of smaller images with the same names beside them"),
    "condition": Column(
        "rows",
        layout="one folder a class (path/cat/1.png, path/dog/2.png), or a list beside the images: "
        "metadata.jsonl, metadata.csv, dataset.json or list_attr_celeba.txt",
    ),
    "source": Column("image", layout=PAIRS),
    "target": Column("image", layout=PAIRS),
    "a": Column("image", "a", DOMAINS),
    "b": Column("image", "b", DOMAINS),
    "a_masks": Column("mask", "a", INSTANCES),
    "b_masks": Column("mask", "b", INSTANCES),
    "label_map": Column("label_map", layout=MAPS),
    "instance_map": Column("label_map", layout="a folder path/instances of indexed PNGs beside the label maps"),
    "boxes": Column("boxes", layout=LAYOUTS),
    "box_labels": Column("boxes", layout=LAYOUTS),
    "tokens": Column("tokens", layout=CAPTIONS),
}
"""Every column that a batch can have, by its name.  A model file may add one of its own."""


def column_of(name: str) -> Column:
    """The declaration of a column.  Raises ContractError for a name that is not declared."""
    if name not in COLUMNS:
        raise ContractError(
            f"No column is called {name!r}: declare it in the model's file, COLUMNS[{name!r}] = Column('image'), "
            f"or use one of {', '.join(COLUMNS)}."
        )
    return COLUMNS[name]


def is_image(name: str) -> bool:
    """Whether a column holds images."""
    return column_of(name).kind == "image"


def is_mask(name: str) -> bool:
    """Whether a column holds instance masks."""
    return column_of(name).kind == "mask"


@dataclass(frozen=True)
class Facts:
    """The properties of the data that a game's networks depend on: with the Config, enough to rebuild it."""

    channels: int = 3
    """Of `images`, `target`, `a` and `b`."""
    height: int = 64
    width: int = 64
    labels: tuple[str, ...] = ()
    """Names of the classes; `condition` holds indices into them."""
    attributes: tuple[str, ...] = ()
    """Names of the columns of a vector `condition`."""
    source_channels: int = 0
    """Of `source`, where the data has one."""
    instances: int = 0
    """Largest number of masks of one image, where the data has masks."""
    smaller: int = 0
    """The factor by which `low` is smaller than `images`, where the data has it."""
    regions: tuple[str, ...] = ()
    """Names of the regions; `label_map` holds indices into them."""
    region_colours: tuple[tuple[int, ...], ...] = ()
    """Red, green and blue of each region, 0 to 255, as the data's own palette has them."""
    instance_maps: bool = False
    """Whether the data has `instance_map`."""
    objects: tuple[str, ...] = ()
    """Names of the objects; `box_labels` holds indices into them.  The first name is empty: no object."""
    most: int = 0
    """Largest number of boxes of one image, where the data has boxes."""
    region_codes: tuple[tuple[int, ...], ...] = ()
    """(number or colour in a file of a label map, region), for every value that the data's files have."""
    region_reading: str = ""
    """How these files are read: by numbers; `palette`: by the colours of palettes; `grey`: grey colours are numbers."""
    vocabulary: int = 0
    """Number of values that tokens have, 0 (fills up) and 1 (unknown) included."""
    caption_length: int = 0
    """Tokens of a caption: shorter ones are filled up, longer ones cut."""
    captions: int = 0
    """Largest number of captions of one image, where the data has captions."""
    tokeniser: str = ""
    """Hash of the tokeniser that makes `tokens`; its file lies in the run folder."""


@dataclass(frozen=True)
class Batch:
    """Base class of all batches.  A subclass only lists its tensors; an optional one has the default None."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def to(self, device: torch.device | str) -> Self:
        """The same batch on `device`."""
        held = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{k: v.to(device, non_blocking=True) for k, v in held.items() if v is not None})

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Names of the columns that a data set must provide."""
        return tuple(f.name for f in fields(cls) if f.default is MISSING)

    @classmethod
    def optional_columns(cls) -> tuple[str, ...]:
        """Names of the columns that are used where a data set has them."""
        return tuple(f.name for f in fields(cls) if f.default is not MISSING)

    @classmethod
    def example(cls, n: int, facts: Facts, seed: int = 0) -> Self:
        """A random batch of the right shapes: for tests and for tracing a step without data."""
        source = torch.Generator().manual_seed(seed)
        unlabelled = not (facts.labels or facts.attributes)
        absent = {"low": not facts.smaller, "instance_map": not facts.instance_maps, "condition": unlabelled}
        names = [*cls.columns(), *(name for name in cls.optional_columns() if not absent.get(name))]
        return cls(**{name: _example(name, n, facts, source) for name in names})


def _example(column: str, n: int, facts: Facts, source: torch.Generator) -> Tensor:
    if is_image(column):
        channels = facts.source_channels or facts.channels if column == "source" else facts.channels
        times = facts.smaller if column == "low" else 1
        return torch.rand(n, channels, facts.height // times, facts.width // times, generator=source) * 2 - 1
    if is_mask(column):
        shape = (n, facts.instances or 2, facts.height, facts.width)
        return torch.rand(shape, generator=source).round()
    if column == "condition" and facts.attributes:
        return torch.rand(n, len(facts.attributes), generator=source).round()
    if column == "condition":
        return torch.randint(max(1, len(facts.labels)), (n,), generator=source)
    if column_of(column).kind == "label_map":
        names = len(facts.regions) or 4
        return torch.randint(names, (n, facts.height, facts.width), generator=source)
    if column == "boxes":
        ends = torch.rand(n, facts.most or 4, 2, 2, generator=source).sort(2).values
        return ends.flatten(2)
    if column == "box_labels":
        return torch.randint(len(facts.objects) or 4, (n, facts.most or 4), generator=source)
    if column == "tokens":
        length = facts.caption_length or 8
        tokens = torch.randint(1, max(3, facts.vocabulary or 16), (n, length), generator=source)
        ends = torch.randint(1, length + 1, (n, 1), generator=source)
        return tokens.where(torch.arange(length) < ends, 0)
    raise ContractError(f"No example of a column of kind {column_of(column).kind!r} can be made: {column}.")


@dataclass(frozen=True)
class Images(Batch):
    """Images without labels."""

    images: Tensor


@dataclass(frozen=True)
class Labelled(Batch):
    """Images with a class or a vector of attributes each."""

    images: Tensor
    condition: Tensor


@dataclass(frozen=True)
class PerhapsLabelled(Batch):
    """Images and, where the data has them, a class or a vector of attributes each."""

    images: Tensor
    condition: Tensor | None = None


@dataclass(frozen=True)
class Enlarged(Batch):
    """Images and, where the data has them, their low-resolution versions."""

    images: Tensor
    low: Tensor | None = None


@dataclass(frozen=True)
class Paired(Batch):
    """Pairs of a source image and its target."""

    source: Tensor
    target: Tensor


@dataclass(frozen=True)
class Segmented(Batch):
    """Images, the region of every pixel, and, where the data has them, the instances."""

    images: Tensor
    label_map: Tensor
    instance_map: Tensor | None = None


@dataclass(frozen=True)
class LaidOut(Batch):
    """Images and their layouts: boxes with an object in each."""

    images: Tensor
    boxes: Tensor
    box_labels: Tensor


@dataclass(frozen=True)
class Captioned(Batch):
    """Images with a caption each, as tokens."""

    images: Tensor
    tokens: Tensor


@dataclass(frozen=True)
class Unpaired(Batch):
    """Images of two domains; row k of one is unrelated to row k of the other."""

    a: Tensor
    b: Tensor


@dataclass(frozen=True)
class Instances(Batch):
    """Images of two domains, each with a mask for every instance in it."""

    a: Tensor
    a_masks: Tensor
    b: Tensor
    b_masks: Tensor
