"""What the captions of a data set are, for the data doctor: how many, how long, of which words and letters."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from ganforge.console import count
from ganforge.data.layouts.captions import find_captions
from ganforge.data.layouts.names import shorten
from ganforge.data.mirroring import find_side
from ganforge.data.source import ImageSource
from ganforge.errors import DataError
from ganforge.text.tokeniser import LONGEST
from ganforge.text.vocabulary import ALPHABET, split_words

LETTERS = frozenset(ALPHABET)


@dataclass(frozen=True)
class CaptionCounts:
    """The captions of the images that can be read."""

    of_image: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lengths: tuple[int, int, int] | None = None
    """Words of the shortest, the median and the longest caption; None without captions."""
    vocabulary: int = 0
    """Number of different words."""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def captions(self) -> int:
        """Number of captions."""
        return sum(map(len, self.of_image.values()))

    @property
    def most(self) -> int:
        """Largest number of captions of one image."""
        return max(map(len, self.of_image.values()), default=0)


def count_captions(source: ImageSource, readable: Collection[str]) -> CaptionCounts:
    """Count the captions of a source, given the names of its readable images."""
    try:
        found = find_captions(source)
    except DataError as error:
        return CaptionCounts(problems=(str(error),))
    if found is None:
        return CaptionCounts()
    names = [image.name for image in found.images.images]
    of_image = {name: own for name, own in zip(names, found.captions, strict=True) if name in readable}
    every = [*chain.from_iterable(of_image.values())]
    if not every:
        return CaptionCounts(problems=found.problems, notes=found.notes)
    split = [split_words(caption) for caption in every]
    lengths = sorted(map(len, split))
    middle = lengths[0], lengths[len(lengths) // 2], lengths[-1]
    words = sorted({*chain.from_iterable(split)})
    notes = [*found.notes]
    foreign = [caption for caption in every if not LETTERS.issuperset(caption.lower())]
    if foreign:
        letters = sorted({*"".join(foreign).lower()} - LETTERS)
        notes.append(
            f"{count(len(foreign), 'caption')} with letters that the published character encoders do not know "
            f"({shorten(' '.join(letters[:12]))}), the first {shorten(repr(foreign[0]))}."
        )
    if (cut := int((np.array(lengths) > LONGEST["words"]).sum())) > 0:
        notes.append(f"{count(cut, 'caption')} of more than {LONGEST['words']} words, of which the rest is cut.")
    if side := find_side(words):
        notes.append(f"Captions say {side!r}: --flip would mirror the images, and not what is said of them.")
    return CaptionCounts(of_image, middle, len(words), found.problems, tuple(notes))
