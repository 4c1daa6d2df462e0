"""The studio in a real browser: every page, from what a visitor does to what the page shows."""

import base64
import json
import re
import shutil
import time
from collections.abc import Callable
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from ganforge.data.open import open_data
from ganforge.evaluation.edit import draw_random
from ganforge.images import enlarge, to_uint8, video, visible_channels
from ganforge.inference.load import load
from tests.studio.conftest import HOSTILE, Studio, open_page, start_studio, stop_studio

PAGES = ("home", "sample", "paint", "layout", "translate", "edit", "score", "compare")


def open_tab(page: Any, name: str, awaited: str) -> None:
    """Click a page of the menu, and wait until it is complete."""
    page.click(f"#page-{name}-button")
    page.wait_for_selector(awaited)


def unfold(page: Any, title: str, inside: str) -> None:
    """Open a fold by its title.  While a page is being completed it may close again."""
    for _ in range(20):
        if not page.is_visible(inside):
            page.click(title)
        page.wait_for_timeout(200)
        if page.is_visible(inside):
            return
    raise AssertionError(f"{title} does not open")


def pixels(source: str) -> np.ndarray:
    """The pixels (H, W, C) of a data URI."""
    return np.asarray(Image.open(BytesIO(base64.b64decode(source.partition(",")[2])))).astype(float)


def shown(page: Any, selector: str) -> np.ndarray:
    return pixels(page.get_attribute(f"{selector} img", "src"))


def command(page: Any, name: str) -> str:
    """The command that a page shows."""
    return page.locator(f"#page-{name} .studio-command textarea").first.input_value()


def await_command(page: Any, name: str, part: str, timeout: int | None = None) -> None:
    page.wait_for_function(
        "([name, part]) => document.querySelector(`#page-${name} .studio-command textarea`)?.value.includes(part)",
        arg=[name, part],
        timeout=timeout,
    )


def await_change(page: Any, selector: str, before: str) -> None:
    page.wait_for_function("([s, b]) => document.querySelector(s).src !== b", arg=[f"{selector} img", before])


def slide(page: Any, selector: str, values: list[int]) -> None:
    """Move a slider over several values, faster than answers come."""
    page.evaluate(
        """([selector, values]) => {
            const slider = document.querySelector(`${selector} input[type=range]`);
            if (slider.disabled) throw new Error("The slider cannot be moved.");
            for (const value of values) {
                slider.value = value;
                slider.dispatchEvent(new Event("input", { bubbles: true }));
            }
        }""",
        [selector, values],
    )


def again(act: Callable[[], object], wait: Callable[[], object]) -> None:
    """Act until what is awaited is there, a minute at most."""
    deadline = time.monotonic() + 60
    while True:
        act()
        try:
            wait()
            return
        except Exception as error:  # of playwright, which may be missing
            if "Timeout" not in type(error).__name__:
                raise
            assert time.monotonic() < deadline


def test_home_shows_every_run(page: Any, studio: Studio):
    keys = [card.get_attribute("data-key") for card in page.query_selector_all(".studio-card")]
    assert {*(path.name for path in studio.runs.iterdir() if path.name[0] != ".")} == {*keys}
    assert all(page.is_visible(f"#page-{name}-button") for name in PAGES)


def test_the_menu_has_the_pages_that_runs_can_fill(
    browser: Any, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And a studio that is ended deletes its folder for uploads."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    few = start_studio(studio.runs / "00001-lostgan", studio.data)
    try:
        assert len([*tmp_path.glob("ganforge-studio-*")]) == 1
        page = open_page(browser, few)
        shown = [name for name in PAGES if page.query_selector(f"#page-{name}-button")]
        page.context.close()
        few.process.terminate()
        assert few.process.wait(60) == 143
    finally:
        stop_studio(few)
    assert shown == ["home", "layout"]
    assert [*tmp_path.glob("ganforge-studio-*")] == []


def test_of_ten_moves_of_a_slider_the_last_is_shown(page: Any, studio: Studio):
    open_tab(page, "sample", "#sample-images img")
    before = page.get_attribute("#sample-images img", "src")
    page.focus("#sample-seed input[type=range]")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    await_command(page, "sample", "--seed 10")
    await_change(page, "#sample-images", before)
    made = visible_channels(to_uint8(load(studio.runs / "00000-classes", "cpu").sample(1, 10)))[0]
    assert np.array_equal(shown(page, "#sample-images"), made)
    assert command(page, "sample") == f"ganforge sample {studio.runs / '00000-classes'} -n 16 --seed 10"


def choose_styler(page: Any) -> None:
    """The page Sample of the run whose answers a test can know."""
    open_tab(page, "sample", "#sample-images img")
    page.click("#page-sample input[aria-label='Run']")
    page.click("ul[role=listbox] >> text=00000-astyler")
    await_command(page, "sample", "00000-astyler")


def test_two_images_are_walked_between(page: Any, tmp_path: Path):
    choose_styler(page)
    page.keyboard.press("Tab")
    for number in (2, 5):  # by the keyboard
        page.locator(f"#sample-images .studio-gallery button >> nth={number}").focus()
        page.keyboard.press("Enter")
    page.wait_for_selector("#sample-walk img[src^='data:']")
    picked = [pixels(page.locator("#sample-images img").nth(k).get_attribute("src")) for k in (2, 5)]
    assert np.abs(shown(page, "#sample-walk") - picked[0]).max() <= 1  # whatever their classes are
    slide(page, "#sample-walk", [23])
    assert np.abs(shown(page, "#sample-walk") - picked[1]).max() <= 1
    assert np.abs(picked[1] - picked[0]).max() > 8
    assert page.get_attribute("#sample-walk a", "href").startswith("data:image/gif")
    assert page.get_attribute("#sample-walk a", "download") == "walk.gif"
    if find_spec("av") is None:
        assert not page.is_visible("#sample-walk a[download='walk.mp4']")
        return
    with page.expect_download() as download:
        page.click("text=Save as MP4")
    download.value.save_as(tmp_path / "walk.mp4")
    frames = [*video.read(tmp_path / "walk.mp4").frames]
    assert len(frames) == 2 * 24 - 2
    for number, image in ((0, picked[0]), (23, picked[1])):
        assert np.abs(frames[number] - enlarge(image, 128)).mean() < 6  # colours are compressed


def test_styles_are_mixed(page: Any, studio: Studio):
    """The upper rows of every image are those of the image on its left, the lower ones those of the one above it."""
    choose_styler(page)
    page.click("#sample-mix >> text=Style mixing")
    page.wait_for_function("() => document.querySelectorAll('#sample-mixing img').length === 20")

    def check(rows: int) -> np.ndarray:
        sources = [image.get_attribute("src") for image in page.query_selector_all("#sample-mixing img")]
        table = np.stack([pixels(source) for source in sources]).reshape(4, 5, 16, 16, 3)
        left, above = (np.broadcast_to(side, (3, 4, 16, 16, 3)) for side in (table[1:, :1], table[:1, 1:]))
        assert np.array_equal(table[1:, 1:, :rows], left[..., :rows, :, :])
        assert np.array_equal(table[1:, 1:, rows:], above[..., rows:, :, :])
        return table

    def await_mixed(end: str) -> None:
        page.wait_for_function(
            "end => [...document.querySelectorAll('#page-sample .studio-command textarea')].some("
            "box => box.value.includes(' mix ') && box.value.endsWith(end))",
            arg=f" --coarse 0 1 2 --fine 3 4 5 6 {end}",
        )

    first = check(8)
    images = visible_channels(to_uint8(load(studio.runs / "00000-astyler", "cpu").sample(7)))
    assert np.abs(first[0, 1:] - images[3:]).max() <= 1
    assert np.abs(first[1:, 0] - images[:3]).max() <= 1
    slide(page, "#sample-split", [2, 1, 3])
    await_mixed("--layers 3 --seed 0")
    check(12)
    slide(page, "#sample-seed", [1, 2, 3])
    await_mixed("--layers 3 --seed 3")
    assert np.abs(check(12)[1:, 0] - first[1:, 0]).max() > 8


def test_a_run_whose_layers_read_one_code_offers_no_mixing(page: Any):
    open_tab(page, "sample", "#sample-images img")
    assert page.query_selector("#sample-mix") is None


def test_a_class_whose_name_is_html_is_shown_as_text(page: Any):
    open_tab(page, "sample", "#sample-images img")
    page.click("#page-sample input[aria-label='Class']")
    page.click(f"text={HOSTILE}")
    await_command(page, "sample", "--label")
    assert HOSTILE in command(page, "sample")
    assert page.query_selector("img[src='x']") is None


def test_a_stroke_changes_the_answer_there_and_hardly_elsewhere(page: Any):
    open_tab(page, "paint", "#paint-images img")
    before, source = shown(page, "#paint-images"), page.get_attribute("#paint-images img", "src")
    box = page.locator("#paint-canvas canvas").bounding_box()
    page.click("#paint-canvas button >> text=circle")
    page.mouse.move(box["x"] + box["width"] * 0.15, box["y"] + box["height"] * 0.15)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.15, steps=4)
    page.mouse.up()
    await_change(page, "#paint-images", source)
    change = np.abs(shown(page, "#paint-images") - before).mean(-1)
    half = len(change) // 2
    assert change[:half, :half].mean() > 1
    assert change[half:, half:].max() == 0
    page.click("#paint-canvas button >> text=Undo")
    page.wait_for_function("b => document.querySelector('#paint-images img').src === b", arg=source)


def test_the_map_of_a_photograph_is_painted_on(page: Any, studio: Studio):
    """Of the run's held-out data, which training has not seen."""
    open_tab(page, "paint", "#paint-images img")
    source, trained = page.get_attribute("#paint-images img", "src"), load(studio.runs / "00004-painter", "cpu")
    page.fill("#paint-example input", "7")
    await_change(page, "#paint-images", source)
    size = (trained.facts.height, trained.facts.width)
    column = open_data("shapes-maps", size=size, held_out=True, needed=("images", "label_map")).columns["label_map"]
    made = visible_channels(to_uint8(trained.translate(column[7, ..., 0])[None]))[0]
    assert np.array_equal(shown(page, "#paint-images"), made)
    page.fill("#paint-example input", "1000")
    page.wait_for_selector("text=Photographs with maps: 1,000. Give a number from 0 to 999.")


def test_a_box_is_drawn_dragged_and_deleted(page: Any):
    open_tab(page, "layout", "#layout-images img")
    box = page.locator("#layout-board svg").bounding_box()

    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        page.mouse.move(box["x"] + box["width"] * start[0], box["y"] + box["width"] * start[1])
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * end[0], box["y"] + box["width"] * end[1], steps=3)
        page.mouse.up()

    page.select_option("#layout-board select", "star")
    drag((0.7, 0.7), (0.9, 0.9))
    await_command(page, "layout", "star 0.700 0.700 0.900 0.900")
    source = page.get_attribute("#layout-images img", "src")
    drag((0.4, 0.4), (0.5, 0.3))
    await_command(page, "layout", "circle 0.300 0.100 0.750 0.550; star 0.700")
    await_change(page, "#layout-images", source)
    assert page.locator("#layout-images img").nth(1).get_attribute("src") == source  # what it is compared with
    drag((0.74, 0.54), (0.9, 0.65))
    await_command(page, "layout", "circle 0.300 0.100 0.900 0.650")
    page.locator("#layout-board g[data-box='0']").focus()
    page.keyboard.press("Delete")
    await_command(page, "layout", "layout:; star 0.700 0.700 0.900 0.900")
    page.locator("#layout-board g[data-box='1']").focus()
    page.keyboard.press("ArrowLeft")
    await_command(page, "layout", "star 0.680 0.700 0.880 0.900")


def cancel(page: Any, selector: str) -> None:
    """What a browser says when it takes a touch over, to scroll for instance."""
    page.eval_on_selector(selector, "node => node.dispatchEvent(new PointerEvent('pointercancel', { bubbles: true }))")


def test_a_stroke_and_a_drag_that_the_browser_takes_over_end(page: Any):
    """What was painted is answered, and a box does not follow the pointer any more."""
    open_tab(page, "paint", "#paint-images img")
    source, box = page.get_attribute("#paint-images img", "src"), page.locator("#paint-canvas canvas").bounding_box()
    page.click("#paint-canvas button >> text=circle")
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    cancel(page, "#paint-canvas canvas")
    await_change(page, "#paint-images", source)
    page.mouse.up()
    open_tab(page, "layout", "#layout-images img")
    box = page.locator("#layout-board svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["width"] * 0.4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["width"] * 0.4)
    cancel(page, "#layout-board svg")
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["width"] * 0.7)
    page.mouse.up()
    page.locator("#layout-board g[data-box='0']").focus()
    page.keyboard.press("ArrowLeft")
    await_command(page, "layout", "circle 0.280 0.200 0.730 0.650")


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 40, 3), np.uint8)).save(path)
    return path


def test_an_image_is_translated_by_two_runs(page: Any, photograph: Path):
    open_tab(page, "translate", "#translate-image")
    page.click("#page-translate input[aria-label='Runs']")
    page.click("ul[role=listbox] >> text=00002-pix2pix")
    page.keyboard.press("Escape")
    again(  # a form that is made anew meanwhile loses the file
        lambda: page.set_input_files("#translate-image input[type=file]", photograph),
        lambda: page.wait_for_selector("#translate-result figure >> nth=1", timeout=4_000),
    )
    assert pixels(page.locator("#translate-result figure >> nth=1 >> img >> nth=1").get_attribute("src")).shape[:2] == (
        24,
        40,
    )
    over = page.locator("#translate-result img.over").first
    slide(page, "#translate-result", [80])
    assert "80%" in over.evaluate("image => image.style.clipPath")


def test_many_files_become_a_zip(page: Any, photograph: Path, tmp_path: Path):
    other = tmp_path / "other.png"
    other.write_bytes(photograph.read_bytes())
    (tmp_path / "broken.png").write_bytes(photograph.read_bytes()[:200])
    open_tab(page, "translate", "#translate-image")
    unfold(page, "#page-translate >> text=Many files", "#translate-all")
    page.set_input_files("#translate-files input[type=file]", [photograph, other, tmp_path / "broken.png"])
    page.wait_for_selector("#translate-files >> text=broken")
    page.click("#translate-all")
    with page.expect_download() as download:
        page.click("#translate-zip a[download]")
    with ZipFile(download.value.path()) as packed:
        assert sorted(packed.namelist()) == ["other.png", "photo.png"]
    assert "broken.png" in page.inner_text("#page-translate")


def test_strange_places_are_shown_above_a_threshold(page: Any, photograph: Path):
    open_tab(page, "score", "#score-files")
    page.set_input_files("#score-files input[type=file]", photograph)
    page.wait_for_selector("#score-heat figure")

    def above(threshold: int) -> int:
        slide(page, "#score-heat", [threshold])
        return int(page.get_attribute("#score-heat figure", "data-above"))

    assert 24 * 40 >= above(10) > above(60) > above(100) >= 0


def test_of_two_runs_that_are_chosen_the_scores_of_the_last_are_shown(studio: Studio):
    """A run that is chosen while an answer is awaited is asked afterwards."""
    config = json.loads(studio.ask("GET", "/config")[1])
    (heat,) = [c["id"] for c in config["components"] if c["props"].get("elem_id") == "score-heat"]
    events = [event for event in config["dependencies"] if heat in event["outputs"]]
    assert [event["trigger_mode"] for event in events] == ["always_last"] * 3


EDITED = "#edit-result figure:last-child img.over"


def draw_edit(trained: Any, photograph: Any, sizes: dict[str, float]) -> np.ndarray:
    """The pixels of a moved code."""
    return visible_channels(to_uint8(trained.decode(trained.edit(photograph, sizes))))[0]


def test_a_photograph_is_edited(page: Any, studio: Studio, photograph: Path, tmp_path: Path):
    run = studio.runs / "00005-coder"
    open_tab(page, "edit", EDITED)
    page.set_input_files("#edit-image input[type=file]", photograph)
    page.wait_for_selector("#edit-result figure >> nth=1")
    await_command(page, "edit", "invert")
    assert command(page, "edit") == f"ganforge invert {run} photo.png -o inverted"
    before = page.get_attribute(EDITED, "src")
    slide(page, "#edit-result figure:last-child", [80])
    slide(page, "#edit-size-0", [-1, 0.5])
    slide(page, "#edit-size-1", [-3, -2, -1, 0, 1, 2])
    await_command(page, "edit", "bright=2")
    assert command(page, "edit") == f"ganforge edit {run} photo.png --direction '{HOSTILE}=0.5' bright=2 -o edited"
    assert "80%" in page.eval_on_selector(EDITED, "image => image.style.clipPath")  # the line stays where it was
    trained = load(run, "cpu")
    (one,) = trained.invert(photograph)
    edited = draw_edit(trained, one, {HOSTILE: 0.5, "bright": 2.0})
    assert np.array_equal(pixels(page.get_attribute(EDITED, "src")), edited)
    page.click("#edit-save")
    with page.expect_download() as download:
        page.click("#edit-code a[download]")
    download.value.save_as(tmp_path / "edited.safetensors")
    saved = trained.decode(trained.load_code(tmp_path / "edited.safetensors"))
    assert np.array_equal(visible_channels(to_uint8(saved))[0], edited)
    page.click("#edit-reset")
    page.wait_for_function("([s, b]) => document.querySelector(s).src === b", arg=[EDITED, before])
    assert page.input_value("#edit-size-1 input[type=range]") == "0"


def test_a_photograph_and_its_code_stay_while_another_page_is_open(page: Any, photograph: Path):
    open_tab(page, "edit", EDITED)
    page.set_input_files("#edit-image input[type=file]", photograph)
    page.wait_for_selector("#edit-result figure >> nth=1")
    target = page.get_attribute("#edit-result figure >> nth=0 >> img >> nth=0", "src")
    page.click("#page-home-button")
    open_tab(page, "edit", "#edit-result figure >> nth=1")
    assert page.get_attribute("#edit-result figure >> nth=0 >> img >> nth=0", "src") == target
    again(  # a form that is made anew meanwhile loses the move
        lambda: slide(page, "#edit-size-1", [1]),
        lambda: await_command(page, "edit", "photo.png --direction bright=1", timeout=4_000),
    )


def test_a_random_image_is_edited_and_the_last_seed_is_shown(page: Any, studio: Studio):
    run = studio.runs / "00005-coder"
    open_tab(page, "edit", EDITED)
    slide(page, "#edit-size-1", [1])
    await_command(page, "edit", "bright=1")
    slide(page, "#edit-seed", [*range(1, 8)])
    await_command(page, "edit", "--seed 7 ")
    assert command(page, "edit") == f"ganforge edit {run} -n 1 --seed 7 --direction bright=1 -o edited"
    trained = load(run, "cpu")
    (one,) = draw_random(trained, 1, 7)
    assert np.array_equal(pixels(page.get_attribute(EDITED, "src")), draw_edit(trained, one, {"bright": 1.0}))


def test_directions_are_found_where_a_run_has_none(page: Any, studio: Studio, photograph: Path):
    """The photograph stays, and has another code in the other run."""
    run = studio.runs / "00000-bare"
    open_tab(page, "edit", EDITED)
    page.set_input_files("#edit-image input[type=file]", photograph)
    page.wait_for_selector("#edit-result figure >> nth=1")
    page.click("#page-edit input[aria-label='Run']")
    page.click("ul[role=listbox] >> text=00000-bare")
    page.wait_for_selector("#edit-find")
    page.wait_for_selector("#edit-result figure >> nth=1")
    assert f"ganforge directions {run}" == command(page, "edit")
    try:
        page.click("#edit-find")
        page.wait_for_selector("#edit-size-4")
        again(  # a form that is made anew meanwhile loses the move
            lambda: slide(page, "#edit-size-0", [1]),
            lambda: await_command(page, "edit", "component-1=1", timeout=4_000),
        )
    finally:
        shutil.rmtree(run / "directions", ignore_errors=True)


def test_runs_are_compared_with_the_same_latents(page: Any):
    open_tab(page, "compare", "#compare-sheet img")
    page.wait_for_function("() => document.querySelectorAll('#compare-sheet img').length === 16")


def test_korean_dark_and_narrow(browser: Any, studio: Studio):
    page = open_page(browser, studio, locale="ko-KR", color_scheme="dark", viewport={"width": 390, "height": 800})
    assert "지켜보기" in page.inner_text(".studio-card")
    page.goto(studio.address)
    page.wait_for_selector(".studio-card")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", colour)[:3])) < 200
    assert page.problems == []
    page.context.close()
