"""Find the captions of a source of images, clean them, and build the columns images and tokens."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ganforge.console import count
from ganforge.data.dataset import DataSet
from ganforge.data.decode import DecodeOptions, one_image_message
from ganforge.data.layouts.caption_lists import (
    Captions,
    is_caption_column,
    read_coco_captions,
    read_metadata,
    read_texts,
    read_token_file,
)
from ganforge.data.layouts.files import Files
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.tables import RepeatedError
from ganforge.data.source import ImageSource, build_dataset, take_rows
from ganforge.errors import DataError
from ganforge.text.vocabulary import split_words

LONGEST = 10_000  # letters of a caption: a longer one is a document
MOST = 100  # captions of an image
READERS: dict[str, Callable[[Files], Captions | None]] = {
    "metadata": read_metadata,
    "COCO's captions": read_coco_captions,
    "Flickr's token file": read_token_file,
    ".txt files": read_texts,
}


@dataclass(frozen=True)
class CaptionSource:
    """Images with captions, none of them decoded yet; row k of each belongs together."""

    images: ImageSource
    captions: tuple[tuple[str, ...], ...]
    layout: str
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    """Of the notes, those on captions that are missing or cannot be used."""


def find_captions(source: ImageSource) -> CaptionSource | None:
    """The images of a source that have captions; None if none has any.

    Raises:
        DataError: a list of captions is damaged, or none of its captions can be used.
    """
    kind, raw = read_raw(source)
    if raw is None:
        return None
    cleaner = Cleaner()
    cleaned = [cleaner.clean(image.name, own) for image, own in zip(source.images, raw, strict=True)]
    rows = [row for row, own in enumerate(cleaned) if own]
    problems = cleaner.sentences(len(source.images))
    if not rows:
        raise DataError(f"{source.where}: none of the {len(raw)} images has a caption. {' '.join(problems)}".rstrip())
    captions = tuple(cleaned[row] for row in rows)
    total, most = sum(map(len, captions)), max(map(len, captions))
    layout = f"{count(total, 'caption')} from {kind}, " + ("one an image" if most == 1 else f"at most {most} an image")
    return CaptionSource(
        take_captioned(source, rows), captions, layout, (f"{layout[0].upper()}{layout[1:]}.",), problems
    )


def read_raw(source: ImageSource) -> tuple[str, Sequence[Sequence[Any]] | None]:
    """Where the captions stand, and those of each image as they stand there; None without any."""
    if source.read_captions is not None:
        raw = source.read_captions()
        return source.layout, raw if any(raw) else None
    files = source.files
    if files is None:
        return "", None
    named = {source.listed: lambda files: read_coco_captions(files, source.listed)}
    readers = named if source.listed else READERS
    for kind, read in readers.items():
        found = read(files)
        if found and any(image.name in found for image in source.images):
            return kind, [found.get(image.name, []) for image in source.images]
    return "", None


def take_captioned(source: ImageSource, rows: Sequence[int]) -> ImageSource:
    """The images `rows` of a source, which have captions; the source itself if these are all."""
    notes = tuple(note for note in map(drop_used_columns, source.notes) if note)
    if isinstance(source.label_error, RepeatedError):
        source = replace(source, label_error=None)
    source = replace(source, notes=notes)
    return source if len(rows) == len(source.images) else take_rows(source, rows, "captioned")


def drop_used_columns(note: str) -> str:
    """A note on columns that are not used without those of captions; empty if no other is left."""
    start, colon, columns = note.rstrip(".").rpartition(": ")
    if not start.startswith("Not used of "):
        return note
    left = [column for column in columns.split(", ") if not is_caption_column(column)]
    return f"{start}{colon}{', '.join(left)}." if left else ""


@dataclass
class Cleaner:
    """Cleans captions, and counts what is left out: names of images by the reason."""

    without: list[str] = field(default_factory=list)
    no_text: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    long: list[str] = field(default_factory=list)
    many: list[str] = field(default_factory=list)

    def clean(self, image: str, raw: Sequence[Any]) -> tuple[str, ...]:
        """The captions of an image in composed letters, each once, on one line."""
        kept: dict[str, None] = {}
        for caption in raw:
            text = clean_caption(caption) if isinstance(caption, str) else None
            if text is None:
                self.no_text.append(image)
            elif len(text) > LONGEST:
                self.long.append(image)
            elif not split_words(text):
                self.empty.append(image)
            else:
                kept[text] = None
        if len(kept) > MOST:
            self.many.append(image)
        if not kept:
            self.without.append(image)
        return tuple(kept)[:MOST]

    def sentences(self, images: int) -> tuple[str, ...]:
        """What is left out, with a count and the first image."""
        reasons = (
            (self.without, f"{len(self.without):,} of {images:,} images, which have no caption"),
            (self.no_text, f"{count(len(self.no_text), 'caption')} of another kind than text"),
            (self.empty, f"{count(len(self.empty), 'caption')} without a word"),
            (self.long, f"{count(len(self.long), 'caption')} of more than {LONGEST:,} letters"),
            (self.many, f"captions beyond the first {MOST} of {count(len(self.many), 'image')}"),
        )
        return tuple(
            f"Left out: {what}, the first {'' if names is self.without else 'of '}{shorten(names[0])}."
            for names, what in reasons
            if names
        )


def clean_caption(text: str) -> str:
    """A caption in composed letters (NFC), on one line, without halves of letters that no text can have."""
    return unicodedata.normalize("NFC", " ".join(text.encode("utf-8", "ignore").decode().split()))


def build_captioned(source: CaptionSource, options: DecodeOptions, labelled: bool) -> DataSet:
    """Build the columns images and tokens, and condition where the images have labels.

    Raises:
        DataError: one image alone has a caption; or see `build_dataset`.
    """
    if len(source.captions) == 1:
        raise DataError(" ".join([one_image_message(source.images.where), *source.problems]))
    data = build_dataset(source.images, options, labelled, source.captions)
    return replace(data, notes=(*data.notes, *source.notes, *source.problems))
