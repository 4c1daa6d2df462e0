"""Resolve everything about a run before its first step: data opened, settings checked, networks built."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from ganforge import system
from ganforge.batches import Batch
from ganforge.catalogue import Model, find
from ganforge.console import Say, silent
from ganforge.data.dataset import DataSet
from ganforge.data.open import open_data
from ganforge.data.read_options import ReadOptions
from ganforge.data.synthetic.domains import embedded
from ganforge.errors import OptionError
from ganforge.evaluation import selection
from ganforge.files import sha256
from ganforge.game import Game, parameters
from ganforge.inference import parts
from ganforge.inference.load import built
from ganforge.inference.trained import Trained
from ganforge.run import Run
from ganforge.runs.folder import RunConfig, versions
from ganforge.serialize import from_plain, to_plain
from ganforge.tracing import trace


@dataclass(frozen=True)
class Plan:
    """Everything about a run that is decided before its first round."""

    model: Model
    preset: str
    config: Any
    run: Run
    asked: str
    """The data that was asked for."""
    reading: ReadOptions
    data: DataSet
    game: Game[Any, Any]
    parts: Mapping[str, Trained]
    held_out: Callable[[], DataSet]
    """Opens what training never sees of the data."""

    def card(self) -> RunConfig:
        """What the run folder will say."""
        own = Path(self.model.name)
        return RunConfig(
            model=self.model.name,
            preset=self.preset,
            config=to_plain(self.config),
            run=to_plain(self.run),
            facts=to_plain(self.data.facts),
            data={
                "asked": self.asked,
                "images": len(self.data),
                "fingerprint": self.data.fingerprint,
                "reading": to_plain(self.reading),
            },
            parts={name: str(part.path) for name, part in self.parts.items()},
            source=sha256(own) if own.suffix == ".py" else "",
            versions=versions(),
        )


def plan(
    model: str,
    data: str | Path = "",
    preset: str = "small",
    *,
    config: Mapping[str, Any] | Any = None,
    direction: str = "AtoB",
    make: str = "none",
    epochs: float | None = None,
    kimg: float | None = None,
    data_home: str | Path | None = None,
    load: parts.Load,
    say: Say = silent,
    **run: Any,
) -> Plan:
    """Resolve everything a run needs; without `data`, it is what the program draws for such a model.

    Raises a GANForgeError with one sentence for whatever does not fit.
    """
    found = find(model)
    needed = found.game.batch_type.columns()
    asked = str(data) or embedded(needed)
    reading = from_plain(ReadOptions, {"direction": direction, "make": make})
    chosen = found.preset(preset)
    settings = chosen.config if config is None else config
    if isinstance(config, Mapping):
        settings = from_plain(found.game.Config, {**to_plain(chosen.config), **config})
    wanted = checked(from_plain(Run, {**to_plain(chosen.run), **run}))
    selection.check(wanted, found.game)
    opened = opened_data(asked, wanted, data_home, found.game.batch_type, reading)
    opened.need(*needed)
    for note in opened.notes:
        say(note)
    steps = length(wanted, "steps" in run, epochs, kimg, len(opened))
    # What the machine decides is written down, so that a resume has the same: threads change the last digits of sums.
    wanted = replace(wanted, steps=steps, threads=wanted.threads or torch.get_num_threads(), precision=precise(wanted))
    if wanted.select:
        wanted = replace(wanted, every=wanted.every or wanted.save_every or max(1, steps))
    loaded = parts.resolve(settings, load)
    game = built(found, settings, opened.facts, wanted.seed, loaded)
    held_out = partial(opened_data, asked, wanted, data_home, found.game.batch_type, reading, held_out=True)
    return Plan(found, preset, settings, wanted, asked, reading, opened, game, loaded, held_out)


def checked(run: Run) -> Run:
    """A Run whose numbers make sense.  Raises OptionError naming the one that does not."""
    least = {"steps": 0, "batch": 1, "accumulate": 1, "keep": 1, "log_every": 1, "sample_every": 0, "save_every": 0}
    for name, low in least.items():
        if getattr(run, name) < low:
            raise OptionError(f"--{name.replace('_', '-')} cannot be {getattr(run, name)}: the least is {low}.")
    if len(run.size) > 2 or any(side < 1 for side in run.size):
        raise OptionError(f"--size {' '.join(map(str, run.size))} is no size: give one side, or height and width.")
    return run


def length(run: Run, steps_given: bool, epochs: float | None, kimg: float | None, images: int) -> int:
    """The run's length in rounds, from whichever unit was used.  Raises OptionError for two at once."""
    if (epochs is not None) + (kimg is not None) + steps_given > 1:
        raise OptionError("Give the length once: --steps, --epochs or --kimg.")
    if epochs is not None:
        return math.ceil(epochs * images / run.batch)
    return math.ceil(kimg * 1000 / run.batch) if kimg is not None else run.steps


def precise(run: Run) -> Literal["fp32", "bf16"]:
    """The arithmetic that `auto` means on the run's device."""
    if run.precision == "auto":
        return "bf16" if system.bf16_pays(system.pick_device(run.device)) else "fp32"
    return run.precision


def opened_data(
    asked: str,
    run: Run,
    home: str | Path | None,
    batch_type: type[Batch],
    reading: ReadOptions,
    held_out: bool = False,
) -> DataSet:
    """The data set at the run's size, with the columns that its model is dealt, or what is held out of it."""
    size, place = (run.size[0], run.size[-1]) if run.size else None, Path(home) if home is not None else None
    form = {"channels": run.channels, "crop": run.crop, "native": run.native, "reading": reading}
    form |= {"needed": batch_type.columns(), "welcome": batch_type.welcome()}
    return open_data(asked, size=size, home=place, held_out=held_out, **form)


def describe(thought: Plan) -> dict[str, Any]:
    """A plan as plain values: what --dry-run prints."""
    return {
        "model": thought.model.name,
        "preset": thought.preset,
        "config": to_plain(thought.config),
        "run": to_plain(thought.run),
        "data": {
            "asked": thought.asked,
            "images": len(thought.data),
            "columns": list(thought.data.columns),
            "reading": to_plain(thought.reading),
        },
        "facts": to_plain(thought.data.facts),
        "parameters": parameters(thought.game),
        "round": trace(thought.game),
    }
