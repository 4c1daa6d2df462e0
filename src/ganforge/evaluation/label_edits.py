"""Evaluation of label-conditioned translators: each image is translated to a label that it lacks."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from ganforge.capabilities import Question, labels_of, list_questions
from ganforge.data.dataset import DataSet
from ganforge.errors import DataError, OptionError
from ganforge.evaluation.image_sets import translate_images
from ganforge.inference.trained import Trained
from ganforge.metrics.image_set import ImageSet, select_images, subsample
from ganforge.metrics.inputs import LabelTargets


def find_label_question(trained: Trained) -> Question | None:
    """The required argument of `translate` that is a label; None where nothing is required.

    Raises OptionError for required arguments that the data cannot supply.
    """
    required = [q for q in list_questions(trained.game.translate) if q.required]  # pyright: ignore
    if not required:
        return None
    first = required[0]
    unchanged = not trained.facts.attributes or math.isnan(first.unnamed)  # unnamed ones are kept
    if len(required) == 1 and first.meaning == "label" and unchanged and "images" in trained.game.batch_type.columns():
        return first
    raise OptionError(
        f"{trained.model} needs a target for each image ({', '.join(q.name for q in required)}): "
        "translate a folder with `ganforge translate`, and evaluate that folder against the images of the class."
    )


def draw_label_targets(
    trained: Trained, question: Question, data: DataSet, n: int, seed: int
) -> tuple[LabelTargets, ImageSet, Callable[[int], ImageSet]]:
    """(target labels of at most `n` images, these source images, seed -> translated images).

    Target labels are drawn uniformly among those that an image lacks and the game can edit.
    Raises DataError where no image lacks one.
    """
    facts, condition = trained.facts, torch.from_numpy(np.array(data.columns["condition"]))
    names = facts.attributes or facts.labels
    known = condition.float() if condition.ndim == 2 else F.one_hot(condition, len(names)).float()
    editable = labels_of(trained.game)
    lacking = (known == 0) & torch.tensor([name in editable for name in names])
    rows = subsample(lacking.any(1).nonzero().flatten().numpy(), n)
    if not len(rows):
        raise DataError(f"No image of {data.name} lacks a label that {trained.path} can add.")
    sources = select_images(data, rows=rows)
    scores = torch.from_numpy(np.random.Generator(np.random.Philox(seed)).random((len(rows), len(names))))
    label = (scores * lacking[rows]).argmax(1)
    answer = label
    if facts.attributes:
        answer = torch.full((len(rows), len(names)), question.unnamed).scatter(1, label[:, None], 1.0)

    def translate(seed: int) -> ImageSet:
        return translate_images(trained, sources, seed, answers={question.name: answer})

    return LabelTargets(names, label, known[rows], known), sources, translate
