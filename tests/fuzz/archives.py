"""Archives with odd members, and folders with things in them that are no files."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

from tests.fuzz.case import Case, Kind, Making, Must
from tests.fuzz.folders import accepted, reading
from tests.fuzz.pictures import shots
from tests.fuzz.trees import fifo, in_folder, zeros_in_zip

Members = list[tuple[str, bytes]]


def zips(making: Making) -> Case:
    """A zip whose members have odd names, links, sums or sizes."""
    chance = making.chance
    taken = shots(chance, chance.randint(2, 5), channels=3, ending="png")
    kind = chance.choice(tuple(ZIPS))
    members: Members = [(f"{k}.png", s.content) for k, s in enumerate(taken)]
    path = making.given / "set.zip"
    making.given.mkdir(parents=True)
    what, must = ZIPS[kind](making, path, members)
    rows = [(s.pixels,) for s in taken]
    reads = reading("gan", ("images",), rows, images=len(rows) if must == "accept" else None)
    if must != "accept":
        reads.tables = []
    return accepted(making, path, f"zip, {kind}: {what}", reads, must)


def renamed(making: Making, path: Path, members: Members, pattern: str) -> None:
    """A zip with other names, which may be bytes in no Unicode."""
    with zipfile.ZipFile(path, "w") as archive:
        for k, (name, content) in enumerate(members):
            archive.writestr(zipfile.ZipInfo(pattern.format(k=k, name=name)), content)


def spelled(pattern: str, must: Must) -> object:
    """Members called by a pattern."""

    def make(making: Making, path: Path, members: Members) -> tuple[str, Must]:
        renamed(making, path, members, pattern.replace("{root}", str(making.root)))
        return pattern, must

    return make


def backslashes(making: Making, path: Path, members: Members) -> tuple[str, Must]:
    """Names as Windows' own zipper once wrote them."""
    raw(path, [(f"set\\{name}".encode(), content) for name, content in members])
    return "set\\0.png", "accept"


def korean(making: Making, path: Path, members: Members) -> tuple[str, Must]:
    """Names in cp949, without the mark for UTF-8."""
    raw(path, [(f"사진/{name}".encode("cp949"), content) for name, content in members])
    return "cp949", "accept"


def raw(path: Path, members: list[tuple[bytes, bytes]]) -> None:
    """A zip with names of these bytes: written with letters of one byte, which are replaced."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for k, (name, content) in enumerate(members):
            archive.writestr(zipfile.ZipInfo(f"{k:03}".ljust(len(name), "#")), content)
    whole = buffer.getvalue()
    for k, (name, _) in enumerate(members):
        whole = whole.replace(f"{k:03}".ljust(len(name), "#").encode(), name)
    path.write_bytes(whole)


def bomb(making: Making, path: Path, members: Members) -> tuple[str, Must]:
    """A picture that unpacks to a hundred thousand times its size, or a file beside the pictures that does."""
    name = making.chance.choice(("bomb.png", "bomb.npy", "notes.txt", "metadata.csv", "dataset.json"))
    zeros_in_zip(path, name, b"", 80, dict(members))
    return f"{name} of 1.3 GB", "either"


def crowded(making: Making, path: Path, members: Members) -> tuple[str, Must]:
    """Very many empty members."""
    with zipfile.ZipFile(path, "w") as archive:
        for inside, content in members:
            archive.writestr(inside, content)
        for k in range(20_000):
            archive.writestr(zipfile.ZipInfo(f"x/{k}.txt"), b"")
    return "20,000 members", "accept"


def flipped(making: Making, path: Path, members: Members) -> tuple[str, Must]:
    """One bit of the archive is another."""
    renamed(making, path, members, "{name}")
    content, place = bytearray(path.read_bytes()), making.chance.randrange(path.stat().st_size)
    content[place] ^= 1 << making.chance.randrange(8)
    path.write_bytes(content)
    return f"byte {place}", "either"


def torn(making: Making, path: Path, members: Members) -> tuple[str, Must]:
    """The archive ends early, or begins late."""
    renamed(making, path, members, "{name}")
    content = path.read_bytes()
    place = making.chance.randrange(len(content))
    path.write_bytes(making.chance.choice((content[:place], content[place:], b"", content + content)))
    return f"byte {place}", "either"


def linked(making: Making, path: Path, members: Members) -> tuple[str, Must]:
    """Links in the zip, out of it and in a circle."""
    renamed(making, path, members, "{name}")
    with zipfile.ZipFile(path, "a") as archive:
        for name, target in (("a.png", "/etc/passwd"), ("b.png", "b.png"), ("c", "../../work")):
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, target)
    return "links", "either"


def doubled(making: Making, path: Path, members: Members) -> tuple[str, Must]:
    """Two members of one name; one name that is a folder and a file."""
    import warnings

    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as archive:
        for inside, content in [*members, members[0], (f"{members[1][0]}/x.png", members[1][1])]:
            archive.writestr(inside, content)
    return "doubled names", "either"


ZIPS = {
    "./": spelled("./set/{name}", "accept"),
    "../": spelled("../../escaped/{name}", "either"),
    "/": spelled("{root}/escaped/{name}", "either"),
    "C:": spelled("C:/{name}", "either"),
    "macosx": spelled("__MACOSX/._{name}", "either"),
    "long": spelled("x" * 300 + "{name}", "either"),
    "deep": spelled("d/" * 500 + "{name}", "either"),
    "control": spelled("a\x07\x1b[31m{name}", "either"),
    "brackets": spelled("[bold]{name}", "accept"),
    "backslash": backslashes,
    "cp949": korean,
    **{"bomb": bomb, "crowded": crowded, "flipped": flipped, "torn": torn, "links": linked, "doubled": doubled},
}


def tars(making: Making) -> Case:
    """A tar whose members are odd."""
    chance = making.chance
    taken = shots(chance, chance.randint(2, 5), channels=3, ending="png")
    path = making.given / chance.choice(("set.tar", "set.tar", "set.tar", "set.tar.gz", "set.tgz", "set.tar.xz"))
    making.given.mkdir(parents=True)
    kind = chance.choice(("./", "../", "/", "links", "flipped", "torn", "sparse", "size", "latin", "backslash"))
    start = {"./": "./set/", "../": "../../escaped/", "/": f"{making.root}/escaped/", "backslash": "set\\"}.get(
        kind, ""
    )
    mode = "w" if path.suffix == ".tar" else "w:gz" if path.suffix in (".gz", ".tgz") else "w:xz"
    with tarfile.open(path, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for k, s in enumerate(taken):
            member = tarfile.TarInfo(f"{start}{k}{chr(0xDCE9) if kind == 'latin' else ''}.png")
            member.size = len(s.content)
            archive.addfile(member, io.BytesIO(s.content))
        if kind == "links":
            for name, target, sort in (("a.png", "/etc/passwd", tarfile.SYMTYPE), ("b.png", "0.png", tarfile.LNKTYPE)):
                member = tarfile.TarInfo(name)
                member.linkname, member.type = target, sort
                archive.addfile(member)
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    if kind == "flipped":
        content[place] ^= 1 << chance.randrange(8)
    if kind == "size":
        content[124:136] = chance.choice((b"77777777777\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000001\0"))
    path.write_bytes(content[:place] if kind == "torn" else content)
    must: Must = "accept" if kind in ("./", "backslash", "latin") and path.suffix == ".tar" else "either"
    rows = [(s.pixels,) for s in taken]
    reads = reading("gan", ("images",), rows)
    if must != "accept":
        reads.tables, reads.images = [], None
    return accepted(making, path, f"{path.name}, {kind}", reads, must)


def special(making: Making) -> Case:
    """Pipes, devices, links, circles and deep folders beside good pictures."""
    chance = making.chance
    taken = shots(chance, 4, channels=3, ending="png")
    path = making.given / "set"
    in_folder({f"{k}.png": s.content for k, s in enumerate(taken)}, path)
    kind = chance.choice(tuple(SPECIAL))
    name = chance.choice(("x.png", "x.npy", "metadata.csv", "dataset.json", "x.tar", "notes", "x.gif"))
    must = SPECIAL[kind](path, name)
    rows = [(s.pixels,) for s in taken]
    reads = reading("gan", ("images",), rows, images=len(rows) if must == "accept" else None)
    return accepted(making, path, f"{kind} called {name}", reads, must, limit=10.0, names=(name,))


def piped(path: Path, name: str) -> Must:
    """A pipe."""
    fifo(path / name)
    return "either"


def to_pipe(path: Path, name: str) -> Must:
    """A link to a pipe elsewhere."""
    fifo(path.parent / "pipe")
    (path / name).symlink_to("../pipe")
    return "either"


def device(target: str) -> object:
    """A link to a device."""

    def make(path: Path, name: str) -> Must:
        (path / name).symlink_to(target)
        return "either"

    return make


def circle(path: Path, name: str) -> Must:
    """A link to itself: the pictures beside it are taken."""
    (path / name).symlink_to(name)
    return "accept" if name in ("x.png", "x.npy", "x.gif", "notes") else "either"


def folders_in_circles(path: Path, name: str) -> Must:
    """Folders that are linked into one another, all of them in all."""
    tops = [path / f"f{k}" for k in range(11)]
    for top in tops:
        top.mkdir()
    for top in tops:
        for other in tops:
            (top / other.name).symlink_to(f"../{other.name}")
    return "either"


def deep(path: Path, name: str) -> Must:
    """Fifteen hundred folders in one another."""
    where = os.getcwd()  # noqa: PTH109
    os.chdir(path)
    try:
        for _ in range(1500):
            Path("d").mkdir()
            os.chdir("d")
    finally:
        os.chdir(where)
    return "either"


def socket_file(path: Path, name: str) -> Must:
    """A socket."""
    import socket

    where = os.getcwd()  # noqa: PTH109
    os.chdir(path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(name)
    os.chdir(where)
    return "either"


def closed(path: Path, name: str) -> Must:
    """A link to nothing, a folder called like a picture, a file that may not be read."""
    (path / name).mkdir()
    (path / "nothing.png").symlink_to("not there.png")
    (path / "4.png").write_bytes(b"")
    (path / "4.png").chmod(0)
    return "either"


SPECIAL = {
    "a pipe": piped,
    "a link to a pipe": to_pipe,
    "/dev/zero": device("/dev/zero"),
    "/dev/random": device("/dev/urandom"),
    "/dev/tty": device("/dev/tty"),
    "/dev/stdin": device("/dev/stdin"),
    "/proc/self/mem": device("/proc/self/mem"),
    "a circle": circle,
    "linked folders": folders_in_circles,
    "1500 folders": deep,
    "a socket": socket_file,
    "odd entries": closed,
}
KINDS: dict[str, Kind] = {"zips": zips, "tars": tars, "special": special}
