"""The study as a web page: one page, one word of JSON a step, and pictures by tokens that say nothing."""

import hmac
import ipaddress
import json
import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from ganforge.errors import GANForgeError, OptionError
from ganforge.human_study.store import Lost, Study

PAGE = Path(__file__).with_name("page.html")
PORT = 8760
LONGEST = 4096  # bytes that a browser has to say
POLICY = (  # nothing from elsewhere, nothing sent elsewhere
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Refused(Exception):
    """A request that is answered with a status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class StudyServer(ThreadingHTTPServer):
    """Serves one study until `shutdown`; a thread a connection."""

    daemon_threads = True

    def __init__(self, study: Study, host: str = "127.0.0.1", port: int = PORT) -> None:
        """Raises OptionError when nothing can be served at that address."""
        self.study, self.host = study, host
        self.shared = not is_loopback(host)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OptionError(f"The study cannot be served at {host} port {port} ({reason}): try --port 0.") from error

    def server_bind(self) -> None:
        """Bind, without the base class's question to a name server who we are."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    @property
    def base(self) -> str:
        """What paths begin with: the access token of a shared study, nothing on loopback."""
        return f"/{self.study.token}/" if self.shared else "/"

    @property
    def link(self) -> str:
        """What participants open."""
        host = own_address() if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}{self.base}"


class Handler(BaseHTTPRequestHandler):
    """One request, and one connection for it: nobody holds on to a server that has stopped."""

    timeout = 60  # seconds for what a browser has to say
    server: StudyServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        """The page, or a picture."""
        self.carry_out(self.got)

    def do_POST(self) -> None:
        """A step of a participant."""
        self.carry_out(self.posted)

    def got(self, path: str) -> None:
        """Answer a GET."""
        if path == "":
            return self.send(PAGE.read_bytes(), "text/html; charset=utf-8")
        if path.startswith("picture/") and (png := self.server.study.picture(path.removeprefix("picture/"))):
            return self.send(png, "image/png")
        raise Refused(HTTPStatus.NOT_FOUND, "There is nothing here.")

    def posted(self, path: str) -> None:
        """Answer a POST."""
        said = self.body()
        steps: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "about": self.about,
            "join": self.join,
            "state": self.state,
            "show": self.show,
            "answer": self.answer,
        }
        if path not in steps:
            raise Refused(HTTPStatus.NOT_FOUND, "There is nothing here.")
        self.send(json.dumps(steps[path](said)).encode(), "application/json")

    def about(self, said: dict[str, Any]) -> dict[str, Any]:
        """What everybody may know before they take part."""
        s = self.server.study.settings
        return {
            "seconds": s.seconds,
            "height": s.height,
            "width": s.width,
            "practice": s.practice,
            "trials": s.trials,
        }

    def join(self, said: dict[str, Any]) -> dict[str, Any]:
        """A new participant, and where they stand."""
        participant = self.server.study.join(word(said, "language"))
        return {"participant": participant, **self.state({"participant": participant})}

    def state(self, said: dict[str, Any]) -> dict[str, Any]:
        """Where a participant stands."""
        return {**vars(self.server.study.state(word(said, "participant"))), **self.about(said)}

    def show(self, said: dict[str, Any]) -> dict[str, Any]:
        """The pair is about to be seen."""
        self.server.study.show(word(said, "participant"), number(said, "trial"))
        return {}

    def answer(self, said: dict[str, Any]) -> dict[str, Any]:
        """Store an answer; in practice say where the fake was."""
        called = word(said, "called_fake")
        if called not in ("left", "right"):
            raise Refused(HTTPStatus.BAD_REQUEST, "An answer is left or right.")
        who, trial = word(said, "participant"), number(said, "trial")
        fake = self.server.study.answer(who, trial, called, spent(said, "exposure_ms"), spent(said, "response_ms"))
        return {"fake": fake, "next": self.state(said)}

    def carry_out(self, act: Callable[[str], None]) -> None:
        """Let the right people in, and turn what goes wrong into a status and a sentence."""
        try:
            act(self.inside())
        except Refused as refusal:
            self.refuse(refusal.status, str(refusal))
        except Lost as error:
            self.refuse(HTTPStatus.CONFLICT, str(error))
        except GANForgeError:
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "The study cannot be read or written at the moment.")
        except (ConnectionError, TimeoutError):
            pass  # gone: it will ask again

    def inside(self) -> str:
        """The path behind the access token.  Raises Refused for anybody without it, and for names not ours."""
        path, base = self.path.partition("?")[0], self.server.base
        if self.server.shared:
            if not hmac.compare_digest(path[: len(base)].encode(), base.encode()):
                raise Refused(HTTPStatus.FORBIDDEN, "Open the whole link that you were given: its token lets you in.")
        elif not is_loopback(hostname(self.headers.get("Host", ""))):  # a site that had its name point here
            raise Refused(HTTPStatus.FORBIDDEN, "This study is served to this machine only.")
        return path.removeprefix(base)

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent.  Raises Refused when it is none."""
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip()
        if not length.isascii() or not length.isdigit() or int(length) > LONGEST or kind != "application/json":
            raise Refused(HTTPStatus.BAD_REQUEST, "A step is a small JSON object.")
        try:
            said = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "A step is a small JSON object.")
        return said

    def refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Say no."""
        self.send(json.dumps({"error": sentence}).encode(), "application/json", status)

    def send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Answer."""
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        """What the Server header says."""
        return "ganforge"

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: the answers are in the study."""


def word(said: dict[str, Any], name: str) -> str:
    """A short text that the browser sent.  Raises Refused for anything else."""
    value = said.get(name)
    if not isinstance(value, str) or len(value) > 100:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is a short text.")
    return value


def number(said: dict[str, Any], name: str) -> int:
    """A whole number that the browser sent.  Raises Refused for anything else."""
    value = said.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 10**9:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is a whole number.")
    return value


def spent(said: dict[str, Any], name: str) -> float | None:
    """Milliseconds that the browser measured; None where it has none that make sense."""
    value = said.get(name)
    return float(value) if isinstance(value, int | float) and 0 <= value < 10**9 else None


def hostname(header: str) -> str:
    """The name in a Host header, without its port."""
    return header.partition("]")[0].removeprefix("[") if header.startswith("[") else header.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether only this machine can come by that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_address() -> str:
    """The address at which others find this machine; its name where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks which way it would go
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()


def serve(
    study: str | Path, *, host: str = "127.0.0.1", port: int = PORT, say: Callable[[str], None] = lambda _: None
) -> None:
    """Serve a study file until Ctrl-C; `say` hears the link.  Every answer is on the disk before it is acknowledged.

    On an address that others can reach, the link carries an access token, the same each time.  `port` 0 takes a free
    one.  Raises RunError when it is no study, OptionError when the address cannot be had.
    """
    opened = Study(study)
    with StudyServer(opened, host, port) as server:
        s = opened.settings
        say(f"{s.practice} practice and {s.trials} scored trials of {s.seconds:g} s a participant, at {server.link}")
        say(f"Ctrl-C stops it and loses nothing; go on with: ganforge study {study}")
        say(f"What the answers say: ganforge study results {study}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Stopped.")
