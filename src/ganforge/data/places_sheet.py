"""Contact sheets of label maps and boxes: images with their boxes and names, beside their maps, above a legend."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from ganforge.batches import Facts
from ganforge.data.contact_sheet import draw_cell, pick_evenly, place_in_cell
from ganforge.data.decode import attempt
from ganforge.data.layouts.region_names import choose_colours
from ganforge.data.places import Places
from ganforge.errors import DataError
from ganforge.images import grid

CELL, ACROSS, DOWN = 160, 6, 6
GAP, LINE, COLUMNS, ENTRIES = 4, 18, 5, 60
INK = (40, 40, 40)


def draw_places_sheet(places: Places) -> np.ndarray:
    """A page, uint8 (H, W, 3), of images taken evenly, each with its boxes and, beside it, its label map in colours.

    The legend below shows the regions and objects that occur on the page, the frequent ones of many.

    Raises:
        DataError: no image can be read.
    """
    has_maps = any(place.regions for place in places.found)
    chosen = pick_evenly(range(len(places.found)), ACROSS * DOWN // (2 if has_maps else 1))
    region_colours, box_colours = colours_of(places.facts), object_colours(places.facts)
    cells, regions, objects = [], set[int](), set[int]()
    for row in chosen:
        place = places.found[row]
        image = attempt(place.image.read)
        found = attempt(place.regions) if place.regions else None
        if isinstance(image, DataError) or isinstance(found, DataError):
            continue
        cells.append(
            draw_boxes(draw_cell(image, CELL), image.shape[:2], place.boxes, places.facts.objects, box_colours)
        )
        objects |= {int(label) for label in place.boxes[:, 4]}
        if has_maps:
            regions |= {*np.unique(found).tolist()} if found is not None else set()
            cells.append(
                draw_cell(region_colours[found] if found is not None else np.full((1, 1, 3), 244, np.uint8), CELL)
            )
    if not cells:
        raise DataError("No image can be read for a contact sheet.")
    across = min(ACROSS, len(cells))
    blank = np.full((CELL, CELL, 3), 255, np.uint8)
    sheet = grid([*cells, *[blank] * (-len(cells) % across)], across, gap=GAP)
    frequent = sorted(regions, key=lambda k: -places.regions.get(places.facts.regions[k], 0))[:ENTRIES]
    named = [(places.facts.regions[k], tuple(region_colours[k].tolist())) for k in sorted(frequent)]
    named += [(places.facts.objects[k], box_colours[k]) for k in sorted(objects)] if not regions else []
    return np.concatenate([sheet, draw_legend(named, sheet.shape[1])]) if named else sheet


def colours_of(facts: Facts) -> np.ndarray:
    """uint8 (K, 3): the colours of the regions, the data's own or else different ones; at least one."""
    own = facts.region_colours or choose_colours([None] * max(1, len(facts.regions)))
    return np.array(own, np.uint8).reshape(-1, 3)


def object_colours(facts: Facts) -> tuple[tuple[int, int, int], ...]:
    """A colour for each object: that of the region of its name, or else one that no other has."""
    known = {name: (r, g, b) for name, (r, g, b) in zip(facts.regions, colours_of(facts).tolist(), strict=False)}
    return choose_colours([known.get(name) for name in facts.objects or ("",)])


def draw_places(columns: Mapping[str, Tensor], facts: Facts) -> np.ndarray:
    """(n, H, W, 3) of 0 ... 255: label maps in their colours, layouts as outlines on white."""
    if "label_map" in columns:
        return colours_of(facts)[columns["label_map"].numpy()]
    pages = np.full((len(columns["boxes"]), facts.height, facts.width, 3), 255, np.uint8)
    colours, sides = object_colours(facts), np.array([facts.width, facts.height] * 2)
    for page, boxes, labels in zip(pages, columns["boxes"].numpy(), columns["box_labels"].tolist(), strict=True):
        for box, label in zip(boxes, labels, strict=True):
            if label:
                x0, y0, x1, y1 = (box * (sides - 1)).round().astype(int)
                page[[y0, y1], x0 : x1 + 1] = page[y0 : y1 + 1, [x0, x1]] = colours[label]
    return pages


def draw_boxes(
    cell: np.ndarray,
    size: tuple[int, ...],
    boxes: np.ndarray,
    names: Sequence[str],
    colours: Sequence[tuple[int, int, int]],
) -> np.ndarray:
    """Draw boxes (k, 5), corners in shares of an image of this size and the object, over its cell, large ones first."""
    if not len(boxes):
        return cell
    high, wide, top, left = place_in_cell(size, cell.shape[0])
    page = Image.fromarray(cell)
    pen = ImageDraw.Draw(page)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for x0, y0, x1, y1, label in boxes[np.argsort(-area, kind="stable")].tolist():
        corners = (left + x0 * wide, top + y0 * high, left + x1 * wide - 1, top + y1 * high - 1)
        colour = colours[int(label)]
        pen.rectangle((*corners[:2], max(corners[0], corners[2]), max(corners[1], corners[3])), outline=colour)
        place_name(pen, names[int(label)], corners[0] + 2, corners[1] + 1, colour)
    return np.asarray(page)


def place_name(pen: ImageDraw.ImageDraw, name: str, x: float, y: float, colour: tuple[int, int, int]) -> None:
    """Write a short name on a plate of its colour."""
    short = printable(name, 14)
    plate = pen.textbbox((x, y), short)
    pen.rectangle((plate[0] - 1, plate[1] - 1, plate[2] + 1, plate[3] + 1), fill=colour)
    pen.text((x, y), short, fill=(0, 0, 0) if sum(colour) > 382 else (255, 255, 255))


def draw_legend(named: Sequence[tuple[str, tuple[int, ...]]], width: int) -> np.ndarray:
    """A strip, uint8 (H, width, 3), of coloured squares with names."""
    shown = named[:ENTRIES]
    columns = min(COLUMNS, max(1, width // 120))
    page = Image.new("RGB", (width, -(-len(shown) // columns) * LINE + 2 * GAP), (255, 255, 255))
    pen = ImageDraw.Draw(page)
    for number, (name, colour) in enumerate(shown):
        x, y = number % columns * (width // columns) + GAP, number // columns * LINE + GAP
        pen.rectangle((x, y, x + 12, y + 12), fill=(colour[0], colour[1], colour[2]), outline=INK)
        pen.text((x + 18, y), printable(name, (width // columns - 24) // 6), fill=INK)
    return np.asarray(page)


def printable(name: str, most: int) -> str:
    """A name of at most `most` letters."""
    return name if len(name) <= most else f"{name[: max(1, most - 1)]}."
