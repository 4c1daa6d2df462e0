"""Train every model's tiny preset, in as many processes as torchrun starts; the first saves the weights.

A separate program for tests/test_distributed.py: `python -m tests.support.two_processes FOLDER`.
"""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ganforge import distributed
from ganforge.batches import Images
from ganforge.catalogue import build_stand_ins, find, names
from ganforge.engine import Engine
from ganforge.errors import ContractError, NotFiniteError
from ganforge.game import Clock, Move, rest
from ganforge.runs.checkpoint import Checkpoints
from tests.support.toys import FACTS, Config, Toy, make_loader, run
from tests.test_catalogue import facts_of


def train_tiny(name: str, shares: int) -> dict[str, Tensor]:
    """The weights after a model's tiny run in `shares` micro-batches over all processes, with its averages."""
    model = find(name)
    preset = model.preset("tiny")
    settings = replace(preset.run, accumulate=shares // distributed.world_size(), ema=100.0, save_every=0)
    facts = facts_of(settings, model.game.batch_type)
    torch.manual_seed(0)  # every process loads the same parts
    parts = build_stand_ins(model, preset.config, facts)
    torch.manual_seed(distributed.rank())  # only the first process's weights must count
    game = rest(model.game(preset.config, facts, **parts), parts)
    engine = Engine(game, settings, make_loader(settings, facts, model.game.batch_type))
    averaged = engine.train()
    whole = {**game.state_dict(), **{f"averaged.{key}": value for key, value in averaged.state_dict().items()}}
    return {key: value.contiguous().clone() for key, value in whole.items()}


def broken() -> str:
    """The error of this process when the critic's loss is NaN in the last process only."""
    game = Toy(Config(), FACTS)

    def poison(module: nn.Module, args: tuple[Tensor, ...]) -> Tensor | None:
        return args[0] * torch.nan if engine.step == 3 and distributed.rank() == 1 else None

    game.critic.register_forward_pre_hook(poison)
    engine = Engine(game, run(log_every=5), make_loader())
    try:
        engine.train()
    except NotFiniteError as error:
        return str(error)
    return "nothing"


def replaced() -> str:
    """The error of this process when a game puts a new tensor in the place of its buffer."""

    class Replacing(Toy):
        def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
            yield from super().play(batches, now)
            self.k = self.k + 1

    game = Replacing(Config(), FACTS)
    game.register_buffer("k", torch.zeros(()))
    try:
        Engine(game, run(), make_loader()).train()
    except ContractError as error:
        return str(error)
    return "nothing"


def by_time(folder: Path, minutes: float) -> str:
    """The steps and the weights of a run whose clock is late in the second process."""
    torch.manual_seed(0)
    engine = Engine(Toy(Config(), FACTS), run(steps=10, save_minutes=minutes), make_loader(), Checkpoints(folder))
    steps, train_step = [], engine.train_step

    def noting() -> None:
        train_step()
        steps.append(engine.saved_at)
        engine.saved_time += 1e9 * distributed.rank()

    engine.train_step = noting
    engine.train()
    digest = hashlib.sha256(b"".join(t.numpy().tobytes() for t in engine.game.state_dict().values())).hexdigest()
    return f"{digest} {steps if minutes else ''}"


def threads() -> list[str]:
    """The names of this process's threads, as the kernel knows them."""
    return [task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").glob("*")]


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with distributed.join_processes(torch.device("cpu")):
        for name in names():
            weights = train_tiny(name, 2)
            if distributed.rank() == 0:
                save_file(weights, folder / f"{name}.safetensors")
        rank = distributed.rank()
        (folder / f"said-{rank}.txt").write_text(broken())
        (folder / f"replaced-{rank}.txt").write_text(replaced())
        for minutes in (0.0, 1e-9):
            (folder / f"by-time-{minutes}-{rank}.txt").write_text(by_time(folder / f"checkpoints-{minutes}", minutes))
    (folder / f"threads-{rank}.txt").write_text("\n".join(threads()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
