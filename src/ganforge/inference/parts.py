"""Pretrained parts: Config fields that name a run, whose game is loaded before the new game is built.

The run folder stores each part as a small run folder under parts/, so that loading does not need the original.
"""

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from ganforge.errors import GANForgeError, ModelError
from ganforge.game import Part
from ganforge.inference.trained import Trained
from ganforge.runs.folder import RunFolder

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


def copy_parts(folder: RunFolder, parts: Mapping[str, Trained]) -> None:
    """Copy the config and the checkpoint of each part into the run folder."""
    for name, part in parts.items():
        target = folder.path / "parts" / name
        (target / "checkpoints").mkdir(parents=True)
        shutil.copy2(part.path / "config.yaml", target)
        step = f"step-{part.step:09d}"
        shutil.copytree(part.path / "checkpoints" / step, target / "checkpoints" / step)
        if (part.path / "parts").is_dir():
            shutil.copytree(part.path / "parts", target / "parts")


def load_kept(config: Any, folder: Path, load: Load) -> dict[str, Trained]:
    """Load the parts of an existing run from its own folder."""
    return resolve(
        dataclasses.replace(config, **{name: str(folder / "parts" / name) for name in named_parts(config)}), load
    )
