"""The verb that translates: pictures, folders and videos through a run."""

from typing import Annotated

from ganforge.cli.options import alias, ask, first_word, note, own_questions, say
from ganforge.errors import OptionError

USAGE = "ganforge translate RUN IN OUT"


def translate(words: list[str]) -> None:
    """Turn pictures, folders or videos into others with a run."""
    name, rest = first_word(words, USAGE, "a run folder, or RUN@best, RUN@12000")
    places = []
    while rest and not rest[0].startswith("-") and len(places) < 2:
        places.append(rest.pop(0))
    if len(places) < 2 and not {"-h", "--help"} & {*rest}:
        raise OptionError(f"Say what to translate, and where the results go: {USAGE}")
    asked = ask(
        f"ganforge translate {name} IN OUT",
        "Translate a picture, a folder, a zip or videos; names, folders and sizes are kept.",
        rest,
        ("n", Annotated[int, alias("-n", help="Answers a picture, where the game has many.")], 1),
        ("seed", Annotated[int, note("Which answers.")], 0),
        ("tile", Annotated[int, note("Side of tiles for large pictures. 0: 512 above 1.5 megapixels.")], 0),
        ("masks", Annotated[str, note("Folder of masks by the pictures' names, for games of instances.")], ""),
        ("truth", Annotated[str, note("Folder of what should come out, for the comparison sheet.")], ""),
        ("sheet", Annotated[str, note("Comparison sheet: input | output | truth.")], ""),
        ("device", Annotated[str, note("auto, cpu, cuda, mps.")], "auto"),
        *own_questions(name, "translate"),
    )
    from ganforge.inference.translate import translate

    done = translate(name, *places, say=say, **vars(asked))
    for sentence in done.notes:
        say(sentence)
    lost = f"; skipped {len(done.skipped)}" if done.skipped else ""
    say(f"Wrote {done.written} into {done.out}{lost}")
    if done.sheet:
        say(f"The comparison sheet is {done.sheet}")
