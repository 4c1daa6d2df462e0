"""Which model files a person trained on this machine: their SHA-256, outside of every run folder.

HOME/trained/3f0a...d1/77b2...09.json      {path: SHA-256} of a model file (the folder's name) and the modules beside it

HOME is GANFORGE_HOME, or the folder for data of this platform.  A run folder may come from somebody else, and names the
file that its model is in; only what stands here is run without being asked for.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from ganforge.catalogue import Model, own_files
from ganforge.console import note
from ganforge.errors import GANForgeError, ModelError
from ganforge.files import reason, write_atomic
from ganforge.runs.reading import parse_json, read_bytes


def home() -> Path:
    """The folder of records: GANFORGE_HOME, else a folder for the user's data."""
    named = os.environ.get("GANFORGE_HOME")
    return Path(named) if named else platformdirs.user_data_path("ganforge", appauthor=False)


def hashes(path: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    """{path: SHA-256} of a model's files, with "" for the model file itself, whose name does not matter."""
    return {"" if name == path.name else name: hashlib.sha256(text).hexdigest() for name, text in sorted(files.items())}


def record_path(found: Mapping[str, str]) -> Path:
    """Where the record of these hashes is."""
    whole = json.dumps(found, sort_keys=True).encode()
    return home() / "trained" / found[""] / f"{hashlib.sha256(whole).hexdigest()}.json"


def record(model: Model) -> None:
    """Record that a model in a user's file, as it was imported, is trained here; a note where that is not possible."""
    path = Path(model.name)
    try:
        found = hashes(path, model.files)
        target = record_path(found)
        if not target.is_file():
            write_atomic(target, json.dumps(found, indent=1) + "\n")
    except (OSError, RuntimeError, GANForgeError) as error:  # RuntimeError: there is no home
        note(
            f"That {path} was trained here cannot be recorded ({reason(error)}): the run goes on, and opening it later "
            "needs --trust, or trust=True in Python.  GANFORGE_HOME names another folder for the record."
        )


def read_trusted(path: Path, source: str, trust: bool) -> dict[str, bytes]:
    """The files of a run's model, if they may be run: they were trained here, or `trust` says so.

    `source` is the SHA-256 that the run gives for the file.  Raises ModelError, saying what to do, where the run gives
    none, the file is gone or was changed, or it may not be run.
    """
    if not source:
        raise ModelError(
            f"The run's model is Python code in {path}, and its config.yaml has no SHA-256 of it: such a run is not "
            "opened, because any code could take the file's place."
        )
    if not path.is_file():
        raise ModelError(f"The run was trained from {path}, which does not exist any more: restore the file.")
    files = own_files(path)
    found = hashes(path, files)
    if found[""] != source:
        raise ModelError(f"{path} has changed since the run was trained: restore the former version.")
    if not trust and not is_recorded(found):
        changed = find_changed(found)
        raise ModelError(
            f"The run's model is Python code, {path}, that was not trained on this machine"
            f"{f' with {changed} beside it as it is now' if changed else ''}: it is not run.  Read it first; then "
            "--trust, or trust=True in Python, runs it."
        )
    return files


def is_recorded(found: Mapping[str, str]) -> bool:
    """Whether these hashes are those of a model that was trained here."""
    try:
        return record_path(found).is_file()
    except (OSError, RuntimeError):
        return False


def find_changed(found: Mapping[str, str]) -> str:
    """The module beside a model that is not as it was when the model was trained here; empty where it never was."""
    try:
        for file in sorted((home() / "trained" / found[""]).glob("*.json")):
            before = parse_json(file, read_bytes(file))
            return next((name for name in sorted({*before, *found}) if before.get(name) != found.get(name)), "")
    except (OSError, RuntimeError, GANForgeError):
        pass
    return ""
