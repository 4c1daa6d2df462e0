"""The training doctor reports faults built in on purpose, is silent on healthy runs, and changes nothing."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import ganforge
from ganforge import system
from ganforge.batches import Facts, Images
from ganforge.callbacks import default_callbacks, training_doctor
from ganforge.callbacks.log import Log, read_rows
from ganforge.callbacks.samples import generate_images
from ganforge.callbacks.training_doctor import Advice, TrainingDoctor, read_advice
from ganforge.catalogue import build_stand_ins, find, names
from ganforge.data.loader import BatchLoader
from ganforge.engine import Callback, Engine
from ganforge.errors import NotFiniteError
from ganforge.game import Clock, Game, Move, rest
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from ganforge.runs.folder import RunFolder
from ganforge.training.train import train_with_recovery
from tests.support.toys import Config, make_data, make_loader, weights
from tests.test_catalogue import facts_of

FACTS = Facts(3, 8, 8)
RUN = Run(steps=480, batch=64, log_every=5, sample_every=80, save_every=0)


class Faulty(Game[Config, Images]):
    """Goodfellow's game between two small networks, with a `fault`."""

    augmented = ("discriminator",)

    def __init__(self, config: Config, facts: Facts, fault: str) -> None:
        super().__init__(config, facts)
        self.fault = fault
        self.generator = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 192), nn.Unflatten(1, (3, 8, 8)))
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(192, 64), nn.ReLU(), nn.Linear(64, 1))
        self.remembered = nn.Buffer(torch.zeros(8, 3, 8, 8))

    def players(self) -> dict[str, torch.optim.Optimizer]:
        frozen = 0.0 if self.fault == "frozen" else 1e-3
        return {
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), 5e-3),
            "generator": torch.optim.Adam(self.generator.parameters(), frozen),
        }

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
        self.remembered.copy_(real[:8])
        fake = self.sample(len(real))
        on_real, on_fake = self.discriminator(real), self.discriminator(fake.detach())
        loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
        yield Move("discriminator", loss=loss, says_real=on_real.detach().mean(), says_fake=on_fake.detach().mean())
        fool = F.softplus(-self.discriminator(fake)).mean()
        yield Move("generator", fool=fool * (0.0 if self.fault == "numb" else 1.0))

    def sample(self, n: int) -> torch.Tensor:
        noise = self.draw.normal(n, 4)
        if self.fault == "constant":
            noise = noise * 0
        made = self.generator(noise).tanh()
        if self.fault == "copying":
            return self.remembered[torch.arange(n) % 8] + 0.02 * made
        return made


class DrawImages(Callback):
    """Gives the doctor images as the sample grids would."""

    def __init__(self, doctor: TrainingDoctor) -> None:
        self.doctor = doctor

    def after_step(self, engine: Engine) -> None:
        if engine.due(engine.run.sample_every):
            self.doctor.check_images(engine, generate_images(engine, 64))


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide other programs on this machine."""
    monkeypatch.setattr(system, "ticks", list)


def diagnose(fault: str, folder: Path, images: int) -> tuple[list[Advice], list[str]]:
    """What the doctor wrote and printed about a faulty game."""
    torch.manual_seed(0)
    said: list[str] = []
    doctor = TrainingDoctor(folder / "doctor.jsonl", said.append)
    engine = Engine(
        Faulty(Config(), FACTS, fault),
        RUN,
        BatchLoader(make_data(images, FACTS), Images, RUN),
        None,
        [doctor, DrawImages(doctor)],
    )
    engine.train()
    return read_advice(folder / "doctor.jsonl"), said


@pytest.mark.parametrize(
    ("fault", "cause", "figure"),
    [
        ("frozen", "strong judge", "D(x) 0.99"),
        ("constant", "mode collapse", "differ by 0% of"),
        ("copying", "copies", "% as far"),
        ("numb", "gradient of generator", "0.0e+00 a weight"),
    ],
)
def test_it_reports_a_fault_once_with_its_figure(fault, cause, figure, tmp_path):
    written, said = diagnose(fault, tmp_path, 8 if fault == "copying" else 256)
    (advice,) = [advice for advice in written if advice.cause == cause]  # once in a thousand steps
    assert figure in advice.says
    assert advice.attempt
    assert said == [f"Training doctor, step {a.step}: {a}" for a in written]


@pytest.mark.parametrize(("threads", "works"), [(2, True), (2, False), (1, True)])
def test_it_reports_other_programs_on_the_cores(
    threads: int, works: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """From step 20 on steps take ten times as long; the other core of two is busy with another program, or idle."""
    game, run = Faulty(Config(), FACTS, ""), replace(RUN, steps=60)
    doctor = TrainingDoctor(tmp_path / "doctor.jsonl", print)
    engine = Engine(game, run, BatchLoader(make_data(256, FACTS), Images, run), None, [doctor])

    def spent() -> tuple[float, float, list[tuple[int, int]]]:
        wall = engine.step + 9 * max(0, engine.step - 20)
        return wall, wall, [(100 * wall, 0), (100 * wall, 0 if works else 100 * wall)]  # one core is always ours

    monkeypatch.setattr("ganforge.callbacks.training_doctor.measure_time", spent)
    monkeypatch.setattr(system, "cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    engine.train()
    said = [advice for advice in read_advice(tmp_path / "doctor.jsonl") if advice.cause == "busy machine"]
    assert len(said) == (threads > 1 and works)
    for advice in said:
        assert advice.step == 35  # the third row of the log after it began
        assert "take 10 times as long" in advice.says
        assert "keep 1.0 of 2 cores busy, and 2 threads" in advice.says
        assert "--threads 1`" in advice.attempt


@pytest.mark.parametrize("name", names())
def test_it_is_silent_on_healthy_runs_and_changes_nothing(name, tmp_path):
    model = find(name)
    preset = model.preset("tiny")
    results = []
    for doctor in (True, False):
        torch.manual_seed(0)
        run = replace(preset.run, steps=6, log_every=1, sample_every=2)
        facts, folder = facts_of(run, model.game.batch_type), tmp_path / str(doctor)
        callbacks = default_callbacks(folder, tensorboard=False, bar=False, doctor=doctor)
        folder.mkdir()  # the log is in it, also that of a game that draws nothing
        parts = build_stand_ins(model, preset.config, facts)
        game = rest(model.game(preset.config, facts, **parts), parts)
        engine = Engine(game, run, make_loader(run, facts, model.game.batch_type), None, callbacks)
        engine.train()
        results.append(weights(engine.game))
        assert not read_advice(folder / "doctor.jsonl")
    assert torch.equal(*results)


def test_a_broken_loss_goes_back_once_and_then_stops(tmp_path):
    said: list[str] = []
    options = {"preset": "tiny", "quiet": True, "say": said.append, "outdir": tmp_path}
    run = ganforge.train("dcgan", steps=4, log_every=1, save_every=2, **options)
    config = run.path / "config.yaml"
    text = config.read_text().replace("lr: 0.0002", "lr: 1.0e+20")
    config.write_text(text)
    RunFolder(run.path).accept_config()
    with pytest.raises(NotFiniteError, match=r"The last good checkpoint is step 4"):
        ganforge.resume(run.path, steps=20, quiet=True, say=said.append)
    (advice,) = read_advice(run.path / "doctor.jsonl")
    assert (advice.step, advice.cause) == (4, "not finite")
    assert "went back to step 4, once" in advice.says
    assert training_doctor.summarise_advice(run.path) == [f"step 4: {advice}"]
    assert any("went back to step 4" in sentence for sentence in said)
    with pytest.raises(NotFiniteError):
        ganforge.resume(run.path, steps=20, quiet=True, doctor=False)
    assert len(read_advice(run.path / "doctor.jsonl")) == 1


def test_a_run_that_went_back_skips_the_batches_and_recovers(tmp_path):
    torch.manual_seed(0)
    run = replace(RUN, steps=20, save_every=5)
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    game = Faulty(Config(), FACTS, "")
    callbacks = [Log(tmp_path / "log.jsonl"), TrainingDoctor(tmp_path / "doctor.jsonl", print)]
    engine = Engine(game, run, BatchLoader(make_data(256, FACTS), Images, run), checkpoints, callbacks)

    def poison(module: nn.Module, args: tuple[torch.Tensor, ...]) -> torch.Tensor | None:
        return args[0] * torch.nan if engine.batches_drawn == 12 else None  # a bad batch, not a bad step

    game.discriminator.register_forward_pre_hook(poison)
    train_with_recovery(engine, checkpoints)
    assert engine.step == 20
    assert engine.batches_drawn == 25  # batches 10 ... 14 were drawn and lost
    assert weights(game).isfinite().all()
    assert [row["step"] for row in read_rows(tmp_path / "log.jsonl")] == [5, 10, 15, 20]


def test_advice_about_steps_that_will_be_repeated_is_dropped(tmp_path):
    lines = [{"step": step, "cause": "copies", "says": "Look.", "attempt": "that"} for step in (1, 9)]
    (tmp_path / "doctor.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = replace(RUN, steps=0)
    doctor = TrainingDoctor(tmp_path / "doctor.jsonl", print)
    Engine(Faulty(Config(), FACTS, ""), run, BatchLoader(make_data(256, FACTS), Images, run), None, [doctor]).train()
    assert read_advice(tmp_path / "doctor.jsonl") == []
