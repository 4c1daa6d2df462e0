"""Lists beside the pictures, as programs and people write them, and as they get damaged."""

import csv
import io
import json
import unicodedata
from collections.abc import Callable

from tests.fuzz.case import Case, Chance, Kind, Making, Must
from tests.fuzz.folders import accepted, reading
from tests.fuzz.pictures import shots
from tests.fuzz.trees import Tree, packed, stems

WORDS = (("cat", "dog"), ("강아지", "고양이"), ("0", "1"), ("new york", "são paulo"), ("café", "thé"), ("-", "+"))
SPELLED = ("plain", "./", "backslash", ".\\", "NFC", "NFD")
"""Spellings that mean the same file to everybody."""


def lists(making: Making) -> Case:
    """A list of one of the kinds, well made or in a way that people have it."""
    chance = making.chance
    taken = shots(chance, chance.randint(3, 6), channels=3, ending="png")
    folder = chance.choice(("", "", "images/"))
    names = [f"{folder}{name}.png" for name in stems(chance, len(taken), 0.8, zipped=True)]
    kind = chance.choice((stylegan, stylegan, jsonl, comma, comma, comma, celeba, attributes))
    written, file, content, labels, must = kind(chance, names)
    tree: Tree = {name: s.content for name, s in zip(written, taken, strict=True)}
    if chance.often(0.15):
        content, must, labels = spoiled(chance, content), "either", None
        file_what = f"{file}, spoiled"
    else:
        file_what = file
    tree[file] = content
    path = packed(chance, tree, making.given)
    reads = None
    if labels is not None:
        rows = [(s.pixels, label) for s, label in zip(taken, labels, strict=True)]
        reads = reading("cgan" if isinstance(labels[0], str) else "gan", ("images", "condition"), rows)
        if labels[0] is None:
            reads = reading("gan", ("images",), [row[:1] for row in rows])
    shown = content[:300]
    return accepted(making, path, f"{file_what}: {shown!r}", reads, must, names=(file,))


Made = tuple[list[str], str, bytes, list[object] | None, Must]
"""The names of the files, the list's name and content, the labels that it gives, and whether it must be taken."""


def stylegan(chance: Chance, names: list[str]) -> Made:
    """dataset.json: classes, vectors, nested vectors, and what makes no sense."""
    n = len(names)
    kind = chance.choice(
        ("classes", "vectors", "nested", "nested", "empty", "ragged", "words", "huge", "bool", "dict", "float")
    )
    values: dict[str, list[object]] = {
        "classes": [k % 3 for k in range(n)],
        "vectors": [[round(chance.random(), 2), float(k % 2)] for k in range(n)],
        "nested": [[[k, k + 1], [k + 2, k + 3]] for k in range(n)],
        "empty": [[] for _ in names],
        "ragged": [[1] * (1 + k % 2) for k in range(n)],
        "words": [("cat", "dog")[k % 2] for k in range(n)],
        "huge": [chance.choice((2**70, 1e300, -1, 10**9)) for _ in names],
        "bool": [bool(k % 2) for k in range(n)],
        "dict": [{"a": k} for k in range(n)],
        "float": [[k] for k in range(n)],
    }
    labels: dict[str, list[object]] = {
        "classes": [str(k % 3) for k in range(n)],
        "vectors": [tuple(row) for row in values["vectors"]],  # pyright: ignore[reportArgumentType]
        "bool": [str(k % 2) for k in range(n)],
        "float": [str(k) for k in range(n)],
        "words": [("cat", "dog")[k % 2] for k in range(n)],
    }
    said, spelling = respelled(chance, names)
    rows = [[name, value] for name, value in zip(said, values[kind], strict=True)]
    if chance.often(0.2):
        rows.append(["not-there.png", values[kind][0]])
    must: Must = "accept" if kind in ("classes", "vectors") and spelling in SPELLED else "either"
    indent = chance.choice((None, 1))
    return names, "dataset.json", json.dumps({"labels": rows}, indent=indent).encode(), labels.get(kind), must


def respelled(chance: Chance, names: list[str], plain: float = 0.6) -> tuple[list[str], str]:
    """The names as a list may spell them."""
    if chance.often(plain):
        return names, "plain"
    ways: dict[str, Callable[[str], str]] = {
        "./": lambda name: f"./{name}",
        "backslash": lambda name: name.replace("/", "\\"),
        ".\\": lambda name: ".\\" + name.replace("/", "\\"),
        "NFD": lambda name: unicodedata.normalize("NFD", name),
        "NFC": lambda name: unicodedata.normalize("NFC", name),
        "absolute": lambda name: f"/data/{name}",
        "folder": lambda name: f"set/{name}",
        "capitals": lambda name: name.upper(),
        "blanks": lambda name: f" {name} ",
        "doubled": lambda name: name.replace("/", "//"),
        "dots": lambda name: f"x/../{name}",
    }
    way = chance.choice(sorted(ways))
    return [ways[way](name) for name in names], way


def jsonl(chance: Chance, names: list[str]) -> Made:
    """metadata.jsonl: words, numbers, lists of either, with captions, blank lines and marks."""
    n, words = len(names), chance.choice(WORDS)
    kind = chance.choice(("words", "numbers", "several", "vectors", "captions", "mixed", "null"))
    some = [[words[j] for j in range(2) if (k + 1) >> j & 1] for k in range(n)]
    values: dict[str, list[object]] = {
        "words": [words[k % 2] for k in range(n)],
        "numbers": [k % 3 for k in range(n)],
        "several": list(some),
        "vectors": [[0.5 * k, 1.0] for k in range(n)],
        "captions": [None] * n,
        "mixed": [(words[0], 1, [2], None)[k % 4] for k in range(n)],
        "null": [None if k else words[0] for k in range(n)],
    }
    labels: dict[str, list[object]] = {
        "words": list(values["words"]),
        "numbers": [str(k % 3) for k in range(n)],
        "several": [frozenset(row) for row in some],
        "vectors": [(0.5 * k, 1.0) for k in range(n)],
        "captions": [None] * n,
    }
    said, spelling = respelled(chance, names)
    key = chance.choice(("file_name", "file_name", "file_name", "filename", "image", "File_Name"))
    column = chance.choice(("label", "labels", "class"))
    rows = [{key: name, column: value, "text": 'a, "b"'} for name, value in zip(said, values[kind], strict=True)]
    if kind == "captions":
        rows = [{k: v for k, v in row.items() if k != column} for row in rows]
    lines = [json.dumps(row, ensure_ascii=chance.often(0.5)) for row in rows]
    joint = chance.choice(("\n", "\n", "\r\n", "\n\n"))
    bom = chance.choice((b"", b"", b"\xef\xbb\xbf"))
    text = bom + (joint.join(lines) + chance.choice(("", "\n", "\n\n"))).encode()
    plain = spelling in SPELLED and key == "file_name"
    must: Must = "accept" if plain and kind in ("words", "numbers", "several", "vectors", "captions") else "either"
    return names, "metadata.jsonl", text, labels.get(kind), must


def comma(chance: Chance, names: list[str]) -> Made:
    """metadata.csv and labels.csv, as Excel in any country saves them."""
    words, buffer = chance.choice(WORDS), io.StringIO()
    labels: list[object] = [words[k % 2] for k in range(len(names))]
    said, spelling = respelled(chance, names, 0.7)
    delimiter = chance.choice((",", ",", ",", ";", "\t", "|"))
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=chance.choice(("\n", "\r\n", "\r")))
    space = chance.choice(("", "", "", " "))
    header = chance.choice(
        (("file_name", "label"),) * 4 + (("filename", "label"), ("image", "class"), ("File_Name", "Label"))
    )
    more = ["caption"] if chance.often(0.2) else []
    writer.writerow([header[0], space + header[1], *more])
    for name, label in zip(said, labels, strict=True):
        writer.writerow([name, space + str(label), *(['one, two; "three"'] if more else [])])
    blank = chance.choice((0, 0, 0, 1, 3))
    for _ in range(blank):
        writer.writerow([""] * (2 + len(more)))
    code = chance.choice(("utf-8", "utf-8", "utf-8-sig", "cp949", "utf-16", "utf-16-le", "latin-1"))
    content = buffer.getvalue().encode(code, "replace")
    file = chance.choice(("metadata.csv",) * 4 + ("labels.csv",))
    lost = "?" in content.decode(code, "replace") and "?" not in buffer.getvalue()
    lost = lost or (code == "latin-1" and not buffer.getvalue().isascii())
    usual = delimiter != "|" and header[1] == "label" and spelling in SPELLED and not lost
    must: Must = "accept" if usual and code not in ("latin-1", "utf-16-le") else "either"
    counted: list[object] = [str(int(word)) for word in labels] if words == ("0", "1") else labels  # pyright: ignore
    return names, file, content, None if lost else counted, must


def celeba(chance: Chance, names: list[str]) -> Made:
    """list_attr_celeba.txt."""
    names = [f"img_align_celeba/{k + 1:06}.png" for k in range(len(names))]
    values = [[chance.choice((1, -1)) for _ in range(2)] for _ in names]
    values[0] = [1, -1]
    odd = chance.choice(("", "", "short", "letters", "three", "twice", "crlf", "count"))
    lines = [f"{k + 1:06}.jpg {a:2} {b:2}" for k, (a, b) in enumerate(values)]
    lines[-1] += {"short": "", "letters": "x", "three": " 1"}.get(odd, "")
    lines[-1] = lines[-1][:-3] if odd == "short" else lines[-1]
    lines += lines[:1] if odd == "twice" else []
    count = 99 if odd == "count" else len(names)
    joint = "\r\n" if odd == "crlf" else "\n"
    text = joint.join([str(count), "Smiling Young", *lines, ""])
    labels: list[object] = [
        frozenset(w for w, v in zip(("Smiling", "Young"), row, strict=True) if v == 1) for row in values
    ]
    must: Must = "accept" if odd in ("", "crlf", "count") else "either"
    return names, "list_attr_celeba.txt", text.encode(), labels if must == "accept" else None, must


def attributes(chance: Chance, names: list[str]) -> Made:
    """attributes.csv."""
    low = chance.choice((0, -1))
    values = [[chance.choice((1, low)) for _ in range(2)] for _ in names]
    values[0] = [1, low]
    said, spelling = respelled(chance, [name.rpartition("/")[2] for name in names], 0.8)
    odd = chance.choice(("", "", "float", "words", "both"))
    cell: dict[str, Callable[[int], str]] = {"float": lambda v: f"{v}.0", "words": lambda v: "yes" if v == 1 else "no"}
    shown = cell.get(odd, str)
    rows = [f'"{name}",{shown(a)},{shown(b)}' for name, (a, b) in zip(said, values, strict=True)]
    if odd == "both":
        rows[-1] = f'"{said[-1]}",{-1 - low},1'
    text = "\n".join(["file_name,Smiling,Young", *rows, ""])
    labels: list[object] = [
        frozenset(w for w, v in zip(("Smiling", "Young"), row, strict=True) if v == 1) for row in values
    ]
    must: Must = "accept" if not odd and spelling == "plain" and '"' not in "".join(said) else "either"
    return names, "attributes.csv", text.encode("utf-8", "replace"), labels if odd != "both" else None, must


def spoiled(chance: Chance, content: bytes) -> bytes:
    """A list cut off, flipped, emptied, or of another kind."""
    cut = chance.randrange(max(1, len(content)))
    deep = chance.choice((b"[", b'{"labels":')) * 3000
    return chance.choice((
        content[:cut],
        content[:cut] + bytes([chance.randrange(256)]) + content[cut + 1 :],
        b"",
        b"null",
        b"[]",
        b'{"labels": {}}',
        b'{"labels": [[]]}',
        b"\xff\xfe\x00",
        deep,
        b'"' + content,
        content + content,
        b"a" * 200_000 + b",b\n",
    ))  # fmt: skip


SENTENCES = (
    "a red star",
    "빨간 별이 있다",
    "don't stop, ever",
    "♥",
    "",
    "...",
    "x" * 20_000,
    "a\nb",
    "\ud800",
    "一只猫",
    "é" * 9,
)


def captions(making: Making) -> Case:
    """Captions of one of the kinds, some of them missing, empty or no text, or the list spoiled."""
    chance = making.chance
    taken = shots(chance, chance.randint(3, 6), channels=3, ending="png")
    names = [f"{name}.png" for name in stems(chance, len(taken), 0.8, zipped=True)]
    own = [[chance.choice((*SENTENCES, 7, None, {}, [])) for _ in range(chance.randint(0, 4))] for _ in names]
    pairs = [(name, caption) for name, found in zip(names, own, strict=True) for caption in found]
    kind = chance.choice(
        ("metadata.jsonl", "metadata.jsonl", "captions.json", "Flickr8k.token.txt", "txt", "captions.txt")
    )
    texts = {
        "metadata.jsonl": lambda: "\n".join(
            json.dumps({"file_name": name, "captions": found}) for name, found in zip(names, own, strict=True)
        ),
        "captions.json": lambda: json.dumps({
            "images": [{"id": k, "file_name": name} for k, name in enumerate(names)],
            "annotations": [{"image_id": k, "caption": c} for k, found in enumerate(own) for c in found],
        }),
        "Flickr8k.token.txt": lambda: "\n".join(f"{name}#0\t{caption}" for name, caption in pairs),
        "captions.txt": lambda: "\n".join(["image,caption", *(f'{name},"{caption}"' for name, caption in pairs)]),
    }  # fmt: skip
    tree: Tree = {name: s.content for name, s in zip(names, taken, strict=True)}
    if kind == "txt":
        lists = {f"{name[:-4]}.txt": "\n".join(map(str, found)) for name, found in zip(names, own, strict=True)}
    else:
        lists = {kind: texts[kind]()}
    contents = {name: text.encode("utf-8", "replace") for name, text in lists.items()}
    if chance.often(0.3):
        first = min(contents)
        contents[first] = spoiled(chance, contents[first])
    path = packed(chance, {**tree, **contents}, making.given)
    return accepted(making, path, f"{kind}: {contents[min(contents)][:300]!r}", None)


KINDS: dict[str, Kind] = {"lists": lists, "captions": captions}
