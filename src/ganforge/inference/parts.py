"""Pretrained parts: Config fields that name a run, whose game is loaded before the new game is built.

The run folder stores each part as a small run folder under parts/, so that loading does not need the original.  A
linked part (`--link-parts`) stays where it is: config.yaml holds its path and the hash of what its answers follow from.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from ganforge.errors import GANForgeError, ModelError, RunError
from ganforge.files import reason, sha256
from ganforge.game import Part
from ganforge.inference.trained import Trained
from ganforge.runs.folder import RunFolder
from ganforge.serialize import to_plain

Load = Callable[[str], Trained]


def part_fields(config: Any) -> dict[str, Part]:
    """{field: its Part} for every field of a Config that may name a part."""
    fields = {}
    for name, hint in get_type_hints(type(config), include_extras=True).items():
        notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        if part := next((note for note in notes if isinstance(note, Part)), None):
            fields[name] = part
    return fields


def named_parts(config: Any) -> dict[str, tuple[str, Part]]:
    """{field: (run, its Part)} for every field of a Config that names a part."""
    return {name: (getattr(config, name), part) for name, part in part_fields(config).items() if getattr(config, name)}


def resolve(config: Any, load: Load) -> dict[str, Trained]:
    """Load the parts of a Config.  Raises ModelError, naming the command that trains a missing one."""
    parts = {}
    for name, (run, part) in named_parts(config).items():
        try:
            parts[name] = load(run)
        except GANForgeError as error:
            raise ModelError(
                f"The part {name!r} cannot be loaded from {run!r}: {error} `ganforge train {part.model}` trains one; "
                f"name its run folder with --config.{name.replace('_', '-')}."
            ) from error
        if parts[name].model != part.model:
            raise ModelError(f"The part {name!r} must be a run of {part.model}; {run!r} is one of {parts[name].model}.")
    return parts


def describe_parts(parts: Mapping[str, Trained], link: bool) -> dict[str, Any]:
    """What config.yaml says about each part: where it came from, and its hash where it is only linked."""
    if not link:
        return {name: str(part.path) for name, part in parts.items()}
    return {
        name: {"linked": f"{part.path.resolve()}@{part.step}", "sha256": hash_run(part.path, part.step)}
        for name, part in parts.items()
    }


def hash_run(path: Path, step: int) -> str:
    """SHA-256 of what a run's answers follow from: its model, settings, facts, weights and parts."""
    config, checkpoint = RunFolder.open(path).run_config, path / "checkpoints" / f"step-{step:09d}"
    weights = [sha256(file) for name in ("game", "averaged") if (file := checkpoint / f"{name}.safetensors").is_file()]
    nested = []
    for name, record in sorted(config.parts.items()):
        inner = path / "parts" / name
        nested.append(record["sha256"] if is_linked(record) else hash_run(inner, RunFolder(inner).checkpoints().find()))
    about = [config.model, config.source, config.config, config.facts, weights, nested]
    return hashlib.sha256(json.dumps(to_plain(about), sort_keys=True).encode()).hexdigest()


def is_linked(record: Any) -> bool:
    """Whether a part's record in config.yaml is that of a linked part."""
    return isinstance(record, Mapping)


def copy_parts(folder: RunFolder, parts: Mapping[str, Trained], records: Mapping[str, Any]) -> None:
    """Copy the config and the checkpoint of each part that is not linked into the run folder.

    Raises RunError where that fails.
    """
    for name, part in parts.items():
        if is_linked(records[name]):
            continue
        target = folder.path / "parts" / name
        step = f"step-{part.step:09d}"
        try:
            (target / "checkpoints").mkdir(parents=True)
            shutil.copy2(part.path / "config.yaml", target)
            shutil.copytree(part.path / "checkpoints" / step, target / "checkpoints" / step)
            if (part.path / "parts").is_dir():  # links stay links: a circle of them would be copied for ever
                shutil.copytree(part.path / "parts", target / "parts", symlinks=True)
        except OSError as error:
            raise RunError(f"The part {name!r} cannot be copied from {part.path} ({reason(error)[:300]}).") from error


def load_kept(config: Any, folder: Path, load: Load, records: Mapping[str, Any]) -> dict[str, Trained]:
    """Load the parts of an existing run from its own folder, or from where they are linked.

    Raises ModelError where a linked part is missing or has changed.
    """
    runs = {name: str(folder / "parts" / name) for name in named_parts(config)}
    for name in runs:
        if is_linked(records.get(name)):
            runs[name] = find_linked(name, records[name])
    return resolve(dataclasses.replace(config, **runs), load)


def find_linked(name: str, record: Mapping[str, Any]) -> str:
    """The address of a linked part.  Raises ModelError where its run is missing or has changed."""
    address = str(record.get("linked"))
    path, _, step = address.rpartition("@")
    try:
        found = hash_run(Path(path), int(step))
    except (GANForgeError, ValueError, OSError) as error:
        raise ModelError(
            f"The part {name!r} is linked to {address}, which cannot be opened ({error}): bring that run back."
        ) from error
    if found != record.get("sha256"):
        raise ModelError(
            f"The part {name!r} is linked to {address}, whose weights or settings have changed since: restore that run."
        )
    return address
