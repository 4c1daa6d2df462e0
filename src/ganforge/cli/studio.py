"""The verb studio: trained runs in the browser."""

from pathlib import Path
from typing import Annotated

from ganforge.cli.options import help_text, parse_options, say, take_words
from ganforge.errors import RunError


def studio(words: list[str]) -> None:
    """Open the studio: sample, paint, arrange, translate, score and train in the browser."""
    runs, rest = take_words(words)
    for place in runs:
        if not Path(place).expanduser().exists():
            raise RunError(f"{place} does not exist: name run folders, or folders of runs.")
    from ganforge.studio.server import PORT, serve

    options = parse_options(
        "ganforge studio [RUN ...]",
        "Serve a page in which runs can be tried; RUN is a run folder or a folder of runs, by default runs.",
        rest,
        ("host", Annotated[str, help_text("0.0.0.0 shares it with the network.")], "127.0.0.1"),
        ("port", Annotated[int, help_text("0: any free port.")], PORT),
        ("memory", Annotated[float, help_text("GB of weights that stay loaded.")], 2.0),
        ("data_root", Annotated[tuple[str, ...], help_text("Folders whose data sets trainings may use.")], ()),
        ("allow_train", Annotated[bool, help_text("Let other machines start trainings.")], False),
        ("device", Annotated[str, help_text("auto, cpu, cuda, mps.")], "auto"),
    )
    serve(runs or ["runs"], **vars(options), say=say)
