"""The verbs that bring weights in and out: import, export."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from ganforge.cli.options import alias, ask, note, say
from ganforge.errors import OptionError


def import_weights(words: list[str]) -> None:
    """Make a run of weights that others trained."""
    files = leading(words)
    if not files and not {"-h", "--help"} & {*words}:
        raise OptionError("Say which file: ganforge import official.pth --as pix2pix -o RUN")
    asked = ask(
        "ganforge import FILE [NETWORK=FILE ...]",
        "Make a run of an official checkpoint, .pth or .safetensors.  No code in the file is run.",
        words[len(files) :],
        ("model", Annotated[str, called("as", "The model that it becomes: pix2pix, srgan ...")], ""),
        ("out", Annotated[str, alias("-o", help="The run folder. Empty: runs/MODEL-FILE.")], ""),
        ("class_name", Annotated[str, called("class", "The official class, where several fit.")], ""),
        ("entry", Annotated[str, note("Which state dict of a file that holds several.")], ""),
        ("set", Annotated[tuple[str, ...], note("Arguments of the official class that no shape tells: a=1 b=c.")], ()),
        ("config", Annotated[tuple[str, ...], note("Settings of the model, for training on: lr=1e-5.")], ()),
    )
    if not asked.model:
        raise OptionError("Say what the file becomes: --as pix2pix, for instance.")
    from ganforge.interop import importing

    path = importing.import_weights(
        files, asked.model, asked.out, class_name=asked.class_name, entry=asked.entry,
        arguments=settings(asked.set), config=settings(asked.config), say=say,
    )  # fmt: skip
    say(f"\nThe run is in {path}.")


def export(words: list[str]) -> None:
    """Write a run's networks as safetensors, ONNX and torch.export."""
    runs = leading(words)
    if len(runs) != 1 and not {"-h", "--help"} & {*words}:
        raise OptionError("Say which run, one: ganforge export RUN")
    kinds: Any = tuple[Literal["safetensors", "onnx", "pt2"], ...]
    asked = ask(
        "ganforge export RUN",
        "Write the networks that a run samples or translates with, each file held against its source.",
        words[len(runs) :],
        ("out", Annotated[str, alias("-o", help="A folder, or one file: net.onnx. Empty: export in the run.")], ""),
        ("formats", Annotated[kinds, called("format", "One or more; all where none is named.")], ()),
    )
    from ganforge.interop import exporting

    exporting.export(runs[0], asked.out, asked.formats, say=say)


def leading(words: list[str]) -> list[str]:
    """The words in front of the first option."""
    return words[: next((i for i, word in enumerate(words) if word.startswith("-")), len(words))]


def called(name: str, help: str) -> Any:
    """A flag of another name than its field's, and its line in the help."""
    import tyro

    return tyro.conf.arg(name=name, help=help)


def settings(texts: Sequence[str]) -> dict[str, Any]:
    """`norm=instance`, `ngf=32`, `use_dropout=true` as names and values."""
    import yaml

    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise OptionError(f"{text!r} is no setting: write NAME=VALUE, for instance norm=instance.")
        found[name] = yaml.safe_load(value)
    return found
