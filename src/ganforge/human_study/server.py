"""The study as a web page: one HTML page, one JSON message per step, images by opaque tokens."""

import hmac
import ipaddress
import json
import socket
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from ganforge.errors import GANForgeError, OptionError
from ganforge.human_study.store import StaleStateError, Study

PAGE = Path(__file__).with_name("page.html")
PORT = 8760
FILES = 8192  # open files: browsers of 200 participants may hold more connections than the usual 1,024
LONGEST = 4096  # bytes of a request body
POLICY = (  # nothing is loaded from or sent to other hosts
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class RequestRefused(Exception):
    """A request that is refused with an HTTP status and a message."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class StudyServer(ThreadingHTTPServer):
    """Serves one study until `shutdown`, with one thread per connection."""

    daemon_threads = True
    request_queue_size = 1024  # connections that wait for a thread; beyond the default of 5 a burst is reset

    def __init__(self, study: Study, host: str = "127.0.0.1", port: int = PORT) -> None:
        """Raises OptionError where the address cannot be bound."""
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
        """Bind without the base class's DNS lookup of the host name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line about a request that failed; none where the browser closed the connection."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"A request failed ({type(error).__name__}: {error}).", file=sys.stderr)

    @property
    def base_path(self) -> str:
        """The prefix of all paths: the access token of a shared study, none on loopback."""
        return f"/{self.study.token}/" if self.shared else "/"

    @property
    def link(self) -> str:
        """The URL for participants."""
        host = find_address() if self.host in ("0.0.0.0", "::", "") else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}{self.base_path}"


class Handler(BaseHTTPRequestHandler):
    """Handles one request per connection, so that no connection outlives a stopped server."""

    timeout = 60  # seconds to receive a request
    server: StudyServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        """Serve the page, or an image."""
        self.dispatch(self.handle_get)

    def do_POST(self) -> None:
        """Handle a step of a participant."""
        self.dispatch(self.handle_post)

    def handle_get(self, path: str) -> None:
        """Answer a GET."""
        if path == "":
            return self.send(PAGE.read_bytes(), "text/html; charset=utf-8")
        if path.startswith("picture/") and (png := self.server.study.picture(path.removeprefix("picture/"))):
            return self.send(png, "image/png")
        raise RequestRefused(HTTPStatus.NOT_FOUND, "Not found.")

    def handle_post(self, path: str) -> None:
        """Answer a POST."""
        message = self.read_body()
        steps: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "about": self.about,
            "join": self.join,
            "state": self.state,
            "show": self.show,
            "answer": self.answer,
        }
        if path not in steps:
            raise RequestRefused(HTTPStatus.NOT_FOUND, "Not found.")
        self.send(json.dumps(steps[path](message)).encode(), "application/json")

    def about(self, message: dict[str, Any]) -> dict[str, Any]:
        """The settings shown before joining."""
        s = self.server.study.settings
        return {
            "seconds": s.seconds,
            "height": s.height,
            "width": s.width,
            "practice": s.practice,
            "trials": s.trials,
        }

    def join(self, message: dict[str, Any]) -> dict[str, Any]:
        """Create a participant; returns the id and the state."""
        participant = self.server.study.join(read_text(message, "language"))
        return {"participant": participant, **self.state({"participant": participant})}

    def state(self, message: dict[str, Any]) -> dict[str, Any]:
        """The state of a participant."""
        return {**vars(self.server.study.state(read_text(message, "participant"))), **self.about(message)}

    def show(self, message: dict[str, Any]) -> dict[str, Any]:
        """Record that the pair is about to be shown."""
        self.server.study.show(read_text(message, "participant"), read_number(message, "trial"))
        return {}

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """Store an answer; returns the fake's side in practice trials, and the next state."""
        called_fake = read_text(message, "called_fake")
        if called_fake not in ("left", "right"):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "An answer is left or right.")
        participant, trial = read_text(message, "participant"), read_number(message, "trial")
        exposure, response = read_milliseconds(message, "exposure_ms"), read_milliseconds(message, "response_ms")
        fake = self.server.study.answer(participant, trial, called_fake, exposure, response)
        return {"fake": fake, "next": self.state(message)}

    def dispatch(self, handler: Callable[[str], None]) -> None:
        """Check access, run the handler, and turn errors into a status and a message."""
        try:
            handler(self.check_access())
        except RequestRefused as refusal:
            self.send_refusal(refusal.status, str(refusal))
        except StaleStateError as error:
            self.send_refusal(HTTPStatus.CONFLICT, str(error))
        except GANForgeError:
            self.send_refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The study cannot be read or written at the moment.")
        except (ConnectionError, TimeoutError):
            pass  # the browser is gone, and will ask again

    def check_access(self) -> str:
        """The path after the access token.  Raises RequestRefused for a wrong token, or another host name."""
        path, base = self.path.partition("?")[0], self.server.base_path
        if self.server.shared:
            if not hmac.compare_digest(path[: len(base)].encode(), base.encode()):
                raise RequestRefused(HTTPStatus.FORBIDDEN, "Open the complete link: it contains an access token.")
        elif not is_loopback(hostname(self.headers.get("Host", ""))):  # protects from DNS rebinding
            raise RequestRefused(HTTPStatus.FORBIDDEN, "This study is served on this machine only.")
        return path.removeprefix(base)

    def read_body(self) -> dict[str, Any]:
        """The JSON object of the request.  Raises RequestRefused for anything else."""
        length = self.headers.get("Content-Length", "")
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip()
        if (
            not length.isascii()
            or not length.isdigit()
            or len(length) > 9
            or int(length) > LONGEST
            or kind != "application/json"
        ):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "A step is a small JSON object.")
        try:
            message = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "A step is a small JSON object.")
        return message

    def send_refusal(self, status: HTTPStatus, message: str) -> None:
        """Send an error message as JSON."""
        self.send(json.dumps({"error": message}).encode(), "application/json", status)

    def send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Send a response."""
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
        """The content of the Server header."""
        return "ganforge"

    def log_message(self, format: str, *args: Any) -> None:
        """No request log: the answers are in the study."""


def read_text(message: dict[str, Any], name: str) -> str:
    """A text field of at most 100 Unicode characters.  Raises RequestRefused for anything else."""
    value = message.get(name)
    if not isinstance(value, str) or len(value) > 100 or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise RequestRefused(HTTPStatus.BAD_REQUEST, f"{name} is a short text.")
    return value


def read_number(message: dict[str, Any], name: str) -> int:
    """An integer field.  Raises RequestRefused for anything else."""
    value = message.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 10**9:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, f"{name} is a whole number.")
    return value


def read_milliseconds(message: dict[str, Any], name: str) -> float | None:
    """A duration in milliseconds measured by the browser; None where it is missing or out of range."""
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 10**9 else None


def hostname(header: str) -> str:
    """The name in a Host header, without its port."""
    return header.partition("]")[0].removeprefix("[") if header.startswith("[") else header.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether the address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def find_address() -> str:
    """The address of this machine in the local network; its host name where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends no packet: only selects the outgoing interface
            return probe.getsockname()[0]
        except OSError:
            return socket.gethostname()


def allow_open_files(most: int) -> None:
    """Let this process hold up to `most` open files where the system allows it: a connection is one."""
    try:
        import resource
    except ImportError:  # Windows, where sockets are no files
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def serve(
    study: str | Path, *, host: str = "127.0.0.1", port: int = PORT, say: Callable[[str], None] = lambda _: None
) -> None:
    """Serve a study file until Ctrl-C; `say` receives the link.  Every answer is on disk before it is acknowledged.

    On an address that others can reach, the link carries an access token, the same each time.  `port` 0 takes a free
    one.  Raises RunError where the file is not a study, OptionError where the address cannot be bound.
    """
    opened = Study(study)
    allow_open_files(FILES)
    with StudyServer(opened, host, port) as server:
        s = opened.settings
        say(f"{s.practice} practice and {s.trials} scored trials of {s.seconds:g} s per participant, at {server.link}")
        say(f"Ctrl-C stops it without loss; resume with: ganforge study {study}")
        say(f"Results: ganforge study results {study}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Stopped.")
