"""Many visitors of a studio at once, and those who ask for what it does not give."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.studio.conftest import Studio, open_page, start_studio, stop_studio


def test_twenty_visitors_at_once_all_get_their_own_seed(studio: Studio):
    """Each asks as a page does: it joins the queue, and listens for its own answer."""
    with ThreadPoolExecutor(20) as visitors:
        answers = [*visitors.map(lambda seed: compare_alone(studio, seed), range(20))]
    assert len({answer["rows"][0]["images"][0] for answer in answers}) == 20


def compare_alone(studio: Studio, seed: int) -> Any:
    """What the page Compare answers to a visitor who has one run and this seed."""
    config = json.loads(studio.ask("GET", "/config")[1])
    sheet = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "compare-sheet")
    function = next(d["id"] for d in config["dependencies"] if d["outputs"] == [sheet])
    answer = ask_function(studio, function, [["00000-classes"], seed], f"visitor{seed}")
    return answer["output"]["data"][0]


def ask_function(studio: Studio, function: int, values: list[Any], visitor: str) -> Any:
    """The last message about a function of the studio that a visitor asks for by its number."""
    asked = {"data": values, "fn_index": function, "session_hash": visitor}
    joined = studio.ask("POST", "/gradio_api/queue/join", json.dumps(asked))[1]
    if "event_id" not in joined:
        return {"refused": joined}
    for line in studio.ask("GET", f"/gradio_api/queue/data?session_hash={visitor}")[1].splitlines():
        message = json.loads(line.removeprefix("data: ") or "{}")
        if message.get("msg") == "process_completed":
            return message
    raise AssertionError(f"{visitor} got no answer")


def ask_all_for(studio: Studio, data: str) -> str:
    """What all functions of a studio answer to a visitor who names a data set."""
    count = len(json.loads(studio.ask("GET", "/config")[1])["dependencies"])
    with ThreadPoolExecutor(8) as visitors:
        answers = visitors.map(lambda n: ask_function(studio, n, [data], f"curious{n}"), range(count + 2))
        return json.dumps([*answers])


def test_visitors_of_a_studio_that_may_not_train_cannot_look_at_data(studio: Studio):
    """The forms are not there, and none of the functions that a visitor can name tells of the data."""
    assert "12 images" in ask_all_for(studio, "flowers")
    closed = start_studio(studio.runs, studio.data, "--host", "0.0.0.0")
    try:
        assert "flowers" not in closed.ask("GET", "/config")[1]
        assert "12 images" not in ask_all_for(closed, "flowers")
    finally:
        stop_studio(closed)


def test_a_file_of_200_mb_is_refused(page: Any, studio: Studio, tmp_path: Path):
    status = page.evaluate(
        """async () => {
            const form = new FormData();
            form.append("files", new Blob([new Uint8Array(200 * 2 ** 20)]), "large.png");
            try {
                return (await fetch("/gradio_api/upload", { method: "POST", body: form })).status;
            } catch (error) {
                return 413; // the server has closed the connection before all was sent
            }
        }"""
    )
    assert status == 413


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api/file={runs}/00000-classes/config.yaml",
        "/gradio_api/file={runs}/00000-classes/../00000-classes/config.yaml",
        "/static/../../../../../../etc/passwd",
        "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_out(studio: Studio, path: str):
    assert studio.ask("GET", path.format(runs=studio.runs))[0] in (400, 403, 404)


def test_another_page_cannot_ask(browser: Any, studio: Studio):
    """A page of another origin, in the browser that has the cookie, gets no answer and causes none."""
    page = open_page(browser, studio)
    page.route("http://localhost:9/", lambda route: route.fulfill(body="<p>another page</p>", content_type="text/html"))
    page.goto("http://localhost:9/")
    answer = page.evaluate(
        """async (address) => {
            try {
                const body = JSON.stringify({ data: [], fn_index: 0, session_hash: "x" });
                const options = { method: "POST", credentials: "include", mode: "no-cors", body };
                return (await fetch(address + "/gradio_api/queue/join", options)).type;
            } catch (error) {
                return "refused";
            }
        }""",
        studio.address,
    )
    assert answer in ("opaque", "refused")
    page.context.close()
    assert studio.ask("POST", "/gradio_api/queue/join", Origin="http://localhost:9")[0] == 403
