"""Chains of runs: where a model is built on parts that nobody has trained yet, they are trained first.

RUN/chain.yaml          what was asked for, until the parts are there and config.yaml is written
RUN/parts-made/         a run folder for each part, in the order in which they are trained
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ganforge import distributed
from ganforge.catalogue import Model, find, find_part_model, is_own, part_preset
from ganforge.console import Say
from ganforge.errors import ContractError, RunError
from ganforge.files import reason, write_atomic
from ganforge.game import missing_parts
from ganforge.inference.trained import Trained
from ganforge.runs.folder import CHAIN, PARTS_MADE, RunFolder, next_number, numbered, run_of
from ganforge.runs.reading import add_seal, is_sealed, parse_yaml, read_bytes
from ganforge.runs.trust import hashes, read_trusted
from ganforge.serialize import from_plain, to_plain

SHARED = ("device", "threads", "data_home", "only")  # options that all runs of a chain have
SIZED = ("size", "channels")  # options of the last run that a part has too, where their facts must be equal


@dataclass(frozen=True)
class Stage:
    """One run of a chain that is a part of later ones."""

    name: str
    """The Config field that it fills."""
    model: str
    preset: str
    parts: Mapping[str, str] = field(default_factory=dict)
    """{its own Config field: the name of the stage that fills it}."""
    sized: bool = True
    """Whether its images have the size of the last run's."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Its other settings that the later run asks for."""


@dataclass(frozen=True)
class Chain:
    """The contents of chain.yaml: the arguments of `train`."""

    model: str
    preset: str
    options: Mapping[str, Any]
    source: str = ""
    """SHA-256 of a user's own model file."""


def list_stages(model: Model, preset: str, config: Any) -> list[Stage]:
    """The runs that a Config lacks, each behind those that it is built on itself.

    Two of one name and model are one run: a first stage reads its sentences by the same encoder as the second.
    Raises ContractError for a part that is needed and may be of any model, or that needs itself.
    """
    stages: dict[str, Stage] = {}

    def add(owner: Model, settings: Any, prefix: str, depth: int) -> dict[str, str]:
        if depth > 8:
            raise ContractError(f"{model.name} is built on itself: a chain of parts has no end.")
        parts: dict[str, str] = {}
        for name, part in missing_parts(settings).items():
            other = find_part_model(owner, name, part)
            made = part_preset(other, preset)
            known = next(
                (key for key in (name, prefix + name) if key in stages and stages[key].model == other.name), ""
            )
            if not known:
                known = prefix + name if name in stages else name
                settings = dict(part.having)
                inner = add(other, replace(other.preset(made).config, **settings), f"{known}-", depth + 1)
                sized = not part.encodes_text and not {"height", "width"} & {*part.free}
                stages[known] = Stage(known, other.name, made, inner, sized, settings)
            parts[name] = known
        return parts

    add(model, config, "", 0)
    return [*stages.values()]


def describe_chain(
    model: Model, data: str, preset: str, config: Any, options: Mapping[str, Any], outdir: str | Path, name: str = ""
) -> str:
    """What to type instead of a command that lacks parts: a sentence, and the commands in order, ready to paste."""
    lines, paths = list[str](), dict[str, str]()
    for number, stage in enumerate(list_stages(model, preset, config), next_number(Path(outdir))):
        words = ["ganforge", "train", stage.model, "--data", data, "--preset", stage.preset, "--name", stage.name]
        words += ["--outdir", str(outdir)]
        words += [word for key, value in part_options(stage, options).items() for word in option_words(key, value)]
        words += [word for key, value in stage.settings.items() for word in option_words(f"config.{key}", value)]
        for own, other in stage.parts.items():
            words += [flag_of(f"config.{own}"), paths[other]]
        lines.append(shlex.join(words))
        paths[stage.name] = str(Path(outdir) / numbered(number, stage.name))
    words = ["ganforge", "train", model.name, "--data", data, "--preset", preset, "--outdir", str(outdir)]
    words += ["--name", name] if name else []
    words += changed_words(to_plain(model.preset(preset).config), to_plain(config), "config.")
    words += [word for key, value in options.items() if key != "config" for word in option_words(key, value)]
    for own in missing_parts(config):
        words += [flag_of(f"config.{own}"), paths[own]]
    missing = " and ".join(repr(part) for part in missing_parts(config))
    return (
        f"{Path(model.name).stem} is built on {missing}, and no run is named for it.  On these data the parts are "
        "trained first, in this order:\n" + "\n".join(f"  {line}" for line in [*lines, shlex.join(words)])
    )


def part_options(stage: Stage, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the last run that a stage has too."""
    return {name: options[name] for name in (*SHARED, *(SIZED if stage.sized else ())) if name in options}


def changed_words(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str) -> list[str]:
    """The flags of the settings that differ."""
    return [
        word for key, value in after.items() if before.get(key) != value for word in option_words(prefix + key, value)
    ]


def option_words(name: str, value: Any) -> list[str]:
    """An option as it is typed."""
    if isinstance(value, bool):
        return [flag_of(name) if value else f"--no-{name.replace('_', '-')}"]
    values = value if isinstance(value, tuple | list) else [value]
    return [] if value is None else [flag_of(name), *map(str, values)]


def flag_of(name: str) -> str:
    """The flag of an option."""
    return f"--{name.replace('_', '-')}"


# The folder -------------------------------------------------------------------------------------


def begin_chain(outdir: Path, title: str, model: Model, preset: str, options: Mapping[str, Any]) -> RunFolder:
    """Make a run folder with chain.yaml.  Raises RunError where it cannot be written."""
    source = hashes(Path(model.name), model.files).get("", "")
    chain = Chain(model.name, preset, to_plain(options), source)
    folder = RunFolder.reserve(outdir, title)
    try:
        text = yaml.safe_dump(to_plain(chain), sort_keys=False, allow_unicode=True)
        write_atomic(folder.path / CHAIN, add_seal(text))
    except OSError as error:
        raise RunError(f"{folder.path / CHAIN} cannot be written ({reason(error)}).") from error
    return folder


def is_chain(path: Path) -> bool:
    """Whether a folder is a run whose parts are not all there."""
    return (path / CHAIN).is_file() and not (path / "config.yaml").exists()


def read_chain(path: Path, trust: bool) -> Chain:
    """The contents of a folder's chain.yaml, whose model may be run.

    Raises RunError where it cannot be read or was changed, ModelError for code that may not be run (runs/trust.py).
    """
    content = read_bytes(path / CHAIN)
    if not is_sealed(content):
        raise RunError(f"{path / CHAIN} was changed after it was written, for its checksum is wrong: restore it.")
    chain = from_plain(Chain, parse_yaml(path / CHAIN, content))
    if is_own(chain.model):
        find(chain.model, read_trusted(Path(chain.model), chain.source, trust))
    return chain


def train_stages(
    folder: RunFolder,
    stages: list[Stage],
    data: str,
    options: Mapping[str, Any],
    train: Callable[..., Trained],
    resume: Callable[..., Trained],
    say: Say,
) -> tuple[dict[str, str], Trained | None]:
    """Train the runs of a chain that are not done: ({name: run folder}, None), or the run that a signal stopped.

    `data` is the embedded data set that the last run names; empty: each trains on the one that has its columns.
    `train` and `resume` are those of train.py.
    """
    made: dict[str, str] = {}
    for number, stage in enumerate(stages, 1):
        title = f"Part {number} of {len(stages)}, {stage.name!r}, is a run of {Path(stage.model).stem}"
        path = distributed.broadcast_text(lambda stage=stage: find_stage(folder, stage))
        if not path:
            say(f"{title}: it is trained first.")
            config = {**stage.settings, **{own: made[other] for own, other in stage.parts.items()}}
            trained = train(
                stage.model, data, stage.preset, outdir=folder.path / PARTS_MADE, name=stage.name, config=config,
                **part_options(stage, options),
            )  # fmt: skip
        elif not is_done(Path(path)):
            say(f"{title}: it goes on.")
            trained = resume(path)
        else:
            made[stage.name] = path
            continue
        if distributed.any_process(bool(trained.stopped_by)):
            say(f"The whole chain goes on with: ganforge resume {folder.path}")
            return made, trained
        made[stage.name] = str(trained.path)
    return made, None


def find_stage(folder: RunFolder, stage: Stage) -> str:
    """The run folder of a stage; empty where there is none yet."""
    found = sorted((folder.path / PARTS_MADE).glob(f"[0-9][0-9][0-9][0-9][0-9]-{stage.name}"))
    return next((str(path) for path in found if (path / "config.yaml").is_file()), "")


def is_done(path: Path) -> bool:
    """Whether a run has all its steps."""
    folder = RunFolder.open(path)
    return (folder.checkpoints().steps() or [0])[-1] >= run_of(folder.run_config).steps
