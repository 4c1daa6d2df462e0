"""Opening somebody else's run runs no code: a model file is run where it was trained, or with `trust`."""

import hashlib
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import ganforge
from ganforge.catalogue import find
from ganforge.cli import run as command
from ganforge.errors import GANForgeError, ModelError
from ganforge.runs import trust
from ganforge.runs.folder import RunFolder

MODEL = '''
"""mine: a generator that learns one image."""
{first}
from collections.abc import Iterator
from dataclasses import dataclass
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move

@dataclass(frozen=True)
class Config:
    lr: float = 1e-3

class Mine(Game[Config, Images]):
    averaged = ("net",)
    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.net = nn.Linear(2, facts.channels * facts.height * facts.width)
    def players(self) -> dict[str, Optimizer]:
        return {{"net": Adam(self.net.parameters(), self.config.lr)}}
    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
        yield Move("net", l2=(self.sample(len(real)) - real).square().mean())
    def noise(self, n: int) -> Tensor:
        return self.draw.normal(n, 2)
    def sample(self, n: int) -> Tensor:
        facts = self.facts
        return self.net(self.noise(n)).tanh().view(n, facts.channels, facts.height, facts.width)
    def generate(self, noise: Tensor) -> Tensor:
        return self.sample(len(noise))
'''
SIZE = {"steps": 1, "batch": 4, "size": (8,), "quiet": True, "data": "shapes"}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a model file that leaves a mark when it is run, a run of it, and the home that has its record."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANFORGE_HOME", str(folder / "home"))
        text = MODEL.format(first=f"open({str(folder / 'mark')!r}, 'a').close()")
        (folder / "mine.py").write_text(text, encoding="utf-8")
        ganforge.train(str(folder / "mine.py"), outdir=folder / "runs", name="own", **SIZE)
    return folder


@pytest.fixture
def own(made, tmp_path, monkeypatch) -> Path:
    """A copy of the run, on the machine where it was trained; nothing of it is imported, and the mark is gone."""
    forget(monkeypatch, made / "home")
    (made / "mark").unlink(missing_ok=True)
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made / "runs" / "00000-own", tmp_path / "own"))


@pytest.fixture
def foreign(own, tmp_path, monkeypatch) -> Path:
    """The same on another machine, where nothing was trained."""
    forget(monkeypatch, tmp_path / "another-home")
    return own


def forget(monkeypatch, home: Path) -> None:
    monkeypatch.setenv("GANFORGE_HOME", str(home))
    for name in [name for name in sys.modules if name.startswith("ganforge_own_mine")]:
        monkeypatch.delitem(sys.modules, name)


def test_a_run_opens_where_it_was_trained(own, made):
    assert ganforge.load(own, device="cpu").sample(2).shape == (2, 3, 8, 8)
    (record,) = (made / "home" / "trained").glob("*/*.json")
    assert record.parent.name == hashlib.sha256((made / "mine.py").read_bytes()).hexdigest()


VERBS = {
    "sample": "sample RUN -n 1",
    "interpolate": "interpolate RUN --rows 1 --steps 2",
    "mix": "mix RUN",
    "traverse": "traverse RUN",
    "translate": "translate RUN in out",
    "evaluate": "evaluate RUN --features pixels --n 8",
    "compare": "compare RUN RUN --features pixels --n 8",
    "export": "export RUN --format safetensors",
    "study": "study RUN -o a.study --port 0",
    "show": "show RUN",
    "resume": "resume RUN --steps 2",
    "train": "train PART --config.generator RUN --data shapes --steps 1 --batch 4 --size 8",
    "sweep": "sweep PART --config.generator RUN --over lr=1e-5..1e-3 --data shapes",
    "help": "sample RUN --help",
}
PART = '''
"""part: needs another run."""
from dataclasses import dataclass
from typing import Annotated
from ganforge.batches import Facts, Images
from ganforge.game import Game, Part

@dataclass(frozen=True)
class Config:
    generator: Annotated[str, Part("mine")] = ""
    lr: float = 0.1

class Other(Game[Config, Images]):
    def __init__(self, config: Config, facts: Facts, generator: Game | None = None) -> None:
        super().__init__(config, facts)

    def sample(self, n: int):
        return self.generator.sample(n)
'''


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_runs_the_code_of_a_foreign_run(foreign, made, tmp_path, verb, capsys):
    pytest.importorskip("optuna") if verb == "sweep" else None
    (tmp_path / "part.py").write_text(PART)
    places = {"RUN": str(foreign), "PART": str(tmp_path / "part.py")}
    words = [places.get(word, word) for word in VERBS[verb].split()]
    assert command(words) == 1
    assert not (made / "mark").exists()
    printed = capsys.readouterr().err
    assert "was not trained on this machine" in printed
    assert "--trust" in printed
    assert str(made / "mine.py") in printed


@pytest.mark.parametrize("verb", ["sample", "show", "resume", "evaluate"])
def test_trust_runs_it(foreign, made, tmp_path, verb):
    words = [str(foreign) if word == "RUN" else word for word in VERBS[verb].split()]
    assert command([*words, "--trust"]) == 0
    assert (made / "mark").exists()
    assert (tmp_path / "another-home").exists() == (verb == "resume")  # only training is recorded


@pytest.mark.parametrize("verb", ["sample", "show", "resume", "evaluate"])
def test_the_last_of_trust_and_no_trust_counts(foreign, made, verb):
    words = [str(foreign) if word == "RUN" else word for word in VERBS[verb].split()]
    assert command([*words, "--trust", "--no-trust"]) == 1
    assert not (made / "mark").exists()
    assert command([*words, "--no-trust", "--trust"]) == 0


def test_python_takes_trust(foreign):
    with pytest.raises(ModelError, match=r"trust=True in Python"):
        ganforge.load(foreign)
    assert ganforge.load(foreign, device="cpu", trust=True).sample(1).shape == (1, 3, 8, 8)


@pytest.mark.parametrize("source", ["", "right", "wrong"])
@pytest.mark.parametrize("trusted", [False, True])
def test_an_empty_source_is_never_run(foreign, made, source, trusted):
    rewritten(foreign, source="" if not source else {"wrong": "0" * 64}.get(source))
    may = trusted and source == "right"
    if may:
        ganforge.load(foreign, device="cpu", trust=True)
    else:
        with pytest.raises(ModelError):
            ganforge.load(foreign, device="cpu", trust=trusted)
    assert (made / "mark").exists() == may


def rewritten(run: Path, **changes: object) -> None:
    """Change the config.yaml of a run, as somebody does who means harm."""
    values = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump(values | {k: v for k, v in changes.items() if v is not None}))
    RunFolder(run).accept_config()


def test_a_part_that_lies_in_the_run_folder_is_not_run_either(made, tmp_path, foreign):
    inner = tmp_path / "outer" / "parts" / "generator"
    inner.parent.mkdir(parents=True)
    shutil.copytree(foreign, inner)
    with pytest.raises(ModelError, match="was not trained on this machine"):
        ganforge.load(inner)
    (tmp_path / "part.py").write_text(PART)
    trust.record(find(str(tmp_path / "part.py")))
    shutil.copy2(foreign / "config.yaml", tmp_path / "outer")
    source = hashlib.sha256(PART.encode()).hexdigest()
    rewritten(tmp_path / "outer", model=str(tmp_path / "part.py"), source=source, config={"generator": "x", "lr": 0.1})
    with pytest.raises(ModelError, match="was not trained on this machine"):
        ganforge.load(tmp_path / "outer")
    assert not (made / "mark").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("helper.py", "with helper.py beside it as it is now"),
        ("numpy.py", "with numpy.py beside it as it is now"),
        ("kit/deep.py", "with kit/deep.py beside it as it is now"),
        ("helper.so", "with helper.so beside it as it is now"),
    ],
)
def test_modules_beside_the_model_count(tmp_path, monkeypatch, change, sentence):
    monkeypatch.setenv("GANFORGE_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "__init__.py").write_text("from kit.deep import number")
    (tmp_path / "kit" / "deep.py").write_text("number = 1")
    (tmp_path / "helper.py").write_text("import kit, numpy")
    (tmp_path / "other.py").write_text("a file that nobody imports")
    (tmp_path / "mine.py").write_text(MODEL.format(first="import helper"))
    for name in ("helper", "kit", "kit.deep"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    run = ganforge.train(str(tmp_path / "mine.py"), outdir=tmp_path / "runs", **SIZE)
    (tmp_path / "other.py").write_text("and is changed")
    ganforge.load(run.path, device="cpu")
    forget(monkeypatch, tmp_path / "home")
    with (tmp_path / change).open("a") as file:
        file.write(f"\nopen({str(tmp_path / 'mark')!r}, 'w').close()\n")
    with pytest.raises(ModelError, match=sentence):
        ganforge.load(run.path, device="cpu")
    assert not (tmp_path / "mark").exists()


def test_a_helper_is_that_of_its_own_folder_and_as_it_is_now(tmp_path):
    """Two models with a helper.py each, and one whose helper was edited: every model runs its own text."""
    for k, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "helper.py").write_text(f"number = {k}")
        (tmp_path / folder / "mine.py").write_text(MODEL.format(first="import helper\nNUMBER = helper.number"))

    def number(folder: str) -> int:
        return sys.modules[find(str(tmp_path / folder / "mine.py")).game.__module__].NUMBER

    assert [number("one"), number("two"), number("one")] == [0, 1, 0]
    (tmp_path / "one" / "helper.py").write_text("number = 7")
    assert number("one") == 7


def test_bytecode_beside_the_model_is_not_run(own, made, tmp_path, monkeypatch):
    """Python takes __pycache__ for the file where a date and a size fit; the file's SHA-256 says nothing about it."""
    import importlib.util
    import py_compile

    file = made / "mine.py"
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(tmp_path / 'evil')!r}, 'w').close()\n" + file.read_text())
    cached = importlib.util.cache_from_source(str(file))
    py_compile.compile(str(evil), cached, str(file), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    ganforge.load(own, device="cpu")
    assert not (tmp_path / "evil").exists()


def test_a_home_that_cannot_be_written_is_a_note_and_the_run_goes_on(tmp_path, monkeypatch, caplog):
    (tmp_path / "home").write_text("a file in its place")
    monkeypatch.setenv("GANFORGE_HOME", str(tmp_path / "home"))
    (tmp_path / "mine.py").write_text(MODEL.format(first=""))
    run = ganforge.train(str(tmp_path / "mine.py"), outdir=tmp_path / "runs", **SIZE)
    assert run.step == 1
    assert "cannot be recorded" in caplog.text
    with pytest.raises(GANForgeError, match="--trust"):
        ganforge.load(run.path)
    assert ganforge.load(run.path, device="cpu", trust=True).step == 1


def test_a_persons_own_file_runs_when_it_is_named(foreign, made, tmp_path, capsys):
    assert command(["show", str(made / "mine.py")]) == 0
    assert (made / "mark").exists()
    assert not (tmp_path / "another-home").exists()
