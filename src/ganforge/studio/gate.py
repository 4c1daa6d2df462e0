"""What stands between the network and the studio: token, Host, Origin, allowed paths and the size of requests.

Any web page that a person opens can send requests to a server on the same machine, so loopback is no protection by
itself.  The token is given once in the link and is a cookie afterwards; Host is checked against DNS rebinding, Origin
against other pages; of Gradio's own paths those alone are served that the studio's pages use.
"""

import hmac
import socket
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from ganforge.studio.strings import sentence

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
PAGES = ("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/gradio_api/theme.css")
FOLDERS = ("/assets/", "/static/", "/svelte/", "/gradio_api/heartbeat/", "/gradio_api/file=")
READ = ("/gradio_api/info", "/gradio_api/queue/data", "/gradio_api/upload_progress", "/gradio_api/app_id")
POSTED = ("/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/cancel", "/gradio_api/reset")
UPLOAD = "/gradio_api/upload"
LONGEST = 4 * 2**20  # bytes of a request that uploads nothing: the largest is a painted map
POLICY = (  # nothing is loaded from or sent to other hosts; Gradio compiles the scripts of its components
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


class Refused(Exception):
    """A request that is refused, with an HTTP status and the key of a sentence."""

    def __init__(self, status: int, key: str) -> None:
        super().__init__(key)
        self.status, self.key = status, key


@dataclass
class Gate:
    """An ASGI application in front of another: it lets pass what the studio's own pages ask for."""

    app: App
    token: str
    port: int
    hosts: Collection[str] = field(default_factory=lambda: LOOPBACK)
    """Names under which browsers reach this server."""
    largest: int = 64 * 2**20
    """Bytes of an upload request."""

    @property
    def cookie(self) -> str:
        """The name of the cookie: cookies are shared by all ports of a host."""
        return f"ganforge-studio-{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, and pass it on or refuse it."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # no page of the studio opens a websocket
            return await send({"type": "websocket.close", "code": 1008})
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        language = headers.get("accept-language", "")
        try:
            self.check_address(headers)
            if self.has_token_in_link(scope):
                return await self.redirect(scope, send)
            self.check_cookie(headers)
            self.check_path(scope)
            limit = self.largest if scope["path"] == UPLOAD else LONGEST
            check_length(headers, limit)
        except Refused as refusal:
            return await refuse(send, refusal, language)
        exchange = Exchange(receive, send, limit, language)
        try:
            await self.app(scope, exchange.receive_some, exchange.send_secured)
        except Exception:
            if not exchange.refused:  # else it is what the app says of a request that was cut off
                raise

    def check_address(self, headers: dict[str, str]) -> None:
        """Raise Refused for a Host that is not this server, and for requests that other pages send."""
        names = [host.lower() for host in self.hosts]
        own = {f"{name}:{self.port}" for name in names}
        if self.port == 80:  # browsers leave it out
            own |= {*names}
        if headers.get("host", "").lower() not in own:
            raise Refused(403, "wrong_host")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in {f"http://{host}" for host in own}:
            raise Refused(403, "wrong_origin")

    def has_token_in_link(self, scope: Scope) -> bool:
        """Whether this is the link that the terminal printed.  Raises Refused where its token is wrong."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] != "/" or not given:
            return False
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            raise Refused(403, "needs_token")
        return True

    async def redirect(self, scope: Scope, send: Send) -> None:
        """Keep the token as a cookie, and send the browser to the page without it."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        query.pop("token")
        target = "/" + (f"?{urlencode(query, doseq=True)}" if query else "")
        cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
        # A page instead of a redirect: browsers send strict cookies only from a page of the same site.
        page = f'<!doctype html><meta http-equiv="refresh" content="0;url={escape(target)}">'
        await respond(send, 200, page, [(b"set-cookie", cookie.encode())])

    def check_cookie(self, headers: dict[str, str]) -> None:
        """Raise Refused without the cookie."""
        parts = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        given = next((value for name, _, value in parts if name == self.cookie), "")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            raise Refused(403, "needs_token")

    def check_path(self, scope: Scope) -> None:
        """Raise Refused for paths that no page of the studio asks for."""
        path, method = scope["path"], scope["method"]
        if method in ("GET", "HEAD") and (path in PAGES or path in READ or path.startswith(FOLDERS)):
            if path.startswith("/gradio_api/file=") and "://" in path:
                raise Refused(403, "not_found")
            return
        if method == "POST" and path in POSTED:
            return
        raise Refused(404, "not_found")


def check_length(headers: dict[str, str], limit: int) -> None:
    """Raise Refused for a Content-Length that is no number, or above `limit` bytes."""
    try:
        length = int(headers.get("content-length") or 0)
    except ValueError as error:
        raise Refused(400, "not_found") from error
    if length > limit:
        raise Refused(413, "too_large")


class Exchange:
    """A request and its answer: a body of at most `limit` bytes, and headers that keep the page to itself.

    A longer body is refused here, whatever the request says of its length, where the answer has not begun: the
    application sees a visitor who has gone, and what it still answers is dropped.
    """

    def __init__(self, receive: Receive, send: Send, limit: int, language: str) -> None:
        self.receive, self.send, self.left, self.language = receive, send, limit, language
        self.started = self.refused = False

    async def receive_some(self) -> MutableMapping[str, Any]:
        """The next part of the request."""
        if self.left >= 0:
            message = await self.receive()
            self.left -= len(message.get("body", b""))
            if self.left >= 0:
                return message
            if not self.started:
                self.refused = True
                await refuse(self.send, Refused(413, "too_large"), self.language)
        return {"type": "http.disconnect"}

    async def send_secured(self, message: MutableMapping[str, Any]) -> None:
        """Send a part of the application's answer."""
        if self.refused:
            return
        if message["type"] == "http.response.start":
            self.started = True
            own = {b"content-security-policy", b"referrer-policy", b"x-content-type-options"}
            kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in own]
            message = {**message, "headers": [*kept, *SECURITY]}
        await self.send(message)


SECURITY = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


async def refuse(send: Send, refusal: Refused, language: str) -> None:
    """Answer with the refusal's sentence, in the browser's language."""
    await respond(send, refusal.status, f"<!doctype html><p>{escape(sentence(refusal.key, language))}</p>")


async def respond(send: Send, status: int, page: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    """Send a small HTML page."""
    kind = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": [*kind, *SECURITY, *(headers or [])]})
    await send({"type": "http.response.body", "body": page.encode()})


def escape(text: str) -> str:
    """Text as HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def names_of(host: str) -> tuple[str, ...]:
    """The names under which browsers reach a server that listens at `host`."""
    if host in ("127.0.0.1", "localhost", "::1"):
        return LOOPBACK
    name = socket.gethostname().lower()
    own = () if host in ("0.0.0.0", "::", "") else (f"[{host}]" if ":" in host else host,)
    return (*LOOPBACK, name, *own)
