"""The perceptual study: the server, what it reveals to the browser, and the command."""

import json
import random
import threading
import urllib.error
import urllib.request
from typing import Any

import pytest

from ganforge.cli import run as command
from ganforge.errors import OptionError
from ganforge.human_study.results import study_results as results
from ganforge.human_study.server import PAGE, StudyServer, is_loopback
from ganforge.human_study.store import Study
from tests.support.studies import answer_all, five, folder

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # ignore configured proxies


@pytest.fixture
def study(tmp_path) -> Study:
    return five(tmp_path / "a.study")


# -- the server -----------------------------------------------------------------------------------


class Browser:
    """A minimal HTTP client in place of a browser."""

    def __init__(self, base: str) -> None:
        self.base, self.participant, self.replies = base, "", []

    def open(self, path: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        request = urllib.request.Request(self.base + path, data, headers or {})
        with DIRECT.open(request, timeout=10) as reply:
            content = reply.read()
            assert reply.headers["Cache-Control"] == "no-store"
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        return content

    def step(self, name: str, **message: Any) -> dict[str, Any]:
        body = json.dumps({"participant": self.participant, **message}).encode()
        text = self.open(name, body, {"Content-Type": "application/json"})
        self.replies.append(text)
        return json.loads(text)


@pytest.fixture
def serving(study):
    servers = []

    def start(host: str = "127.0.0.1", opened: Study = study) -> StudyServer:
        server = StudyServer(opened, host, 0)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def take_part(browser: Browser, trials: int) -> None:
    """Show and answer the next trials, always "left"."""
    for _ in range(trials):
        state = browser.step("state")
        for token in (state["left"], state["right"]):
            assert browser.open(f"picture/{token}").startswith(b"\x89PNG")
        browser.step("show", trial=state["trial"])
        browser.step("answer", trial=state["trial"], called_fake="left", exposure_ms=1001.5, response_ms=321)


def test_a_participant_from_the_first_page_to_the_result_through_a_restart(study, serving):
    server = serving()
    browser = Browser(server.link)
    assert b"Which image is fake?" in browser.open("")
    assert browser.step("about") == {"seconds": 1.0, "height": 8, "width": 8, "practice": 2, "trials": 3}
    browser.participant = browser.step("join", language="en")["participant"]
    take_part(browser, 3)
    state = browser.step("state")
    browser.step("show", trial=state["trial"])

    browser.base = serving(opened=Study(study.path)).link  # another server on the same file, during a trial
    state = browser.step("state")
    assert (state["phase"], state["number"], state["seen"], state["left"]) == ("scored", 2, True, "")
    browser.step("answer", trial=state["trial"], called_fake="right")
    take_part(browser, 1)
    assert browser.step("state")["phase"] == "done"

    found = results(study.path)
    assert (found.participants, found.trials, found.exposure_ms) == (1, 3, 1001.5)
    stored = [(trial.called_fake, trial.response_ms) for trial in study.trials()]
    assert stored == [("left", 321)] * 3 + [("right", None), ("left", 321)]


def test_the_solution_is_sent_only_after_a_practice_answer(study, serving):
    browser = Browser(serving().link)
    browser.participant = browser.step("join", language="en")["participant"]
    for trial in range(5):
        state = browser.step("state")
        assert set(state) == {
            *("phase", "trial", "number", "of", "left", "right", "seen"),
            *("seconds", "height", "width", "practice", "trials"),
        }
        browser.step("show", trial=trial)
        fake = browser.step("answer", trial=trial, called_fake="left")["fake"]
        assert fake == (study.trials()[trial].fake_side if trial < 2 else None)
    assert not any(b"real " in reply or b"fake " in reply for reply in browser.replies), "image names are not sent"


def test_a_shared_study_needs_the_link(study, serving):
    server = serving("0.0.0.0")
    assert study.token in server.link
    root = f"http://127.0.0.1:{server.server_port}/"
    assert b"fake" in Browser(f"{root}{study.token}/").open("")
    for path in ("", "wrong/", f"{study.token}", "about"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            Browser(root).open(path)
        assert refused.value.code == 403
        refused.value.close()


@pytest.mark.parametrize(
    ("path", "body", "headers", "code"),
    [
        ("nothing", None, {}, 404),
        ("picture/../facts", None, {}, 404),
        ("picture/", None, {}, 404),
        ("nothing", b"{}", {"Content-Type": "application/json"}, 404),
        ("state", b"{}", {"Content-Type": "text/plain"}, 400),  # possible from a form of another site
        ("state", b"[]", {"Content-Type": "application/json"}, 400),
        ("state", b"{", {"Content-Type": "application/json"}, 400),
        ("state", b" " * 5000, {"Content-Type": "application/json"}, 400),
        ("state", b"{}", {"Content-Type": "application/json"}, 400),
        ("state", b'{"participant": "nobody"}', {"Content-Type": "application/json"}, 409),
        ("show", b'{"participant": "a", "trial": true}', {"Content-Type": "application/json"}, 400),
        ("answer", b'{"participant": "a", "called_fake": "up"}', {"Content-Type": "application/json"}, 400),
        ("", None, {"Host": "evil.example"}, 403),  # DNS rebinding
    ],
)
def test_invalid_requests_are_refused(serving, path, body, headers, code):
    with pytest.raises(urllib.error.HTTPError) as refused:
        Browser(serving().link).open(path, body, headers)
    assert refused.value.code == code
    assert json.loads(refused.value.read())["error"]


def test_addresses(study, serving):
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.168.0.4", "me")] == [
        *(True, True, True),
        *(False, False, False),
    ]
    taken = serving()
    assert taken.link == f"http://127.0.0.1:{taken.server_port}/"
    with pytest.raises(OptionError, match="cannot be served at"):
        StudyServer(study, port=taken.server_port)
    with pytest.raises(OptionError, match="cannot be served at"):
        StudyServer(study, port=99999)


# -- the page and the command ---------------------------------------------------------------------


def test_the_page_has_both_languages_and_no_external_resources():
    page = PAGE.read_text(encoding="utf-8")
    words = json.loads(page.partition('id="both-languages">')[2].partition("</script>")[0])
    assert list(words) == ["en", "ko"]
    assert words["en"].keys() == words["ko"].keys()
    for key, english in words["en"].items():
        korean = words["ko"][key]
        assert type(english) is type(korean)
        assert len(english) == len(korean) or isinstance(english, str)
        assert key == "other" or any("가" <= letter <= "힣" for letter in "".join(korean)) or "{" in korean
    assert "http:" not in page
    assert "https:" not in page
    assert "src=" not in page


def test_the_command_prints_results(study, capsys, tmp_path):
    for seed in range(2):
        answer_all(study, study.join(), [random.Random(seed).random() < 0.5 for _ in range(5)])
    assert command(["study", "results", str(study.path)]) == 0
    said = capsys.readouterr().out
    assert "fooling rate" in said
    assert "participants  2" in said
    assert command(["study", "results", str(study.path), "--json", "--csv", str(tmp_path / "t.csv")]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == 6
    assert (tmp_path / "t.csv").is_file()
    assert command(["study", "results", str(tmp_path)]) == 1
    assert "There is no study" in capsys.readouterr().err


def test_the_command_makes_a_study_and_serves_it(tmp_path, capsys, monkeypatch):
    fakes, reals = folder(tmp_path / "fakes", 4, 8, 0), folder(tmp_path / "reals", 4, 8, 100)
    monkeypatch.setattr(StudyServer, "serve_forever", interrupted)  # Ctrl-C at once
    words = ["study", str(fakes), "--against", str(reals), "-o", str(tmp_path / "a.study"), "--port", "0"]
    assert command([*words, "--practice", "1", "--trials", "3", "--data-home", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "1 practice and 3 scored trials of 1 s" in said
    assert "http://127.0.0.1:" in said
    assert command(["study", str(tmp_path / "a.study"), "--port", "0"]) == 0
    assert "Stopped" in capsys.readouterr().out
    assert command(words[:2]) == 1
    assert "needs a file for the answers" in capsys.readouterr().err


def interrupted(self: StudyServer) -> None:
    raise KeyboardInterrupt
