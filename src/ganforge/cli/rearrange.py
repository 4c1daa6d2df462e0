"""The verb rearrange: a layout, and what changes when its objects are moved, resized, removed or added."""

from typing import Annotated

from ganforge.cli.options import alias, help_text, parse_options, say, take_first_word, trust_option
from ganforge.errors import OptionError

USAGE = "ganforge rearrange RUN --layout LAYOUT"


def rearrange(words: list[str]) -> None:
    """Move, resize, remove and add the objects of a layout, with the same latents."""
    name, rest = take_first_word(words, USAGE, "a run folder, or RUN@best, RUN@12000")
    several = tuple[str, ...]
    options = parse_options(
        f"ganforge rearrange {name}",
        "Draw a layout and each change of it as a strip; all images have the same latents.",
        rest,
        ("layout", Annotated[str, help_text("star 0.1 0.2 0.5 0.6; disc 0.5 0.5 0.9 0.9, or a JSON file.")], ""),
        ("move", Annotated[several, help_text("Names and shifts in shares of the image: star 0.2,0.")], ()),
        ("resize", Annotated[several, help_text("Names and factors: star 1.5.")], ()),
        ("remove", Annotated[several, help_text("Names: star, or star:2 for the second one.")], ()),
        ("add", Annotated[several, help_text("Boxes: 'star 0.1 0.2 0.5 0.6'.")], ()),
        ("out", Annotated[str, alias("-o", help="The strip. Empty: in the run folder.")], ""),
        ("seed", Annotated[int, help_text("Random seed.")], 0),
        ("device", Annotated[str, help_text("auto, cpu, cuda, mps.")], "auto"),
        trust_option(),
    )
    if not options.layout:
        raise OptionError(f"Give the layout: {USAGE}, as in --layout 'star 0.1 0.2 0.5 0.6; disc 0.5 0.5 0.9 0.9'.")
    from ganforge.inference.rearrange import rearrange

    done = rearrange(name, **vars(options))
    say(f"Wrote {done.path}")
