"""What a data set says about where things are, for the data doctor: its label maps and its boxes.

The same functions find them that training uses, so that both say the same.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from ganforge.batches import Facts
from ganforge.console import track
from ganforge.data.boxes import cut_boxes
from ganforge.data.cache import map_in_threads
from ganforge.data.dataset import DataSet
from ganforge.data.decode import LazyImage, attempt, one_image_message
from ganforge.data.layouts.label_maps import MapSource, NoMapError, find_label_maps
from ganforge.data.layouts.laid_out import LayoutSource, find_layouts
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.segmented import check_map_sizes
from ganforge.data.read_options import UNKNOWN_VALUE
from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.images import ImageHeader, centre_cut, header_of


@dataclass(frozen=True)
class Place:
    """One image with what lies in it."""

    image: LazyImage
    regions: Callable[[], np.ndarray] | None = None
    """Reads the region of every pixel (H, W)."""
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 5)))
    """(k, 5): corners in shares of the image, and the index of the object."""


@dataclass
class Places:
    """The label maps and boxes of a data set."""

    facts: Facts = field(default_factory=Facts)
    """Only the names, colours and counts of regions and objects are set."""
    columns: list[str] = field(default_factory=list)
    """The columns that they provide."""
    found: list[Place] = field(default_factory=list)
    regions: dict[str, float] = field(default_factory=dict)
    """{region: its share of all pixels}."""
    objects: dict[str, int] = field(default_factory=dict)
    """{object: the number of its boxes}."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def examine_places(source: ImageSource, readable: Mapping[str, ImageHeader], unknown: int = UNKNOWN_VALUE) -> Places:
    """Examine the label maps and boxes of a source, given the headers of its readable images by their names."""
    if source.named is not None:
        return places_of_named_set(source.named)
    places = Places()
    maps = attempt_find(places, lambda: find_label_maps(source, unknown), "label maps")
    boxes = attempt_find(places, lambda: find_layouts(source, unknown), "boxes")
    facts, cells = {}, dict[str, Place]()
    if isinstance(maps, MapSource):
        facts |= {"regions": maps.regions.names, "region_colours": maps.regions.colours}
        cells |= examine_maps(places, maps, readable)
    if isinstance(boxes, LayoutSource):
        facts |= {"objects": boxes.objects, "most": boxes.most}
        for name, place in examine_boxes(places, boxes, readable).items():
            cells[name] = Place(place.image, cells[name].regions if name in cells else None, place.boxes)
    places.facts = Facts(instance_maps="instance_map" in places.columns, **facts)
    places.found = [cells[name] for name in sorted(cells)]
    return places


def attempt_find(places: Places, find: Callable[[], MapSource | LayoutSource | None], what: str) -> object:
    """What `find` returns; None if it raises, with a sentence on it."""
    try:
        return find()
    except NoMapError as error:  # smooth colours: images that were called labels
        places.notes.append(f"No {what}: {error}") if str(error) not in " ".join(places.notes) else None
    except DataError as error:
        places.problems.append(str(error)) if str(error) not in places.problems else None
    return None


def examine_maps(places: Places, maps: MapSource, readable: Mapping[str, ImageHeader]) -> dict[str, Place]:
    """Read all label maps; {image: its place} of those that can be used."""
    rows = [row for row, photo in enumerate(maps.photos) if photo in readable]

    def count(row: int) -> np.ndarray | DataError:
        both = attempt(lambda: (maps.read(row), maps.read_instances(row) if maps.instances else None))
        return both if isinstance(both, DataError) else np.bincount(both[0].ravel(), minlength=len(maps.regions.names))

    found = track(map_in_threads(count, rows), len(rows), f"Examining label maps of {maps.files.where}")
    each = dict(zip(rows, found, strict=True))
    counts = {row: own for row, own in each.items() if isinstance(own, np.ndarray)}
    good, bad = [*counts], [str(own) for own in each.values() if isinstance(own, DataError)]
    if bad:
        places.problems.append(
            f"Label maps that cannot be used, whose images are left out: {len(bad)}. The first: {bad[0]}"
        )
    flat = [row for row in good if (counts[row] > 0).sum() == 1]
    if flat:
        places.problems.append(
            f"Label maps of one region alone: {len(flat):,}, the first {shorten(maps.maps[flat[0]])}. Check whether "
            "they belong."
        )
    places.notes += [f"Label maps: {maps.layout}.", *maps.notes]
    wrong = attempt(lambda: check_map_sizes(maps, rows))
    if isinstance(wrong, DataError):
        places.problems.append(str(wrong))
    elif len(good) < 2:
        places.problems.append(one_image_message(str(maps.files.where)))
    else:
        places.columns += ["label_map", *(["instance_map"] if maps.instances else []), "source", "target"]
    total = np.sum([*counts.values()], axis=0) if good else np.zeros(len(maps.regions.names))
    shares = (total / max(1, total.sum())).round(6).tolist()
    places.regions = dict(zip(maps.regions.names, shares, strict=True))
    absent = [name for name, share in places.regions.items() if not share]
    if absent and len(absent) < len(shares):
        places.notes.append(f"Regions that no map has: {len(absent)} of {len(shares)}, the first {absent[0]}.")
    return {maps.photos[row]: Place(maps.files.image(maps.photos[row]), lambda row=row: maps.read(row)) for row in good}


def examine_boxes(places: Places, boxes: LayoutSource, readable: Mapping[str, ImageHeader]) -> dict[str, Place]:
    """Count the boxes; {image: its place}."""
    rows = [row for row, photo in enumerate(boxes.photos) if photo in readable]
    places.problems += [f"{problem} Check the units and the sizes in the list." for problem in boxes.problems]
    places.notes += [f"Boxes: {boxes.layout}.", *boxes.notes]
    counts = Counter(int(label) for row in rows for label in boxes.boxes[row][:, 4])
    places.objects = {name: counts[k] for k, name in enumerate(boxes.objects) if k}
    absent = [name for name, count in places.objects.items() if not count]
    if absent and len(absent) < len(places.objects):
        places.notes.append(f"Objects without a box: {len(absent)} of {len(places.objects)}, the first {absent[0]}.")
    lost = sum(count_lost(boxes.boxes[row], readable[boxes.photos[row]]) for row in rows)
    if lost:
        places.notes.append(
            f"{lost:,} of {sum(counts.values()):,} boxes lie outside of the square in the middle of their image, or "
            "nearly, and a square --size leaves them out."
        )
    if len(rows) > 1:
        places.columns += ["boxes", "box_labels"]
    else:
        places.problems.append(one_image_message(str(boxes.files.where)))
    return {boxes.photos[row]: Place(boxes.files.image(boxes.photos[row]), None, boxes.boxes[row]) for row in rows}


def count_lost(boxes: np.ndarray, header: ImageHeader) -> int:
    """The number of boxes (k, 5) that the centre square of an image does not show."""
    side = min(header.height, header.width)
    window = np.array([centre_cut((header.height, header.width), (side, side))])
    window /= [header.width, header.height, header.width, header.height]
    return len(boxes) - int((cut_boxes(boxes[None, :, :4], boxes[None, :, 4], window)[1] > 0).sum())


def places_of_named_set(data: DataSet) -> Places:
    """The places of a named set, which has them as columns."""
    own: Collection[str] = [
        name for name in ("label_map", "instance_map", "boxes", "box_labels") if name in data.columns
    ]
    if not own:
        return Places()
    images, maps = data.columns["images"], data.columns.get("label_map")
    places = Places(data.facts, [*own, *(["source", "target"] if maps is not None else [])])
    boxes = np.zeros((len(data), 0, 5))
    if "boxes" in data.columns:
        labels = data.columns["box_labels"]
        boxes = np.concatenate([data.columns["boxes"], labels[..., None]], 2)
        count = np.bincount(labels.ravel(), minlength=len(data.facts.objects))[1:].tolist()
        places.objects = dict(zip(data.facts.objects[1:], count, strict=True))
    if maps is not None:
        share = np.bincount(maps.ravel(), minlength=len(data.facts.regions)) / maps.size
        places.regions = dict(zip(data.facts.regions, share.round(6).tolist(), strict=True))

    def place(row: int) -> Place:
        image = LazyImage(f"image {row}", lambda: header_of(images[row]), lambda: images[row])
        own = None if maps is None else maps[row, ..., 0]
        regions = None if own is None else lambda own=own: own
        return Place(image, regions, boxes[row][boxes[row][:, 4] > 0])

    places.found = [place(row) for row in range(len(data))]
    return places
