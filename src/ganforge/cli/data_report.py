"""An examination of data in words: what `ganforge data` prints."""

from collections.abc import Mapping
from pathlib import Path

from ganforge.data.inspect import Examination, Sizes
from ganforge.training.suitable_models import best

SHOWN = 12  # of anything there can be many of
CHANNELS = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}


def report(found: Examination) -> str:
    """Facts first, then what to mend, what to know, and what to do next."""
    corrupt = f", and {len(found.corrupt):,} that cannot be read" if found.corrupt else ""
    facts = {
        "images": f"{found.images:,}{corrupt}",
        "size": in_sizes(found.sizes) if found.sizes else "",
        "channels": counted({CHANNELS.get(c, f"{c} channels"): n for c, n in found.channels.items()}),
        "depth": counted(found.depths),
        "splits": ", ".join(f"{name} {n:,}" for name, n in found.splits.items()),
        "classes": f"{len(found.classes)}: {some(found.classes)}" if found.classes else "",
        "attributes": f"{len(found.attributes)}: {some(found.attributes)}" if found.attributes else "",
        "copies": f"{len(found.duplicates):,} groups, such as {' = '.join(found.duplicates[0][:4])}"
        if found.duplicates
        else "",
    }
    lines = [f"{found.data}: {found.layout}", *(f"  {name:<11} {what}" for name, what in facts.items() if what)]
    damaged = [f"{name}: {why}" for name, why in found.corrupt.items()]
    notes = [note for note in found.notes if not note.startswith(f"{len(found.classes)} classes: ")]  # said above
    lines += section("To mend", found.problems) + section("Cannot be read", damaged) + section("To know", notes)
    lines += ["", "Models"]
    lines += [f"  {m.model:<11} {m.command if m.fits else f'not yet: {m.why_not}'}" for m in found.models]
    first = best(found.models)
    lines += [f"\nThe contact sheet is {found.sheet}."] if found.sheet else []
    lines += [f"Try next:\n  {first.command}"] if first else []
    return "\n".join(lines)


def section(title: str, sentences: tuple[str, ...] | list[str]) -> list[str]:
    """A list with its title; nothing for none."""
    more = [f"  - and {len(sentences) - SHOWN:,} more (--json names all)"] if len(sentences) > SHOWN else []
    return ["", title, *(f"  - {sentence}" for sentence in sentences[:SHOWN]), *more] if sentences else []


def in_sizes(sizes: Sizes) -> str:
    """Height x width."""
    least, middle, most = (f"{height}x{width}" for height, width in (sizes.smallest, sizes.median, sizes.largest))
    if sizes.different == 1:
        return f"{most} (height x width), all alike"
    return f"{least} to {most} (height x width), the middle one {middle}; {sizes.different:,} different"


def counted(kinds: Mapping[str, int]) -> str:
    """`colour`, or `colour 12, grey 3`."""
    return next(iter(kinds)) if len(kinds) == 1 else ", ".join(f"{name} {n:,}" for name, n in kinds.items())


def some(values: Mapping[str, float]) -> str:
    """The first names with their counts or shares."""
    shown = [f"{name} {x:,}" if isinstance(x, int) else f"{name} {x:.2g}" for name, x in values.items()]
    return ", ".join(shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else "")


def sheet_name(data: str, augment: str = "none") -> str:
    """Where the contact sheet goes when nobody says: beside the person, never into the data.

    Nowhere where the person stands inside the data.
    """
    path = Path(data).expanduser()
    stem = path.resolve().stem if path.exists() else data.replace("/", "-").replace(":", "-")
    inside = path.is_dir() and Path.cwd().resolve().is_relative_to(path.resolve())
    return "" if inside else f"{stem}-{'contact-sheet' if augment == 'none' else augment}.png"
