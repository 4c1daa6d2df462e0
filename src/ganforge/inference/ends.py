"""What a walk between images of a seed keeps of them beside their latents: their labels and sentences."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from ganforge.capabilities import Question, list_questions, text_questions
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.inference.latents import interpolate_latents
from ganforge.nn.conditions import as_vectors, draw_labels

T = TypeVar("T")


def add_sentences(
    game: Game[Any, Any],
    model: str,
    captions: Sequence[str],
    numbers: Sequence[int],
    closed: bool,
    answers: Mapping[str, Any],
) -> dict[str, Any]:
    """The answers of walks between images with these numbers, and the sentences that these show where there is none.

    Walks between images of different sentences have the second as `text_b`, of a game that mixes two.  Raises
    OptionError of other games.
    """
    texts = text_questions(game.generate)  # pyright: ignore
    if not texts or not captions or answers.get(texts[0]) is not None:
        return dict(answers)
    walks = pair_up([captions[k % len(captions)] for k in numbers], closed)
    starts = {texts[0]: [start for start, _ in walks]}
    if all(start == end for start, end in walks):
        return {**answers, **starts}
    if "text_b" not in texts:
        flag = texts[0].replace("_", "-")
        raise OptionError(f"{tell_apart(walks, numbers, closed, model)} choose one sentence with --{flag}.")
    return {**answers, **starts, "text_b": [end for _, end in walks]}


def draw_condition(
    game: Game[Any, Any], model: str, numbers: Sequence[int], closed: bool, steps: int, answers: Mapping[str, Any]
) -> dict[str, Tensor]:
    """{question: the condition of each frame} of walks between images with these numbers, where no label is given.

    To be called right after the noise was drawn, when the game would draw labels.  Raises OptionError where the classes
    of two images differ, of a game that takes no shares of classes.
    """
    questions: list[Question] = list_questions(game.generate)  # pyright: ignore
    question = next((q for q in questions if q.meaning == "label" and not q.required), None)
    facts = game.facts
    names = facts.attributes or facts.labels
    if question is None or answers.get(question.name) is not None or not game.labelled or not names:
        return {}
    drawn = draw_labels(game.draw, max(numbers) + 1, len(names), bool(facts.attributes))[[*numbers]]
    walks = pair_up([*drawn], closed)
    starts, ends = (torch.stack(side) for side in zip(*walks, strict=True))
    if torch.equal(starts, ends):
        return {question.name: starts.repeat_interleave(steps, 0)}
    if not facts.attributes and not question.mixed:
        named = [(names[a], names[b]) for a, b in walks]
        raise OptionError(f"{tell_apart(named, numbers, closed, model)} choose one with --{question.name}.")
    starts, ends = as_vectors(starts, len(names)), as_vectors(ends, len(names))
    return {question.name: interpolate_latents(starts, ends, steps, "linear").flatten(0, 1)}


def pair_up(items: Sequence[T], closed: bool) -> list[tuple[T, T]]:
    """Each item with the next one; with `closed` the last with the first as well."""
    return [*pairwise([*items, *items[:1]] if closed else items)]


def tell_apart(walks: Sequence[tuple[str, str]], numbers: Sequence[int], closed: bool, model: str) -> str:
    """The beginning of a sentence about the first two images that show something different."""
    number = next(k for k, (start, end) in enumerate(walks) if start != end)
    a, b = pair_up(numbers, closed)[number]
    return f"Images {a} and {b} show {walks[number][0]!r} and {walks[number][1]!r}, which {model} cannot mix:"
