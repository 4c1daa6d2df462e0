"""The column `tokens`: captions as UTF-8 text, which the run's tokeniser turns into tokens when a batch is read."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ganforge.console import count
from ganforge.data.cache import DecodeJob, DecodeReport, fingerprint, load_or_decode
from ganforge.data.dataset import DataSet
from ganforge.text.tokeniser import MOST_CAPTIONS, Tokeniser, build_tokeniser
from ganforge.text.vocabulary import TokenKind

UNKNOWN_NOTE = "Unknown to the run's tokeniser:"


class TokenColumn:
    """Captions of images, one or more each.

    With a tokeniser it is indexed like an array (N, T) and returns the tokens of each image's first caption; `redraw`
    returns those of any (see `Redrawn` in crops.py).
    """

    dtype = np.dtype(np.int64)

    def __init__(self, text: np.ndarray, starts: np.ndarray, tokeniser: Tokeniser | None = None) -> None:
        """`text` uint8 (P,) holds all captions in UTF-8, those of image k, one a line, from starts[k] to starts[k + 1].

        `starts` is int64 (N + 1,).
        """
        self.text, self.starts, self.tokeniser = text, starts, tokeniser

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """(N, T); T is 0 without a tokeniser."""
        return len(self), self.tokeniser.length if self.tokeniser else 0

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return self.redraw(rows, np.zeros(len(rows), np.int64))

    def redraw(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """int64 (n, T): tokens of a caption of each of the images `rows`; random integers `numbers` (n,) choose it."""
        if self.tokeniser is None:
            raise TypeError("These captions have no tokeniser: give one by `tokenise`.")
        return self.tokeniser.encode(self.choose(rows, numbers))

    def choose(self, rows: np.ndarray, numbers: np.ndarray) -> list[str]:
        """The captions that `redraw` turns into tokens."""
        of_each = [self.captions(row) for row in rows.tolist()]
        return [captions[number % len(captions)] for captions, number in zip(of_each, numbers.tolist(), strict=True)]

    def captions(self, row: int) -> list[str]:
        """The captions of one image."""
        return self.text[self.starts[row] : self.starts[row + 1]].tobytes().decode("utf-8").split("\n")

    def sentences(self) -> Iterator[str]:
        """Every caption of every image."""
        for row in range(len(self)):
            yield from self.captions(row)

    def counts(self) -> np.ndarray:
        """int64 (N,): the number of captions of each image."""
        ends = np.flatnonzero(self.text == ord("\n"))
        return np.diff(np.searchsorted(ends, self.starts)) + 1

    def examples(self, most: int = MOST_CAPTIONS) -> list[str]:
        """First captions of images taken evenly from all, without repetitions."""
        rows = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).astype(int))
        return list(dict.fromkeys(self.captions(row)[0] for row in rows.tolist()))


def pack_captions(captions: Iterable[Sequence[str]]) -> TokenColumn:
    """The column of some captions, at least one an image, without a tokeniser."""
    lines = ["\n".join(" ".join(caption.split()) for caption in own).encode() for own in captions]
    starts = np.cumsum([0, *map(len, lines)])
    return TokenColumn(np.frombuffer(b"".join(lines), np.uint8), starts)


def store_captions(key: str, captions: Sequence[Sequence[str]]) -> tuple[TokenColumn, str]:
    """The captions of the images with the fingerprint `key`, kept in the cache, and the fingerprint of both."""
    packed = pack_captions(captions)
    sizes = tuple((int(length), 1) for length in np.diff(packed.starts))
    both = fingerprint("captions", key, hashlib.sha256(packed.text.tobytes()).hexdigest(), sizes)

    def begin() -> DecodeJob:
        report = DecodeReport(tuple(range(len(packed))), (), sizes)
        return DecodeJob((1,), np.dtype(np.uint8), [packed.text[:, None]], lambda: report)

    return TokenColumn(load_or_decode(both, begin).images[:, 0], packed.starts), both


def tokenise(data: DataSet, tokeniser: Tokeniser | None, kind: TokenKind) -> DataSet:
    """The same data with `tokens` in place of captions, if it has captions.

    Without a tokeniser one of `kind` is built from all captions.  Notes name the words that it does not know,
    and what it cuts.
    """
    column = data.columns.get("tokens")
    if not isinstance(column, TokenColumn):
        return data
    chosen = tokeniser or build_tokeniser(kind, column.sentences())
    facts = replace(
        data.facts,
        vocabulary=chosen.size,
        caption_length=chosen.length,
        captions=int(column.counts().max()),
        tokeniser=chosen.hash,
    )
    tokens = TokenColumn(column.text, column.starts, chosen)
    notes = (*data.notes, *note_unknown(chosen, column))
    return replace(data, facts=facts, columns={**data.columns, "tokens": tokens}, notes=notes)


def note_unknown(tokeniser: Tokeniser, column: TokenColumn) -> tuple[str, ...]:
    """Notes on the words of captions that a tokeniser does not know, and on the captions that it cuts."""
    distinct = dict.fromkeys(column.sentences())
    unknown = list(dict.fromkeys(word for caption in distinct for word in tokeniser.unknown(caption)))
    cut = sum(tokeniser.cut(caption) > 0 for caption in distinct)
    shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
    words = f"{UNKNOWN_NOTE} {count(len(unknown), 'word')} of the captions: {shown}."
    longer = f"{UNKNOWN_NOTE} the rest of {count(cut, 'caption')} beyond {tokeniser.length} tokens."
    return (*([words] if unknown else []), *([longer] if cut else []))


def tokeniser_of(data: DataSet) -> Tokeniser | None:
    """The tokeniser of a data set; None where it has no tokens."""
    column = data.columns.get("tokens")
    return column.tokeniser if isinstance(column, TokenColumn) else None


def examples_of(data: DataSet) -> tuple[str, ...]:
    """Some captions of a data set; none where it has no tokens."""
    column = data.columns.get("tokens")
    return tuple(column.examples()) if isinstance(column, TokenColumn) and column.tokeniser else ()
