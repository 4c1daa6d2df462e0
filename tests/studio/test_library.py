"""Runs that are found, kept and trained, without a browser."""

import shutil
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganforge.cli import run as command
from ganforge.errors import DataError, OptionError, RunError
from ganforge.runs.folder import RunFolder, facts_of
from ganforge.studio.examples import find_maps, locate_data, read_example
from ganforge.studio.keeper import BusyError, Keeper, bytes_of
from ganforge.studio.library import Library, describe
from ganforge.studio.processes import run_command
from ganforge.studio.strings import sentence, strings
from ganforge.studio.trainings import Trainings


def test_runs_are_found_by_what_they_can_do(tiny_runs: Path):
    library = Library([tiny_runs])
    assert library.able("sample") == ["00000-classes", "00000-astyler"]
    assert library.able("translate", "label_map") == ["00004-painter"]
    assert library.able("translate", "boxes") == ["00001-lostgan"]
    assert library.able("translate", "images") == ["00003-autoencoder", "00002-pix2pix"]
    assert library.able("score") == ["00003-autoencoder"]
    assert library.able("edit") == ["00005-coder", "00000-bare", "00000-astyler"]
    assert library.home == tiny_runs


@pytest.mark.parametrize(("preset", "verb"), [("tiny", "sample"), ("small-upsampler", "translate")])
def test_a_run_is_listed_by_what_its_config_can_do(tiny_runs: Path, tmp_path: Path, preset: str, verb: str):
    """A run of one model that is built as a sampler, or as an upsampler."""
    from ganforge.catalogue import find
    from ganforge.runs.folder import RunFolder
    from ganforge.serialize import to_plain

    run = tmp_path / "gigagan"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "latest").write_text("1")
    settings = to_plain(find("gigagan").preset(preset).config)
    known = RunFolder.open(tiny_runs / "00000-classes").run_config
    RunFolder(run).rewrite(replace(known, model="gigagan", source="", config=settings))
    library = Library([tmp_path])
    listed = [one for one in ("sample", "translate") if library.able(one)]
    assert listed == [verb]


def test_a_card_says_what_is_known_of_a_run(tiny_runs: Path):
    card = describe("a", tiny_runs / "00004-painter")
    assert (card.model, card.data, card.problem, card.active) == ("painter", "shapes-maps", "", False)
    assert card.step == card.steps > 0
    assert card.picture is not None
    assert card.picture.suffix == ".png"


def test_a_run_that_cannot_be_read_is_a_card_with_a_sentence(tmp_path: Path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.yaml").write_text("model: [")
    library = Library([tmp_path])
    (card,) = library.cards()
    assert "config.yaml" in card.problem
    assert library.able("sample") == []


@pytest.mark.parametrize("key", ["../00000-classes", "/etc", "", None, 3, "00000-classes/../00001-spade", "missing"])
def test_a_key_is_no_path(tiny_runs: Path, key: object):
    with pytest.raises(RunError, match="choose one of the list"):
        Library([tiny_runs]).path(key)


def test_two_runs_of_one_name_have_two_keys(tiny_runs: Path, tmp_path: Path):
    other = tmp_path / "other" / "00004-painter"
    other.parent.mkdir()
    other.symlink_to(tiny_runs / "00004-painter")
    assert len(Library([tiny_runs, tmp_path / "other"]).able("translate", "label_map")) == 2


def test_models_of_others_are_not_run(tiny_runs: Path, tmp_path: Path):
    """A run folder that names a Python file is listed, and its file is not imported."""
    from ganforge.runs.folder import RunFolder

    run = tmp_path / "runs" / "foreign"
    run.mkdir(parents=True)
    model = tmp_path / "mine.py"
    model.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    config = RunFolder.open(tiny_runs / "00000-classes").run_config
    RunFolder(run).rewrite(type(config)(**{**vars(config), "model": str(model), "source": "0" * 64}))
    (run / "checkpoints").symlink_to(tiny_runs / "00000-classes" / "checkpoints")
    library = Library([tmp_path / "runs"])
    assert [card.key for card in library.cards()] == ["foreign"]
    assert library.able("sample") == []
    assert not (tmp_path / "ran").exists()


def test_loaded_runs_are_kept_within_the_memory(tiny_runs: Path):
    library = Library([tiny_runs])
    plenty = Keeper(library, 10**9, "cpu")
    for key in ("00000-classes", "00004-painter", "00000-classes"):
        with plenty.use(key) as trained:
            assert trained.path == tiny_runs / key
    assert [path.name for path in plenty.loaded] == ["00004-painter", "00000-classes"]
    with plenty.use("00000-classes") as first, plenty.counter:
        kept = first
    with plenty.use("00000-classes") as again:
        assert again is kept
    little = Keeper(library, bytes_of(kept), "cpu")
    for key in ("00000-classes", "00004-painter"):
        with little.use(key):
            pass
    assert [path.name for path in little.loaded] == ["00004-painter"]


def test_one_answers_at_a_time_and_few_wait(tiny_runs: Path):
    keeper = Keeper(Library([tiny_runs]), 10**9, "cpu", waiting=3)
    inside, most, refused, turn = 0, 0, 0, threading.Lock()

    def visit() -> None:
        nonlocal inside, most, refused
        try:
            with keeper.use("00000-classes"):
                with turn:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.05)
                with turn:
                    inside -= 1
        except BusyError:
            with turn:
                refused += 1

    visitors = [threading.Thread(target=visit) for _ in range(12)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert most == 1
    assert 0 < refused <= 9
    assert keeper.waiting == 0


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The argument lists of processes that would have been started."""
    started: list[list[str]] = []

    class Process:
        def __init__(self, words: list[str], **options: object) -> None:
            assert "shell" not in options
            assert options["start_new_session"]
            self.args = words
            started.append(words)

        def poll(self) -> None:
            return None

        def wait(self, timeout: float) -> None:
            raise subprocess.TimeoutExpired(self.args, timeout)

    monkeypatch.setattr(subprocess, "Popen", Process)
    return started


def test_a_training_is_an_argument_list(tmp_path: Path, no_process: list[list[str]]):
    (tmp_path / "data" / "a; touch hacked").mkdir(parents=True)
    trainings = Trainings(Library([tmp_path / "runs"]), [tmp_path / "data"])
    trainings.start("dcgan", "a; touch hacked", "tiny", 12)
    (words,) = no_process
    assert words[1:5] == ["-m", "ganforge", "train", "dcgan"]
    assert words[words.index("--data") + 1] == str(tmp_path / "data" / "a; touch hacked")
    assert words[-2:] == ["--steps", "12"]


@pytest.mark.parametrize("model", ["./mine.py", "/mine.py", "nosuch", "--help"])
def test_only_models_of_the_catalogue_are_trained(tmp_path: Path, no_process: list[list[str]], model: str):
    with pytest.raises(OptionError, match="catalogue"):
        Trainings(Library([tmp_path / "runs"])).start(model, "", "tiny")
    assert no_process == []


@pytest.mark.parametrize("data", ["/etc", "../data", "hub:someone/something", "outside"])
def test_only_data_of_the_roots_is_trained_on(tmp_path: Path, no_process: list[list[str]], data: str):
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "outside").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="no such data"):
        Trainings(Library([tmp_path / "runs"]), [tmp_path / "data"]).start("dcgan", data, "tiny")
    assert no_process == []


def test_no_training_is_started_where_that_is_not_allowed(tmp_path: Path, no_process: list[list[str]]):
    with pytest.raises(OptionError, match="--allow-train"):
        Trainings(Library([tmp_path / "runs"]), allowed=False).start("dcgan", "", "tiny")
    assert no_process == []


def test_few_trainings_run_at_a_time(tmp_path: Path, no_process: list[list[str]]):
    trainings = Trainings(Library([tmp_path / "runs"]))
    for _ in range(4):
        trainings.start("dcgan", "", "tiny")
    with pytest.raises(OptionError, match="run already"):
        trainings.start("dcgan", "", "tiny")


def test_data_is_not_examined_where_that_is_not_allowed(tmp_path: Path):
    with pytest.raises(OptionError, match="--allow-train"):
        Trainings(Library([tmp_path / "runs"]), allowed=False).examine("shapes", 60)
    with pytest.raises(DataError, match="no such data"):
        Trainings(Library([tmp_path / "runs"])).examine(str(tmp_path), 60)


def test_commands_count_as_trainings(tmp_path: Path, no_process: list[list[str]], monkeypatch: pytest.MonkeyPatch):
    trainings = Trainings(Library([tmp_path / "runs"]))
    refused = []

    def rank(words: list[str], seconds: float) -> str:
        with pytest.raises(OptionError, match="run already"):
            trainings.run(words, seconds)
        with pytest.raises(OptionError, match="run already"):
            trainings.start("dcgan", "", "tiny")
        refused.append(words)
        return "ranked"

    monkeypatch.setattr("ganforge.studio.trainings.run_command", rank)
    for _ in range(3):
        trainings.start("dcgan", "", "tiny")
    assert trainings.run(["compare"], 60) == "ranked"
    assert refused == [["compare"]]
    trainings.start("dcgan", "", "tiny")


def test_a_training_is_found_by_its_run(tmp_path: Path, no_process: list[list[str]]):
    """Not by how the name of a run ends: another run may end with the name of one that is resumed."""
    for name in ("runs/00000-a", "runs/00001-other-00000-a", "runs/deeper-00000-a"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.yaml").touch()
    trainings = Trainings(Library([tmp_path / "runs"]))
    resumed = trainings.resume("00000-a")
    assert trainings.find("00000-a") is resumed
    assert trainings.find("00001-other-00000-a") is None
    assert trainings.find("deeper-00000-a") is None
    with pytest.raises(RunError, match="being trained already"):
        trainings.resume("00000-a")
    made = trainings.start("dcgan", "", "tiny")
    assert trainings.find_key(made.name) == ""
    for name in (f"00002-{made.name}", f"00003-mine-{made.name}"):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "config.yaml").touch()
    assert trainings.find_key(made.name) == f"00002-{made.name}"
    assert trainings.find(f"00002-{made.name}") is made
    assert trainings.find(f"00003-mine-{made.name}") is None


def test_only_known_data_are_read(tmp_path: Path):
    """Not what the config of a run names, which may come from somebody else."""
    (tmp_path / "data" / "mine").mkdir(parents=True)
    (tmp_path / "data" / "leads-out").symlink_to(tmp_path)
    trainings = Trainings(Library([tmp_path / "runs"]), [tmp_path / "data"])
    assert trainings.may_read("shapes-maps")
    assert trainings.may_read(str(tmp_path / "data" / "mine"))
    others = ("", "fashion-mnist", "/etc", "hub:owner/name", f"{tmp_path}/data/leads-out", f"{tmp_path}/data/../other")
    others += (f"{tmp_path}/data/none", f"{tmp_path}/data/{'a' * 300}", f"{tmp_path}/data/\0")
    assert not any(trainings.may_read(other) for other in others)
    assert not Trainings(Library([tmp_path / "runs"]), [tmp_path / "data"], False).may_read("shapes-maps")


def test_examples_are_maps_of_the_held_out_photographs(tmp_path: Path, tiny_runs: Path):
    known = RunFolder.open(tiny_runs / "00004-painter").run_config
    facts = facts_of(known)
    data, run = tmp_path / "data", tmp_path / "run"
    for number, part in enumerate(("train", "train", "test")):
        for kind in ("images", "labels"):
            folder = data / part / kind
            folder.mkdir(parents=True, exist_ok=True)
            pixels = np.full((6, 8), number, np.uint8)
            pixels[0] = 3
            Image.fromarray(pixels).save(folder / f"{number}.png")
    run.mkdir()
    RunFolder(run).rewrite(replace(known, data={**known.data, "asked": "data", "path": str(data)}))
    assert locate_data(run) == str(data)
    assert (read_example(run, facts, 0) == np.array([[3]] + [[2]] * 5)).all()
    for number in (-1, 1):
        with pytest.raises(OptionError, match=r"Photographs with maps: 1\. Give a number from 0 to 0"):
            read_example(run, facts, number)
    shutil.rmtree(data / "test")
    find_maps.cache_clear()
    assert (read_example(run, facts, 1)[1:] == 1).all()
    find_maps.cache_clear()


def test_a_run_that_goes_on_is_found_by_the_name_under_which_it_was_started(
    tmp_path: Path, no_process: list[list[str]]
):
    """The page Home watches a run by that name: Stop must reach the process that runs now."""
    trainings = Trainings(Library([tmp_path / "runs"]))
    made = trainings.start("dcgan", "", "tiny")
    run = tmp_path / "runs" / f"00000-{made.name}"
    run.mkdir(parents=True)
    (run / "config.yaml").touch()
    made.process.poll = lambda: 0  # pyright: ignore
    resumed = trainings.resume(run.name)
    assert trainings.find(made.name) is resumed
    assert trainings.find(run.name) is resumed


def test_a_training_that_is_about_to_end_is_awaited(tmp_path: Path, no_process: list[list[str]]):
    """It has released its run, and its process lives for a second: Resume waits for that."""
    (tmp_path / "runs" / "00000-a").mkdir(parents=True)
    (tmp_path / "runs" / "00000-a" / "config.yaml").touch()
    trainings = Trainings(Library([tmp_path / "runs"]))
    first = trainings.resume("00000-a")
    with pytest.raises(RunError, match="being trained already"):
        trainings.resume("00000-a")
    first.process.send_signal = lambda _number: None  # pyright: ignore
    trainings.stop("00000-a")

    def end(_seconds: float) -> None:
        first.process.poll = lambda: 0  # pyright: ignore

    first.process.wait = end  # pyright: ignore
    assert trainings.resume("00000-a") is trainings.find("00000-a") is not first


def test_what_an_ended_training_printed_stays(tmp_path: Path, no_process: list[list[str]]):
    """An error before there is a run folder; an ended one takes no place of the four."""
    trainings = Trainings(Library([tmp_path / "runs"]))
    failed = trainings.start("dcgan", "", "tiny")
    failed.output.write_text("ganforge: no memory")
    failed.process.poll = lambda: 1  # pyright: ignore
    for _ in range(4):
        trainings.start("dcgan", "", "tiny")
    assert trainings.said(failed.name) == "ganforge: no memory"
    with pytest.raises(OptionError, match="did not start"):
        trainings.stop(failed.name)


def test_all_embedded_data_can_be_trained_on(tmp_path: Path):
    from ganforge.data.named_sets import NAMED

    known = Trainings(Library([tmp_path / "runs"])).data()
    assert {"", "shapes-defects", "shapes-scenes", "shapes-digits", "shapes-attributes"} <= {*known}
    assert {*NAMED} - {*known} == {"fashion-mnist"}


def test_the_error_of_a_command_is_its_sentence():
    with pytest.raises(OptionError, match="There is no verb"):
        run_command(["nosuch"], 60)


def test_every_word_is_there_in_both_languages():
    for key, texts in strings().items():
        assert set(texts) == {"en", "ko"}, key
        assert all(texts.values()), key
    assert sentence("home", "ko-KR,ko;q=0.9") != sentence("home", "en-US,en;q=0.9")


def test_a_walk_is_between_the_images_that_were_chosen(tiny_runs: Path):
    from ganforge.inference.load import load

    trained = load(tiny_runs / "00000-classes", "cpu")
    images = trained.sample(5, 7, label="plain")
    walk = trained.interpolate(steps=3, seed=7, between=(4, 1, 2), label="plain")
    assert walk.shape[:2] == (2, 3)
    ends = [walk[0, 0], walk[0, -1], walk[1, 0], walk[1, -1]]
    assert all((end - images[k]).abs().max() < 1e-5 for end, k in zip(ends, (4, 1, 1, 2), strict=True))
    assert (walk[0, 1] - images[4]).abs().max() > 1e-4
    with pytest.raises(OptionError, match="number of an image cannot be -1"):
        trained.interpolate(between=(-1, 2), label="plain")


def test_a_folder_that_is_not_there_is_said(tmp_path, capsys):
    assert command(["studio", str(tmp_path / "nowhere")]) == 1
    assert "nowhere does not exist: name run folders" in capsys.readouterr().err
