"""Arrays, shards, and pictures of every depth."""

import io
import json
import tarfile
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from tests.fuzz.case import Case, Chance, Kind, Making, Must, Reading, Table
from tests.fuzz.folders import accepted, reading
from tests.fuzz.pictures import Evil, array_file, damaged, png, saved, shot
from tests.fuzz.trees import Tree, packed, zeros_in_zip

NAMES = ("images", "x_train", "x", "data", "arr_0")


def arrays(making: Making) -> Case:
    """One .npy or .npz: shapes, types, labels."""
    chance = making.chance
    n, ending = chance.randint(2, 6), chance.choice(("npz", "npz", "npy"))
    channels = chance.choice((1, 3, 3))
    kind = chance.choice(
        ("uint8", "uint8", "uint8", "uint16", "float32", "float64", "int16", "int64", "bool", ">u2", "float16")
    )
    drawn = {"bool": "uint8", ">u2": "uint16", "float16": "float64"}.get(kind, kind)
    images = chance.pixels(n, 16, 16, channels, dtype=drawn)
    images = images.astype(kind) if kind != "bool" else images > 127
    order = chance.choice(("", "", "first", "flat", "fortran"))
    shaped = {
        "first": lambda: np.ascontiguousarray(images.transpose(0, 3, 1, 2)),
        "flat": lambda: images[..., 0] if channels == 1 else images,
        "fortran": lambda: np.asfortranarray(images),
    }.get(order, lambda: images)()
    path = making.given / f"set.{chance.choice((ending, ending.upper()))}"
    labels, said, odd = labels_of(chance, n) if ending == "npz" else (None, None, "")
    making.given.mkdir(parents=True, exist_ok=True)
    name = chance.choice(NAMES)
    with path.open("wb") as file:
        if ending == "npy":
            np.save(file, shaped)
        else:
            others = {} if labels is None else {chance.choice(("labels", "y", "label")): labels}
            (np.savez if chance.often(0.5) else np.savez_compressed)(file, **{name: shaped, **others})
    rows = [(expected(images[k]), *(() if said is None else (said[k],))) for k in range(n)]
    columns = ("images",) if said is None else ("images", "condition")
    reads = reading(
        "gan", columns, rows, tolerance=2e-3 if "float" in kind or kind == "int16" or kind == "int64" else 0.0
    )
    if kind in ("int16", "int64") or odd:
        reads.tables = []
    must: Must = "either" if odd else "accept"
    return accepted(making, path, f"{ending} of {shaped.shape} {kind} {order}, labels {odd or said}", reads, must)


def expected(picture: np.ndarray) -> np.ndarray:
    """As it is stored: booleans are black and white, floats in [0, 1] are brought to [-1, 1]."""
    if picture.dtype == bool:
        return picture.astype(np.uint8) * 255
    if picture.dtype.kind == "f":
        return picture.astype(np.float32) * 2 - 1
    return picture.astype(picture.dtype.newbyteorder("="))


def labels_of(chance: Chance, n: int) -> tuple[np.ndarray | None, list[object] | None, str]:
    """(what the file holds, what that means, what is odd about it)."""
    kind = chance.choice(("none", "classes", "classes", "vectors", "column", *ODD_LABELS))
    if kind == "none":
        return None, None, ""
    if kind == "classes":
        numbers = np.arange(n) % 3
        return numbers.astype(chance.choice(("int64", "uint8", "float32"))), [str(k) for k in numbers], ""
    if kind == "vectors":
        numbers = chance.pixels(n, 3, dtype="float32")
        return numbers, [tuple(map(float, row)) for row in numbers], ""
    if kind == "column":
        return np.arange(n)[:, None], [str(k) for k in range(n)], ""
    return ODD_LABELS[kind](n), None, kind


ODD_LABELS = {
    "few": lambda n: np.arange(n - 1),
    "many": lambda n: np.arange(n + 1),
    "none of them": lambda n: np.zeros(0, np.int64),
    "a number": lambda n: np.array(3),
    "empty rows": lambda n: np.zeros((n, 0)),
    "nested": lambda n: np.zeros((n, 2, 2)),
    "words": lambda n: np.array(["cat", "dog"] * n)[:n],
    "negative": lambda n: np.arange(n) - 1,
    "nan": lambda n: np.full(n, np.nan),
    "halves": lambda n: np.arange(n) / 2,
    "huge": lambda n: np.full(n, 2**40),
    "bool": lambda n: np.arange(n) % 2 == 0,
    "complex": lambda n: np.arange(n) * 1j,
    "dates": lambda n: np.arange(n).astype("datetime64[D]"),
}


def odd_arrays(making: Making) -> Case:
    """Arrays that are no pictures, damaged ones, and ones that would run code."""
    chance = making.chance
    kind = chance.choice(
        ("shape", "object", "truncated", "flipped", "names", "empty", "one", "record", "bomb", "zeros")
    )
    path = making.given / f"set.{'npz' if kind in ('names', 'bomb') else chance.choice(('npy', 'npz'))}"
    shape = chance.choice(
        ((4, 16), (4,), (), (0, 16, 16), (4, 0, 16), (4, 16, 16, 0), (2, 2, 16, 16, 3), (4, 16, 16, 7))
    )
    array: np.ndarray = chance.pixels(4, 16, 16, 3)
    array = {
        "shape": lambda: np.zeros(shape, np.uint8),
        "object": lambda: np.array([Evil(making.evil)] * 3, dtype=object),
        "one": lambda: array[:1],
        "record": lambda: np.zeros((4, 16, 16), [("r", "u1"), ("g", "u1")]),
        "zeros": lambda: np.zeros((4, 16, 16, 3), chance.choice(("S5", "complex64", "m8[s]", "V3"))),
    }.get(kind, lambda: array)()
    buffer = io.BytesIO()
    if path.suffix == ".npy":
        np.save(buffer, array, allow_pickle=True)
    else:
        np.savez(buffer, allow_pickle=True, **{"weights" if kind == "names" else "images": array})
    content = buffer.getvalue()
    cut = chance.randrange(len(content))
    content = {
        "truncated": content[:cut],
        "flipped": content[:cut] + bytes([content[cut] ^ 1 << chance.randrange(8)]) + content[cut + 1 :],
        "empty": b"",
    }.get(kind, content)
    making.given.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if kind == "bomb":
        bomb(path)
    return accepted(making, path, f"{path.suffix} {kind} {array.shape} {array.dtype}", Reading("gan", []))


def bomb(path: Path) -> None:
    """An .npz of some kilobytes that holds 2 GB of zeros."""
    head = io.BytesIO()
    said = {"descr": "|u1", "fortran_order": False, "shape": (2**15, 256, 256)}
    np.lib.format.write_array_header_1_0(head, said)
    zeros_in_zip(path, "images.npy", head.getvalue(), 128, {})


def shards(making: Making) -> Case:
    """WebDataset's tars: classes in .cls or .json, several shards, odd members."""
    chance = making.chance
    words = chance.choice((("0", "1"), ("cat", "dog"), ("강아지", "고양이")))
    sidecar = chance.choice(("cls", "json", "none"))
    odd = chance.choice(("", "", "", "missing", "damaged", "links", "split", "keys"))
    rows, never = list[tuple[object, ...]](), list[np.ndarray]()
    many = chance.randint(1, 3)
    making.given.joinpath("set").mkdir(parents=True)
    for number in range(many + (odd == "split")):
        split = ("train-" if number < many else "val-") if odd == "split" else ""
        with tarfile.open(making.given / "set" / f"pets-{split}{number:06}.tar", "w") as archive:
            for k in range(chance.randint(2, 3)):
                taken, word = shot(chance, channels=3, ending=chance.choice(("png", "jpg"))), words[k % 2]
                key = f"{'./' if odd == 'keys' else ''}{number:03}{k:03}{'.x' if odd == 'keys' else ''}"
                members = {f"{key}.{taken.ending}": taken.content}
                said = json.dumps({"label": int(word) if word.isdigit() else word}).encode()
                if sidecar != "none" and not (odd == "missing" and k == 0):
                    members[f"{key}.{sidecar}"] = word.encode() if sidecar == "cls" else said
                for name, content in members.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
                if odd == "split" and number == many:
                    never.append(taken.pixels)
                else:
                    rows.append((taken.pixels, *(() if sidecar == "none" else (word,))))
            if odd == "links":
                for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
                    member = tarfile.TarInfo(f"link{kind!r}.png")
                    member.type, member.linkname = kind, "/etc/passwd"
                    archive.addfile(member)
    if odd == "damaged":
        last = sorted((making.given / "set").iterdir())[-1]
        content = last.read_bytes()
        last.write_bytes(content[: chance.randrange(len(content))])
    columns = ("images",) if sidecar == "none" else ("images", "condition")
    reads = reading("gan", columns, rows, never=never)
    if odd in ("missing", "damaged", "keys"):
        reads = Reading("gan", [])
    one = many == 1 and odd != "split" and chance.often(0.5)
    path = making.given / "set" / "pets-000000.tar" if one and odd != "split" else making.given / "set"
    return accepted(making, path, f"{many} shards, {sidecar}, {odd}", reads, "either" if odd else "accept")


def depths(making: Making) -> Case:
    """Pictures of 16 bits, floats, with alpha, of few colours, turned by EXIF: what a person sees."""
    chance = making.chance
    kind = chance.choice(tuple(DEPTHS))
    made = [DEPTHS[kind](chance) for _ in range(chance.randint(2, 5))]
    tree = {f"{k}.{ending}": content for k, (ending, content, _) in enumerate(made)}
    rows = [(pixels,) for *_, pixels in made]
    taken, whole = all(pixels is not None for *_, pixels in made), kind.startswith("int")
    reads = (
        reading("gan", ("images",), rows, tolerance=2e-3 if "float" in kind else 1.0) if taken else Reading("gan", [])
    )
    reads.images = len(made) if taken or whole else None
    if taken and chance.often(0.15):
        ending, content = damaged(chance, making.evil)
        tree[f"damaged.{ending}"] = content
    path = packed(chance, tree, making.given)
    return accepted(making, path, f"pictures: {kind}", reads, "accept" if taken or whole else "either")


def ranges(making: Making) -> Case:
    """Floats and whole numbers of science: a number means the same in training, held out, and on each side."""
    chance = making.chance
    kind = chance.choice(("float32", "float64", "int16", "uint16"))
    low, high = (0, 4000) if kind == "uint16" else (-1024, 3071)
    tree, tables = Tree(), dict[str, list[tuple[object, ...]]]()
    for split, least, most in (("train", low, high), ("test", low // 4, high // 4)):
        for k in range(3):
            pixels = (chance.pixels(16, 16, 1, dtype="float64") * (most - least) + least).round()
            pixels[0, 0], pixels[0, 1] = least, most
            tree[f"{split}/{k}.npy"] = array_file(pixels.astype(kind))
            seen = (pixels - low) / (high - low) * 2 - 1
            tables.setdefault(split, []).append((pixels.astype(kind) if kind == "uint16" else seen.astype(np.float32),))
    reads = reading("gan", ("images",), tables["train"], tolerance=1.0 if kind == "uint16" else 0.01)
    reads.held = [Table(("images",), tables["test"])]
    path = packed(chance, tree, making.given)
    return accepted(making, path, f"{kind} from {low} to {high}, held out a quarter of that", reads, "accept")


Deep = tuple[str, bytes, np.ndarray | None]


def alpha(chance: Chance) -> Deep:
    """Colour with alpha, on white."""
    pixels = chance.pixels(16, 16, 4)
    cover = pixels[..., 3:] / 255
    seen = np.rint(pixels[..., :3] * cover + 255 * (1 - cover)).astype(np.uint8)
    return "png", saved(Image.fromarray(pixels), "PNG"), seen


def turned(chance: Chance) -> Deep:
    """A PNG that says in EXIF which way is up."""
    pixels, image = chance.pixels(16, 16, 3), None
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    return "png", saved(image, "PNG", exif=exif.tobytes()), np.ascontiguousarray(np.rot90(pixels, -1))


def pair16(chance: Chance) -> Deep:
    """Grey of 16 bits."""
    pixels = chance.pixels(16, 16, 1, dtype="uint16")
    return "png", png(pixels), pixels


def floats(chance: Chance, low: float, high: float, broken: bool = False) -> Deep:
    """An .npy of floats."""
    pixels = chance.pixels(16, 16, 1, dtype="float32") * np.float32(high - low) + np.float32(low)
    if broken:
        pixels[3, 3] = chance.choice((np.nan, np.inf, -np.inf))
        return "npy", array_file(pixels), None
    pixels[0, 0], pixels[0, 1] = low, high
    scaled = pixels if low == -1 else (pixels - np.float32(low)) / np.float32(high - low) * 2 - 1
    return "npy", array_file(pixels), scaled.astype(np.float32)


def integers(chance: Chance, kind: str) -> Deep:
    """Whole numbers of other types."""
    with warnings.catch_warnings(action="ignore"):
        return "npy", array_file(chance.pixels(16, 16, 1, dtype="int16").astype(kind)), None


DEPTHS = {
    "alpha": alpha,
    "turned": turned,
    "16 bits": pair16,
    "float 0..1": lambda chance: floats(chance, 0, 1),
    "float -1..1": lambda chance: floats(chance, -1, 1),
    "float Hounsfield": lambda chance: floats(chance, -1024, 3071),
    "float 0..255": lambda chance: floats(chance, 0, 255),
    "float broken": lambda chance: floats(chance, 0, 1, broken=True),
    "int16": lambda chance: integers(chance, "int16"),
    "int32": lambda chance: integers(chance, "int32"),
    "int64": lambda chance: integers(chance, "int64"),
    "black and white": lambda chance: bits(chance),
    "CMYK": lambda chance: ("jpg", saved(Image.fromarray(chance.pixels(16, 16, 4), "CMYK"), "JPEG"), None),
    "LA": lambda chance: ("png", saved(Image.fromarray(chance.pixels(16, 16, 2)), "PNG"), None),
}


def bits(chance: Chance) -> Deep:
    """One bit a pixel."""
    pixels = chance.pixels(16, 16, 1) // 128 * 255
    return "png", saved(Image.fromarray(pixels[..., 0]).convert("1"), "PNG"), pixels


KINDS: dict[str, Kind] = {
    "arrays": arrays,
    "odd-arrays": odd_arrays,
    "shards": shards,
    "depths": depths,
    "ranges": ranges,
}
