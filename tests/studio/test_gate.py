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
    path: str = "/", method: str = "GET", query: str = "", body: int = 0, kind: str = "http", app: Any = inner,
    port: int = PORT, served: str = "127.0.0.1", **headers: str,
) -> Any:  # fmt: skip
    """(status, headers, body) of a request to the gate, whose answer begins once."""
    held = {"host": f"127.0.0.1:{port}", "cookie": f"ganforge-studio-{port}={TOKEN}", **headers}
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

    asyncio.run(Gate(app, TOKEN, port, names_of(served), largest=8 * 2**20)(scope, receive, send))
    if kind == "websocket":
        return sent
    assert [message["type"] for message in sent].count("http.response.start") == 1
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


def test_an_app_that_handles_errors_itself_does_not_answer_for_the_gate():
    """Starlette answers 500 for an exception while it reads, and a page of its own where one is caught."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    async def read(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def hide(request: Request) -> Response:
        try:
            return await read(request)
        except Exception:  # as frameworks do around the parsers of forms
            return PlainTextResponse("hidden")

    for path, answer in (("/gradio_api/queue/join", read), ("/gradio_api/upload", hide)):
        app = Starlette(routes=[Route(path, answer, methods=["POST"])])
        assert ask(path, "POST", body=2**20, app=app)[::2] == (200, str(2**20))
        status, headers, body = ask(path, "POST", body=9 * 2**20, app=app)
        assert status == 413
        assert b"content-security-policy" in headers
        assert "hidden" not in body


def test_an_answer_that_has_begun_is_not_begun_again():
    ended = []

    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (message := await receive()).get("more_body"):
            pass
        ended.append(message["type"])
        await send({"type": "http.response.body", "body": b"hasty"})

    assert ask("/gradio_api/queue/join", "POST", body=9 * 2**20, app=hasty)[::2] == (200, "hasty")
    assert ended == ["http.disconnect"]


def test_errors_of_the_app_are_its_own():
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        ask(app=broken)


def test_browsers_leave_port_80_out_and_write_hosts_in_lower_case():
    assert ask(port=80, host="127.0.0.1", origin="http://127.0.0.1")[0] == 200
    assert ask(port=80, host="127.0.0.1:80", origin="http://127.0.0.1:80")[0] == 200
    assert ask(port=80, host="evil.example")[0] == 403
    assert ask(port=80, host="127.0.0.1", origin="http://evil.example")[0] == 403
    assert ask(host="127.0.0.1")[0] == 403
    assert ask(served="MyPC.local", host=f"mypc.local:{PORT}", origin=f"http://mypc.local:{PORT}")[0] == 200


def test_websockets_are_closed():
    (message,) = ask("/gradio_api/queue/join", kind="websocket")
    assert message["type"] == "websocket.close"


def test_only_own_names_are_answered():
    assert "evil.example" not in names_of("0.0.0.0")
    assert set(names_of("127.0.0.1")) == {"localhost", "127.0.0.1", "[::1]"}
    assert "192.168.0.7" in names_of("192.168.0.7")
