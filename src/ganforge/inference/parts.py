"""Pretrained parts: a Config field that names a run, resolved to its game before the new game is built.

The run folder keeps each part's weights once, as a small run folder under parts/, and loading never
looks for the original.
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


def slots(config: Any) -> dict[str, Part]:
    """{field: its Part} for every part that a Config can name."""
    found = {}
    for name, hint in get_type_hints(type(config), include_extras=True).items():
        notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        if part := next((note for note in notes if isinstance(note, Part)), None):
            found[name] = part
    return found


def named(config: Any) -> dict[str, tuple[str, Part]]:
    """{field: (what it names, its Part)} for every part that a Config asks for."""
    return {name: (getattr(config, name), part) for name, part in slots(config).items() if getattr(config, name)}


def resolve(config: Any, load: Load) -> dict[str, Trained]:
    """The parts of a Config, loaded.  Raises ModelError naming the command that makes a missing one."""
    parts = {}
    for name, (run, part) in named(config).items():
        try:
            parts[name] = load(run)
        except GANForgeError as error:
            raise ModelError(
                f"The part {name!r} cannot be had from {run!r}: {error} `ganforge train {part.model}` makes one; "
                f"name its run folder with --config.{name.replace('_', '-')}."
            ) from error
        if parts[name].model != part.model:
            raise ModelError(f"The part {name!r} must be a run of {part.model}; {run!r} is one of {parts[name].model}.")
    return parts


def keep(folder: RunFolder, parts: Mapping[str, Trained]) -> None:
    """Copy what each part needs to be loaded again into the run folder."""
    for name, part in parts.items():
        home = folder.path / "parts" / name
        (home / "checkpoints").mkdir(parents=True)
        shutil.copy2(part.path / "config.yaml", home)
        step = f"step-{part.step:09d}"
        shutil.copytree(part.path / "checkpoints" / step, home / "checkpoints" / step)
        if (part.path / "parts").is_dir():
            shutil.copytree(part.path / "parts", home / "parts")


def kept(config: Any, folder: Path, load: Load) -> dict[str, Trained]:
    """The parts of a run that exists, from its own folder."""
    return resolve(dataclasses.replace(config, **{name: str(folder / "parts" / name) for name in named(config)}), load)
