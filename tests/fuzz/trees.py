"""Files by their paths, and the containers that they lie in: a folder, a zip, a tar."""

import io
import os
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from tests.fuzz.case import Chance

Tree = dict[str, bytes]
"""{path with forward slashes: content}."""

STEMS = (
    *("{k}", "{k:06}", "img {k}", "사진{k}", "가을 {k}", "a.b.{k}", "%41{k}", "'{k}'", "#{k}", "[{k}]", "-{k}", "~{k}"),
    *("Ünïcode{k}", "🎨{k}", "{k}.png", "$(x){k}", "{k} ", "x" * 180 + "{k}", "tab\t{k}", "new\nline{k}", "{k}\udcff"),
    *("[red]{k}[red]", "{k}@best", "{k}*", "a;b{k}", '"{k}"', "={k}+1", "{k}\u202e", "CON{k}", "train{k}", "{k}_0"),
)
"""Names that people and machines give to files."""
JUNK: Mapping[str, bytes] = {
    **{".DS_Store": b"\0\0\0\1Bud1", "Thumbs.db": b"\xd0\xcf\x11\xe0", ".hidden.png": b"x", "notes.txt": b"hello"},
    **{"__MACOSX/._1.png": b"\0\5\x16\7", ".cache/1.png": b"x", "desktop.ini": b"[x]", "README.md": b"# Pictures"},
    **{".git/HEAD": b"ref", "LICENSE": b"MIT", "._2.jpg": b"\0\5\x16\7", "annotations.xml": b"<a/>"},
}
"""What lies beside pictures without being one."""


def stems(chance: Chance, n: int, plain: float = 0.6, zipped: bool = False) -> list[str]:
    """Distinct names without endings, plain ones in this share of the cases."""
    pattern = "{k}" if chance.often(plain) else chance.choice(STEMS)
    names = [pattern.replace("{k:06}", f"{k:06}").replace("{k}", str(k)) for k in range(n)]
    if chance.often(0.3):
        names = [unicodedata.normalize(chance.choice(("NFC", "NFD")), name) for name in names]
    return [name.encode("utf-8", "replace").decode() for name in names] if zipped else names


def ending(chance: Chance, name: str) -> str:
    """An ending as it is, or in capitals."""
    return chance.choice((name, name, name, name.upper(), name.capitalize()))


def littered(chance: Chance, tree: Tree, share: float = 0.5) -> Tree:
    """The files among others that do not count."""
    folders = sorted({name.rpartition("/")[0] for name in tree})
    for name, content in JUNK.items():
        if chance.often(share / 4):
            folder = chance.choice(folders)
            tree[f"{folder}/{name}" if folder else name] = content
    return tree


def in_folder(tree: Mapping[str, bytes], path: Path) -> None:
    """The files below a folder."""
    path.mkdir(parents=True, exist_ok=True)
    for name, content in tree.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def in_zip(tree: Mapping[str, bytes], path: Path, chance: Chance) -> None:
    """The files in a zip, with or without entries for its folders, packed or not."""
    folders = sorted({name.rpartition("/")[0] + "/" for name in tree if "/" in name}) if chance.often(0.5) else []
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name in [*folders, *tree]:
            archive.writestr(zipfile.ZipInfo(name), tree.get(name, b""))


def zeros_in_zip(path: Path, name: str, start: bytes, blocks: int, beside: Mapping[str, bytes]) -> None:
    """A zip with a member of some bytes and so many times 16 MB of zeros, made without packing them one by one."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = bytes(2**24)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    total = zlib.crc32(start)
    for _ in range(blocks):
        total = zlib.crc32(zeros, total)
    entries = [(name, 8, total, len(start) + blocks * 2**24, first + block * blocks + packer.flush())]
    entries += [(inside, 0, zlib.crc32(content), len(content), content) for inside, content in beside.items()]
    body, table = b"", b""
    for called, method, sum_, size, packed_ in entries:
        shared = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 33, sum_, len(packed_), size, len(called.encode()), 0)
        table += b"PK\1\2\x14\0" + shared + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + called.encode()
        body += b"PK\3\4" + shared + called.encode() + packed_
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(table), len(body), 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body + table + b"PK\5\6" + end)


def in_tar(tree: Mapping[str, bytes], path: Path, chance: Chance, start: str = "") -> None:
    """The files in a tar of one of its formats."""
    kinds = (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=chance.choice(kinds), errors="surrogateescape") as archive:
        for name, content in tree.items():
            member = tarfile.TarInfo(start + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def packed(chance: Chance, tree: Tree, given: Path, name: str = "set") -> Path:
    """The files in a folder, a zip or a tar, whichever the seed says."""
    kind = chance.choice(("folder", "folder", "folder", "zip", "zip", "tar"))
    top = chance.choice(("", "", "inner/"))
    tree = {top + inside: content for inside, content in tree.items()}
    if kind == "folder":
        in_folder(tree, given / name)
        return given / name
    clean = {inside.encode("utf-8", "replace").decode(): content for inside, content in tree.items()}
    target = given / f"{name}.{chance.choice((kind, kind, kind.upper()))}"
    if kind == "zip":
        in_zip(clean, target, chance)
    else:
        in_tar(clean, target, chance, chance.choice(("", "./")))
    return target


def fifo(path: Path) -> None:
    """A pipe with a name, which nobody writes to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def state_of(root: Path) -> dict[str, tuple[int, ...]]:
    """{path: what it is, its size, when it changed} of everything below a folder; links are not followed."""
    found, folders = {}, [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                facts = entry.stat(follow_symlinks=False)
                kind = stat.S_IFMT(facts.st_mode)
                whole = kind == stat.S_IFREG
                found[os.path.relpath(entry.path, root)] = (
                    kind,
                    *((facts.st_size, facts.st_mtime_ns) if whole else ()),
                )
                if kind == stat.S_IFDIR:
                    folders.append(entry.path)
    return found
