"""The verbs for weights: import, export."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from ganforge.cli.options import alias, help_text, parse_options, say, take_words, trust_option
from ganforge.errors import OptionError


def import_weights(words: list[str]) -> None:
    """Import an official checkpoint as a run."""
    files, rest = take_words(words)
    if not files and not {"-h", "--help"} & {*rest}:
        raise OptionError("Give the file: ganforge import official.pth --as pix2pix -o RUN")
    options = parse_options(
        "ganforge import FILE [NETWORK=FILE ...]",
        "Import an official checkpoint, .pth or .safetensors, as a run.  No code in the file is run.",
        rest,
        ("model", Annotated[str, flag_name("as", "The model that it becomes: pix2pix, srgan ...")], ""),
        ("out", Annotated[str, alias("-o", help="The run folder. Empty: runs/MODEL-FILE.")], ""),
        ("class_name", Annotated[str, flag_name("class", "The official class, where several fit.")], ""),
        ("entry", Annotated[str, help_text("Which state dict of a file that holds several.")], ""),
        (
            "set",
            Annotated[
                tuple[str, ...], help_text("Arguments of the official class that the shapes do not determine: a=1 b=c.")
            ],
            (),
        ),
        ("config", Annotated[tuple[str, ...], help_text("Settings of the model, for further training: lr=1e-5.")], ()),
    )
    if not options.model:
        raise OptionError("Give the model that the file becomes: --as pix2pix, for instance.")
    from ganforge.interop import importing

    path = importing.import_weights(
        files, options.model, options.out, class_name=options.class_name, entry=options.entry,
        arguments=parse_settings("--set", options.set), config=parse_settings("--config", options.config), say=say,
    )  # fmt: skip
    say(f"\nThe run is in {path}.")


def export(words: list[str]) -> None:
    """Export a run's networks as safetensors, ONNX and torch.export."""
    runs, rest = take_words(words)
    if len(runs) != 1 and not {"-h", "--help"} & {*rest}:
        raise OptionError("Give one run: ganforge export RUN")
    kinds: Any = tuple[Literal["safetensors", "onnx", "pt2"], ...]
    options = parse_options(
        "ganforge export RUN",
        "Export the networks that a run samples or translates with; each file is compared with its source.",
        rest,
        ("out", Annotated[str, alias("-o", help="A folder, or one file: net.onnx. Empty: export in the run.")], ""),
        ("formats", Annotated[kinds, flag_name("format", "One or more formats. Empty: all.")], ()),
        trust_option(),
    )
    from ganforge.interop import exporting

    exporting.export(runs[0], options.out, options.formats, trust=options.trust, say=say)


def flag_name(name: str, help: str) -> Any:
    """A flag with another name than its field, and the help of the option."""
    import tyro

    return tyro.conf.arg(name=name, help=help)


def parse_settings(flag: str, texts: Sequence[str]) -> dict[str, Any]:
    """Parse `norm=instance`, `lr=1e-5`, `use_dropout=true` into names and values.  Raises OptionError for others."""
    import yaml

    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise OptionError(f"{flag} {text!r} is not a setting: write NAME=VALUE, for instance norm=instance.")
        try:
            values[name] = float(value) if is_float(value) else yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise OptionError(f"{flag} {text!r} is not a setting: {value!r} is no number and no plain text.") from None
    return values


def is_float(text: str) -> bool:
    """Whether a text is a number with an exponent, as `1e-5`, which YAML takes for text."""
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+", text) is not None
