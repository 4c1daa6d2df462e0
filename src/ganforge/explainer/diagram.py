"""A drawing of a network, made from its traced layers: a box a step, as high as its picture and as wide as its depth.

Norms and activations are written under the box that they follow; a stretch that repeats itself is drawn once.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ganforge.explainer.layers import Family, Layer, Network
from ganforge.explainer.strings import shape

FOLLOWS = ("norm", "bend", "drop", "shape")  # families that change what is in a box, not what it is
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
PITCH, HIGH = 92, 150  # pixels from box to box, and of the highest
LONGEST = 12  # boxes of a stretch that may repeat


@dataclass
class Box:
    """One step of the drawing."""

    layer: Layer | None
    """None for what the network is given."""
    label: str
    shape: tuple[int, ...]
    inputs: list[int] = field(default_factory=list)
    """Numbers of boxes."""
    under: list[str] = field(default_factory=list)
    times: int = 1
    """How often the stretch that begins here is repeated."""
    stretch: int = 0
    """How many boxes it has."""


def drawing(network: Network) -> str:
    """The network as an <svg> element; its text is the reader's own font."""
    boxes = folded(boxes_of(network))
    width = PITCH * len(boxes) + 20
    arcs = [(k, n) for k, box in enumerate(boxes) for n in box.inputs if n != k - 1]
    above = 34 + 11 * max((min(k - n, 8) for k, n in arcs), default=0)
    middle = above + HIGH / 2
    height = above + HIGH + 76
    parts = [style(network, width, height)]
    for k, box in enumerate(boxes):
        parts += [arrow(n, k, boxes, middle) for n in box.inputs]
    parts += [painted(k, box, middle) for k, box in enumerate(boxes)]
    parts += [bracket(k, box, height) for k, box in enumerate(boxes) if box.times > 1]
    return "".join([*parts, "</svg>"])


def style(network: Network, width: float, height: float) -> str:
    """The opening of the drawing."""
    label = html.escape(f"{network.name}: {len(network.layers)} layers")
    return (
        f'<svg class="network" role="img" aria-label="{label}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-size="11" text-anchor="middle">'
        '<defs><marker id="tip" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
        '<path d="M0 0 6 3 0 6Z" fill="#667085"/></marker></defs>'
    )


def boxes_of(network: Network) -> list[Box]:
    """What the network is given, then its steps."""
    boxes = [Box(None, name, size) for name, size in network.given]
    home = {-1 - k: k for k in range(len(boxes))}  # number of a layer -> its box
    for number, layer in enumerate(network.layers):
        places = [home[n] for n in layer.inputs if n in home]
        follows = layer.family in FOLLOWS and len(places) == 1 and (number == 0 or layer.inputs == (number - 1,))
        steps = boxes[-1].layer is not None  # what the network is given is no step: it may be dropped or laid flat
        if follows and places[0] == len(boxes) - 1 and (steps or layer.family in ("shape", "drop")):
            box = boxes[-1]
            if steps and len(layer.shape) >= len(box.shape):  # laid flat, a picture is no other
                box.shape = layer.shape
            if layer.family != "shape":
                box.under.append(SHORT.get(layer.kind, layer.kind))
            home[number] = places[0]
            continue
        boxes.append(Box(layer, label_of(layer, boxes[places[0]].shape if places else ()), layer.shape, places))
        home[number] = len(boxes) - 1
    return boxes


def label_of(layer: Layer, given: tuple[int, ...]) -> str:
    """`conv 4×4 ↓2`: what a step is, and what it does to the sides."""
    name = {"conv": "conv", "up": "conv ᵀ", "linear": "linear"}.get(layer.family, SHORT.get(layer.kind, layer.kind))
    window = layer.detail.partition(",")[0] if layer.family in ("conv", "up") else ""
    change = ""
    if len(given) == len(layer.shape) == 3 and given[1] != layer.shape[1] and layer.shape[1]:
        ratio = layer.shape[1] / given[1]
        times = ratio if ratio > 1 else 1 / ratio
        change = f"{'↑' if ratio > 1 else '↓'}{round(times)}" if abs(times - round(times)) < 0.01 else ""
    return " ".join(filter(None, (name, window, change)))


# -- stretches that repeat themselves -----------------------------------------------------------------


def folded(boxes: Sequence[Box]) -> list[Box]:
    """The boxes with every stretch that comes three times or more in a row drawn once."""
    kept: list[Box] = []
    home: dict[int, int] = {}
    start = 0
    while start < len(boxes):
        length, times = repetition(boxes, start)
        for k in range(start, start + length):
            box = boxes[k]
            home[k] = len(kept)
            box.inputs = sorted({home[n] for n in box.inputs})
            if k == start and times > 1:
                box.times, box.stretch = times, length
            kept.append(box)
        for k in range(start + length, start + length * times):
            home[k] = home[start + (k - start) % length]
        start += length * times
    return kept


def repetition(boxes: Sequence[Box], start: int) -> tuple[int, int]:
    """(boxes of a stretch, times it comes) that saves most from `start` on; (1, 1) where nothing comes thrice."""
    best = (1, 1)
    for length in range(1, LONGEST + 1):
        times = 1
        while same(boxes, start, start + length * times, length):
            times += 1
        if times > 2 and length * (times - 1) > best[0] * (best[1] - 1):
            best = (length, times)
    return best


def same(boxes: Sequence[Box], one: int, other: int, length: int) -> bool:
    """Whether two stretches are alike, and fed alike from within reach."""
    if other + length > len(boxes) or boxes[one].layer is None:
        return False
    return all(
        (a.label, a.shape, a.under, [one + k - n for n in a.inputs])
        == (b.label, b.shape, b.under, [other + k - n for n in b.inputs])
        for k in range(length)
        for a, b in [(boxes[one + k], boxes[other + k])]
    )


# -- ink ----------------------------------------------------------------------------------------------


def middle_of(k: int) -> float:
    """Where box k stands."""
    return 10 + PITCH * (k + 0.5)


def sides(box: Box) -> tuple[float, float]:
    """(width, height) of a box: logarithms of how many channels it has, and of the side of its pictures."""
    if box.layer is not None and box.layer.family == "join":
        return 22, 22
    deep = box.shape[0] if box.shape else 1
    high = box.shape[1] if len(box.shape) == 3 else 0
    return 8 + 3.6 * math.log2(deep + 1), 16 + (HIGH - 16) * min(1.0, math.log2(high + 1) / 9) if high else 26


def painted(k: int, box: Box, middle: float) -> str:
    """A box with its shape above and its words below."""
    x, (wide, high) = middle_of(k), sides(box)
    label, size = html.escape(box.label), shape(box.shape)
    if box.layer is not None and box.layer.family == "join":
        sign = {"Sum": "+", "Product": "×", "Difference": "−", "Concatenation": "‖"}.get(box.layer.kind, "•")
        body = (
            f'<circle cx="{x:.0f}" cy="{middle:.0f}" r="11" fill="#fff" stroke="#667085" stroke-width="1.5"/>'
            f'<text x="{x:.0f}" y="{middle + 5:.0f}" font-size="14" fill="#1d2430">{sign}</text>'
        )
    else:
        fill = "#e4e7ec" if box.layer is None else COLOURS.get(box.layer.family, "#667085")
        body = (
            f'<rect x="{x - wide / 2:.1f}" y="{middle - high / 2:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="3" '
            f'fill="{fill}" stroke="#1d2430" stroke-opacity=".35"/>'
        )
    words = [label, *(html.escape(word) for word in grouped(box.under))]
    first, rest = 'font-weight="600"', 'fill-opacity=".75"'
    lines = "".join(
        f'<text x="{x:.0f}" y="{middle + HIGH / 2 + 16 + 13 * i:.0f}" fill="currentColor" '
        f"{rest if i else first}>{word}</text>"
        for i, word in enumerate(words[:4])
    )
    joins = box.layer is not None and box.layer.family == "join"  # arcs come in from above
    at = middle + 26 if joins else middle - high / 2 - 6
    return f'{body}<text x="{x:.0f}" y="{at:.0f}" fill="currentColor">{size}</text>{lines}'


def grouped(words: Sequence[str]) -> list[str]:
    """Words that stand more than once in a row, once."""
    return [word for k, word in enumerate(words) if k == 0 or words[k - 1] != word]


def arrow(start: int, end: int, boxes: Sequence[Box], middle: float) -> str:
    """A line to the next box, an arc over all others."""
    (x, wide), (to, other) = ((middle_of(k), sides(boxes[k])[0]) for k in (start, end))
    line = 'fill="none" stroke="#667085" stroke-width="1.3" marker-end="url(#tip)"'
    if end == start + 1:
        return f'<path d="M{x + wide / 2:.1f} {middle:.0f} {to - other / 2 - 1:.1f} {middle:.0f}" {line}/>'
    top = middle - max(sides(box)[1] for box in boxes[start : end + 1]) / 2 - 20 - 11 * min(end - start, 8)
    down = middle - sides(boxes[end])[1] / 2 - 1
    ending = boxes[end].layer
    down = down if ending is not None and ending.family == "join" else down - 16  # above the shape
    from_top = middle - sides(boxes[start])[1] / 2 - 18
    return (
        f'<path d="M{x:.1f} {from_top:.1f}C{x:.1f} {top:.1f} {to:.1f} {top:.1f} {to:.1f} {down:.1f}" '
        f'stroke-dasharray="5 3" {line}/>'
    )


def bracket(k: int, box: Box, height: float) -> str:
    """A line under a stretch that repeats itself, and how often."""
    left, right = middle_of(k) - PITCH / 2 + 6, middle_of(k + box.stretch - 1) + PITCH / 2 - 6
    y = height - 20
    return (
        f'<path d="M{left:.0f} {y - 6:.0f}V{y:.0f}H{right:.0f}V{y - 6:.0f}" fill="none" stroke="currentColor"/>'
        f'<text x="{(left + right) / 2:.0f}" y="{y + 14:.0f}" fill="currentColor" font-weight="600">'
        f"× {box.times}</text>"
    )
