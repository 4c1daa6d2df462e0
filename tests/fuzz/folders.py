"""Folders and archives of pictures: flat, nested, one folder a class, splits, and endings that are less usual."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.fuzz.case import Case, Kind, Making, Must, Reading, Table
from tests.fuzz.pictures import COLOUR, UNUSUAL, Shot, damaged, levelled, shot, shots
from tests.fuzz.trees import Tree, ending, in_folder, littered, packed, stems

CLASSES = (
    *(("cat", "dog"), ("0", "1", "2"), ("고양이", "강아지"), ("10", "9", "100"), ("a b", "c'd"), ("Ä", "ä")),
    *(("true", "null"), ("1e3", "nan"), ("A", "B", "C"), ("x;y", "x,y")),
)
TRAIN = ("train", "train", "training", "Train", "TRAIN", "Training")
HELD = ("test", "val", "valid", "validation", "Test", "VAL", "testing")
ODD_SPLITS = (
    *(("Train_set", "Test_set"), ("train_set", "val_set"), ("training set", "test set"), ("train-set", "test-set")),
    *(("train1", "test1"), ("trainset", "testset"), ("trn", "tst"), ("train_images", "test_images"), ("train", "dev")),
    *(("train", "eval"), ("train", "holdout"), ("images_train", "images_test"), ("Trainings", "Tests")),
    *(("train_2017", "val_2017"), ("train2017", "val2017"), ("train", "held_out"), ("훈련", "테스트")),
)


def accepted(
    making: Making, path: Path, what: str, reads: Reading | None, must: Must = "either", *more: str, **extra: object
) -> Case:
    """The case of `ganforge data PATH --json`."""
    chance, given = making.chance, f"../{path.relative_to(making.root).as_posix()}"
    name = str(path) if chance.often(0.2) else given
    words = ["data", name, "--json", *more]
    if chance.often(0.2):
        words += ["-o", "out/sheet.png"]
    return Case(what, [words], must, reads, data=name, **extra)  # pyright: ignore[reportArgumentType]


def reading(model: str, columns: tuple[str, ...], rows: list[tuple[object, ...]], **more: object) -> Reading:
    """One table, all of whose pictures the doctor counts."""
    pixels = [row[0] for row in rows]
    more.setdefault("images", len(rows))
    same = levelled(pixels)  # pyright: ignore[reportArgumentType]
    table = Table(columns, [(same[k], *row[1:]) for k, row in enumerate(rows)])
    return Reading(model, [table], **more)  # pyright: ignore[reportArgumentType]


def folders(making: Making) -> Case:
    """A flat or nested folder among other files, some of its pictures damaged."""
    chance = making.chance
    taken = shots(chance, chance.randint(2, 6))
    names = stems(chance, len(taken))
    layout = chance.choice(("flat", "nested", "deep", "inner"))
    places = {
        "flat": lambda k: "",
        "nested": lambda k: ("", "2020/may/", "2020/")[k % 3],
        "deep": lambda k: "a/b/c/d/e/" if k else "",
        "inner": lambda k: "photos/",
    }
    tree: Tree = {f"{places[layout](k)}{names[k]}.{ending(chance, s.ending)}": s.content for k, s in enumerate(taken)}
    bad = 0
    if chance.often(0.5):
        for k in range(chance.randint(1, 3)):
            kind, content = damaged(chance, making.evil)
            tree[f"{places[layout](0)}damaged-{k}.{kind}"] = content
            bad += 1
    path = packed(chance, littered(chance, tree), making.given, chance.choice(("set", "my set", "셋", "set.v2")))
    rows = [(s.pixels,) for s in taken]
    what = f"{layout}, {len(taken)} pictures called like {names[-1]!r}, {bad} damaged, in {path.suffix or 'a folder'}"
    return accepted(making, path, what, reading("gan", ("images",), rows), "accept")


def classes(making: Making) -> Case:
    """One folder a class."""
    chance = making.chance
    names = chance.choice(CLASSES)
    rows, tree = list[tuple[object, ...]](), Tree()
    channels = chance.choice((3, 3, 1))
    for name in names:
        files = stems(chance, chance.randint(1, 3))
        for file in files:
            taken = shot(chance, channels=channels)
            tree[f"{name}/{file}.{ending(chance, taken.ending)}"] = taken.content
            rows.append((taken.pixels, name))
    what = f"classes {names}"
    if chance.often(0.2):
        tree["empty/notes.txt"] = b"nothing"
        what += ", and a folder without pictures"
    elif chance.often(0.2):
        kind, content = damaged(chance, making.evil)
        tree[f"{names[0]}/damaged.{kind}"] = content
        what += ", a damaged file"
    sides = {frozenset(names) & frozenset("AB")} == {frozenset("AB")} and len(names) == 2
    reads = None if sides else reading("cgan", ("images", "condition"), rows)
    path = packed(chance, littered(chance, tree, 0.3), making.given)
    return accepted(making, path, f"{what} in {path.suffix or 'a folder'}", reads, "accept" if reads else "either")


def splits(making: Making) -> Case:
    """Training and test pictures: in splits spelled as people do, at any depth."""
    chance = making.chance
    odd = chance.often(0.5)
    train, held = chance.choice(ODD_SPLITS) if odd else (chance.choice(TRAIN), chance.choice(HELD))
    order = chance.choice(("split first", "class first", "no classes", "inside"))
    patterns = {
        "split first": "{s}/{c}/{k}",
        "class first": "{c}/{s}/{k}",
        "no classes": "{s}/{k}",
        "inside": "images/{s}/{c}/{k}",
    }
    rows, never, tree = list[tuple[object, ...]](), list[np.ndarray](), Tree()
    for split, into in ((train, rows), (held, None)):
        for name in ("cat", "dog"):
            for k in range(chance.randint(1, 3)):
                taken = shot(chance, channels=3)
                place = patterns[order].format(s=split, c=name, k=f"{name}{k}" if order == "no classes" else k)
                tree[f"{place}.{taken.ending}"] = taken.content
                if into is None:
                    never.append(taken.pixels)
                else:
                    into.append((taken.pixels, name))
    path = packed(chance, littered(chance, tree, 0.2), making.given)
    labelled = order != "no classes"
    must: Must = "either" if odd or order == "class first" else "accept"
    reads = reading("cgan" if labelled and must == "accept" else "gan", ("images",), [row[:1] for row in rows])
    if must == "accept" and labelled:
        reads.tables[0] = Table(("images", "condition"), rows)
    reads.never = never
    if must == "accept":
        reads.held = [Table(("images",), [(pixels,) for pixels in never])] if len(never) > 1 else []
    return accepted(making, path, f"splits {train!r} and {held!r}, {order}", reads, must)


def endings(making: Making) -> Case:
    """Pictures of endings that may not be known: taken, or counted and named."""
    chance = making.chance
    other = chance.choice(UNUSUAL)
    channels = 1 if other == "pgm" else 3
    taken = shots(chance, chance.randint(2, 4), channels=channels, ending="png")
    also = [unusual(making, other, channels) for _ in range(chance.randint(1, 4))]
    tree = {f"{k}.{s.ending}": s.content for k, s in enumerate([*taken, *also])}
    path = packed(chance, tree, making.given)
    rows = [(s.pixels,) for s in [*taken, *also]]
    reads = reading("gan", ("images",), rows, hint=(f".{other}", other))
    return accepted(making, path, f"{len(taken)} PNG and {len(also)} {other}", reads)


def unusual(making: Making, other: str, channels: int) -> Shot:
    """A picture of an unusual ending."""
    return shot(making.chance, (16, 16), channels, other)


def copies(making: Making) -> Case:
    """Inputs for `translate`: whatever they are called, as many are written as it says."""
    chance = making.chance
    path = making.root / "work" / "run"
    copied(making.runs("pix2pix"), path)
    taken = [shot(chance) for _ in range(chance.randint(2, 4))]
    style = chance.choice(("same stem", "any", "double", "capitals", "folders", "meeting", "meeting"))
    names = {
        "same stem": [f"a.{s.ending}" if k == 0 else f"a.{COLOUR[(k * 3) % len(COLOUR)]}" for k, s in enumerate(taken)],
        "any": [f"{name}.{s.ending}" for name, s in zip(stems(chance, len(taken), 0.1), taken, strict=True)],
        "double": [f"a{'.png' * k}.{s.ending}" for k, s in enumerate(taken)],
        "capitals": [f"{'aA'[k % 2]}{k // 2}.{(s.ending, s.ending.upper())[k % 2]}" for k, s in enumerate(taken)],
        "folders": [f"{'x/' * k}a.{s.ending}" for k, s in enumerate(taken)],
        "meeting": chance.sample(["a.png", "a.jpg", "a.png.jpg", "a.jpg.png", "a-1.png", "a.PNG"], len(taken)),
    }[style]
    tree = {name: s.content for name, s in zip(names, taken, strict=True)}
    if chance.often(0.3):
        kind, content = damaged(chance, making.evil)
        tree[f"damaged.{kind}"] = content
    in_folder(tree, making.given / "set")
    words = ["translate", "run", "../in/set", "out/made"]
    return Case(f"translate {', '.join(tree)!r}", [words], counts="work/out/made", names=tuple(tree))


def copied(run: Path, path: Path) -> None:
    """A run folder with everything in it."""
    in_folder({file.relative_to(run).as_posix(): file.read_bytes() for file in files_of(run)}, path)
    (path / "samples").mkdir(exist_ok=True)


def files_of(run: Path) -> Sequence[Path]:
    """The files of a run, in order."""
    return sorted(file for file in run.rglob("*") if file.is_file())


KINDS: dict[str, Kind] = {
    "folders": folders,
    "classes": classes,
    "splits": splits,
    "endings": endings,
    "translate": copies,
}
