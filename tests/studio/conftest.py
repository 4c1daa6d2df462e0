"""Tiny runs, and a studio that serves them as the public command does."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganforge
from ganforge.inference.directions import Direction, save_directions
from ganforge.runs.folder import RunFolder
from tests.support.browser import chromium

HOSTILE = "<img src=x onerror=window.hacked=1>"
"""The name of a class in the data of the first run."""


@dataclass
class Studio:
    """A studio that runs as a process."""

    process: subprocess.Popen[bytes]
    link: str
    runs: Path
    data: Path
    seconds: float
    """From the start of the command to its link."""

    @property
    def address(self) -> str:
        return self.link.partition("/?")[0]

    @property
    def token(self) -> str:
        return self.link.partition("token=")[2]

    @property
    def cookie(self) -> str:
        return f"ganforge-studio-{self.address.rpartition(':')[2]}={self.token}"

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str]:
        """The status and the text that answer a request with the cookie; the path is sent as it is."""
        connection = HTTPConnection(self.address.removeprefix("http://"), timeout=60)
        own = {"Cookie": self.cookie, "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, {**own, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def draw_folder(path: Path, names: list[str], count: int = 6) -> Path:
    """A folder of noise images for each class."""
    chance = np.random.default_rng(0)
    for name in names:
        (path / name).mkdir(parents=True)
        for k in range(count):
            Image.fromarray(chance.integers(0, 256, (16, 16, 3), np.uint8)).save(path / name / f"{k}.png")
    return path


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    """A folder of runs that were trained for seconds, one for each page."""
    room = tmp_path_factory.mktemp("studio")
    classes = draw_folder(room / "classes", [HOSTILE, "plain"])
    ganforge.train("cgan", str(classes), "tiny", outdir=room / "runs", name="classes", tensorboard=False)
    for model in ("lostgan", "pix2pix", "autoencoder"):
        ganforge.train(model, preset="tiny", outdir=room / "runs", name=model, tensorboard=False)
    own = (("painter", "shapes-maps"), ("coder", "shapes"), ("styler", str(classes)))
    for model, data in own:  # a person's own files, trained here
        file = str(Path(__file__).with_name(f"{model}.py"))
        ganforge.train(file, data, outdir=room / "runs", name=model, tensorboard=False)
    shutil.copytree(room / "runs" / "00005-coder", room / "runs" / "00000-bare")  # has no directions
    (room / "runs" / "00006-styler").rename(room / "runs" / "00000-astyler")  # the last of the menus
    write_directions(room / "runs" / "00005-coder")
    return room / "runs"


def write_directions(run: Path) -> None:
    """Two directions, one of which has a name that only a file of somebody else has."""
    vectors = 4 * torch.eye(16)[:2]
    step = RunFolder(run).checkpoints().find()
    save_directions(
        run, step, [Direction(name, vector, "") for name, vector in zip(("bright", "other"), vectors, strict=True)]
    )
    (run / "directions" / "other.safetensors").rename(run / "directions" / f"{HOSTILE}.safetensors")


def start_studio(runs: Path, data: Path, *options: str) -> Studio:
    """Start the public command; returns when it has printed its link."""
    begun, output = time.monotonic(), runs.parent / f"studio-{len(options)}.txt"
    words = [sys.executable, "-m", "ganforge", "studio", str(runs), "--port", "0", "--data-root", str(data), *options]
    with output.open("wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, env={**os.environ})
    while not (found := re.search(r"http://\S+token=\S+", output.read_text("utf-8"))):
        assert process.poll() is None, output.read_text("utf-8")
        assert time.monotonic() - begun < 120
        time.sleep(0.05)
    return Studio(process, found[0], runs, data, time.monotonic() - begun)


def stop_studio(studio: Studio) -> None:
    if studio.process.poll() is None:
        studio.process.send_signal(signal.SIGINT)
        studio.process.wait(60)


@pytest.fixture(scope="session")
def studio(tiny_runs: Path) -> Iterator[Studio]:
    if find_spec("gradio") is None:
        pytest.skip("gradio is not installed: pip install 'ganforge[studio]'")
    data = draw_folder(tiny_runs.parent / "data", ["flowers"], 12)
    started = start_studio(tiny_runs, data)
    yield started
    stop_studio(started)
    assert started.process.returncode == 0


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def open_page(browser: Any, studio: Studio, **options: Any) -> Any:
    """A page of a new visitor; requests that leave this machine and errors of scripts are collected."""
    return open_tab_of(new_visitor(browser, **options), studio)


def new_visitor(browser: Any, **options: Any) -> Any:
    """A browser's memory of one visitor."""
    context = browser.new_context(**{"locale": "en-US", "viewport": {"width": 1100, "height": 900}, **options})
    context.set_default_timeout(60_000)
    return context


def open_tab_of(visitor: Any, studio: Studio) -> Any:
    page = visitor.new_page()
    page.problems = []
    own = (studio.address, "data:", "blob:", "about:")
    page.on("request", lambda r: None if r.url.startswith(own) else page.problems.append(f"left: {r.url}"))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.goto(studio.link)
    page.wait_for_selector(".studio-card")
    return page


@pytest.fixture(scope="session")
def visitor(browser: Any) -> Iterator[Any]:
    """One whose browser keeps the scripts, so that later pages open faster."""
    context = new_visitor(browser)
    yield context
    context.close()


@pytest.fixture
def page(visitor: Any, studio: Studio) -> Iterator[Any]:
    opened = open_tab_of(visitor, studio)
    yield opened
    assert opened.problems == []
    assert opened.evaluate("window.hacked") is None
    opened.close()
