"""The verb translate: images, folders and videos."""

from typing import Annotated

from ganforge.cli.options import (
    alias,
    game_options,
    help_text,
    parse_options,
    say,
    take_first_word,
    take_in_and_out,
    trust_option,
)

USAGE = "ganforge translate RUN IN OUT"


def translate(words: list[str]) -> None:
    """Translate images, folders or videos with a run."""
    name, rest = take_first_word(words, USAGE, "a run folder, or RUN@best, RUN@12000")
    places, rest = take_in_and_out(rest, USAGE, "what to translate, and where the results go")
    options = parse_options(
        f"ganforge translate {name} IN OUT",
        "Translate an image, a folder, a zip or videos; names, folders and sizes are kept.",
        rest,
        ("n", Annotated[int, alias("-n", help="Outputs for each image, where the model has several.")], 1),
        ("seed", Annotated[int, help_text("Random seed.")], 0),
        ("tile", Annotated[int, help_text("Side of tiles for large images. 0: 512 above 1.5 megapixels.")], 0),
        ("masks", Annotated[str, help_text("Folder of masks, named as the images are; for models of instances.")], ""),
        ("truth", Annotated[str, help_text("Folder of target images, for the comparison sheet.")], ""),
        ("sheet", Annotated[str, help_text("Comparison sheet: input | output | truth.")], ""),
        ("device", Annotated[str, help_text("auto, cpu, cuda, mps.")], "auto"),
        trust_option(),
        *game_options(name, "translate", rest),
    )
    from ganforge.inference.translate import translate

    done = translate(name, *places, say=say, **vars(options))
    for sentence in done.notes:
        say(sentence)
    lost = f"; skipped {len(done.skipped)}" if done.skipped else ""
    written = "" if done.out.is_file() else f"{done.written} into "
    say(f"Wrote {written}{done.out}{lost}")
    if done.sheet:
        say(f"The comparison sheet is {done.sheet}")
