"""The verbs of codes: invert, directions, edit."""

import dataclasses
from typing import Annotated, Any

from ganforge.cli.options import (
    alias,
    data_home_option,
    help_text,
    parse_options,
    say,
    take_first_word,
    take_words,
    trust_option,
)
from ganforge.console import count
from ganforge.errors import OptionError

RUN = "a run folder, or RUN@best, RUN@12000"
DEVICE = ("device", Annotated[str, help_text("auto, cpu, cuda, mps.")], "auto")


def invert(words: list[str]) -> None:
    """Find the codes of photographs, and draw them again."""
    usage = "ganforge invert RUN PHOTO... -o OUT"
    name, rest = take_first_word(words, usage, RUN)
    photos, rest = take_words(rest)
    options = parse_options(
        f"ganforge invert {name} PHOTO...",
        "Find the codes of images, folders or zips: by the run's encoder, or by a descent.",
        rest,
        ("out", Annotated[str, alias("-o", help="A folder for codes, images and the page.")], ""),
        *inversion_options(),
        ("seed", Annotated[int, help_text("Random seed of the descent.")], 0),
        DEVICE,
        trust_option(),
    )
    if not photos or not options.out:
        raise OptionError(f"Give photographs and a folder for the results: {usage}")
    from ganforge.evaluation.invert import invert as invert_photos

    report = invert_photos(name, photos, say=say, **vars(options))
    for note in report.notes:
        say(note)
    say(
        f"Photographs: {len(report.found)}. The mean squared difference is {report.error:.3f} of their variance, "
        f"{report.seconds:.2f} s each."
    )
    say(f"Wrote {report.out / 'index.html'}")


def directions(words: list[str]) -> None:
    """Find the directions of a run's codes: components, factors of the weights, labels."""
    name, rest = take_first_word(words, "ganforge directions RUN", RUN)
    options = parse_options(
        f"ganforge directions {name}",
        "Find directions of codes, store them in the run folder, and draw a sheet of each.",
        rest,
        ("components", Annotated[int, help_text("Principal components of the codes (GANSpace).")], 5),
        ("factors", Annotated[int, help_text("Factors of the weights that read codes (SeFa).")], 5),
        ("labels", Annotated[bool, help_text("Boundaries of the data's own labels (InterFaceGAN).")], True),
        ("conditional", Annotated[bool, help_text("Whether a label's direction leaves the other labels alone.")], True),
        ("n", Annotated[int, alias("-n", help="Codes that are sampled.")], 5_000),
        ("seed", Annotated[int, help_text("Random seed of the codes.")], 0),
        ("data", Annotated[str, help_text("Data with labels. Empty: those of the run.")], ""),
        data_home_option(),
        DEVICE,
        trust_option(),
    )
    from ganforge.evaluation.directions import directions as find_directions

    given = vars(options)
    found = find_directions(name, home=given.pop("data_home"), say=say, **given)
    for one in found:
        say(f"{one.direction.name:<14} {one.direction.about}")
    say(
        f"Wrote {count(len(found), 'direction')} with a sheet of each to {found[0].sheet.parent}"
        if found
        else "Found none."
    )


def edit(words: list[str]) -> None:
    """Edit photographs, or random images, along directions of their codes."""
    usage = "ganforge edit RUN PHOTO... --direction smiling=2 -o OUT"
    name, rest = take_first_word(words, usage, RUN)
    photos, rest = take_words(rest)
    several = tuple[str, ...]
    options = parse_options(
        f"ganforge edit {name} PHOTO...",
        "Edit images, or codes that invert has stored; without either, random images of a seed.",
        rest,
        ("direction", Annotated[several, help_text("Names and sizes in standard deviations: smiling=2 large=-1.")], ()),
        ("out", Annotated[str, alias("-o", help="A folder for the images and the page.")], ""),
        ("n", Annotated[int, alias("-n", help="Random images, without a photograph.")], 0),
        *inversion_options(),
        ("seed", Annotated[int, help_text("Random seed of the images, or of the descent.")], 0),
        DEVICE,
        trust_option(),
    )
    if not options.out:
        raise OptionError(f"Give a folder for the results: {usage}")
    from ganforge.evaluation.edit import edit as edit_photos

    given = vars(options)
    sizes = dict(map(parse_direction, given.pop("direction")))
    report = edit_photos(name, photos, sizes, given.pop("out"), say=say, **given)
    for note in report.notes:
        say(note)
    say(f"Edited {count(len(report.edited), 'image')}. Wrote {report.out / 'index.html'}")


def inversion_options() -> list[tuple[str, Any, Any]]:
    """The fields of `Inversion` as options."""
    from ganforge.inference.inversion import HELP, Inversion

    return [
        (each.name, Annotated[each.type, help_text(HELP[each.name])], each.default)
        for each in dataclasses.fields(Inversion)
    ]


def parse_direction(word: str) -> tuple[str, float]:
    """`smiling=2` as a name and a size.  Raises OptionError for another word."""
    name, equals, size = word.rpartition("=")
    try:
        if equals and name:
            return name, float(size)
    except ValueError:
        pass
    raise OptionError(f"--direction takes names and sizes, as in --direction smiling=2, not {word!r}.")
