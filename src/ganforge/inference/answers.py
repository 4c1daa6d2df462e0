"""Answers to a game's questions, as users give them, as the arguments that a game takes."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganforge.capabilities import Question, labels_of, list_questions
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.inference.given_images import to_tensor
from ganforge.inference.labels import find_label, parse_attributes


def convert_answers(
    game: Game[Any, Any], model: str, method: Any, rows: int, answers: Mapping[str, Any], device: torch.device
) -> dict[str, Any]:
    """Convert a user's options to the arguments of a capability of the game, which is a `model`.

    Raises OptionError for unknown options, invalid values and missing ones.
    """
    questions = {question.name: question for question in list_questions(method)}
    for name in answers:
        if name not in questions:
            known = f"its options are {', '.join(questions)}" if questions else "it has no options"
            raise OptionError(f"{model} does not know --{name}; {known}.")
    for name, question in questions.items():
        if question.required and answers.get(name) is None:
            labels = ", ".join(labels_of(game)) if question.meaning == "label" else ""
            raise OptionError(f"{model} needs --{name}{f', of {labels}' if labels else ''}.")
    return {name: convert_answer(game, questions[name], rows, value, device) for name, value in answers.items()}


def convert_answer(game: Game[Any, Any], question: Question, rows: int, value: Any, device: torch.device) -> Any:
    """Check one option and convert it to the game's argument."""
    if question.meaning == "label" and value is not None and not isinstance(value, Tensor):
        if game.facts.attributes:
            label = parse_attributes(game.facts, value, question.unnamed, labels_of(game))
        else:
            label = find_label(game.facts, value)
        tensor = torch.tensor(label, device=device)
        return tensor.expand(rows, *tensor.shape)
    if isinstance(value, Tensor):
        every = question.meaning in ("label", "text") and len(value) == 1
        return (value.expand(rows, *value.shape[1:]) if every else value).to(device)
    limits = question.limits
    if limits and value is not None and not limits.low <= value <= limits.high:
        raise OptionError(f"--{question.name} must lie between {limits.low} and {limits.high}, not {value}.")
    return value


def read_pictures(game: Game[Any, Any], answers: Mapping[str, Any]) -> dict[str, Any]:
    """The answers, those to questions about a reference image as tensors (n, C, H, W)."""
    names = {q.name for q in list_questions(game.translate) if q.meaning == "image"}  # pyright: ignore
    return {
        name: to_tensor(value, game.facts.channels)[0] if name in names and value is not None else value
        for name, value in answers.items()
    }


def check_rows(answers: Mapping[str, Any], rows: int) -> None:
    """Raise OptionError for an answer with rows that has neither one nor one for each of `rows` images."""
    for name, answer in answers.items():
        if isinstance(answer, Tensor) and len(answer) not in (1, rows):
            raise OptionError(f"--{name} has {len(answer)} rows for {rows} images: give one, or one for each.")


def has_rows(answer: Any) -> bool:
    """Whether an answer has a row for each image, and not one value for all."""
    return isinstance(answer, Tensor) and len(answer) > 1


def rows_of(answer: Any, first: int, count: int) -> Any:
    """The rows of an answer that has one for each image; other answers as they are."""
    return answer[first : first + count] if has_rows(answer) else answer
