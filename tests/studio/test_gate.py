"""The gate: the token, Host, Origin, paths and sizes, on every request and websocket."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from ganforge.studio.gate import Gate, names_of

TOKEN = "a-token"
PORT = 8770


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """Reads the whole body, then answers."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


def ask(
    path: str = "/", method: str = "GET", query: str = "", body: int = 0, kind: str = "http", **headers: str
) -> Any:
    """(status, headers, body) of a request to the gate."""
    held = {"host": f"127.0.0.1:{PORT}", "cookie": f"ganforge-studio-{PORT}={TOKEN}", **headers}
    own = {name.replace("_", "-"): value for name, value in held.items() if value}
    scope = {
        "type": kind, "path": path, "method": method, "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in own.items()],
    }  # fmt: skip
    sent: list[MutableMapping[str, Any]] = []
    chunks = [min(2**20, body - start) for start in range(0, body, 2**20)] or [0]

    async def receive() -> MutableMapping[str, Any]:
        size = chunks.pop(0)
        return {"type": "http.request", "body": bytes(size), "more_body": bool(chunks)}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(Gate(inner, TOKEN, PORT, largest=8 * 2**20)(scope, receive, send))
    if kind == "websocket":
        return sent
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"].decode()


def test_a_visitor_with_the_cookie_is_let_in():
    status, headers, body = ask()
    assert (status, body) == (200, "inside")
    assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": ""},
        {"cookie": f"ganforge-studio-{PORT}=another"},
        {"cookie": f"ganforge-studio-1={TOKEN}"},
        {"host": "evil.example"},
        {"host": f"evil.example:{PORT}"},
        {"host": "127.0.0.1:1"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": "null"},
    ],
)
@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/gradio_api/queue/join", "POST")])
def test_others_are_refused(path, method, headers):
    status, _, body = ask(path, method, **headers)
    assert status == 403
    assert "inside" not in body


def test_the_link_sets_the_cookie_and_drops_the_token():
    status, headers, body = ask(query=f"token={TOKEN}&__theme=dark", cookie="")
    assert status == 200
    assert TOKEN not in body
    assert "/?__theme=dark" in body
    assert headers[b"set-cookie"].decode() == f"ganforge-studio-{PORT}={TOKEN}; HttpOnly; SameSite=Strict; Path=/"
    assert ask(query="token=wrong", cookie="")[0] == 403


def test_the_sentence_of_a_refusal_is_in_the_browsers_language():
    assert "token" in ask(cookie="")[2]
    assert "토큰" in ask(cookie="", accept_language="ko-KR,ko;q=0.9,en;q=0.8")[2]


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/gradio_api/proxy=http://evil.example", "GET"),
        ("/gradio_api/file=http://evil.example/a.png", "GET"),
        ("/gradio_api/vibe-edit", "POST"),
        ("/gradio_api/component_server", "POST"),
        ("/gradio_api/run/predict", "POST"),
        ("/monitoring/summary", "GET"),
        ("/login", "POST"),
        ("/", "POST"),
        ("/gradio_api/upload", "PUT"),
    ],
)
def test_paths_that_no_page_asks_for_are_not_served(path, method):
    assert ask(path, method)[0] in (403, 404)


def test_bodies_are_bounded_whatever_their_headers_say():
    assert ask("/gradio_api/queue/join", "POST", body=2**20)[0] == 200
    assert ask("/gradio_api/queue/join", "POST", body=5 * 2**20)[0] == 413
    assert ask("/gradio_api/upload", "POST", body=5 * 2**20)[0] == 200
    assert ask("/gradio_api/upload", "POST", body=9 * 2**20)[0] == 413
    assert ask("/gradio_api/upload", "POST", content_length=str(200 * 2**20))[0] == 413
    assert ask("/gradio_api/upload", "POST", content_length="many")[0] == 400


def test_websockets_are_closed():
    (message,) = ask("/gradio_api/queue/join", kind="websocket")
    assert message["type"] == "websocket.close"


def test_only_own_names_are_answered():
    assert "evil.example" not in names_of("0.0.0.0")
    assert set(names_of("127.0.0.1")) == {"localhost", "127.0.0.1", "[::1]"}
    assert "192.168.0.7" in names_of("192.168.0.7")
