"""Resolve everything about a run before its first step: open the data, check the settings, build the networks."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from ganforge import system
from ganforge.batches import Batch, Facts
from ganforge.catalogue import Model, build_stand_ins, find
from ganforge.console import Say, silent
from ganforge.data.dataset import DataSet
from ganforge.data.open import choose_make, open_data
from ganforge.data.read_options import UNKNOWN_VALUE, ReadOptions
from ganforge.data.synthetic.choose import choose_embedded
from ganforge.data.tokens import tokeniser_of
from ganforge.data.value_range import Range
from ganforge.errors import OptionError
from ganforge.evaluation import selection
from ganforge.game import Clock, Game, missing_parts, only_class, parameters
from ganforge.inference import parts
from ganforge.inference.load import build_game
from ganforge.inference.trained import Trained
from ganforge.run import LIMITS, Run, check_number
from ganforge.runs.folder import RunConfig, versions
from ganforge.runs.run_data import locate
from ganforge.runs.trust import hashes
from ganforge.serialize import check_config, from_plain, to_plain
from ganforge.tracing import describe_round, trace_round
from ganforge.training import own_data
from ganforge.training.init_from import init_weights
from ganforge.training.route_options import route_options


@dataclass(frozen=True)
class Plan:
    """Everything about a run that is decided before its first step."""

    model: Model
    preset: str
    config: Any
    run: Run
    data_spec: str
    """The data as it was named: a path, a named set or `hub:owner/name`."""
    read_options: ReadOptions
    data: DataSet
    game: Game[Any, Any]
    parts: Mapping[str, Trained]
    held_out: Callable[[], DataSet]
    """Opens the held-out split of the data."""
    ranges: Mapping[str, Range] | None = None
    """The range of values of each column of scientific images; None in a run that was made without."""
    location: Mapping[str, str] = field(default_factory=dict)
    """The absolute path of the data, if they are at a path."""
    init_from: Mapping[str, Any] = field(default_factory=dict)
    """Where the first weights come from (`--init-from`): source and hash."""
    part_records: Mapping[str, Any] = field(default_factory=dict)
    """What config.yaml says about each part."""

    def run_config(self) -> RunConfig:
        """The contents of the run folder's config.yaml."""
        return RunConfig(
            model=self.model.name,
            preset=self.preset,
            config=to_plain(self.config),
            run=to_plain(self.run),
            facts=to_plain(self.data.facts),
            data={
                "asked": self.data_spec,
                "images": len(self.data),
                "fingerprint": self.data.fingerprint,
                "reading": to_plain(self.read_options),
                **self.location,
                **({} if self.ranges is None else {"ranges": to_plain(self.ranges)}),
            },
            parts=self.part_records,
            source=hashes(Path(self.model.name), self.model.files).get("", ""),
            versions=versions(),
            init_from=self.init_from,
        )


def plan(
    model: str,
    data: str | Path = "",
    preset: str = "small",
    *,
    config: Mapping[str, Any] | Any = None,
    direction: str = "AtoB",
    make: str = "none",
    unknown: int = UNKNOWN_VALUE,
    tokens: str = "auto",
    only: str = "",
    epochs: float | None = None,
    kimg: float | None = None,
    data_home: str | Path | None = None,
    init_from: str | Path = "",
    link_parts: bool = False,
    load: parts.Load,
    say: Say = silent,
    adapt: bool = True,
    stand_ins: bool = False,
    **run: Any,
) -> Plan:
    """Resolve everything a run needs.  Without `data`, the synthetic set that fits the model is used.

    `run` are fields of `Run` and of the model's Config (`lr=1e-4`); `direction`, `make`, `unknown`, `tokens`,
    `only` of `ReadOptions`.  `init_from`: see init_from.py; `adapt`: own_data.py.  `load` opens parts; `link_parts`
    keeps paths and hashes only; `stand_ins` puts untrained games in the place of needed parts that are not named.
    Raises a GANForgeError with one sentence for whatever does not fit.
    """
    entry, settings = resolve_settings(model, preset, {"config": config, **run})
    if not stand_ins:
        parts.refuse_missing(entry, settings)
    needed = (batch_type := entry.game.choose_batches(settings)).columns()
    data_spec = str(data) or choose_embedded(entry.game, needed)
    run, _ = route_options(entry, run, config)
    options = from_plain(Run, {**to_plain(entry.preset(preset).run), **run})
    check_length(options, epochs, kimg)
    selection.check_options(options, entry.game, settings)
    loaded = parts.resolve(settings, load, entry.name)  # before the data are opened: a text encoder makes its tokens
    reading = resolve_reading(entry.game, settings, direction, make, unknown, tokens, only)
    read_options = choose_make(data_spec, reading, needed, data_home, say)
    if adapt and own_data.adapts(preset, data_spec, run, "size"):
        options = own_data.choose_size(entry, settings, options, data_spec, data_home, read_options, say)
    where = (data_spec, options, data_home, batch_type, read_options)
    opened = open_training_data(*where, tokeniser=parts.find_tokeniser(settings, loaded))
    opened.need(*needed)
    for note in (*opened.notes, *own_data.warn_of_flip(options, opened)):
        say(note)
    options = settle(options, resolve_steps(options, "steps" in run, epochs, kimg, len(opened)))
    parts.check_facts(settings, loaded, opened.facts)
    made = loaded | stand_in(entry, settings, opened.facts, preset)
    game = build_game(entry, settings, opened.facts, options.seed, made)
    if adapt and own_data.adapts(preset, data_spec, run, "augment"):
        options = own_data.choose_augmentation(options, game, opened, say)
    held_out = partial(open_training_data, *where, held_out=True, ranges=opened.ranges, tokeniser=tokeniser_of(opened))
    return Plan(
        entry, preset, settings, options, data_spec, read_options, opened, game, loaded, held_out, dict(opened.ranges),
        locate(data_spec), init_weights(game, init_from, say) if str(init_from) else {},
        parts.describe_parts(loaded, link_parts),
    )  # fmt: skip


def resolve_reading(
    game: type[Game[Any, Any]], settings: Any, direction: str, make: str, unknown: int, tokens: str, only: str
) -> ReadOptions:
    """How the data are read, with the game's choice where the user has none.

    Raises OptionError for what does not fit.
    """
    tokens, own = game.token_kind(settings) if tokens == "auto" else tokens, only_class(settings)
    if own and only and own != only:
        raise OptionError(f"The settings name the class {own}, and --only another, {only}: say one of them.")
    asked = {"direction": direction, "make": make, "unknown": unknown, "tokens": tokens, "only": only or own}
    return from_plain(ReadOptions, asked)


def resolve_settings(model: str, preset: str, options: Mapping[str, Any]) -> tuple[Model, Any]:
    """The model and its Config, of the options of `plan`.  Raises ModelError and OptionError for what does not fit."""
    entry, planned = find(model), inspect.signature(plan).parameters
    own = {name: value for name, value in options.items() if name not in planned}
    _, config = route_options(entry, own, options.get("config"))
    return entry, resolve_config(entry, entry.preset(preset).config, config)


def keep_given(options: Mapping[str, Any], config: Any) -> dict[str, Any]:
    """The options of `plan` that are no settings of `config` and that differ from their defaults."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(plan).parameters.items()}
    taken = {f.name for f in fields(config)} - {f.name for f in fields(Run)} | {"config"}
    kept = {name: value for name, value in options.items() if name not in taken}
    return {name: value for name, value in kept.items() if name not in defaults or value != defaults[name]}


def resolve_config(model: Model, base: Any, config: Mapping[str, Any] | Any) -> Any:
    """The model's Config: that of the preset, changed by the fields in `config`, or `config` itself."""
    changed = {**to_plain(base), **config} if isinstance(config, Mapping) else None
    settings = from_plain(model.game.Config, changed) if changed is not None else base if config is None else config
    check_config(settings)
    return settings


def stand_in(model: Model, config: Any, facts: Facts, preset: str) -> dict[str, Trained]:
    """{field: an untrained game} for the parts that are needed and not named."""
    games = build_stand_ins(model, config, facts, preset=preset)
    return {name: Trained(games[name], Path(), part.model, 0) for name, part in missing_parts(config).items()}


def settle(run: Run, steps: int) -> Run:
    """The run with what depends on the data or the machine.

    Threads and precision are written to config.yaml, so that a resume uses the same ones: the number of threads changes
    the last digits of sums.
    """
    threads, every = run.threads or torch.get_num_threads(), run.every or run.save_every or max(1, steps)
    run = replace(run, steps=steps, threads=threads, precision=resolve_precision(run))
    return replace(run, every=every) if run.select else run


def resolve_steps(run: Run, steps_given: bool, epochs: float | None, kimg: float | None, images: int) -> int:
    """The run's length in steps, from whichever unit was given.  Raises OptionError for two at once."""
    if (epochs is not None) + (kimg is not None) + steps_given > 1:
        raise OptionError("Give the length once: --steps, --epochs or --kimg.")
    check_length(run, epochs, kimg, images)
    if epochs is not None:
        return math.ceil(epochs * images / run.batch)
    return math.ceil(kimg * 1000 / run.batch) if kimg is not None else run.steps


def check_length(run: Run, epochs: float | None, kimg: float | None, images: int = 1) -> None:
    """Raise OptionError for a length that is no number of steps."""
    most = LIMITS["steps"][1] * run.batch
    check_number("--epochs", epochs, 0, most / max(1, images))
    check_number("--kimg", kimg, 0, most / 1000)


def resolve_precision(run: Run) -> Literal["fp32", "bf16"]:
    """The precision that `auto` stands for on the run's device."""
    if run.precision == "auto":
        return "bf16" if system.is_bf16_faster(system.pick_device(run.device)) else "fp32"
    return run.precision


def open_training_data(
    data_spec: str,
    run: Run,
    home: str | Path | None,
    batch_type: type[Batch],
    read_options: ReadOptions,
    held_out: bool = False,
    **where: Any,
) -> DataSet:
    """The data set at the run's size, with the columns that the model's batches have; or its held-out split.

    `where` holds further arguments of `open_data`.
    """
    size = (run.size[0], run.size[-1]) if run.size else None
    options = {"channels": run.channels, "crop": run.crop, "native": run.native, "reading": read_options}
    options |= {"needed": batch_type.columns(), "optional": batch_type.optional_columns()}
    home = Path(home) if home is not None else None
    return open_data(**{"spec": data_spec, "size": size, "home": home, "held_out": held_out, **options, **where})


def describe(plan: Plan) -> dict[str, Any]:
    """A plan as plain values: what --dry-run prints."""
    return {
        "model": plan.model.name,
        "preset": plan.preset,
        "config": to_plain(plan.config),
        "run": to_plain(plan.run),
        "data": {
            "asked": plan.data_spec,
            "images": len(plan.data),
            "columns": list(plan.data.columns),
            "reading": to_plain(plan.read_options),
            **({"ranges": to_plain(plan.ranges)} if plan.ranges else {}),
        },
        "facts": to_plain(plan.data.facts),
        "parameters": parameters(plan.game),
        "step": describe_round(trace_round(plan.game, Clock())),
    }
