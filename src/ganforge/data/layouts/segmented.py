"""Build the columns of images with label maps: images, label_map, and instance_map where there is one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ganforge import images
from ganforge.batches import Facts
from ganforge.console import track
from ganforge.data.cache import Decoded, DecodeJob, DecodeReport, fingerprint, load_or_decode, map_in_threads
from ganforge.data.dataset import DataSet
from ganforge.data.decode import NAMED, DecodeOptions, attempt, one_image_message
from ganforge.data.layouts.label_maps import MapSource, without_rows
from ganforge.data.value_range import RangedImages, decode_in_range
from ganforge.errors import DataError


def build_segmented(source: MapSource, options: DecodeOptions) -> DataSet:
    """Build the columns images, label_map and, if there are any, instance_map.

    Maps are resized by the nearest pixel, and cut as their images are.  Images whose map cannot be read are left out.

    Raises:
        DataError: an image and its map differ in size; or see decode.py.
    """
    notes: list[str] = []
    while True:
        ranged = decode_photos(source, options)
        kept = ranged.decoded.report.kept
        maps = {"label_map": decode_maps(source, "label_map", ranged, options)}
        if source.instances:
            maps["instance_map"] = decode_maps(source, "instance_map", ranged, options)
        notes += [note for own in maps.values() for note in own.report.notes if note not in notes]
        lost = {row for own in maps.values() for row in {*kept} - {*own.report.kept}}
        if not lost:
            return assemble(source, options, ranged, maps, notes)
        if len(kept) - len(lost) < 2:
            raise DataError(f"{one_image_message(str(source.files.where))} {notes[0]}")
        source = without_rows(source, lost)


def assemble(
    source: MapSource,
    options: DecodeOptions,
    ranged: RangedImages,
    maps: Mapping[str, Decoded],
    notes: Sequence[str],
) -> DataSet:
    """The data set of decoded images and maps."""
    column, own_notes = options.build_column(ranged.decoded, source.photos)
    columns: dict[str, Any] = {"images": column}
    for name, decoded in maps.items():
        columns[name] = options.build_column(decoded, source.maps)[0]
    _, height, width, channels = column.shape
    height, width = options.size or (height, width)
    regions = source.regions
    facts = Facts(
        channels,
        height,
        width,
        regions=regions.names,
        region_colours=regions.colours,
        region_codes=regions.codes,
        region_reading=regions.reading,
        instance_maps="instance_map" in maps,
    )
    key = fingerprint("segmented", ranged.key, source.files.identify((*source.maps, *source.instances)), regions.codes)
    key = fingerprint(key, options.size, regions.names) if options.native else fingerprint(key, regions.names)
    ranges = {"images": ranged.range} if ranged.range else {}
    return DataSet(
        str(source.files.where), facts, columns, key, (*source.files.notes, *source.notes, *own_notes, *notes), ranges
    )


def decode_photos(source: MapSource, options: DecodeOptions) -> RangedImages:
    """Decode the images."""
    identity, where = source.files.identify(source.photos), str(source.files.where)
    lazy_images = [source.files.image(name) for name in source.photos]
    return decode_in_range(fingerprint(identity, *options.key()), identity, where, lazy_images, options)


def decode_maps(source: MapSource, name: str, ranged: RangedImages, options: DecodeOptions) -> Decoded:
    """Decode the label maps, or the instance maps, of the kept images: (N, H, W, 1), or (P, 1) at their own sizes.

    `kept` of the report are rows of the source; maps that cannot be read are left out and named.

    Raises:
        DataError: an image and its map differ in size.
    """
    files, read = source.files, source.read if name == "label_map" else source.read_instances
    own = source.maps if name == "label_map" else source.instances
    rows, size = ranged.decoded.report.kept, ranged.decoded.images.shape[1:3]
    key = fingerprint(name, ranged.key, files.identify(own), source.regions.codes if name == "label_map" else ())
    wide = name == "instance_map" or len(source.regions.names) > 256
    dtype, notes, kept, sizes = np.dtype(np.uint16 if wide else np.uint8), [], [], []

    def read_row(row: int) -> np.ndarray | DataError:
        return attempt(lambda: read(row))

    def decode() -> Iterator[np.ndarray]:
        results = track(map_in_threads(read_row, rows), len(rows), f"Decoding maps of {files.where}")
        for row, found in zip(rows, results, strict=True):
            if isinstance(found, DataError):
                notes.append(f"Left out: {found}")
                continue
            kept.append(row)
            if options.native:
                sizes.append((found.shape[0], found.shape[1]))
                yield found.astype(dtype).reshape(-1, 1)
            else:
                yield images.fit_nearest(found, (size[0], size[1])).astype(dtype)[..., None]

    def report() -> DecodeReport:
        said = [*notes[:NAMED], *([f"Left out: {len(notes) - NAMED} more maps."] if len(notes) > NAMED else [])]
        return DecodeReport(tuple(kept), tuple(said), tuple(sizes))

    def begin() -> DecodeJob:
        check_map_sizes(source, rows)
        return DecodeJob((1,) if options.native else (size[0], size[1], 1), dtype, decode(), report)

    return load_or_decode(key, begin)


def check_map_sizes(source: MapSource, rows: Sequence[int]) -> None:
    """Raise a DataError about the first image of these rows whose label map or instance map has another size."""
    files = source.files
    for which, names in (("label map", source.maps), ("instance map", source.instances)):
        if not names:
            continue
        for row, (photo, own) in zip(rows, map_in_threads(reader_of(source, names), rows), strict=True):
            if photo and own and photo != own:
                raise DataError(
                    f"{source.photos[row]} is {photo[0]}x{photo[1]} pixels and its {which} {names[row]} is "
                    f"{own[0]}x{own[1]}, in {files.where}: both need one size."
                )


def reader_of(source: MapSource, names: Sequence[str]) -> Callable[[int], tuple[Any, Any]]:
    """A function that reads the sizes of an image and of its map in `names`; None for one that cannot be read."""

    def read_sizes(row: int) -> tuple[Any, Any]:
        found = []
        for name in (source.photos[row], names[row]):
            header = attempt(lambda name=name: images.read_header(source.files.open(name), name=name))
            found.append(None if isinstance(header, DataError) else (header.height, header.width))
        return found[0], found[1]

    return read_sizes
