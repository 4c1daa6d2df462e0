"""The text report on a data set: what `ganforge data` prints."""

from collections.abc import Mapping
from pathlib import Path

from ganforge.console import count
from ganforge.data.inspect import Examination, Sizes
from ganforge.training.suitable_models import recommend_model

SHOWN = 12  # the most entries of a list
CHANNELS = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}


def format_report(examination: Examination) -> str:
    """The facts, then problems, notes, models, and the next command."""
    corrupt = f", and {len(examination.corrupt):,} that cannot be read" if examination.corrupt else ""
    facts = {
        "images": f"{examination.images:,}{corrupt}",
        "size": format_sizes(examination.sizes) if examination.sizes else "",
        "channels": format_counts({CHANNELS.get(c, f"{c} channels"): n for c, n in examination.channels.items()}),
        "depth": format_counts(examination.depths),
        "splits": ", ".join(f"{name} {n:,}" for name, n in examination.splits.items()),
        "classes": f"{len(examination.classes)}: {format_first(examination.classes)}" if examination.classes else "",
        "attributes": f"{len(examination.attributes)}: {format_first(examination.attributes)}"
        if examination.attributes
        else "",
        "regions": f"{len(examination.regions)}: {format_shares(examination.regions)}" if examination.regions else "",
        "objects": f"{len(examination.objects)}: {format_first(examination.objects)}" if examination.objects else "",
        "captions": format_captions(examination),
        "copies": f"{len(examination.duplicates):,} groups, such as {' = '.join(examination.duplicates[0][:4])}"
        if examination.duplicates
        else "",
    }
    lines = [
        f"{examination.data}: {examination.layout}",
        *(f"  {name:<11} {what}" for name, what in facts.items() if what),
    ]
    damaged = [f"{name}: {why}" for name, why in examination.corrupt.items()]
    printed = f"{count(len(examination.classes), 'class', 'classes')}: "  # with the facts above
    notes = [note for note in examination.notes if not note.startswith(printed)]
    lines += format_section("To fix", examination.problems)
    lines += format_section("Cannot be read", damaged)
    lines += format_section("Notes", notes)
    lines += ["", "Models"]
    lines += [f"  {m.model:<11} {m.command if m.fits else f'not yet: {m.why_not}'}" for m in examination.models]
    first = recommend_model(examination.models)
    lines += [f"\nThe contact sheet is {examination.sheet}."] if examination.sheet else []
    lines += [f"Try next:\n  {first.command}"] if first else []
    return "\n".join(lines)


def format_captions(examination: Examination) -> str:
    """How many captions there are, and of which words; empty without any."""
    if not examination.caption_words:
        return ""
    least, middle, most = examination.caption_words
    without = examination.images - examination.captioned
    lacking = f", {without:,} without any" if without else ""
    return (
        f"{examination.captions:,} of {examination.captioned:,} images (at most {examination.most_captions} an image"
        f"{lacking}), {least} to {most} words, median {middle}; {examination.vocabulary:,} different words"
    )


def format_shares(shares: Mapping[str, float]) -> str:
    """The regions with the largest shares of the pixels."""
    largest = sorted(shares, key=lambda name: -shares[name])
    more = f" and {len(largest) - SHOWN:,} more" if len(largest) > SHOWN else ""
    return ", ".join(f"{name} {shares[name]:.1%}" for name in largest[:SHOWN]) + more


def format_section(title: str, sentences: tuple[str, ...] | list[str]) -> list[str]:
    """A list under its title; no lines for an empty list."""
    more = [f"  - and {len(sentences) - SHOWN:,} more (--json lists all)"] if len(sentences) > SHOWN else []
    return ["", title, *(f"  - {sentence}" for sentence in sentences[:SHOWN]), *more] if sentences else []


def format_sizes(sizes: Sizes) -> str:
    """Sizes as height x width."""
    least, middle, most = (f"{height}x{width}" for height, width in (sizes.smallest, sizes.median, sizes.largest))
    if sizes.different == 1:
        return f"{most} (height x width), all equal"
    return f"{least} to {most} (height x width), median {middle}; {sizes.different:,} different"


def format_counts(kinds: Mapping[str, int]) -> str:
    """`colour`, or `colour 12, grey 3`."""
    return next(iter(kinds)) if len(kinds) == 1 else ", ".join(f"{name} {n:,}" for name, n in kinds.items())


def format_first(values: Mapping[str, float]) -> str:
    """The first names, with their counts or shares."""
    shown = [f"{name} {x:,}" if isinstance(x, int) else f"{name} {x:.2g}" for name, x in values.items()]
    return ", ".join(shown[:SHOWN]) + (", ..." if len(shown) > SHOWN else "")


def choose_sheet_path(data: str, augment: str = "none") -> str:
    """The default path of the contact sheet: in the current folder; empty where that lies inside the data."""
    path = Path(data).expanduser()
    stem = path.resolve().stem if path.exists() else data.replace("/", "-").replace(":", "-")
    inside = path.is_dir() and Path.cwd().resolve().is_relative_to(path.resolve())
    return "" if inside else f"{stem}-{'contact-sheet' if augment == 'none' else augment}.png"
