"""Find boxes beside images, and build the columns images, boxes and box_labels.

The objects and the largest number of boxes are decided over all splits, so that an index means the same in each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ganforge import images
from ganforge.batches import Facts
from ganforge.console import count, track
from ganforge.data.boxes import cut_boxes
from ganforge.data.cache import DecodeJob, DecodeReport, fingerprint, load_or_decode, map_in_threads
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions, LazyImage, attempt
from ganforge.data.layouts.box_lists import BoxLists, Listed, read_metadata, read_voc, read_yolo
from ganforge.data.layouts.coco import read_coco
from ganforge.data.layouts.components import list_components
from ganforge.data.layouts.files import Files
from ganforge.data.layouts.folders import find_root
from ganforge.data.layouts.label_maps import MapSource, find_label_maps
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.splits import Splits
from ganforge.data.read_options import UNKNOWN_VALUE
from ganforge.data.source import ImageSource
from ganforge.data.value_range import decode_in_range
from ganforge.errors import DataError
from ganforge.images import centre_cut


@dataclass(frozen=True)
class LayoutSource:
    """Images with their boxes, none of them decoded yet; row k of each belongs together."""

    files: Files
    photos: tuple[str, ...]
    boxes: tuple[np.ndarray, ...]
    """float64 (k, 5) of each image: the corners in shares of it, and the index of the object."""
    objects: tuple[str, ...]
    most: int
    layout: str
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    """Sentences on boxes that should not be in a list."""

    def lazy_images(self) -> list[LazyImage]:
        """The images."""
        return [self.files.image(name) for name in self.photos]


def find_layouts(source: ImageSource, unknown: int = UNKNOWN_VALUE) -> LayoutSource | None:
    """The boxes beside the images of a source, or those around the parts of their label maps; None without either.

    Raises:
        DataError: a list of boxes is damaged, or none of its boxes can be used.
    """
    files = source.files
    if files is None:
        return None
    lists = read_coco(files, source.listed) or (
        None if source.listed else read_metadata(files) or read_yolo(files) or read_voc(files)
    )
    taken = [image.name for image in source.images]
    if lists is not None and source.held_out:
        taken = choose_held_out(files, taken, lists)
    if lists is None:
        maps = find_label_maps(source, unknown)
        if maps is None:
            return None
        others = attempt(lambda: find_label_maps(replace(source, held_out=not source.held_out), unknown))
        uncounted = f"Objects of the other split are not counted: {others}" if isinstance(others, DataError) else ""
        lists = list_components(maps, others if isinstance(others, MapSource) else None)
        lists = replace(lists, notes=(*lists.notes, uncounted)) if uncounted else lists
        taken = [*maps.photos]
    objects, index = number_objects(lists)
    photos, boxes, notes, most = [], [], Tally(lists), 0
    chosen = {*taken}
    for image in sorted({*lists.of_image} | chosen):
        listed = lists.of_image.get(image, Listed())
        own = notes.choose(image, place(files, image, listed, index), image in chosen, listed.dropped)
        most = max(most, 0 if own is None else len(own))
        if own is not None and image in chosen:
            photos.append(image)
            boxes.append(own)
    if not photos:
        left_out = " ".join((*notes.problems(), *notes.sentences()))
        raise DataError(
            f"{files.where}: none of the {len(taken)} images has boxes that can be used. {left_out}".rstrip()
        )
    layout = f"{sum(map(len, boxes)):,} from {lists.kind}, of {count(len(objects) - 1, 'object')}"
    most = lists.most if lists.drop_fuller else most
    said = (*lists.notes, *notes.sentences())
    return LayoutSource(files, tuple(photos), tuple(boxes), objects, most, layout, said, notes.problems())


def choose_held_out(files: Files, taken: list[str], lists: BoxLists) -> list[str]:
    """The images of the first held-out split that has boxes; `taken`, those of the first split, if none has."""
    root = find_root(files)
    splits = Splits(name.removeprefix(root) for name in files.image_names)
    annotated = [name.removeprefix(root) for name, own in lists.of_image.items() if own.boxes]
    chosen = [root + name for name in splits.choose(True, annotated) or ()]
    return taken if not chosen or not {*chosen}.isdisjoint(taken) else chosen


def number_objects(lists: BoxLists) -> tuple[tuple[str, ...], dict[str | int, int]]:
    """The names of the objects, the first of them empty, and {class in the lists: its index}."""
    found = {one for own in lists.of_image.values() for one in own.classes}
    numbers = sorted({*lists.names} | {one for one in found if isinstance(one, int)})
    if not lists.names and numbers:
        numbers = [*range(numbers[-1] + 1)] if numbers[-1] < 4_096 else numbers
    names = [lists.names.get(number, str(number)) for number in numbers]
    index: dict[str | int, int] = {number: place for place, number in enumerate(numbers, 1)}
    for word in sorted(one for one in found if isinstance(one, str)):
        if word not in names:
            names.append(word)
        index[word] = names.index(word) + 1
    return ("", *names), index


def place(files: Files, image: str, listed: Listed, index: dict[str | int, int]) -> np.ndarray:
    """float64 (k, 5): the boxes in shares of the image, and the index of the object in each."""
    if not listed.boxes:
        return np.zeros((0, 5))
    width, height = listed.unit
    if not width:
        header = attempt(lambda: images.read_header(files.open(image), name=image))
        if isinstance(header, DataError):
            return np.zeros((0, 5))
        width, height = header.width, header.height
    corners = np.array(listed.boxes, np.float64) / [width, height, width, height]
    corners = np.where(np.isfinite(corners).all(1, keepdims=True), corners, -1.0).clip(-1e6, 1e6)  # else outside
    return np.concatenate([corners, np.array([[index[one]] for one in listed.classes], np.float64)], 1)


class Tally:
    """Applies the limits of a list to the boxes of its images, and counts what is left out."""

    def __init__(self, lists: BoxLists) -> None:
        self.lists = lists
        self.outside: list[str] = []
        self.small, self.fuller, self.few, self.many, self.images = 0, 0, [], [], 0
        self.clipped, self.dropped = 0, 0

    def choose(self, image: str, boxes: np.ndarray, counts: bool, dropped: int) -> np.ndarray | None:
        """The boxes (k, 5) of an image that are kept; None if it is left out.  `counts`: whether it is in the notes."""
        lists, inside = self.lists, boxes.copy()
        inside[:, :4] = inside[:, :4].clip(0, 1)
        sides = inside[:, 2:4] - inside[:, :2]
        is_inside, is_large = (sides > 0).all(1), sides.prod(1) > lists.least_area
        kept = inside[is_inside & is_large]
        fuller = len(kept) > lists.most
        if fuller and not lists.drop_fuller:
            largest = np.argsort(-(kept[:, 2] - kept[:, 0]) * (kept[:, 3] - kept[:, 1]), kind="stable")
            kept = kept[np.sort(largest[: lists.most])]
        left = len(kept) < lists.fewest or (fuller and lists.drop_fuller)
        if counts:
            self.images, self.dropped = self.images + 1, self.dropped + dropped
            self.outside += [image] * int((~is_inside).sum())
            self.clipped += int(((np.abs(inside[:, :4] - boxes[:, :4]) > 0.01).any(1) & is_inside).sum())
            self.small += int((is_inside & ~is_large).sum())
            self.fuller += fuller and not lists.drop_fuller
            (self.many if fuller and left else self.few if left else []).append(image)
        return None if left else kept

    def problems(self) -> tuple[str, ...]:
        """What is left out and should not be in a list."""
        if not self.outside:
            return ()
        boxes = f"{count(len(self.outside), 'box', 'boxes')} empty or outside of the image"
        return (f"Left out: {boxes}, the first of {shorten(self.outside[0])}.",)

    def sentences(self) -> tuple[str, ...]:
        """What is left out, and why."""
        lists, found = self.lists, list[str]()
        if self.dropped:
            found.append(f"Left out: {self.dropped:,} crowds and boxes of the category other.")
        if self.clipped:
            found.append(
                f"Cut at the border of the image, beyond which they went: {count(self.clipped, 'box', 'boxes')}."
            )
        if self.small:
            found.append(
                f"Left out: {count(self.small, 'box', 'boxes')} of at most {lists.least_area:.1%} of the image."
            )
        if self.fuller:
            found.append(f"Of {self.fuller:,} images with more than {lists.most} boxes the largest are kept.")
        wanted = f"{lists.fewest} to {lists.most}" if lists.drop_fuller else f"at least {lists.fewest}"
        for images_left, what in ((self.few, "fewer"), (self.many, "more")):
            if images_left:
                found.append(
                    f"Not taken: {len(images_left):,} of {self.images:,} images with {what} boxes than {wanted}, the "
                    f"first {shorten(images_left[0])}."
                )
        return tuple(found)


def build_laid_out(source: LayoutSource, options: DecodeOptions) -> DataSet:
    """Build the columns images, boxes float32 (N, M, 4) and box_labels int64 (N, M).

    Raises:
        DataError: see decode.py.
    """
    identity, where = source.files.identify(source.photos), str(source.files.where)
    lazy_images = source.lazy_images()
    ranged = decode_in_range(fingerprint(identity, *options.key()), identity, where, lazy_images, options)
    column, notes = options.build_column(ranged.decoded, source.photos)
    _, height, width, channels = column.shape
    height, width = options.size or (height, width)
    stored = None if options.native else ranged.decoded.images.shape[1:3]
    listed = [own.tolist() for own in source.boxes]
    key = fingerprint("boxes", ranged.key, stored, source.most, listed)
    rows = ranged.decoded.report.kept

    def begin() -> DecodeJob:
        said: list[str] = []
        arrays = place_in_stored(source, rows, stored, said)
        shape = (source.most, 5)
        return DecodeJob(
            shape, np.dtype(np.float32), arrays, lambda: DecodeReport(tuple(range(len(rows))), tuple(said))
        )

    decoded = load_or_decode(key, begin)
    boxes, labels = decoded.images[..., :4], decoded.images[..., 4].astype(np.int64)
    facts = Facts(channels, height, width, objects=source.objects, most=source.most)
    key = fingerprint(key, source.objects, options.size if options.native else None)
    ranges = {"images": ranged.range} if ranged.range else {}
    columns = {"images": column, "boxes": np.ascontiguousarray(boxes), "box_labels": labels}
    every = (*source.files.notes, *source.notes, *source.problems, *notes, *decoded.report.notes)
    return DataSet(where, facts, columns, key, every, ranges)


def place_in_stored(
    source: LayoutSource, rows: Sequence[int], stored: tuple[int, ...] | None, said: list[str]
) -> Iterator[np.ndarray]:
    """Yield the boxes (M, 5) in shares of each stored image, which is a centre cut; `said` receives a note."""

    def read_size(row: int) -> tuple[int, int]:
        header = images.read_header(source.files.open(source.photos[row]), name=source.photos[row])
        return header.height, header.width

    lost = count = 0
    sizes = track(map_in_threads(read_size, rows), len(rows), f"Placing boxes of {source.files.where}")
    for row, size in zip(rows, sizes, strict=True):
        found = np.zeros((source.most, 5), np.float32)
        own = source.boxes[row]
        found[: len(own)] = own
        if stored is not None:
            window = np.array([centre_cut(size, (stored[0], stored[1]))]) / [size[1], size[0], size[1], size[0]]
            boxes, labels = cut_boxes(found[None, :, :4], found[None, :, 4].astype(np.int64), window)
            found = np.concatenate([boxes[0], labels[0, :, None].astype(np.float32)], 1)
        count, lost = count + len(own), lost + len(own) - int((found[:, 4] > 0).sum())
        yield found
    if lost:
        said.append(f"{lost:,} of {count:,} boxes lie outside of the centre that is cut out of the images, or nearly.")
