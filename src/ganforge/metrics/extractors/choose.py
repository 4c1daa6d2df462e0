"""Choosing the eyes: an extractor by its name, or the one that suits the data and is at hand."""

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from ganforge.data.dataset import DataSet
from ganforge.errors import OptionError
from ganforge.metrics.extractors import inception
from ganforge.metrics.extractors.base import Extractor, Pixels
from ganforge.metrics.extractors.classifier import classifier_of
from ganforge.metrics.extractors.resize import Rule
from ganforge.metrics.extractors.transformers import clip, dinov2

Name = Literal["auto", "classifier", "inception", "dinov2", "clip", "pixels"]


def extractor(
    name: Name,
    data: DataSet,
    *,
    weights: str | Path = "",
    resize: Rule = "clean",
    precision: Literal["fp32", "bf16"] = "fp32",
    device: torch.device | str = "cpu",
) -> tuple[Extractor, str]:
    """The extractor called `name`, and why it is this one.

    auto: the classifier of labelled data; else Inception, where its weights are at hand.
    Raises OptionError where there is no such extractor or nothing suits; WeightsError and DataError as it does.
    """
    if name == "auto":
        name, why = chosen(data, weights)
    else:
        why = "as asked"
    if name == "classifier":
        return classifier_of(data, device), why
    if name == "inception":
        return inception.inception(weights, resize=resize, precision=precision, device=device), why
    if name == "dinov2":
        return dinov2(weights, resize=resize, device=device), why
    if name == "clip":
        return clip(weights, resize=resize, device=device), why
    if name == "pixels":
        return Pixels(), why
    raise OptionError(f"There are no features {name!r}; there are {', '.join(get_args(Name))}.")


def chosen(data: DataSet, weights: str | Path) -> tuple[Name, str]:
    """The name that suits the data, and why."""
    if str(weights):
        return "inception", "its weights were named"
    condition = data.columns.get("condition")
    if condition is not None and (condition.ndim > 1 or len(np.unique(condition)) > 1):
        return "classifier", f"{data.name} has labels"
    if inception.at_hand().is_file():
        return "inception", f"{data.name} has no labels, and Inception's weights are at hand"
    raise OptionError(
        f"{data.name} has no labels to learn a classifier from, and Inception's weights are not here: fetch them once "
        "with --features inception, name a copy with --weights PATH, or compare --features pixels."
    )
