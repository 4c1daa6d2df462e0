"""Select the feature extractor: by name, or one that suits the data and is available."""

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from ganforge.data.dataset import DataSet
from ganforge.errors import OptionError
from ganforge.metrics.extractors import inception
from ganforge.metrics.extractors.base import Extractor, Pixels
from ganforge.metrics.extractors.classifier import load_or_train_classifier
from ganforge.metrics.extractors.lite0 import load_lite0
from ganforge.metrics.extractors.resize import Rule
from ganforge.metrics.extractors.transformers import load_clip, load_dinov2

Name = Literal["auto", "classifier", "inception", "lite0", "dinov2", "clip", "pixels"]


def choose_extractor(
    name: Name,
    data: DataSet,
    *,
    weights: str | Path = "",
    resize: Rule = "clean",
    precision: Literal["fp32", "bf16"] = "fp32",
    device: torch.device | str = "cpu",
    fallback: bool = False,
) -> tuple[Extractor, str]:
    """(the extractor called `name`, the reason for the choice).

    auto: the classifier of labelled data; else Inception, where its weights are available; else, with `fallback`, the
    pixels.
    Raises OptionError where there is no such extractor or none suits; WeightsError and DataError as the extractor does.
    """
    if name == "auto":
        name, reason = choose_name(data, weights, fallback)
    else:
        reason = "as requested"
    if name == "classifier":
        return load_or_train_classifier(data, device), reason
    if name == "inception":
        return inception.load_inception(weights, resize=resize, precision=precision, device=device), reason
    if name == "lite0":
        return load_lite0(weights, resize=resize, device=device), reason
    if name == "dinov2":
        return load_dinov2(weights, resize=resize, device=device), reason
    if name == "clip":
        return load_clip(weights, resize=resize, device=device), reason
    if name == "pixels":
        return Pixels(), reason
    raise OptionError(f"There are no features {name!r}; there are {', '.join(get_args(Name))}.")


def choose_name(data: DataSet, weights: str | Path, fallback: bool = False) -> tuple[Name, str]:
    """(the name of an extractor that suits the data, the reason)."""
    if str(weights):
        return "inception", "its weights were given"
    condition = data.columns.get("condition")
    if condition is not None and (condition.ndim > 1 or len(np.unique(condition)) > 1):
        return "classifier", f"{data.name} has labels"
    if inception.weights_path().is_file():
        return "inception", f"{data.name} has no labels, and Inception's weights are available"
    if fallback:
        return "pixels", (
            f"{data.name} has no labels to train a classifier on, and Inception's weights are not available: download "
            "them once with --features inception, or name a copy with --weights PATH"
        )
    raise OptionError(
        f"{data.name} has no labels to train a classifier on, and Inception's weights are not available: download "
        "them once with --features inception, name a copy with --weights PATH, or use --features pixels."
    )
