"""Boxes around the parts of label maps: one for each instance, or each connected part of one region."""

import numpy as np

from ganforge.console import track
from ganforge.data.cache import Decoded, DecodeJob, DecodeReport, fingerprint, load_or_decode, map_in_threads
from ganforge.data.decode import attempt
from ganforge.data.layouts.box_lists import BoxLists, Listed
from ganforge.data.layouts.label_maps import MapSource
from ganforge.data.regions import UNKNOWN
from ganforge.errors import DataError

MOST, LEAST_AREA = BoxLists.most, BoxLists.least_area


def list_components(maps: MapSource, others: MapSource | None = None) -> BoxLists:
    """The boxes around the parts of all label maps, the unknown region left out; kept in the cache."""
    of_image: dict[str, Listed] = {}
    notes: list[str] = []
    for source in (maps, *([others] if others else [])):
        found = find_boxes(source)
        notes += found.report.notes
        rows = found.images
        starts = np.searchsorted(rows[:, 0], np.arange(1, len(source.photos)))
        for photo, own in zip(source.photos, np.split(rows, starts), strict=True):
            of_image[photo] = Listed([tuple(box) for box in own[:, 1:5].tolist()], [int(k) for k in own[:, 5]], (1, 1))
    names = {k: name for k, name in enumerate(maps.regions.names) if name != UNKNOWN}
    what = "instances" if maps.instances else "connected parts of the label maps"
    return BoxLists(what, of_image, names, notes=tuple(notes))


def find_boxes(source: MapSource) -> Decoded:
    """float64 (K, 6): row of the image, corners in shares of it, and the region, of each part that is large enough.

    The rows are in the order of their images.  The report notes the maps that cannot be read.
    """

    def find(row: int) -> np.ndarray | DataError:
        return attempt(lambda: np.concatenate([np.full((len(own := boxes_of(source, row)), 1), row), own], 1))

    def begin() -> DecodeJob:
        every = range(len(source.maps))
        results = list(
            track(map_in_threads(find, every), len(every), f"Finding parts of label maps of {source.files.where}")
        )
        rows = np.concatenate([np.zeros((0, 6)), *(own for own in results if isinstance(own, np.ndarray))])
        failed = [str(own) for own in results if isinstance(own, DataError)]
        notes = (f"No boxes around the parts of {len(failed)} label maps. The first: {failed[0]}",) if failed else ()
        return DecodeJob((6,), rows.dtype, [rows], lambda: DecodeReport(tuple(range(len(rows))), notes))

    identity = source.files.identify((*source.maps, *source.instances))
    key = fingerprint("parts of label maps", identity, source.regions.codes, source.regions.names, LEAST_AREA, MOST)
    return load_or_decode(key, begin)


def boxes_of(source: MapSource, row: int) -> np.ndarray:
    """float64 (k, 5): the corners of the parts of one map, and their regions; the largest MOST."""
    regions = source.read(row).astype(np.int64)
    parts = label_parts(regions, source.read_instances(row) if source.instances else None)
    height, width = regions.shape
    count = int(parts.max()) + 1
    flat = parts.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(count))
    pixels = np.stack(np.divmod(order, width)[::-1], 1)  # x, y, part by part
    low, high = np.minimum.reduceat(pixels, starts), np.maximum.reduceat(pixels, starts) + 1
    kinds = np.zeros(count, np.int64)
    kinds[flat] = regions.ravel()
    found = np.concatenate([low / [width, height], high / [width, height], kinds[:, None]], 1)
    area = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
    known = np.array([name != UNKNOWN for name in source.regions.names])[kinds]
    found, area = found[known & (area > LEAST_AREA)], area[known & (area > LEAST_AREA)]
    return found[np.sort(np.argsort(-area, kind="stable")[:MOST])]


def label_parts(regions: np.ndarray, instances: np.ndarray | None = None) -> np.ndarray:
    """int64 (H, W): the number of the part of every pixel, from 0 on.

    Parts are pixels of one region and one instance; without instances, those that touch at their sides.
    """
    if instances is not None:
        kinds = regions * 65_536 + instances
        return np.unique(kinds, return_inverse=True)[1].reshape(regions.shape)
    height, width = regions.shape
    changes = np.ones((height, width), bool)
    changes[:, 1:] = regions[:, 1:] != regions[:, :-1]
    runs = changes.ravel().cumsum().reshape(height, width) - 1  # runs of equal pixels in a line
    touch = regions[1:] == regions[:-1]
    pairs = np.unique(np.stack([runs[:-1][touch], runs[1:][touch]], 1), axis=0)
    parts = np.arange(int(runs[-1, -1]) + 1)
    while len(pairs):  # each run takes the lowest number that a neighbour of its part has
        lowest = parts.copy()
        ends = np.concatenate([pairs, pairs[:, ::-1]])
        np.minimum.at(lowest, parts[ends[:, 0]], parts[ends[:, 1]])
        while (shorter := lowest[lowest]).tobytes() != lowest.tobytes():
            lowest = shorter
        pairs = pairs[lowest[parts[pairs[:, 0]]] != lowest[parts[pairs[:, 1]]]]
        parts = lowest[parts]
    return np.unique(parts, return_inverse=True)[1].reshape(-1)[runs]
