"""Tokenisers: from sentences to rows of numbers, and the file tokeniser.json that a run keeps.

0 fills a row up at its end, 1 is an unknown word (or letter), and the vocabulary begins at 2.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ganforge.errors import DataError, ModelError, RunError
from ganforge.files import reason, write_atomic
from ganforge.text.vocabulary import SPLITTERS, TokenKind

FILE = "tokeniser.json"
UNKNOWN, FIRST = 1, 2  # token values; 0 fills up
MOST: dict[TokenKind, int] = {"words": 30_000, "characters": 4_000}
"""Size of a vocabulary: the rarest words beyond it are unknown."""
LONGEST: dict[TokenKind, int] = {"words": 64, "characters": 256}
"""Tokens of a caption, at most; else the longest caption of the training data decides."""
MOST_CAPTIONS = 64  # captions that a run keeps as examples
LARGEST = 2**24  # bytes of a tokeniser.json


@runtime_checkable
class Tokeniser(Protocol):
    """What makes tokens of sentences."""

    @property
    def size(self) -> int:
        """Number of token values, 0 and 1 included."""
        ...

    @property
    def length(self) -> int:
        """Length T of a row of tokens."""
        ...

    @property
    def hash(self) -> str:
        """Differs between tokenisers that make other tokens."""
        ...

    def encode(self, sentences: Sequence[str]) -> np.ndarray:
        """int64 (N, T): the tokens of each sentence, filled up with 0 or cut."""
        ...

    def unknown(self, sentence: str) -> list[str]:
        """The words of a sentence that are not in the vocabulary, each once, in order."""
        ...

    def cut(self, sentence: str) -> int:
        """The number of tokens of a sentence that go beyond the length, and are cut."""
        ...

    def to_plain(self) -> dict[str, Any]:
        """Plain values from which `read_plain` builds it again: `kind`, and what that kind has."""
        ...

    def save(self, path: Path, captions: Sequence[str] = ()) -> None:
        """Write the file that `load_tokeniser` reads, with some captions as examples."""
        ...


@dataclass(frozen=True)
class PieceTokeniser:
    """A tokeniser of words or of characters, by a list of the known ones."""

    kind: TokenKind
    pieces: tuple[str, ...]
    """The vocabulary; number k of it has the token k + 2."""
    length: int

    @property
    def size(self) -> int:
        return len(self.pieces) + FIRST

    @property
    def hash(self) -> str:
        return self.digest

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the plain values."""
        return hash_plain(self.to_plain())

    @cached_property
    def numbers(self) -> dict[str, int]:
        """{word: its token}."""
        return {piece: number for number, piece in enumerate(self.pieces, FIRST)}

    def split(self, sentence: str) -> list[str]:
        """The words of a sentence, or its letters."""
        return SPLITTERS[self.kind](sentence)

    def encode(self, sentences: Sequence[str]) -> np.ndarray:
        tokens = np.zeros((len(sentences), self.length), np.int64)
        for row, sentence in zip(tokens, sentences, strict=True):
            own = [self.numbers.get(piece, UNKNOWN) for piece in self.split(sentence)[: self.length]]
            row[: len(own)] = own
        return tokens

    def unknown(self, sentence: str) -> list[str]:
        return [piece for piece in dict.fromkeys(self.split(sentence)) if piece not in self.numbers]

    def cut(self, sentence: str) -> int:
        return max(0, len(self.split(sentence)) - self.length)

    def to_plain(self) -> dict[str, Any]:
        return {"kind": self.kind, "length": self.length, "pieces": [*self.pieces]}

    def save(self, path: Path, captions: Sequence[str] = ()) -> None:
        write_tokeniser(self, path, captions)


@dataclass(frozen=True)
class FrozenTokeniser:
    """That of a pretrained text encoder: its own numbers, moved up by FIRST."""

    definition: str
    """The contents of the encoder's tokenizer.json."""
    length: int
    unknown_id: int | None = None
    """Its number of an unknown word; None where it takes every word apart."""

    @cached_property
    def pieces(self) -> Any:
        """The tokeniser of the package tokenizers.  Raises ModelError where that is missing."""
        try:
            made = import_module("tokenizers").Tokenizer.from_str(self.definition)
        except ImportError as error:
            raise ModelError(
                "The tokeniser of a pretrained text encoder needs the package transformers: pip install "
                "'ganforge[text]'."
            ) from error
        made.no_padding()
        made.enable_truncation(self.length)
        return made

    @property
    def size(self) -> int:
        return self.pieces.get_vocab_size() + FIRST

    @property
    def hash(self) -> str:
        return hash_plain(self.to_plain())

    def encode(self, sentences: Sequence[str]) -> np.ndarray:
        tokens = np.zeros((len(sentences), self.length), np.int64)
        for row, found in zip(tokens, self.pieces.encode_batch([*sentences]), strict=True):
            row[: len(found.ids)] = np.array(found.ids) + FIRST
        return tokens

    def unknown(self, sentence: str) -> list[str]:
        if self.unknown_id is None:
            return []
        words = dict.fromkeys(sentence.split())
        return [word for word in words if self.unknown_id in self.pieces.encode(word, add_special_tokens=False).ids]

    def cut(self, sentence: str) -> int:
        found = self.pieces.encode(sentence)
        special = sum(found.special_tokens_mask)
        return sum(len(rest.ids) - special for rest in found.overflowing)

    def to_plain(self) -> dict[str, Any]:
        return {"kind": "frozen", "length": self.length, "definition": self.definition, "unknown": self.unknown_id}

    def save(self, path: Path, captions: Sequence[str] = ()) -> None:
        write_tokeniser(self, path, captions)


def build_tokeniser(kind: TokenKind, captions: Iterable[str]) -> PieceTokeniser:
    """The tokeniser of the words, or letters, in some captions: of too many the most frequent ones, in order.

    Raises DataError if they have none.
    """
    split, counts, longest = SPLITTERS[kind], Counter[str](), 0
    for caption, times in Counter(captions).items():
        pieces = split(caption)
        for piece in pieces:
            counts[piece] += times
        longest = max(longest, len(pieces))
    if not counts:
        raise DataError("The captions have no words: give each image a sentence with at least one.")
    known = sorted(counts, key=lambda piece: (-counts[piece], piece))[: MOST[kind]]
    return PieceTokeniser(kind, tuple(sorted(known)), min(longest, LONGEST[kind]))


def hash_plain(values: Mapping[str, Any]) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


# The file ---------------------------------------------------------------------------------------


def write_tokeniser(tokeniser: Tokeniser, path: Path, captions: Sequence[str] = ()) -> None:
    """Write tokeniser.json: its plain values, its hash, and at most MOST_CAPTIONS captions, which the hash leaves out.

    Raises RunError where it cannot be written.
    """
    values = {**tokeniser.to_plain(), "hash": tokeniser.hash, "captions": [*captions[:MOST_CAPTIONS]]}
    try:
        write_atomic(path, json.dumps(values, ensure_ascii=False, indent=1) + "\n")
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be written ({reason(error)}).") from error


def load_tokeniser(path: Path) -> Tokeniser:
    """The tokeniser in a file.  Raises RunError where there is none, or it was changed since it was written."""
    values = read_file(path)
    reader = READERS.get(str(values.get("kind")))
    if reader is None:
        raise RunError(f"{path} holds no tokeniser of a kind that is known: {', '.join(READERS)}.")
    try:
        tokeniser = reader(values)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} holds no tokeniser: {reason(error)}.") from error
    if tokeniser.hash != values.get("hash"):
        raise RunError(f"{path} was changed after it was written, for its hash is wrong: restore it from a copy.")
    return tokeniser


def load_captions(path: Path) -> tuple[str, ...]:
    """The captions in a file of a tokeniser.  Raises RunError where it cannot be read."""
    captions = read_file(path).get("captions", [])
    if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
        raise RunError(f"{path} has captions that are no list of sentences: restore it from a copy.")
    return tuple(captions[:MOST_CAPTIONS])


def read_file(path: Path) -> dict[str, Any]:
    """The object in a JSON file.  Raises RunError where it cannot be read."""
    try:
        if not path.is_file():  # a pipe would be waited for
            raise RunError(f"{path} is missing, or no file: a run that reads sentences has its tokeniser there.")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise RunError(f"{path} has more than {LARGEST:,} bytes, so it is not one that GANForge wrote.")
        values = json.loads(content.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read ({reason(error)}).") from error
    if not isinstance(values, dict):
        raise RunError(f"{path} cannot be read: it holds no object.")
    return values


def read_pieces(values: Mapping[str, Any]) -> PieceTokeniser:
    """A tokeniser of words or characters from plain values.  Raises KeyError or ValueError where they are none."""
    kind, pieces, length = values["kind"], values["pieces"], values["length"]
    if not isinstance(pieces, list) or not all(isinstance(piece, str) and piece for piece in pieces):
        raise ValueError("its pieces are no list of words")
    if len({*pieces}) < len(pieces):
        raise ValueError("one of its pieces stands there twice")
    if type(length) is not int or not 1 <= length <= 2**16:
        raise ValueError(f"its length is {length!r}")
    return PieceTokeniser(kind, tuple(pieces), length)


def read_frozen(values: Mapping[str, Any]) -> FrozenTokeniser:
    """The tokeniser of a pretrained encoder from plain values.  Raises KeyError or ValueError where they are none."""
    definition, length, unknown = values["definition"], values["length"], values["unknown"]
    if not isinstance(definition, str) or type(length) is not int or not 1 <= length <= 2**16:
        raise ValueError("its definition is no text, or its length no number")
    if unknown is not None and type(unknown) is not int:
        raise ValueError(f"its number of an unknown word is {unknown!r}")
    return FrozenTokeniser(definition, length, unknown)


READERS: dict[str, Callable[[Mapping[str, Any]], Tokeniser]] = {
    "words": read_pieces,
    "characters": read_pieces,
    "frozen": read_frozen,
}
"""{kind: what builds it from plain values}."""
