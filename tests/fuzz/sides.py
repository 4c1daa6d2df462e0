"""Pairs, two domains, masks and pictures side by side, in the spellings that people have."""

import re
import unicodedata

import numpy as np

from tests.fuzz.case import Case, Chance, Kind, Making, Must, Reading, Table
from tests.fuzz.folders import accepted
from tests.fuzz.pictures import Shot, damaged, decoded, png, shot
from tests.fuzz.trees import Tree, ending, littered, packed, stems

PAIRS = (
    *(("A/{k}", "B/{k}"), ("train/A/{k}", "train/B/{k}"), ("A/train/{k}", "B/train/{k}"), ("source/{k}", "target/{k}")),
    *(("input/{k}", "output/{k}"), ("trainA/{k}", "trainB/{k}")),
)
ODD_PAIRS = (
    *(("Source/{k}", "Target/{k}"), ("a/{k}", "b/{k}"), ("traina/{k}", "trainb/{k}"), ("{k}_A", "{k}_B")),
    *(("labels/{k}", "images/{k}"), ("A/{k}_A", "B/{k}_B"), ("A/{k}_real", "B/{k}_fake"), ("x/{k}", "y/{k}")),
    *(
        ("A/trainA/{k}", "B/trainB/{k}"),
        ("train_A/{k}", "train_B/{k}"),
        ("Input/{k}", "Output/{k}"),
        ("A /{k}", "B /{k}"),
    ),
)
TESTS = (
    *(("test/A/{k}", "test/B/{k}"), ("testA/{k}", "testB/{k}"), ("A/test/{k}", "B/test/{k}")),
    *(
        ("A/testA/{k}", "B/testB/{k}"),
        ("val/A/{k}", "val/B/{k}"),
        ("test_A/{k}", "test_B/{k}"),
        ("Test/A/{k}", "Test/B/{k}"),
    ),
)


def pairs(making: Making) -> Case:
    """Two sides of equal names: partners stay partners, whatever the order, endings and spellings."""
    chance = making.chance
    odd = chance.often(0.4)
    left, right = chance.choice(ODD_PAIRS if odd else PAIRS)
    names = stems(chance, chance.randint(2, 12), 0.6)
    a, b = ([shot(chance, channels=3) for _ in names] for _ in "ab")
    tree: Tree = {}
    for k in chance.sample(range(len(names)), len(names)):
        tree[f"{left.format(k=names[k])}.{ending(chance, a[k].ending)}"] = a[k].content
        tree[f"{right.format(k=mixed(chance, names[k]))}.{ending(chance, b[k].ending)}"] = b[k].content
    rows = [(one.pixels, other.pixels) for one, other in zip(a, b, strict=True)]
    reads = Reading("pix2pix", [Table(("source", "target"), rows)], 2 * len(rows))
    if odd:
        reads.mention = tuple(part for place in (left, right) for part in re.split(r"\{k\}|/", place) if part.strip())
    what, must = f"{len(names)} pairs, {left} and {right}, like {names[-1]!r}", "either" if odd else "accept"
    what, must = disturbed(making, chance, tree, reads, what, must)
    path = packed(chance, littered(chance, tree, 0.3), making.given)
    return accepted(making, path, what, reads, must)


def mixed(chance: Chance, name: str) -> str:
    """The same name in another Unicode form, now and then."""
    return unicodedata.normalize(chance.choice(("NFC", "NFD")), name) if chance.often(0.1) else name


def disturbed(making: Making, chance: Chance, tree: Tree, reads: Reading, what: str, must: Must) -> tuple[str, Must]:
    """Pairs with a test split, a missing partner, a damaged one, one of another size; and what must hold then."""
    kind = chance.choice(("", "", "", "test", "test", "missing", "damaged", "size", "twice"))
    some = sorted(tree)[0]
    if kind == "test":
        left, right = chance.choice(TESTS)
        for k in range(2):
            for place in (left, right):
                held = shot(chance, channels=3, ending="png")
                tree[f"{place.format(k=f'held{k}')}.png"] = held.content
                reads.never.append(held.pixels)
        reads.images, must = None, "either"
        return f"{what}; test split {left}", must
    if kind == "missing":
        del tree[some]
        reads.tables, reads.images = [], None
        return f"{what}; {some} is missing", "either"
    if kind == "damaged":
        tree[some] = damaged(chance, making.evil)[1]
        gone = next((table.rows for table in reads.tables), [])
        reads.tables, reads.images = [Table(("source", "target"), gone)], None
        reads.hint = ("left out", "cannot be read")
        return f"{what}; {some} is damaged", "either"
    if kind == "size":
        tree[f"{some.rpartition('.')[0]}.{some.rpartition('.')[2]}"] = png(chance.pixels(12, 20, 3))
        reads.tables, reads.images = [], None
        return f"{what}; {some} has another size", "either"
    if kind == "twice":
        tree[f"{some.rpartition('.')[0]}.bmp"] = shot(chance, ending="bmp").content
        tree[f"{some.rpartition('.')[0]}.webp"] = shot(chance, ending="webp").content
        reads.tables, reads.images = [], None
        return f"{what}; {some} is there with several endings", "either"
    return what, must


def domains(making: Making) -> Case:
    """Two domains of any names: every picture on its own side."""
    chance = making.chance
    layout = chance.choice(("{p}{s}", "{p}/{s}", "{s}/{p}", "{s}", "{s}/{p}{s}", "{p}_{s}", "{P}{s}"))
    train = chance.choice(("train", "train", "training")) if "{p}/" in layout or "/{p}" in layout else "train"
    tables, never, tree, count = list[Table](), list[np.ndarray](), Tree(), 0
    for side in "AB":
        own: list[tuple[object, ...]] = []
        for phase, n in ((train, chance.randint(2, 5)), ("test", chance.randint(0, 2) if layout != "{s}" else 0)):
            folder = layout.format(p=phase, s=side, P=phase.capitalize())
            for name in stems(chance, n, 0.6):
                taken = shot(chance, channels=3)
                tree[f"{folder}/{side if chance.often(0.5) else ''}{name}.{taken.ending}"] = taken.content
                if phase == train:
                    own.append((taken.pixels,))
                    count += 1
                else:
                    never.append(taken.pixels)
        tables.append(Table((side.lower(),), own))
    plain = layout in ("{p}{s}", "{p}/{s}", "{s}/{p}", "{s}")
    reads = Reading("cyclegan", tables, count, never=never)
    if not plain:
        reads.images, reads.tables = None, []
    path = packed(chance, littered(chance, tree, 0.3), making.given)
    same = len({name.rpartition("/")[2] for name in tree}) < len(tree)
    must: Must = "accept" if plain and not same else "either"
    return accepted(making, path, f"domains in {layout}, {train}", reads, must)


def masks(making: Making) -> Case:
    """Two domains with masks: every instance at its own picture."""
    chance = making.chance
    folder = chance.choice(("train{s}", "{s}", "train/{s}"))
    word = chance.choice(("_masks", "_mask", "_seg", "_segs", "_instances", "_labels", "-masks"))
    several = chance.choice(("files", "folders", "colours", "one"))
    tables, tree, count = list[Table](), Tree(), 0
    for side in "AB":
        rows: list[tuple[object, ...]] = []
        names = stems(chance, chance.randint(2, 4), 0.7)
        for k, name in enumerate(names):
            taken: Shot = shot(chance, channels=3, ending="png")
            tree[f"{folder.format(s=side)}/{name}.png"] = taken.content
            drawn = instances(chance, 0 if chance.often(0.15) and k else chance.randint(1, 3))
            for inside, content in mask_files(several, name, drawn).items():
                tree[f"{folder.format(s=side)}{word}/{inside}"] = content
            kept = [np.any(drawn, 0)] if several == "one" and drawn else drawn
            rows.append((taken.pixels, frozenset(mask.tobytes() for mask in kept)))
            count += 1
        tables.append(Table((side.lower(), f"{side.lower()}_masks"), rows))
    must: Must = "accept" if word in ("_masks", "_mask", "_seg") else "either"
    if chance.often(0.2):
        lost = f"{folder.format(s='A')}{word}/of nobody.png"
        tree[lost] = png(chance.pixels(16, 16, 1))
        must = "either"
    elif chance.often(0.15):
        tree[next(name for name in tree if word in name)] = chance.choice((b"", png(chance.pixels(9, 9, 1))))
        tables, must = [], "either"
    reads = Reading("instagan", tables if must == "accept" else [], None)
    path = packed(chance, littered(chance, tree, 0.2), making.given)
    return accepted(making, path, f"masks in {folder}{word}, as {several}", reads, must)


def instances(chance: Chance, n: int) -> list[np.ndarray]:
    """Masks (16, 16) of bool that do not touch."""
    drawn = []
    for k in range(n):
        mask = np.zeros((16, 16), bool)
        mask[5 * k : 5 * k + chance.randint(2, 4), chance.randint(0, 6) : chance.randint(9, 16)] = True
        drawn.append(mask)
    return drawn


def mask_files(several: str, name: str, drawn: list[np.ndarray]) -> dict[str, bytes]:
    """The masks of one picture in files."""
    if several == "files":
        return {f"{name}_{k}.png": png(m[..., None].astype(np.uint8) * 255) for k, m in enumerate([*drawn, *drawn[:0]])}
    if several == "folders":
        return {f"{name}/{k}.png": png(m[..., None].astype(np.uint8) * 255) for k, m in enumerate(drawn)}
    colours = np.zeros((16, 16, 1), np.uint8)
    for k, mask in enumerate(drawn):
        colours[mask] = 255 if several == "one" else 60 * (k + 1)
    return {f"{name}.png": png(colours)}


def wide(making: Making) -> Case:
    """Pictures of two side by side: left is the source."""
    chance = making.chance
    high, half = chance.choice(((16, 16), (16, 16), (16, 24), (24, 16), (16, 17)))
    kind = chance.choice(("png", "bmp", "jpg"))
    rows, tree = list[tuple[object, ...]](), Tree()
    places = chance.choice(("{k}", "train/{k}", "wide/{k}"))
    odd_width = chance.often(0.1)
    for name in stems(chance, chance.randint(2, 5), 0.6):
        taken = shot(chance, (high, 2 * half + odd_width), ending=kind)
        tree[f"{places.format(k=name)}.{kind}"] = taken.content
        whole = decoded(taken.content)
        rows.append((whole[:, :half], whole[:, half:]))
    square = high == half and not odd_width
    reads = Reading("pix2pix", [Table(("source", "target"), rows)] if square else [], len(rows), size=(high, half))
    path = packed(chance, littered(chance, tree, 0.3), making.given)
    what = f"{len(rows)} pictures of {2 * half + odd_width} x {high}, two side by side"
    return accepted(making, path, what, reads, "accept" if square else "either")


KINDS: dict[str, Kind] = {"pairs": pairs, "domains": domains, "masks": masks, "wide": wide}
