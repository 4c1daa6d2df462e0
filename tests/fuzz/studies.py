"""Studies: odd requests to the server, and study files that were damaged."""

import json
import socket
import sqlite3
from pathlib import Path

from tests.fuzz.case import Case, Chance, Kind, Making
from tests.fuzz.pictures import shots
from tests.fuzz.trees import in_folder

STEPS = ("about", "join", "state", "show", "answer", "nothing", "", "picture/x")
VALUES = (
    *(
        None,
        True,
        -1,
        0,
        1,
        2**63,
        2**70,
        1e308,
        "",
        "x",
        "left",
        "a" * 90,
        "a" * 200,
        "\ud800",
        "\x00",
        [],
        {},
        ["left"],
    ),
    *({"a": 1}, 0.5, "²", "'; DROP TABLE trials; --", "한국어", -(10**9), 10**9, "1"),
)
FIELDS: dict[str, dict[str, object]] = {
    "join": {"language": "en"},
    "state": {"participant": "@"},
    "show": {"participant": "@", "trial": 0},
    "answer": {"participant": "@", "trial": 0, "called_fake": "left", "exposure_ms": 1.0, "response_ms": 1.0},
}
"""What each step says; @ is the participant who joined first."""


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_words(making: Making, port: int, out: str = "out/a.study") -> list[str]:
    """The command that makes a small study and serves it."""
    for name in ("fakes", "reals"):
        taken = shots(making.chance, 3, channels=3, ending="png")
        in_folder({f"{k}.png": s.content for k, s in enumerate(taken)}, making.given / name)
    words = ["study", "../in/fakes", "--against", "../in/reals", "-o", out, "--port", str(port)]
    return [*words, "--practice", "1", "--trials", "2"]


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A request as it goes over the line."""
    given = (
        {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers} if body else {"Host": "127.0.0.1", **headers}
    )
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def posted(path: str, body: bytes, **headers: str) -> bytes:
    """A step."""
    return request("POST", f"/{path}", body, **{"Content_Type": "application/json", **headers})


def study(making: Making) -> Case:
    """A server that hears odd headers and bodies, and answers a good request afterwards."""
    chance, port = making.chance, free_port()
    sent = [odd_request(chance) for _ in range(chance.randint(2, 5))]
    burst = chance.often(0.1)
    client: list[dict[str, object]] = [
        {"send": content.decode("latin-1"), "answer": "HTTP/1.0 " if whole(content) else ""} for content in sent
    ]
    client += [{"step": step, "said": said, "answer": "HTTP/1.0 "} for step, said in odd_steps(chance)]
    chance.shuffle(client)
    if burst:
        client = [{"burst": 200}]
    client.append({"send": request("GET", "/").decode("latin-1"), "answer": "HTTP/1.0 200"})
    what = "200 at once" if burst else f"requests {[next(iter(one.values())) for one in client]}"
    return Case(what, [make_words(making, port)], "accept", client=client, port=port)


def whole(content: bytes) -> bool:
    """Whether a request is one that has to be answered: what it says is odd, not how."""
    head, _, body = content.partition(b"\r\n\r\n")
    said = f"Content-Length: {len(body)}\r\n".encode()
    return content.startswith(b"POST /") and said in head and b"HTTP/1.1\r\nHost: 127.0.0.1\r\n" in head


def odd_steps(chance: Chance) -> list[tuple[str, dict[str, object]]]:
    """Steps of which one field is odd."""
    steps = []
    for step in chance.choices(tuple(FIELDS), k=chance.randint(5, 10)):
        said = dict(FIELDS[step])
        said[chance.choice(sorted(said))] = chance.choice(VALUES)
        steps.append((step, said))
    return steps


def odd_request(chance: Chance) -> bytes:
    """One request that no browser of ours sends."""
    body = json.dumps({**FIELDS["answer"], "participant": chance.choice(VALUES)}).encode()
    step = chance.choice(STEPS)
    return chance.choice((
        lambda: posted(step, body),
        lambda: posted("join", json.dumps({"language": chance.choice(VALUES)}).encode()),
        lambda: posted(step, chance.choice((b"[" * 4000, b"{", b"\xff\xfe", b"nul", b'{"a":' * 800, b"1e999", b"NaN"))),
        lambda: posted(step, body, Content_Length=chance.choice(LENGTHS)),
        lambda: posted(step, body, Content_Type=chance.choice(("text/plain", "", "application/json; charset=x", "é"))),
        lambda: posted(step, b'{"participant": "a", "trial": ' + b"9" * chance.choice((20, 3000)) + b"}"),
        lambda: posted(step, b'{"participant": "a", "trial": 0, "called_fake": "left", "exposure_ms": 1e999}'),
        lambda: request("GET", chance.choice(PATHS)),
        lambda: request(chance.choice(("PUT", "OPTIONS", "HEAD", "get", "X" * 100, "TRACE", "")), f"/{step}"),
        lambda: request("GET", "/", Host=chance.choice(HOSTS)),
        lambda: request("POST", f"/{step}", body, Host=chance.choice(HOSTS), Content_Type="application/json"),
        lambda: request("GET", "/", Transfer_Encoding="chunked", Expect="100-continue", X="a" * 3000),
        lambda: "".join(f"X{k}: 1\r\n" for k in range(200)).join(("GET / HTTP/1.1\r\n", "\r\n")).encode(),
        lambda: bytes(chance.randrange(256) for _ in range(chance.randint(1, 400))),
        lambda: b"GET / HTTP/9.9\r\n\r\n",
        lambda: b"GET /\r\n\r\n",
        lambda: b"GET / HTTP/1.1\r\nHost: [\r\n: x\r\n\xff\xfe: y\r\n\r\n",
        lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        lambda: b"",
    ))()  # fmt: skip


LENGTHS = ("-1", "²", "99999999999999999999", "1e3", "", "0", "10", "4097", " 5", "5, 5", "٣")
PATHS = (
    *(
        "/picture/",
        "/picture/../facts",
        "/picture/%00",
        "/picture/é",
        "//",
        "/../../etc/passwd",
        "/?x",
        "*",
        "picture/x",
    ),
    *("http://evil.example/", "/picture/" + "a" * 5000, "/%", "/\x00", "/picture/' OR 1=1", "/favicon.ico", "/a b"),
)
HOSTS = ("evil.example", "", "127.0.0.1:99999", "[", "[::1]", "[::1", "localhost.", "²", "é", "127.1", ":", "a" * 300)


def study_file(making: Making) -> Case:
    """A study file that was damaged or edited, counted or served again."""
    chance, port = making.chance, free_port()
    path = making.given / "a.study"
    making.given.mkdir(parents=True)
    path.write_bytes((making.runs("study") / "a.study").read_bytes())
    kind = chance.choice(("flip", "flip", "cut", "text", "folder", "settings", "settings", "table", "answers", "bytes"))
    what = changed(chance, path, kind)
    if chance.often(0.6):
        words = [
            "study",
            "results",
            "../in/a.study",
            *chance.choice(([], ["--json"], ["--csv", "out/t.csv"], ["--unfinished"])),
        ]
        return Case(f"results: {what}", [words], names=("a.study",), changes=("work/out", "in/a.study"))
    body = json.dumps({"language": "en"}).encode()
    client: list[dict[str, object]] = [
        {"send": content.decode("latin-1")}
        for content in (request("GET", "/"), posted("join", body), posted("about", b"{}"))
    ]
    words = ["study", "../in/a.study", "--port", str(port)]
    changes = ("work/out", "in/a.study", "in/a.study-wal", "in/a.study-shm", "in/a.study-journal")
    return Case(f"served: {what}", [words], names=("a.study",), changes=changes, client=client, port=port)


def changed(chance: Chance, path: Path, kind: str) -> str:
    """Damage the file; returns what was done."""
    content = path.read_bytes()
    place = chance.randrange(len(content))
    if kind in ("flip", "cut", "text", "bytes"):
        few = chance.randrange(min(200, len(content)))
        at = few if chance.often(0.5) else place
        after = {
            "flip": content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :],
            "cut": content[:at],
            "text": b"SQLite format 3\0" + b"hello" * 50,
            "bytes": content[:at] + bytes(300) + content[at + 300 :],
        }
        path.write_bytes(after[kind])
        return f"{kind} at byte {at}"
    if kind == "folder":
        path.unlink()
        path.mkdir()
        return "a folder"
    statement, values = {
        "settings": ("UPDATE facts SET settings = ?", (json.dumps(odd_settings(chance)),)),
        "table": (f"DROP TABLE {chance.choice(('facts', 'pictures', 'participants', 'trials'))}", ()),
        "answers": (
            "INSERT INTO trials VALUES ('p', ?, 1, 4, 'up', 'a', 'b', 'x', 'y', ?, ?, ?)",
            (
                chance.choice((0, -1, "x", 2**40)),
                chance.choice(("up", None, 3)),
                chance.choice(("x", 1e308, -1)),
                b"\xff",
            ),
        ),
    }[kind]
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement, values)
        connection.commit()
    finally:
        connection.close()
    return f"{statement} {values}"


def odd_settings(chance: Chance) -> object:
    """Settings of a study that make no sense."""
    good: dict[str, object] = {
        "practice": 1,
        "trials": 2,
        "seconds": 1.0,
        "same_input": False,
        "height": 16,
        "width": 16,
    }
    name = chance.choice(sorted(good))
    return chance.choice(
        ({**good, name: chance.choice((None, -1, "x", 1e300, [], 2**70, True))}, [], None, {}, {**good, "x": 1}, "x")
    )


KINDS: dict[str, Kind] = {"study": study, "study-file": study_file}
