"""The study in a real browser, from the first page to the result."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganforge.human_study.results import study_results as results
from ganforge.human_study.server import StudyServer
from ganforge.human_study.store import Settings, Study
from tests.support.browser import chromium


def make_study(path: Path, practice: int, trials: int, seconds: float) -> Study:
    """A study of noise: red noise is fake, blue noise real."""
    chance = np.random.default_rng(0)

    def side(channel: int) -> Iterator[tuple[str, bytes]]:
        for k in range(practice + trials):
            picture, buffer = np.zeros((64, 64, 3), np.uint8), BytesIO()
            picture[..., channel] = chance.integers(80, 256, (64, 64))
            Image.fromarray(picture).save(buffer, "PNG")
            yield f"{k}", buffer.getvalue()

    return Study.create(path, Settings(practice, trials, seconds, height=64, width=64), [*side(0)], [*side(2)])


@contextmanager
def serving(study: Study, port: int = 0) -> Iterator[StudyServer]:
    server = StudyServer(study, port=port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser) -> Iterator[Any]:
    context = browser.new_context(locale="en-US", viewport={"width": 1000, "height": 760})
    context.set_default_timeout(60_000)
    opened = context.new_page()
    opened.problems = []
    opened.on("pageerror", lambda error: opened.problems.append(str(error)))
    yield opened
    assert opened.problems == []
    context.close()


def question(page: Any) -> None:
    """Wait until the pair is hidden and the question is shown."""
    page.wait_for_selector("#choice:not([hidden]) #left:enabled")


def test_from_the_first_page_to_the_result(page, tmp_path):
    study, urls = make_study(tmp_path / "a.study", 2, 3, 1.0), []
    page.on("request", lambda request: urls.append(request.url))
    with serving(study) as server:
        page.goto(server.link)
        assert "real image" in page.inner_text("#words")
        page.click("#go")
        for k in range(2):
            page.wait_for_selector(".frame.seen img")
            size = page.evaluate("[...document.querySelectorAll('#flash img')].map((i) => [i.width, i.height])")
            assert size[0] == size[1] == [384, 384], "equal size, enlarged by whole pixels"
            question(page)
            assert page.inner_text("#progress") == f"Practice {k + 1} of 2"
            page.keyboard.press("ArrowLeft")
            page.wait_for_selector("#next:not([hidden])")
            right = study.trials()[k].fake_side == "left"
            assert page.inner_text("#told").startswith("Right" if right else "Wrong")
            assert page.locator(".tag").all_inner_texts() == (["fake", "real"] if right else ["real", "fake"])
            page.keyboard.press("Enter")
        page.wait_for_selector("text=The practice is over")
        page.click("#go")
        for k, way in enumerate(("mouse", "keys", "mouse")):
            question(page)
            assert page.inner_text("#progress") == f"Pair {k + 1} of 3"
            page.click("#right") if way == "mouse" else page.keyboard.press("ArrowRight")
        page.wait_for_selector("text=Thank you!")
        page.reload()
        page.wait_for_selector("text=Thank you!")
    assert all(url.startswith((server.link, "blob:")) for url in urls)
    found = results(study.path)
    assert (found.participants, found.trials) == (1, 3)
    assert [trial.called_fake for trial in study.trials()] == ["left"] * 2 + ["right"] * 3
    exposures = [trial.exposure_ms or 0 for trial in study.trials()]
    assert min(exposures) >= 980, "a pair is never shown for less time than set"
    assert found.rate == np.mean([trial.fake_side == "left" for trial in study.trials()[2:]])


def test_reload_and_restart_lose_nothing_and_show_no_pair_twice(page, tmp_path):
    study = make_study(tmp_path / "a.study", 1, 3, 0.2)
    with serving(study) as server:
        page.goto(server.link)
        page.click("#go")
        question(page)
        page.click("#left")
        page.click("#next")
        page.wait_for_selector("text=The practice is over")
        page.reload()
        page.wait_for_selector("text=The practice is over")
        page.click("#go")
        question(page)
        page.reload()  # with the question open
        page.wait_for_selector("text=Welcome back")
        page.click("#go")
        question(page)
        assert "not shown again" in page.inner_text("#told")
        assert page.locator("#flash img").count() == 0
    page.click("#left")  # no server is running
    page.wait_for_selector("#trouble:not([hidden])")
    with serving(Study(study.path), server.server_port):
        question_of = "#progress:has-text('Pair 2 of 3')"
        page.wait_for_selector(question_of)
        question(page)
        assert page.is_hidden("#trouble")
        assert len(study.trials()) == 2
        page.click("#language")
        assert page.inner_text("#question") == "어느 쪽이 가짜였나요?"
        assert page.get_attribute("html", "lang") == "ko"
        page.click("#right")
        page.wait_for_selector("#progress:has-text('3 / 3')")
        question(page)
        page.click("#right")
        page.wait_for_selector("text=고맙습니다!")
    assert len(study.trials()) == 4


def test_a_browser_without_local_storage_can_take_part(page, tmp_path):
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('blocked'); } })")
    study = make_study(tmp_path / "a.study", 0, 1, 0.1)
    with serving(study) as server:
        page.goto(server.link)
        assert "practice" not in page.inner_text("#words")
        page.click("#go")
        question(page)
        page.keyboard.press("ArrowLeft")
        page.wait_for_selector("text=Thank you!")
    assert len(study.trials()) == 1
