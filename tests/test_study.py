"""The perceptual study: what is stored, what is served, what the browser may know, what the answers say."""

import json
import random
import sqlite3
import threading
import urllib.error
import urllib.request
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ganforge
from ganforge.cli import run as command
from ganforge.errors import DataError, GANForgeError, OptionError, RunError
from ganforge.perception.pictures import make
from ganforge.perception.results import bootstrap, write_csv
from ganforge.perception.results import study_results as results
from ganforge.perception.server import PAGE, StudyServer, is_loopback
from ganforge.perception.store import Lost, Settings, Study

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy this machine has
SHORT = Settings(practice=2, trials=3, height=8, width=8)


def png(level: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), (level, level, level)).save(buffer, "PNG")
    return buffer.getvalue()


def level(content: bytes) -> int:
    with Image.open(BytesIO(content)) as image:
        return np.asarray(image)[0, 0, 0].item()


@pytest.fixture
def study(tmp_path) -> Study:
    """Five fakes of the grey levels 0 ... 4, five reals of 200 ... 204."""
    fakes = [(f"fake {k}", png(k)) for k in range(5)]
    reals = [(f"real {k}", png(200 + k)) for k in range(5)]
    return Study.create(tmp_path / "a.study", SHORT, fakes, reals)


def answer_all(study: Study, participant: str, fooled: list[bool], exposure: float = 1000.0) -> None:
    """Answer the next trials, wrongly where `fooled`."""
    for wrong in fooled:
        state = study.state(participant)
        fake = "left" if level(study.picture(state.left) or b"") < 100 else "right"
        other = "right" if fake == "left" else "left"
        study.show(participant, state.trial)
        study.answer(participant, state.trial, other if wrong else fake, exposure, 500.0)


# -- the store ------------------------------------------------------------------------------------


def test_a_session_is_practice_with_feedback_and_then_scored_trials_without(study):
    one = study.join("ko")
    told = []
    for trial in range(5):
        state = study.state(one)
        assert (state.trial, state.seen) == (trial, False)
        assert (state.phase, state.number, state.of) == (
            ("practice", trial + 1, 2) if trial < 2 else ("scored", trial - 1, 3)
        )
        assert {level(study.picture(state.left)) < 100, level(study.picture(state.right)) < 100} == {True, False}
        study.show(one, trial)
        told.append(study.answer(one, trial, "left"))
    assert all(side in ("left", "right") for side in told[:2])
    assert told[2:] == [None] * 3
    assert study.state(one).phase == "done"


def test_no_picture_comes_twice_in_a_session_and_sides_are_drawn(study):
    for _ in range(8):
        answer_all(study, study.join(), [False] * 5)
    trials = study.trials()
    for one in {trial.participant for trial in trials}:
        own = [trial for trial in trials if trial.participant == one]
        assert len({trial.fake for trial in own}) == len({trial.real for trial in own}) == 5
    assert {trial.fake_side for trial in trials} == {"left", "right"}  # 2 ** -39 would be bad luck


def test_the_same_input_keeps_fake_k_beside_real_k(study, tmp_path):
    fakes = [(f"{k}", png(k)) for k in range(6)]
    reals = [(f"{k}", png(200 + k)) for k in range(6)]
    paired = Study.create(tmp_path / "b.study", Settings(2, 3, same_input=True), fakes, reals)
    answer_all(paired, paired.join(), [False] * 5)
    assert all(trial.fake == trial.real for trial in paired.trials())
    with pytest.raises(OptionError, match="6 fakes do not match 5"):
        Study.create(tmp_path / "c.study", Settings(2, 3, same_input=True), fakes, reals[:5])


def test_pictures_are_given_out_only_before_their_own_flash(study):
    one = study.join()
    with sqlite3.connect(study.path) as base:
        later = base.execute("SELECT left_token FROM trials WHERE number = 1").fetchone()[0]
    base.close()
    state = study.state(one)
    assert study.picture(state.left)
    assert study.picture(later) is None, "a later trial's picture is not given out ahead of its time"
    study.show(one, 0)
    assert study.picture(state.left) is None
    again = study.state(one)
    assert (again.trial, again.seen, again.left, again.right) == (0, True, "", "")
    with pytest.raises(Lost):
        study.show(one, 0)


def test_tokens_of_a_picture_differ_from_participant_to_participant(study):
    tokens = [token for _ in range(4) for s in [study.state(study.join())] for token in (s.left, s.right)]
    assert len(set(tokens)) == 8


def test_answers_are_for_good_and_in_order(study):
    one = study.join()
    with pytest.raises(Lost):
        study.answer(one, 0, "left")  # not shown yet
    study.show(one, 0)
    first = study.answer(one, 0, "left")
    assert study.answer(one, 0, "right") == first  # sent again: acknowledged, and changes nothing
    assert [trial.called_fake for trial in study.trials()] == ["left"]
    for trial in (2, -1, 99):
        with pytest.raises(Lost):
            study.answer(one, trial, "left")
    with pytest.raises(Lost):
        study.state("nobody")


def test_a_study_is_opened_again_where_it_was(study):
    one = study.join()
    answer_all(study, one, [True, False, True])
    again = Study(study.path)
    assert again.settings == SHORT
    assert again.token == study.token
    assert (again.state(one).phase, again.state(one).number) == ("scored", 2)


def test_many_answer_at_once(study):
    ids = [study.join() for _ in range(6)]
    threads = [threading.Thread(target=answer_all, args=(Study(study.path), one, [True] * 5)) for one in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(study.trials()) == 30


def test_what_is_no_study_is_said_so(tmp_path, study):
    with pytest.raises(RunError, match="There is no study"):
        Study(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(RunError, match="is not a study"):
        Study(tmp_path / "text")
    with sqlite3.connect(tmp_path / "other") as base:
        base.execute("CREATE TABLE facts (a INTEGER)")
    base.close()
    with pytest.raises(RunError, match="is not a study"):
        Study(tmp_path / "other")
    with pytest.raises(RunError, match="exists already"):
        Study.create(study.path, SHORT, [("", png(0))] * 5, [("", png(0))] * 5)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(trials=0), "at least one scored trial"),
        (Settings(seconds=0), "0 seconds"),
        (Settings(practice=3, trials=3), "there are 5 and 5"),
    ],
)
def test_settings_that_cannot_be_carried_out(tmp_path, settings, said):
    with pytest.raises(OptionError, match=said):
        Study.create(tmp_path / "x", settings, [("", png(0))] * 5, [("", png(0))] * 5)


# -- the results ----------------------------------------------------------------------------------


def test_the_fooling_rate_counts_scored_trials_of_those_who_finished(study):
    with pytest.raises(RunError, match="Nobody has finished"):
        results(study.path)
    answer_all(study, study.join(), [True, True, True, False, False])  # practice both wrong, 1 of 3 fooled
    answer_all(study, study.join(), [False, True, True, True, False], exposure=1100)  # 2 of 3 fooled
    answer_all(study, study.join(), [False, False, True])  # not finished: 1 of 1 fooled
    study.join()  # has not begun
    found = results(study.path)
    assert found.rate == pytest.approx(3 / 6)
    assert (found.participants, found.trials, found.left_out) == (2, 6, 2)
    assert found.practice_right == pytest.approx(1 / 4)
    assert (found.exposure_ms, found.exposure_worst_ms) == (1050, 1100)
    assert found.low == pytest.approx(1 / 3)
    assert found.high == pytest.approx(2 / 3)
    assert "50.0 %" in str(found)
    assert "2 unfinished, left out" in str(found)
    assert results(study.path, unfinished=True).rate == pytest.approx(4 / 7)


def test_one_participant_has_no_interval(study):
    answer_all(study, study.join(), [False] * 5)
    found = results(study.path)
    assert (found.rate, found.low, found.high) == (0, None, None)
    assert "two participants" in str(found)


def test_the_bootstrap_is_over_participants_not_trials():
    # Twenty people who all answer alike, each wholly fooled or not at all: the error is that of 20 answers, not of 800.
    _, low, high, error = bootstrap([40] * 10 + [0] * 10, [40] * 20, resamples=40_000)
    assert error == pytest.approx((0.25 / 20) ** 0.5, rel=0.02)
    assert low == pytest.approx(0.30, abs=0.051)  # the binomial's steps are 0.05
    assert high == pytest.approx(0.70, abs=0.051)
    assert bootstrap([4] * 5, [40] * 5) == (0.1, 0.1, 0.1, pytest.approx(0, abs=1e-12))
    assert bootstrap([1, 5], [40, 40], seed=3) == bootstrap([1, 5], [40, 40], seed=3)


def test_its_interval_holds_the_truth_as_often_as_it_says():
    chance, held = np.random.default_rng(0), 0
    for k in range(200):
        fooled = chance.binomial(40, chance.beta(6, 14, 40))  # 40 people, each with their own rate about 0.3
        _, low, high, _ = bootstrap([*fooled], [40] * 40, seed=k, resamples=1000)
        held += low <= 0.3 <= high
    assert 180 <= held <= 200


def test_every_trial_is_written_as_csv(study, tmp_path):
    answer_all(study, study.join(), [True, False])
    write_csv(study.path, tmp_path / "trials.csv")
    head, *rows = (tmp_path / "trials.csv").read_text().splitlines()
    assert head.startswith("participant,number,practice,fake,real,")
    assert [row.rpartition(",")[2] for row in rows] == ["True", "False"]


# -- the two sides --------------------------------------------------------------------------------


def folder(path: Path, n: int, side: int, shade: int) -> Path:
    path.mkdir()
    chance = np.random.default_rng(shade)
    for k in range(n):
        Image.fromarray(chance.integers(shade, shade + 50, (side, side, 3), np.uint8)).save(path / f"{k}.png")
    return path


def test_folders_and_arrays_are_brought_to_one_size_and_depth(tmp_path):
    np.savez(tmp_path / "fakes.npz", images=np.zeros((7, 8, 8), np.uint8))
    reals = folder(tmp_path / "reals", 6, 16, 100)
    made = make(
        tmp_path / "fakes.npz", reals, tmp_path / "a.study", practice=1, trials=4, pictures=5, data_home=tmp_path
    )
    with sqlite3.connect(made.path) as base:
        rows = base.execute("SELECT fake, png FROM pictures").fetchall()
    base.close()
    assert [fake for fake, _ in rows] == [1] * 5 + [0] * 5
    for _, content in rows:
        with Image.open(BytesIO(content)) as image:
            assert (image.size, image.mode) == ((8, 8), "L")
    assert (made.settings.height, made.settings.width, made.settings.reals) == (8, 8, str(reals))


def test_a_run_draws_its_own_fakes(tmp_path):
    trained = ganforge.train("dcgan", preset="tiny", steps=0, outdir=tmp_path, tensorboard=False, doctor=False)
    with pytest.raises(OptionError, match="exists already"):
        make(trained.path, "shapes", trained.path)
    made = make(trained.path, "shapes", tmp_path / "s", practice=0, trials=3, pictures=3)
    state = made.state(made.join())
    assert {len(made.picture(token) or b"") > 60 for token in (state.left, state.right)} == {True}
    assert (made.settings.height, made.settings.width) == (16, 16)
    with pytest.raises(OptionError, match="leave --same-input out"):
        make(trained.path, "shapes", tmp_path / "t", practice=0, trials=3, pictures=3, same_input=True)


def test_a_translator_is_given_the_sources_and_held_against_the_targets(tmp_path):
    trained = ganforge.train("regression", preset="tiny", steps=0, outdir=tmp_path, tensorboard=False, doctor=False)
    made = make(trained.path, None, tmp_path / "s", practice=1, trials=2, pictures=3, same_input=True)
    answer = made.join()
    made.show(answer, 0)
    made.answer(answer, 0, "left")
    (trial,) = made.trials()
    assert trial.fake == trial.real
    assert (made.settings.same_input, made.settings.reals) == (True, "its own data")


def test_sides_that_cannot_be_compared_are_refused(tmp_path):
    fakes = folder(tmp_path / "fakes", 6, 8, 0)
    asked: dict[str, Any] = {"practice": 0, "trials": 4, "data_home": tmp_path}
    with pytest.raises(OptionError, match="--pictures 3 are fewer"):
        make(fakes, fakes, tmp_path / "x", pictures=3, **asked)
    with pytest.raises(OptionError, match="there are 6 and 3"):
        make(fakes, folder(tmp_path / "few", 3, 8, 9), tmp_path / "x", **asked)
    with pytest.raises(OptionError, match="6 fakes do not match 3"):
        make(fakes, tmp_path / "few", tmp_path / "x", same_input=True, **asked)
    with pytest.raises(DataError, match="There is no data"):
        make(fakes, "nowhere", tmp_path / "x", **asked)
    assert not (tmp_path / "x").exists()


# -- the server -----------------------------------------------------------------------------------


class Browser:
    """What a browser does, by hand."""

    def __init__(self, base: str) -> None:
        self.base, self.participant, self.heard = base, "", []

    def open(self, path: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        request = urllib.request.Request(self.base + path, data, headers or {})
        with DIRECT.open(request, timeout=10) as reply:
            content = reply.read()
            assert reply.headers["Cache-Control"] == "no-store"
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        return content

    def step(self, name: str, **said: Any) -> dict[str, Any]:
        body = json.dumps({"participant": self.participant, **said}).encode()
        text = self.open(name, body, {"Content-Type": "application/json"})
        self.heard.append(text)
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
    assert b"Which picture is fake?" in browser.open("")
    assert browser.step("about") == {"seconds": 1.0, "height": 8, "width": 8, "practice": 2, "trials": 3}
    browser.participant = browser.step("join", language="en")["participant"]
    take_part(browser, 3)
    state = browser.step("state")
    browser.step("show", trial=state["trial"])

    browser.base = serving(opened=Study(study.path)).link  # another server on the same file, in mid-trial
    state = browser.step("state")
    assert (state["phase"], state["number"], state["seen"], state["left"]) == ("scored", 2, True, "")
    browser.step("answer", trial=state["trial"], called_fake="right")
    take_part(browser, 1)
    assert browser.step("state")["phase"] == "done"

    found = results(study.path)
    assert (found.participants, found.trials, found.exposure_ms) == (1, 3, 1001.5)
    stored = [(trial.called_fake, trial.response_ms) for trial in study.trials()]
    assert stored == [("left", 321)] * 3 + [("right", None), ("left", 321)]


def test_the_browser_hears_the_key_only_after_a_practice_answer(study, serving):
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
    assert not any(b"real " in heard or b"fake " in heard for heard in browser.heard), "names of pictures stay here"


def test_a_shared_study_lets_in_who_has_the_link(study, serving):
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
        ("state", b"{}", {"Content-Type": "text/plain"}, 400),  # what another site's form could send
        ("state", b"[]", {"Content-Type": "application/json"}, 400),
        ("state", b"{", {"Content-Type": "application/json"}, 400),
        ("state", b" " * 5000, {"Content-Type": "application/json"}, 400),
        ("state", b"{}", {"Content-Type": "application/json"}, 400),
        ("state", b'{"participant": "nobody"}', {"Content-Type": "application/json"}, 409),
        ("show", b'{"participant": "a", "trial": true}', {"Content-Type": "application/json"}, 400),
        ("answer", b'{"participant": "a", "called_fake": "up"}', {"Content-Type": "application/json"}, 400),
        ("", None, {"Host": "evil.example"}, 403),  # a site whose name was made to point at this machine
    ],
)
def test_what_does_not_belong_is_refused(serving, path, body, headers, code):
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


def test_the_page_speaks_both_languages_and_needs_nothing_from_elsewhere():
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


def test_errors_are_ours():
    assert issubclass(Lost, GANForgeError)
