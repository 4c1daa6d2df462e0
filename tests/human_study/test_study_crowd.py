"""The study under load, with requests that no browser sends, and from damaged files."""

import json
import socket
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from ganforge.cli import run as command
from ganforge.errors import RunError
from ganforge.human_study.results import study_results
from ganforge.human_study.server import StudyServer, allow_open_files
from ganforge.human_study.store import Study
from tests.support.studies import five


@pytest.fixture
def server(tmp_path):
    made = StudyServer(five(tmp_path / "a.study"), "127.0.0.1", 0)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def ask(server: StudyServer, content: bytes) -> bytes:
    """The whole answer to raw bytes; empty where there is none."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as line:
        line.sendall(content)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))


def step(name: str, body: bytes, length: str = "", kind: str = "application/json") -> bytes:
    head = f"POST /{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: "
    return (head + (length or str(len(body))) + "\r\n\r\n").encode("latin-1") + body


def test_a_burst_of_1000_requests_is_answered(tmp_path):
    """All connections are made before the server accepts the first, so that every one waits in its queue."""
    server = StudyServer(five(tmp_path / "a.study"), "127.0.0.1", 0)
    allow_open_files(4096)
    lines = [socket.create_connection(("127.0.0.1", server.server_port), timeout=20) for _ in range(1000)]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        for line in lines:
            line.sendall(step("about", b"{}"))
        answers = [b"".join(iter(partial(line.recv, 65536), b"")) for line in lines]
    finally:
        for line in lines:
            line.close()
        server.shutdown()
        thread.join()
        server.server_close()
    assert {answer[:12] for answer in answers} == {b"HTTP/1.0 200"}


def test_200_participants_join_at_once(server):
    with ThreadPoolExecutor(200) as crowd:
        answers = [*crowd.map(lambda _: ask(server, step("join", b'{"language": "ko"}')), range(200))]
    joined = {json.loads(answer.partition(b"\r\n\r\n")[2])["participant"] for answer in answers}
    assert len(joined) == server.study.count_participants() == 200


BAD = {
    "a surrogate": step("join", rb'{"language": "\ud800"}'),
    "a participant that is no Unicode": step("state", rb'{"participant": "\udfff"}'),
    "a length of 5,000 digits": step("join", b"{}", "9" * 5000),
    "a length in other digits": step("join", b"{}", "²"),
    "two lengths": step("join", b"{}", "5, 5"),
    "a list": step("join", b"[]"),
    "deep": step("join", b"[" * 4000),
    "bytes": step("join", b"\xff\xfe"),
    "a large number": step("show", b'{"participant": "a", "trial": ' + b"9" * 3000 + b"}"),
    "text": step("join", b"{}", kind="text/plain"),
}


@pytest.mark.parametrize("kind", BAD)
def test_odd_requests_get_400_and_no_traceback(server, kind, capfd):
    assert ask(server, BAD[kind]).startswith(b"HTTP/1.0 400")
    assert ask(server, step("about", b"{}")).startswith(b"HTTP/1.0 200")
    assert "Traceback" not in capfd.readouterr().err


def test_a_request_that_fails_is_one_line(server, monkeypatch, capfd):
    monkeypatch.setattr(server.study, "join", lambda language: 1 // 0)
    assert ask(server, step("join", b'{"language": "en"}')) == b""
    assert capfd.readouterr().err == "A request failed (ZeroDivisionError: integer division or modulo by zero).\n"


def damage(path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "settings",
    ["null", "[]", '"x"', "{", '{"x": 1}', '{"practice": "x"}', '{"trials": -1}', '{"trials": 99}', '{"seconds": NaN}'],
)
def test_damaged_settings_are_one_sentence(tmp_path, settings, capsys):
    path = five(tmp_path / "a.study").path
    damage(path, "UPDATE facts SET settings = ?", settings)
    for words in (["study", str(path), "--port", "0"], ["study", "results", str(path)]):
        assert command(words) == 1
        assert "is damaged: its settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("side", "milliseconds"), [("up", 1.0), (3, 1.0), ("left", "x"), ("left", b"\xff"), ("left", -1.0)]
)
def test_damaged_answers_are_not_counted_in_silence(tmp_path, side, milliseconds):
    study = five(tmp_path / "a.study")
    study.join()
    damage(study.path, "UPDATE trials SET called_fake = ?, exposure_ms = ? WHERE number = 0", side, milliseconds)
    with pytest.raises(RunError, match="damaged: trial 0"):
        study_results(study.path, unfinished=True)


@pytest.mark.parametrize("table", ["facts", "pictures", "participants", "trials"])
def test_a_missing_table_is_one_sentence(tmp_path, table):
    path = five(tmp_path / "a.study").path
    damage(path, f"DROP TABLE {table}")
    with pytest.raises(RunError, match=r"a\.study"):
        study_results(path)
    if table in ("facts", "pictures"):
        with pytest.raises(RunError, match="not a study"):
            Study(path)
