"""Label maps and boxes beside pictures, in the layouts that people have, whole and damaged."""

import json

import numpy as np
from PIL import Image

from tests.fuzz.case import Case, Chance, Kind, Making, Must
from tests.fuzz.lists import spoiled
from tests.fuzz.pictures import saved, shots
from tests.fuzz.trees import Tree, packed, stems

REGIONS = ("sky", "road", "나무", "house", "sea")
OBJECTS = ("cat", "dog", "별")
FOLDERS = (("images", "labels"), ("img", "annotations"), ("train_img", "train_label"), ("A", "B"))


def label_maps(making: Making) -> Case:
    """Photographs with the region of every pixel: numbers, palettes or colours, with names or without."""
    chance = making.chance
    names, (photos, maps) = stems(chance, chance.randint(2, 5), 0.9, zipped=True), chance.choice(FOLDERS)
    tree: Tree = {
        f"{photos}/{n}.png": s.content for n, s in zip(names, shots(chance, len(names), ending="png"), strict=True)
    }
    count, mode = chance.randint(2, len(REGIONS)), chance.choice(("L", "L", "P", "RGB"))
    shades = chance.pixels(256, 3)
    shades[:count] = np.arange(3 * count).reshape(-1, 3) * 8  # different ones
    regions = [np.clip(chance.pixels(4, 4) % count, 0, count - 1).repeat(4, 0).repeat(4, 1) for _ in names]
    for name, region in zip(names, regions, strict=True):
        tree[f"{maps}/{name}.png"] = saved(draw_map(region, mode, shades), "PNG")
    odd, must = chance.choice(("", "", "", "size", "noise", "missing", "broken", "names", "unknown")), "accept"
    first = f"{maps}/{names[0]}.png"
    if odd == "size":
        tree[first] = saved(draw_map(regions[0][:8], mode, shades), "PNG")
    elif odd == "noise":
        tree[first] = saved(Image.fromarray(chance.pixels(99, 99, 3)), "PNG")
    elif odd == "missing":
        del tree[first]
    elif odd == "broken":
        tree[first] = spoiled(chance, tree[first])
    elif odd == "names":
        tree[f"{maps}/classes.txt"] = spoiled(chance, "\n".join(REGIONS[:count]).encode())
    elif odd == "unknown":
        tree[first] = saved(draw_map(np.where(regions[0] == 0, 255, regions[0]), "L", shades), "PNG")
    elif chance.often(0.3):
        tree[f"{maps}/classes.txt"] = "\n".join(REGIONS[:count]).encode()
    return planned(
        making, tree, "spade", f"label maps {mode} in {photos}/ and {maps}/ {odd}", must if not odd else "either"
    )


def draw_map(region: np.ndarray, mode: str, shades: np.ndarray) -> Image.Image:
    """A label map as numbers, with a palette, or in its colours."""
    if mode == "RGB":
        return Image.fromarray(shades[region])
    image = Image.fromarray(region.astype(np.uint8), "L")
    if mode == "P":
        image = image.convert("P")
        image.putdata(region.ravel().tolist())
        image.putpalette(shades.tobytes())
    return image


def boxes(making: Making) -> Case:
    """Photographs with objects in boxes: COCO, YOLO, Pascal VOC and metadata.jsonl."""
    chance = making.chance
    names = stems(chance, chance.randint(3, 5), 0.9, zipped=True)
    tree: Tree = {
        f"images/{n}.png": s.content for n, s in zip(names, shots(chance, len(names), ending="png"), strict=True)
    }
    rows = [[draw_box(chance) for _ in range(3)] for _ in names]
    kind = chance.choice(sorted(WRITERS))
    lists = WRITERS[kind](names, rows)
    odd = chance.choice(("", "", "", "spoiled", "outside", "twice"))
    if odd == "spoiled":
        file = chance.choice(sorted(lists))
        lists[file] = spoiled(chance, lists[file])
    elif odd == "outside":
        bad = chance.choice((-5.0, 1e300, float("nan"), 99.0))
        lists = WRITERS[kind](names, [[(bad, *box[1:]) for box in own] for own in rows])
    elif odd == "twice":
        lists |= WRITERS[chance.choice(sorted(WRITERS))](names, rows)
    must: Must = "either" if odd else "accept"
    return planned(making, {**tree, **lists}, "lostgan", f"boxes by {kind} {odd}", must)


Box = tuple[float, float, float, float, int]  # left, top, width, height in pixels of 16, object


def draw_box(chance: Chance) -> Box:
    """A box of at least a quarter of the side, inside the image."""
    width, height = chance.randint(4, 8), chance.randint(4, 8)
    return (
        float(chance.randint(0, 16 - width)), float(chance.randint(0, 16 - height)), float(width), float(height),
        chance.randrange(len(OBJECTS)),
    )  # fmt: skip


def coco(names: list[str], rows: list[list[Box]]) -> Tree:
    """annotations/instances.json."""
    images = [{"id": k, "file_name": f"images/{name}.png", "width": 16, "height": 16} for k, name in enumerate(names)]
    marks = [
        {
            "id": 10 * k + j,
            "image_id": k,
            "category_id": box[4] + 1,
            "bbox": [*box[:4]],
            "area": box[2] * box[3],
            "iscrowd": 0,
        }
        for k, own in enumerate(rows)
        for j, box in enumerate(own)
    ]
    categories = [{"id": k, "name": name} for k, name in enumerate(OBJECTS, 1)]
    content = {"images": images, "annotations": marks, "categories": categories}
    return {"annotations/instances.json": json.dumps(content).encode()}


def yolo(names: list[str], rows: list[list[Box]]) -> Tree:
    """labels/NAME.txt, and classes.txt."""
    tree: Tree = {"labels/classes.txt": "\n".join(OBJECTS).encode()}
    for name, own in zip(names, rows, strict=True):
        lines = [f"{k} {(x + w / 2) / 16} {(y + h / 2) / 16} {w / 16} {h / 16}" for x, y, w, h, k in own]
        tree[f"labels/{name}.txt"] = "\n".join(lines).encode()
    return tree


def voc(names: list[str], rows: list[list[Box]]) -> Tree:
    """Annotations/NAME.xml."""
    tree: Tree = {}
    for name, own in zip(names, rows, strict=True):
        marks = "".join(
            f"<object><name>{OBJECTS[k]}</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
            f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
            for x, y, w, h, k in own
        )
        tree[f"Annotations/{name}.xml"] = f"<annotation>{marks}</annotation>".encode()
    return tree


def metadata(names: list[str], rows: list[list[Box]]) -> Tree:
    """metadata.jsonl with objects."""
    lines = []
    for name, own in zip(names, rows, strict=True):
        objects = {"bbox": [[*box[:4]] for box in own], "categories": [OBJECTS[box[4]] for box in own]}
        lines.append(json.dumps({"file_name": f"images/{name}.png", "objects": objects}, ensure_ascii=False))
    return {"metadata.jsonl": "\n".join(lines).encode()}


WRITERS = {"coco": coco, "yolo": yolo, "voc": voc, "metadata": metadata}


def planned(making: Making, tree: Tree, model: str, what: str, must: Must) -> Case:
    """The case of the data doctor, and then of a training that stops before its first step."""
    path = packed(making.chance, tree, making.given)
    given = f"../{path.relative_to(making.root).as_posix()}"
    train = ["train", model, "--data", given, "--preset", "tiny", "--size", "32", "--dry-run"]
    return Case(what, [["data", given, "--json"], train], must, data=given, names=tuple(tree))


KINDS: dict[str, Kind] = {"label-maps": label_maps, "boxes": boxes}
