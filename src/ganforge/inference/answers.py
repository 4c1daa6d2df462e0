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


def convert_answer(game: Game[Any, Any], question: Question, rows: int, value: Any, device: torch.device) -> Any:
    """Check one option and convert it to the game's argument."""
    if question.meaning == "label" and isinstance(value, Tensor):
        if len(value) != rows:
            raise OptionError(f"--{question.name} has {len(value)} rows for {rows} images.")
        return value.to(device)
    if question.meaning == "label" and value is not None:
        if game.facts.attributes:
            label = parse_attributes(game.facts, value, question.unnamed, labels_of(game))
        else:
            label = find_label(game.facts, value)
        tensor = torch.tensor(label, device=device)
        return tensor.expand(rows, *tensor.shape)
    if question.meaning == "image" and value is not None and len(value) not in (1, rows):
        raise OptionError(f"--{question.name} has {len(value)} images for {rows}: give one, or one for each.")
    if isinstance(value, Tensor):
        return value.to(device)
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


def rows_of(answer: Any, first: int, count: int) -> Any:
    """The rows of an answer that has one for each image; other answers as they are."""
    return answer[first : first + count] if isinstance(answer, Tensor) and len(answer) > 1 else answer
