"""Translators that have to be told what a picture shall become: each picture is asked for a label that it lacks."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.capabilities import Question, form, labels_of
from ganforge.data.dataset import DataSet
from ganforge.errors import DataError, OptionError
from ganforge.evaluation.image_sets import ImageSet, of_data, some, translated
from ganforge.inference.trained import Trained


@dataclass(frozen=True)
class Asked:
    """What pictures were asked to become."""

    names: tuple[str, ...]
    """Of all labels, classes or attributes."""
    label: Tensor
    """int64 (N,): of each picture the one that it was asked for."""
    own: Tensor
    """float (N, K): what the pictures show that were given."""
    known: Tensor
    """float (M, K): the same of all of the data."""


def question(trained: Trained) -> Question | None:
    """The one question that a translator must be asked if it is for a label; None where it asks nothing.

    Raises OptionError where nobody but a person can answer.
    """
    open_ones = [q for q in form(trained.game.translate) if q.required]  # pyright: ignore
    if not open_ones:
        return None
    first = open_ones[0]
    stays = not trained.facts.attributes or math.isnan(first.unsaid)  # what is not named stays as it is
    if (
        len(open_ones) == 1
        and first.meaning == "label"
        and stays
        and "images" in type(trained.game).batch_type.columns()
    ):
        return first
    raise OptionError(
        f"{trained.model} has to be told what each picture shall become ({', '.join(q.name for q in open_ones)}): "
        "translate a folder with `ganforge translate`, and judge that folder against the pictures of the class."
    )


def asked(
    trained: Trained, about: Question, data: DataSet, n: int, seed: int
) -> tuple[Asked, ImageSet, Callable[[int], ImageSet]]:
    """What `n` pictures of the data are asked for, they themselves, and the answers by the chance of a seed.

    Labels are drawn evenly among those that a picture lacks and the game can edit.
    Raises DataError where no picture lacks one.
    """
    facts, condition = trained.facts, torch.from_numpy(np.array(data.columns["condition"]))
    names = facts.attributes or facts.labels
    known = condition.float() if condition.ndim == 2 else F.one_hot(condition, len(names)).float()
    editable = labels_of(trained.game)
    lacking = (known == 0) & torch.tensor([name in editable for name in names])
    rows = some(lacking.any(1).nonzero().flatten().numpy(), n)
    if not len(rows):
        raise DataError(f"No picture of {data.name} lacks anything that {trained.path} can give it.")
    sources = of_data(data, rows=rows)
    chance = torch.from_numpy(np.random.Generator(np.random.Philox(seed)).random((len(rows), len(names))))
    label = (chance * lacking[rows]).argmax(1)
    told = label
    if facts.attributes:
        told = torch.full((len(rows), len(names)), about.unsaid).scatter(1, label[:, None], 1.0)

    def answers(again: int) -> ImageSet:
        return translated(trained, sources, again, said={about.name: told})

    return Asked(names, label, known[rows], known), sources, answers
