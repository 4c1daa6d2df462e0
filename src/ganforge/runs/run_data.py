"""Open the data of a run again: the same files, read the same way, in the run's range of values."""

from functools import partial
from pathlib import Path
from typing import Any

from ganforge.batches import Batch, Facts
from ganforge.data.open import open_data
from ganforge.data.value_range import Range, parse_ranges
from ganforge.errors import DataError, RunError
from ganforge.runs.folder import RunConfig, read_options_of, run_of
from ganforge.text.tokeniser import FILE, Tokeniser, load_captions, load_tokeniser


def locate(data_spec: str) -> dict[str, str]:
    """{"path": the absolute path} of data that were named by a path; {} for those that were named otherwise."""
    path = Path(data_spec).expanduser()
    return {"path": str(Path.cwd() / path)} if data_spec and path.exists() else {}


def ranges_of(run_config: RunConfig) -> dict[str, Range] | None:
    """The ranges of values of a run, {column: (low, high)}; None for a run that was made before they were stored.

    Raises RunError where config.yaml holds something else.
    """
    try:
        return parse_ranges(run_config.data.get("ranges"))
    except DataError as error:
        raise RunError(str(error)) from error


def load_run_tokeniser(path: Path, facts: Facts) -> tuple[Tokeniser | None, tuple[str, ...]]:
    """The tokeniser of the run folder `path`, and some captions of its data; (None, ()) of a run without sentences.

    Raises RunError where it is missing, or another than the run was trained with.
    """
    if not facts.tokeniser:
        return None, ()
    tokeniser = load_tokeniser(path / FILE)
    if tokeniser.hash != facts.tokeniser:
        raise RunError(f"{path / FILE} is not the tokeniser that the run was trained with: restore it from a copy.")
    return tokeniser, load_captions(path / FILE)


def run_data_arguments(run_config: RunConfig) -> dict[str, Any]:
    """The arguments of `open_data` that say where a run's data are and how their values are read."""
    asked, path = str(run_config.data.get("asked", "")), str(run_config.data.get("path", ""))
    arguments: dict[str, Any] = {"spec": asked, "ranges": ranges_of(run_config)}
    if path and Path(path).exists():
        arguments |= {"spec": path, "where": str(Path(asked).expanduser())}
    return arguments


def check_run_data(
    run_config: RunConfig,
    batch_type: type[Batch],
    home: Path | None,
    remedy: str,
    tokeniser: Tokeniser | None = None,
) -> None:
    """Raise DataError unless the run's training data are those that it was trained on; `remedy` ends the sentence.

    They are opened as in training, because the fingerprint depends on the size.
    """
    stored = run_config.data.get("fingerprint", "")
    if not stored:  # an imported run
        if not run_config.data.get("asked"):
            raise DataError(f"The run does not say which data it was trained on: {remedy}.")
        return
    run, asked = run_of(run_config), run_config.data["asked"]
    opened = partial(
        open_data,
        size=(run.size[0], run.size[-1]) if run.size else None,
        channels=run.channels,
        crop=run.crop,
        native=run.native,
        home=home,
        needed=batch_type.columns(),
        optional=batch_type.optional_columns(),
        reading=read_options_of(run_config),
        tokeniser=tokeniser,
    )
    arguments = run_data_arguments(run_config)
    try:
        data = opened(**arguments)
    except DataError as error:
        raise DataError(
            f"The run's data cannot be opened: {str(error).rstrip('.')}. {remedy[0].upper()}{remedy[1:]}."
        ) from error
    if data.fingerprint != stored:
        raise DataError(
            f"{arguments['spec']} is not the data that the run was trained on, or has changed since "
            f"({run_config.data['images']} images then, {len(data)} now, or other content): restore {asked}, or "
            f"{remedy}."
        )
