"""The page of `ganforge lab density` in a real browser: the slider updates it, both languages are complete."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganforge.lab.density import Study, train_and_record
from ganforge.lab.density_game import Config
from ganforge.lab.density_page import write_page

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no browser at {CHROMIUM}")


@pytest.fixture(scope="module")
def study() -> Study:
    return train_and_record("mixture", steps=30, frames=5, config=Config(width=8, units=8, discriminator_moves=1))


@pytest.fixture(scope="module")
def opened(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, list[str]]]:
    """The page, with all its errors, console messages and requests."""
    path = write_page(study, tmp_path_factory.mktemp("page") / "figure-1.html")
    problems: list[str] = []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", lambda request: problems.append(request.url) if request.url != path.as_uri() else None)
        page.goto(path.as_uri())
        yield page, problems
        browser.close()


def slide(page: Any, to: int) -> None:
    """Move the slider with the keyboard."""
    page.focus("#time")
    page.keyboard.press("Home")
    for _ in range(to):
        page.keyboard.press("ArrowRight")


def test_the_slider_updates_numbers_and_curves(opened: tuple[Any, list[str]], study: Study) -> None:
    page, _ = opened
    curves = []
    for k in (0, 2, 4):
        slide(page, k)
        frame = study.frames[k]
        assert page.inner_text("#n-step") == str(frame.step)
        assert float(page.inner_text("#n-value").replace("−", "-")) == pytest.approx(frame.value, abs=1e-4)
        assert float(page.inner_text("#n-jsd")) == pytest.approx(frame.jsd, abs=1e-4)
        curves.append([path.get_attribute("d") for path in page.query_selector_all("#main path")])
    assert curves[0] != curves[1] != curves[2]
    assert all(d and "NaN" not in d for paths in curves for d in paths)


def test_one_language_is_shown_at_a_time(opened: tuple[Any, list[str]]) -> None:
    page, _ = opened
    page.click("#to-ko")
    korean = page.inner_text("main")
    assert "1차원에서 학습하는 생성자와 판별자" in korean
    assert "What the plots show" not in korean
    assert page.evaluate("document.documentElement.lang") == "ko"
    page.click("#to-en")
    english = page.inner_text("main")
    assert "What the theory says" in english
    assert "이론의 내용" not in english


def test_play_runs_to_the_end(opened: tuple[Any, list[str]], study: Study) -> None:
    page, _ = opened
    slide(page, 0)
    page.click("#play")
    page.wait_for_function(f"document.getElementById('n-step').textContent === '{study.frames[-1].step}'")


def test_the_page_has_no_errors_and_fetches_nothing(opened: tuple[Any, list[str]]) -> None:
    page, problems = opened
    assert problems == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
