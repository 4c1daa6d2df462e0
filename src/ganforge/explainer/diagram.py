"""Draw a traced network as SVG: a box for each layer, its height by the image size, its width by the channels.

Norms and activations are written under the box that they follow; a sequence that repeats is drawn once.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ganforge.explainer.layers import Family, Layer, Network
from ganforge.explainer.strings import format_shape

ATTACHED = ("norm", "activation", "dropout", "shape")  # families that get no box of their own
SHORT = {
    **{"BatchNorm2d": "batch norm", "LiveBatchNorm2d": "batch norm", "BatchNorm1d": "batch norm"},
    **{"InstanceNorm2d": "instance norm", "LiveInstanceNorm2d": "instance norm", "LayerNorm": "layer norm"},
    **{"AvgPool2d": "mean", "MaxPool2d": "maximum", "MaxUnpool2d": "unpool", "PixelShuffle": "shuffle"},
    **{
        "Resize": "resize",
        "LeakyReLU": "leaky ReLU",
        "LiveDropout": "dropout",
        "Dropout": "dropout",
        "Concatenation": "concat",
    },
}
COLOURS: dict[Family, str] = {"conv": "#4477aa", "up": "#cc7a29", "linear": "#3d8b57", "resize": "#8a6fb0"}
PITCH, HIGH = 92, 150  # pixels from box to box, and height of the highest box
LONGEST = 12  # boxes of a sequence that may repeat


@dataclass
class Box:
    """One box of the diagram."""

    layer: Layer | None
    """None for an input of the network."""
    label: str
    shape: tuple[int, ...]
    inputs: list[int] = field(default_factory=list)
    """Numbers of the boxes that it takes."""
    notes: list[str] = field(default_factory=list)
    """Norms and activations, written under it."""
    times: int = 1
    """How often the sequence that begins here is repeated."""
    length: int = 0
    """Number of boxes of that sequence."""


def draw_network(network: Network) -> str:
    """The network as an <svg> element; its text takes the font of the page."""
    boxes = fold_repeats(build_boxes(network))
    width = PITCH * len(boxes) + 20
    arcs = [(k, n) for k, box in enumerate(boxes) for n in box.inputs if n != k - 1]
    above = 34 + 11 * max((min(k - n, 8) for k, n in arcs), default=0)
    middle = above + HIGH / 2
    height = above + HIGH + 76
    parts = [open_svg(network, width, height)]
    for k, box in enumerate(boxes):
        parts += [draw_arrow(n, k, boxes, middle) for n in box.inputs]
    parts += [draw_box(k, box, middle) for k, box in enumerate(boxes)]
    parts += [draw_bracket(k, box, height) for k, box in enumerate(boxes) if box.times > 1]
    return "".join([*parts, "</svg>"])


def open_svg(network: Network, width: float, height: float) -> str:
    """The opening tag of the diagram, and the arrow head."""
    label = html.escape(f"{network.name}: {len(network.layers)} layers")
    return (
        f'<svg class="network" role="img" aria-label="{label}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-size="11" text-anchor="middle">'
        '<defs><marker id="tip" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0 6 3 0 6Z" fill="#667085"/></marker></defs>'
    )


def build_boxes(network: Network) -> list[Box]:
    """A box for each input of the network, then one for each layer that gets its own."""
    boxes = [Box(None, name, size) for name, size in network.inputs]
    box_of = {-1 - k: k for k in range(len(boxes))}  # number of a layer -> its box
    for number, layer in enumerate(network.layers):
        parents = [box_of[n] for n in layer.inputs if n in box_of]
        attached = layer.family in ATTACHED and len(parents) == 1 and (number == 0 or layer.inputs == (number - 1,))
        after_layer = (
            bool(boxes) and boxes[-1].layer is not None
        )  # to an input box only dropout and reshaping are attached
        if attached and parents[0] == len(boxes) - 1 and (after_layer or layer.family in ("shape", "dropout")):
            box = boxes[-1]
            if after_layer and len(layer.shape) >= len(box.shape):  # a flattened image keeps its box's shape
                box.shape = layer.shape
            if layer.family != "shape":
                box.notes.append(SHORT.get(layer.kind, layer.kind))
            box_of[number] = parents[0]
            continue
        label = format_label(layer, boxes[parents[0]].shape if parents else ())
        boxes.append(Box(layer, label, layer.shape, parents))
        box_of[number] = len(boxes) - 1
    return boxes


def format_label(layer: Layer, input_shape: tuple[int, ...]) -> str:
    """`conv 4×4 ↓2`: the operation, its kernel, and how it scales the image."""
    name = {"conv": "conv", "up": "conv ᵀ", "linear": "linear"}.get(layer.family, SHORT.get(layer.kind, layer.kind))
    kernel = layer.detail.partition(",")[0] if layer.family in ("conv", "up") else ""
    scale = ""
    if len(input_shape) == len(layer.shape) == 3 and input_shape[1] != layer.shape[1] and layer.shape[1]:
        ratio = layer.shape[1] / input_shape[1]
        times = ratio if ratio > 1 else 1 / ratio
        scale = f"{'↑' if ratio > 1 else '↓'}{round(times)}" if abs(times - round(times)) < 0.01 else ""
    return " ".join(filter(None, (name, kernel, scale)))


# -- repeated sequences -------------------------------------------------------------------------------


def fold_repeats(boxes: Sequence[Box]) -> list[Box]:
    """The boxes, with every sequence that occurs three times or more in a row reduced to one."""
    folded: list[Box] = []
    box_of: dict[int, int] = {}
    start = 0
    while start < len(boxes):
        length, times = find_repeat(boxes, start)
        for k in range(start, start + length):
            box = boxes[k]
            box_of[k] = len(folded)
            box.inputs = sorted({box_of[n] for n in box.inputs})
            if k == start and times > 1:
                box.times, box.length = times, length
            folded.append(box)
        for k in range(start + length, start + length * times):
            box_of[k] = box_of[start + (k - start) % length]
        start += length * times
    return folded


def find_repeat(boxes: Sequence[Box], start: int) -> tuple[int, int]:
    """(boxes of a sequence, times it occurs) that saves most boxes from `start` on; (1, 1) where none occurs thrice."""
    best = (1, 1)
    for length in range(1, LONGEST + 1):
        times = 1
        while are_equal(boxes, start, start + length * times, length):
            times += 1
        if times > 2 and length * (times - 1) > best[0] * (best[1] - 1):
            best = (length, times)
    return best


def are_equal(boxes: Sequence[Box], first: int, second: int, length: int) -> bool:
    """Whether two sequences have equal boxes with equal inputs, counted from the start of each."""
    if second + length > len(boxes) or boxes[first].layer is None:
        return False
    return all(
        (a.label, a.shape, a.notes, [first + k - n for n in a.inputs])
        == (b.label, b.shape, b.notes, [second + k - n for n in b.inputs])
        for k in range(length)
        for a, b in [(boxes[first + k], boxes[second + k])]
    )


# -- SVG ----------------------------------------------------------------------------------------------


def centre_of(k: int) -> float:
    """The x coordinate of the centre of box k."""
    return 10 + PITCH * (k + 0.5)


def size_of(box: Box) -> tuple[float, float]:
    """(width, height) of a box: logarithmic in its channels and in its image size."""
    if box.layer is not None and box.layer.family == "join":
        return 22, 22
    channels = box.shape[0] if box.shape else 1
    side = box.shape[1] if len(box.shape) == 3 else 0
    return 8 + 3.6 * math.log2(channels + 1), 16 + (HIGH - 16) * min(1.0, math.log2(side + 1) / 9) if side else 26


def draw_box(k: int, box: Box, middle: float) -> str:
    """A box with its shape above, its label and notes below."""
    x, (width, height) = centre_of(k), size_of(box)
    label, size = html.escape(box.label), format_shape(box.shape)
    joins = box.layer is not None and box.layer.family == "join"
    if box.layer is not None and joins:
        sign = {"Sum": "+", "Product": "×", "Difference": "−", "Concatenation": "‖"}.get(box.layer.kind, "•")
        body = (
            f'<circle cx="{x:.0f}" cy="{middle:.0f}" r="11" fill="#fff" stroke="#667085" stroke-width="1.5"/>'
            f'<text x="{x:.0f}" y="{middle + 5:.0f}" font-size="14" fill="#1d2430">{sign}</text>'
        )
    else:
        fill = "#e4e7ec" if box.layer is None else COLOURS.get(box.layer.family, "#667085")
        body = (
            f'<rect x="{x - width / 2:.1f}" y="{middle - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="3" fill="{fill}" stroke="#1d2430" stroke-opacity=".35"/>'
        )
    lines = [label, *(html.escape(note) for note in drop_repeats(box.notes))]
    first, rest = 'font-weight="600"', 'fill-opacity=".75"'
    below = "".join(
        f'<text x="{x:.0f}" y="{middle + HIGH / 2 + 16 + 13 * i:.0f}" fill="currentColor" '
        f"{rest if i else first}>{line}</text>"
        for i, line in enumerate(lines[:4])
    )
    at = middle + 26 if joins else middle - height / 2 - 6  # arcs enter a join from above
    return f'{body}<text x="{x:.0f}" y="{at:.0f}" fill="currentColor">{size}</text>{below}'


def drop_repeats(words: Sequence[str]) -> list[str]:
    """The words, without those that equal the one before."""
    return [word for k, word in enumerate(words) if k == 0 or words[k - 1] != word]


def draw_arrow(start: int, end: int, boxes: Sequence[Box], middle: float) -> str:
    """A straight arrow to the next box, an arc over the boxes to any other."""
    (x, width), (to, other) = ((centre_of(k), size_of(boxes[k])[0]) for k in (start, end))
    line = 'fill="none" stroke="#667085" stroke-width="1.3" marker-end="url(#tip)"'
    if end == start + 1:
        return f'<path d="M{x + width / 2:.1f} {middle:.0f} {to - other / 2 - 1:.1f} {middle:.0f}" {line}/>'
    top = middle - max(size_of(box)[1] for box in boxes[start : end + 1]) / 2 - 20 - 11 * min(end - start, 8)
    down = middle - size_of(boxes[end])[1] / 2 - 1
    target = boxes[end].layer
    down = down if target is not None and target.family == "join" else down - 16  # above the shape
    from_top = middle - size_of(boxes[start])[1] / 2 - 18
    return (
        f'<path d="M{x:.1f} {from_top:.1f}C{x:.1f} {top:.1f} {to:.1f} {top:.1f} {to:.1f} {down:.1f}" '
        f'stroke-dasharray="5 3" {line}/>'
    )


def draw_bracket(k: int, box: Box, height: float) -> str:
    """A bracket under a repeated sequence, with the number of repeats."""
    left, right = centre_of(k) - PITCH / 2 + 6, centre_of(k + box.length - 1) + PITCH / 2 - 6
    y = height - 20
    return (
        f'<path d="M{left:.0f} {y - 6:.0f}V{y:.0f}H{right:.0f}V{y - 6:.0f}" fill="none" stroke="currentColor"/>'
        f'<text x="{(left + right) / 2:.0f}" y="{y + 14:.0f}" fill="currentColor" font-weight="600">'
        f"× {box.times}</text>"
    )
