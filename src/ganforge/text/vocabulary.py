"""Split sentences into words or letters, and count them.

A sentence is first composed (Unicode NFC) and put in lower case, so that Korean that macOS takes apart, and `Star` and
`star`, are alike.  Signs without a shape (joiners, byte-order marks) are removed.  Then:

    words        whitespace and punctuation end a word and are dropped, the hyphen and the underscore among them;
                 an apostrophe inside a word belongs to it (`don't`); a symbol (`+`, `€`, a heart) is a word of its own,
                 and so is every character of Chinese and Japanese, which are written without spaces.
                 Hangul, like Latin, is split at spaces alone: `빨간 별이` has two words
    characters   every letter, sign and space; several spaces are one, and those at the ends are dropped
"""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Literal

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
"""The 70 letters of Reed et al.'s character encoders, one of them twice: `-` is the second."""
TokenKind = Literal["words", "characters"]
UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))
"""Code points of kana and Chinese characters."""
APOSTROPHES = {ord(sign): "'" for sign in "'\u2019\u02bc\uff07"}


class _Letters(dict[int, str]):
    """{code point: what stands for it} for `str.translate`, computed when it is first met."""

    def __init__(self, convert: Callable[[str], str], known: Mapping[int, str]) -> None:
        super().__init__(known)
        self.convert = convert

    def __missing__(self, point: int) -> str:
        self[point] = self.convert(chr(point))
        return self[point]


def _letter_of_word(letter: str) -> str:
    kind = unicodedata.category(letter)
    if any(first <= ord(letter) <= last for first, last in UNSPACED) and kind[0] in "LN":
        return f" {letter} "
    if kind[0] in "LMN":
        return letter
    if kind == "Cf":
        return ""
    return f" {letter} " if kind[0] == "S" else " "


def _letter(letter: str) -> str:
    kind = unicodedata.category(letter)
    return "" if kind == "Cf" else " " if kind[0] in "ZC" else letter


_OF_WORDS = _Letters(_letter_of_word, APOSTROPHES)
_OF_LETTERS = _Letters(_letter, {})


def normalise(sentence: str) -> str:
    """A sentence in composed letters and lower case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", sentence).lower())


def split_words(sentence: str) -> list[str]:
    """The words of a sentence."""
    words = (word.strip("'") for word in normalise(sentence).translate(_OF_WORDS).split())
    return [word for word in words if word]


def split_letters(sentence: str) -> list[str]:
    """The letters, signs and single spaces of a sentence."""
    return [*" ".join(normalise(sentence).translate(_OF_LETTERS).split())]


SPLITTERS: dict[TokenKind, Callable[[str], list[str]]] = {"words": split_words, "characters": split_letters}
