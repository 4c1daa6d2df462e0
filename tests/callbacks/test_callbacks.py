"""Callbacks change nothing in training; what they write is right, also in a resumed run."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch.optim import SGD, Optimizer

from ganforge.batches import Facts, Paired, Unpaired
from ganforge.callbacks import default_callbacks
from ganforge.callbacks.log import Log, losses, mean_output, read_rows
from ganforge.callbacks.loss_curves import LossCurves, smooth
from ganforge.callbacks.progress_bar import Progress, format_duration, format_outputs, format_speed, probability
from ganforge.callbacks.samples import SampleGrids
from ganforge.callbacks.tensorboard import TensorBoard
from ganforge.capabilities import Label
from ganforge.draw import RowDraw
from ganforge.engine import Callback, Engine
from ganforge.errors import RunError
from ganforge.game import Clock, Game, Move
from ganforge.images import grid, read, to_uint8
from ganforge.inference.inference_mode import inference_mode
from ganforge.models import dcgan
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from tests.support.toys import FACTS, Config, Holding, Translating, make_loader, weights

TINY = dcgan.presets["tiny"]
RUN = replace(TINY.run, steps=6, log_every=2, sample_every=3, save_every=3, threads=1)
SIDE = RUN.size[0]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def engine(run: Run = RUN, callbacks: list[Callback] | None = None, folder: Path | None = None) -> Engine:
    """A tiny DCGAN on forty images of noise; with a folder it keeps checkpoints, and continues from them."""
    facts = Facts(3, SIDE, SIDE)
    torch.manual_seed(0)
    checkpoints = Checkpoints(folder / "checkpoints") if folder else None
    made = Engine(dcgan.DCGAN(TINY.config, facts), run, make_loader(run, facts), checkpoints, callbacks or [])
    if checkpoints and checkpoints.steps():
        made.restore(checkpoints.load()[1])
    return made


def terminal(width: int = 100) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width)


def output(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Engine]:
    """A run of six steps with all callbacks."""
    folder = tmp_path_factory.mktemp("run")
    observed = engine(callbacks=[*default_callbacks(folder, bar=False), Progress(terminal())])
    observed.train()
    return folder, observed


# A run with callbacks equals one without --------------------------------------------------------


@pytest.mark.parametrize("ema", [0.0, 100.0])
def test_callbacks_change_no_bit(tmp_path: Path, ema: float) -> None:
    run = replace(RUN, ema=ema)
    alone, observed = engine(run), engine(run, [*default_callbacks(tmp_path, bar=False), Progress(terminal())])
    alone.train()
    observed.train()
    for mine, theirs in ((observed.game, alone.game), (observed.averaged, alone.averaged)):
        for (name, a), b in zip(mine.state_dict().items(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a, b), name
    assert [m.training for m in observed.game.modules()] == [m.training for m in alone.game.modules()]


def test_tensorboard_and_bar_can_be_switched_off(tmp_path: Path) -> None:
    kinds = [type(callback) for callback in default_callbacks(tmp_path, tensorboard=False, bar=False)]
    assert TensorBoard not in kinds
    assert Progress not in kinds
    assert {Log, SampleGrids, LossCurves} <= set(kinds)


# The log ----------------------------------------------------------------------------------------


def test_the_log_has_a_row_for_each_logged_step(finished: tuple[Path, Engine]) -> None:
    whole = read_rows(finished[0] / "log.jsonl")
    assert [row["step"] for row in whole] == [2, 4, 6]
    assert [row["seen"] for row in whole] == [16, 32, 48]
    assert {"discriminator/real", "discriminator/says_real", "generator/fool", "seconds"} <= set(whole[0])


def test_a_resumed_run_cuts_the_log_and_writes_the_same_again(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    engine(replace(RUN, save_every=4), default_callbacks(one, False, bar=False), one).train()
    engine(replace(RUN, steps=4), default_callbacks(two, False, bar=False), two).train()
    with (two / "log.jsonl").open("a") as log:  # the run had passed its checkpoint when the power failed
        log.write('{"step": 6, "seen": 48}\n{"step": 8, "se')
    engine(RUN, default_callbacks(two, False, bar=False), two).train()
    figures = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_rows(f / "log.jsonl")] for f in (one, two)
    ]
    assert figures[0] == figures[1]
    for name in ("step-000000003.png", "step-000000006.png", "frames/step-000000005.png"):
        assert (one / "samples" / name).read_bytes() == (two / "samples" / name).read_bytes()


def test_a_log_that_need_not_be_cut_is_not_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"step": 0, "seen": 0}) + "\n")
    before = path.stat().st_ino
    Log(path).start(engine())
    assert path.stat().st_ino == before


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"log\.jsonl cannot be written \(No such file or directory\)"):
        Log(tmp_path / "missing" / "log.jsonl").log(engine(), {"step": 1})


def test_losses_and_outputs_are_read_from_a_row() -> None:
    row = {"step": 1, "d/real": 0.5, "d/fake": 0.25, "d/says_real": 2.0, "e/says_real": 4.0, "g/fool": 1.0}
    assert losses(row) == {"d": 0.75, "g": 1.0}
    assert mean_output(row, "real") == 3.0
    assert mean_output(row, "fake") is None


# TensorBoard ------------------------------------------------------------------------------------


def read_events(folder: Path) -> dict[str, list[int]]:
    """{tag: its steps} as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()
    steps = {tag: [e.step for e in events.Scalars(tag)] for tag in tags["scalars"]}
    return steps | {tag: [e.step for e in events.Images(tag)] for tag in tags["images"]}


def test_tensorboard_has_scalars_and_images(finished: tuple[Path, Engine]) -> None:
    steps = read_events(finished[0] / "tensorboard")
    assert steps.pop("Samples/fakes") == [0, 3, 6]
    assert set(steps) == {
        "Loss/discriminator/real",
        "Loss/discriminator/fake",
        "Loss/generator/fool",
        "Says/real",
        "Says/fake",
        "Speed/images_per_second",
    }
    assert all(at == [2, 4, 6] for at in steps.values())


def test_a_resumed_board_has_every_step_once(tmp_path: Path) -> None:
    engine(replace(RUN, steps=4), [TensorBoard(tmp_path / "board")], tmp_path).train()
    beyond = TensorBoard(tmp_path / "board")  # what was written between the checkpoint and the power cut
    beyond.start(made := engine(RUN, folder=tmp_path))
    beyond.log(made, {"step": 6, "seen": 48, "seconds": 1.0, "generator/fool": 9.0})
    beyond.end(made)
    engine(RUN, [TensorBoard(tmp_path / "board")], tmp_path).train()
    assert read_events(tmp_path / "board")["Loss/generator/fool"] == [2, 4, 6]


# Images -----------------------------------------------------------------------------------------


def test_grids_are_the_images_of_seed_0(finished: tuple[Path, Engine]) -> None:
    folder, observed = finished
    names = sorted(path.name for path in (folder / "samples").glob("*.png"))
    assert names == ["reals.png", "step-000000000.png", "step-000000003.png", "step-000000006.png"]
    with inference_mode(observed.averaged) as game:
        game.draw = RowDraw(0)
        expected = grid(to_uint8(game.sample(64)))  # pyright: ignore[reportAttributeAccessIssue]
    with Image.open(folder / "samples" / "step-000000006.png") as last:
        assert last.size == (8 * SIDE + 14, 8 * SIDE + 14)
        assert np.abs(np.asarray(last).astype(int) - expected).max() <= 1  # batches of 8 there, 64 here
    with Image.open(folder / "samples" / "reals.png") as reals:
        assert reals.size == (8 * SIDE + 14, 8 * SIDE + 14)


def test_the_animation_shows_every_frame_and_holds_the_last(finished: tuple[Path, Engine]) -> None:
    with Image.open(finished[0] / "samples" / "training.gif") as film:
        assert film.n_frames == 7  # pyright: ignore[reportAttributeAccessIssue]
        assert film.size == (4 * 96 + 12, 4 * 96 + 12)
        durations = []
        for k in range(7):
            film.seek(k)
            durations.append(film.info["duration"])
    assert durations == [500] * 6 + [2500]


def test_the_animation_of_a_long_run_has_at_most_forty_frames(tmp_path: Path) -> None:
    samples = SampleGrids(tmp_path)
    made = engine(replace(RUN, steps=85))
    samples.start(made)
    source = torch.Generator().manual_seed(0)
    for made.step in range(1, 86):
        with torch.no_grad():
            made.averaged.generator.get_submodule("7").weight.normal_(generator=source)  # pyright: ignore
        samples.after_step(made)
    samples.end(made)
    with Image.open(tmp_path / "training.gif") as film:
        assert film.n_frames == 40  # pyright: ignore[reportAttributeAccessIssue]


def test_a_run_that_goes_back_drops_the_frames_to_come(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for step in (0, 3, 9):
        (tmp_path / "frames" / f"step-{step:09d}.png").touch()
    made = engine()
    made.step = 3
    SampleGrids(tmp_path).start(made)
    assert [path.name for path in sorted((tmp_path / "frames").iterdir())] == [
        "step-000000000.png",
        "step-000000003.png",
    ]


def test_sample_every_0_draws_no_samples(tmp_path: Path) -> None:
    engine(replace(RUN, sample_every=0), [SampleGrids(tmp_path)]).train()
    assert not list(tmp_path.iterdir())


def test_a_game_that_cannot_sample_trains_without_grids(tmp_path: Path) -> None:
    Engine(Holding(Config(), FACTS), RUN, make_loader(RUN), callbacks=default_callbacks(tmp_path)).train()
    assert not (tmp_path / "samples").exists()
    with Image.open(tmp_path / "losses.png") as image:
        assert image.size == (1350, 540)  # no discriminator: one panel


def test_losses_are_drawn(finished: tuple[Path, Engine]) -> None:
    with Image.open(finished[0] / "losses.png") as image:
        assert image.size == (1350, 930)
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 100


def test_smoothing_keeps_a_constant_and_a_short_curve() -> None:
    assert np.allclose(smooth([2.0] * 500), 2.0)
    assert np.allclose(smooth([1.0, 5.0, 2.0]), [1.0, 5.0, 2.0])


# The progress bar -------------------------------------------------------------------------------


def test_plain_lines_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO())
    engine(callbacks=[Progress(console)]).train()
    lines = output(console).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("step 2/6   33%  ")
    assert lines[-1].startswith("step 6/6  100%  ")
    assert all("\x1b" not in line and "\r" not in line for line in lines)
    for word in ("steps/s", "images/s", "left", "discriminator ", "generator ", "D(x) 0.", "D(G(z)) 0."):
        assert word in lines[-1]


def test_the_bar_shows_all_and_gives_the_cursor_back() -> None:
    console = terminal()
    engine(callbacks=[Progress(console)]).train()
    for word in ("6/6", "steps/s", "images/s", "generator ", "D(G(z)) 0."):
        assert word in output(console)
    assert output(console).endswith("\x1b[?25h")


def test_the_bar_gives_the_cursor_back_after_an_error() -> None:
    class Fault(Callback):
        def after_step(self, engine: Engine) -> None:
            raise RunError("The disk is full.")

    def fail() -> None:
        with pytest.raises(RunError):
            engine(callbacks=[Progress(console), Fault()]).train()

    console = terminal()
    fail()
    assert output(console).endswith("\x1b[?25h")


def test_the_bar_is_drawn_four_times_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("ganforge.callbacks.progress_bar.time.perf_counter", lambda: now)
    drawn, bar, made = [], Progress(terminal()), engine(replace(RUN, steps=1000))
    bar.start(made)
    monkeypatch.setattr(bar, "show", lambda _: drawn.append(now))
    for made.step in range(1, 1000):
        now += 0.01
        bar.after_step(made)
    bar.end(made)
    assert len(drawn) <= 4 * now + 1


def test_speed_of_a_resumed_run_counts_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("ganforge.callbacks.progress_bar.time.perf_counter", lambda: now)
    bar, made = Progress(terminal()), engine(replace(RUN, steps=100))
    made.step = made.batches_drawn = 50
    bar.start(made)
    assert bar.speed(made) == ("", "")
    now, made.step, made.batches_drawn = 2.0, 60, 60
    bar.after_step(made)
    assert bar.speed(made) == ("5.00 steps/s  40.0 images/s", "0:08 left")
    bar.end(made)


def test_outputs_of_a_discriminator_are_probabilities_and_of_a_critic_scores() -> None:
    row = {"critic/says_real": 1.23, "critic/says_fake": -0.81}
    assert format_outputs(row, "scores") == ["says real +1.2", "fake -0.8"]
    assert format_outputs(row, "logits") == ["D(x) 0.77", "D(G(z)) 0.31"]
    assert [probability(x) for x in (-1e4, 0.0, 1e4)] == [0.0, 0.5, 1.0]


def test_speeds_and_durations_are_formatted() -> None:
    assert [format_speed(x) for x in (0, 0.03123, 1.25, 12, 1250.4)] == ["0.00", "0.0312", "1.25", "12.0", "1250"]
    assert [format_duration(x) for x in (0, 45, 61, 7200)] == ["0:00", "0:45", "1:01", "2:00:00"]


# Translators ------------------------------------------------------------------------------------


def test_a_translator_is_shown_as_source_output_target(tmp_path: Path) -> None:
    facts = Facts(3, 8, 12, source_channels=1)
    results = []
    for callbacks in ([], default_callbacks(tmp_path, bar=False)):
        torch.manual_seed(0)
        run = replace(RUN, batch=3, ema=100.0)
        made = Engine(Translating(Config(), facts), run, make_loader(run, facts, Paired), callbacks=callbacks)
        results.append(weights(made.train()))
    assert torch.equal(*results)
    sheet = read(tmp_path / "samples" / "step-000000006.png")
    assert sheet.shape == (8 * 8 + 14, 3 * 12 + 4, 3)
    batch = made.loader.batch(0, 0, 1)
    assert isinstance(batch, Paired)
    assert np.array_equal(sheet[:8, :12], to_uint8(batch.source[:1])[0].repeat(3, 2))
    with inference_mode(made.averaged) as game:
        game.draw = RowDraw(0)
        output = to_uint8(game.translate(batch.source))  # pyright: ignore[reportAttributeAccessIssue]
    assert np.array_equal(sheet[10:18, 14:26], output[1])
    assert np.array_equal(sheet[:8, 28:], to_uint8(batch.target[:1])[0])
    assert not (tmp_path / "samples" / "reals.png").exists()
    with Image.open(tmp_path / "samples" / "training.gif") as film:
        assert film.size == (3 * 144 + 8, 4 * 96 + 12)


class Ways(Game[Config, Unpaired]):
    """Adds or takes brightness; a label says how much; twice as large."""

    def __init__(self, config: Config, facts: Facts) -> None:
        super().__init__(config, facts)
        self.generator = torch.nn.Conv2d(3, 3, 1)

    def players(self) -> dict[str, Optimizer]:
        return {"generator": SGD(self.generator.parameters(), 0.1)}

    def play(self, batches: Iterator[Unpaired], now: Clock) -> Iterator[Move]:
        yield Move("generator", size=self.generator(next(batches).a).square().mean())

    def translate(self, images: torch.Tensor, reverse: bool = False, to: Label = None) -> torch.Tensor:
        assert to is not None
        step = (to.float() + 1)[:, None, None, None] / 10
        return (images + (-step if reverse else step)).clamp(-1, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_both_directions_every_label_and_enlarged_images_are_shown(tmp_path: Path) -> None:
    facts = Facts(3, 8, 8, labels=("a", "b"))
    made = Engine(Ways(Config(), facts), RUN, make_loader(RUN, facts, Unpaired), callbacks=[SampleGrids(tmp_path)])
    made.train()
    sheet = read(tmp_path / "step-000000006.png")
    assert sheet.shape == (8 * 10 - 2, 4 * 10 - 2, 3)  # source, two labels, the original image: the source is reduced
    batch = made.loader.batch(0, 0, 1)
    assert isinstance(batch, Unpaired)
    assert np.array_equal(sheet[:8, -8:], to_uint8(batch.a[:1])[0])
    assert np.array_equal(sheet[40:48, -8:], to_uint8(batch.b[:1])[0])
    assert sheet[:8, 20:28].mean() > sheet[:8, 10:18].mean() > sheet[:8, :8].mean()
    assert sheet[40:48, 20:28].mean() < sheet[40:48, 10:18].mean() < sheet[40:48, :8].mean()
