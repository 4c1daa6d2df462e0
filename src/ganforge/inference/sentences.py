"""Sentences as users give them, as the tokens that a game takes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganforge.capabilities import text_questions
from ganforge.console import note
from ganforge.errors import OptionError
from ganforge.runs.reading import read_bytes
from ganforge.text.tokeniser import Tokeniser

FILE = "@"
"""`--text @sentences.txt`: a sentence a line."""
LARGEST = 2**20  # bytes of a file of sentences
NAMED = 10  # unknown words that a note names


def encode_texts(
    tokeniser: Tokeniser | None,
    captions: Sequence[str],
    method: Any,
    answers: Mapping[str, Any],
    rows: int,
    start: int = 0,
) -> dict[str, Any]:
    """The answers to a capability's options, sentences as tokens (rows, T).

    Where users give none, the first sentence that is asked for is one of `captions`, those that the run has kept.
    Raises OptionError for sentences that the run cannot read.
    """
    names, encoded = text_questions(method), dict(answers)
    if tokeniser is None:
        for name in names:
            if encoded.get(name) is not None:
                raise OptionError(f"This run was trained without captions: leave --{name.replace('_', '-')} out.")
        return encoded
    if names and encoded.get(names[0]) is None and captions:
        encoded[names[0]] = captions
    for name in names:
        if encoded.get(name) is not None:
            encoded[name] = to_tokens(encoded[name], tokeniser, rows, start)
    return encoded


def to_tokens(value: Any, tokeniser: Tokeniser, rows: int, start: int = 0) -> Tensor:
    """One sentence, several, or `@` and a file of these -> int64 (rows, T): image k has sentence k modulo their number.

    `start` is the number of the first row.  Tokens (1, T) or (rows, T) stay as they are.  Unknown words are named in a
    note, and so are sentences that are cut.

    Raises OptionError for an empty sentence, a value of another type, and tokens that are not this tokeniser's.
    """
    if isinstance(value, Tensor):
        check_tokens(value, tokeniser, rows)
        return value.expand(rows, -1)
    sentences = read_sentences(value)
    for sentence in dict.fromkeys(sentences):
        describe_sentence(sentence, tokeniser)
    tokens = torch.from_numpy(tokeniser.encode(sentences))
    return tokens[torch.from_numpy(np.arange(start, start + rows) % len(sentences))]


def read_sentences(value: Any) -> list[str]:
    """The sentences in an answer.  Raises OptionError where there are none."""
    if isinstance(value, str) and value.startswith(FILE):
        path = Path(value.removeprefix(FILE)).expanduser()
        try:
            lines = read_bytes(path, LARGEST).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise OptionError(f"{path} is no text in UTF-8: write a sentence a line.") from error
        sentences = [line for line in lines if line.strip()]
        if not sentences:
            raise OptionError(f"{path} has no sentences: write one a line.")
        return sentences
    sentences = [value] if isinstance(value, str) else value
    if not isinstance(sentences, Sequence) or not all(isinstance(sentence, str) for sentence in sentences):
        raise OptionError(f"A sentence is text, and not {type(value).__name__}: give one, or a list of them.")
    if not sentences or not all(sentence.strip() for sentence in sentences):
        raise OptionError('The sentence is empty: say what the image shows, as in --text "a small red star".')
    return [*sentences]


def describe_sentence(sentence: str, tokeniser: Tokeniser) -> None:
    """Name the words that the run does not know, and say how many are cut.

    Raises OptionError for a sentence without any token, or without any that is known.
    """
    unknown, cut = tokeniser.unknown(sentence), tokeniser.cut(sentence)
    tokens = tokeniser.encode([sentence])[0]
    if not (tokens > 0).any():
        raise OptionError(f"{sentence!r} has no words: say what the image shows.")
    if unknown and not (tokens > 1).any():
        raise OptionError(f"The run knows no word of {sentence!r}: use words of its captions (`ganforge show RUN`).")
    if unknown:
        more = " ..." if len(unknown) > NAMED else ""
        names = ", ".join(map(repr, unknown[:NAMED])) + more
        count = f"{len(unknown)} words" if len(unknown) > 1 else "a word"
        note(f"{sentence!r} has {count} that the run does not know: {names}.")
    if cut:
        note(f"{sentence!r} is longer than the run reads: its last {cut} tokens are cut.")


def check_tokens(tokens: Tensor, tokeniser: Tokeniser, rows: int) -> None:
    """Raise OptionError for tokens of another shape, type or range."""
    if tokens.dtype != torch.int64 or tokens.ndim != 2 or tokens.shape[1] != tokeniser.length:
        shape = f"{tokens.dtype} {tuple(tokens.shape)}"
        raise OptionError(f"Tokens are int64 (N, {tokeniser.length}), not {shape}: give sentences.")
    if len(tokens) not in (1, rows):
        raise OptionError(f"There are {len(tokens)} rows of tokens for {rows} images: give one, or one for each.")
    least, most = (int(extreme) for extreme in tokens.aminmax())
    if least < 0 or most >= tokeniser.size:
        raise OptionError(f"Tokens run from {least} to {most}; the run knows 0 to {tokeniser.size - 1}.")
