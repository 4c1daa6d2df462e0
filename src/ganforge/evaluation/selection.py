"""--select: the metric that compares a run's checkpoints.

A metric says itself whether --select takes it (`select` in metrics/NAME.py), and what it needs:

features    sampling games: samples against the data, in the features that `evaluate` would choose or in those that
            are named, as in `fid:pixels`; translators between two domains: translated images against the other
            domain, both from the held-out split
target      translators of pairs, superresolution: outputs against their targets, on the held-out split

The values are those of `ganforge evaluate` at the same n and seed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from ganforge import distributed
from ganforge.callbacks.best_checkpoint import BestCheckpoint, CheckpointMetric, ScoreCallback
from ganforge.capabilities import capabilities
from ganforge.data.dataset import DataSet
from ganforge.data.tokens import tokeniser_of
from ganforge.engine import Callback
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.inference.trained import Trained
from ganforge.metrics import catalogue
from ganforge.metrics.metric import SELECTABLE, Better, FeaturePair, Needs
from ganforge.run import Run

SEED = 0  # of the generated images: the same at every evaluation
BATCH = 64
FEATURES: tuple[Needs, ...] = ("features", "logits")
TRANSLATED = {"b", "label_map", "boxes"}
"""Columns of data whose images are translated, to be compared with real ones by features, on the held-out split."""
FeatureName = Literal["classifier", "inception", "lite0", "dinov2", "clip", "pixels"]


def check_options(run: Run, game: type[Game[Any, Any]], config: Any) -> None:
    """Raise OptionError where --select and its options contradict each other, or do not suit games of this Config."""
    metric, _, features = run.select.partition(":")
    if not run.select:
        if run.every or run.patience:
            raise OptionError("--eval-every and --patience need a metric: give one with --select fid.")
        return
    if not suits(metric, find_needs(game, config)):
        known = list_metrics(game, config)
        there = f"there are {', '.join(known)}" if known else "there is none for it"
        raise OptionError(f"--select {metric} cannot compare the checkpoints of this model: {there}.")
    if features and not (suits(metric, FEATURES) and features in get_args(FeatureName)):
        raise OptionError(
            f"--select {run.select} names no features: {', '.join(list_selectable(FEATURES))} take "
            f"{', '.join(get_args(FeatureName))}, as in fid:pixels."
        )
    if min(run.every, run.patience) < 0 or run.judged < 2:
        raise OptionError("--eval-every and --patience cannot be negative, and --eval-images is 2 or more.")


def list_metrics(game: type[Game[Any, Any]], config: Any = None) -> tuple[str, ...]:
    """The metrics by which checkpoints of this kind of game, of this Config, can be compared."""
    return list_selectable(find_needs(game, config))


def find_needs(game: type[Game[Any, Any]], config: Any = None) -> tuple[Needs, ...]:
    """What metrics may need to compare checkpoints of this kind of game, of this Config: features, targets, or ()."""
    can, columns = capabilities(game, config), game.choose_batches(config).columns()
    if ("sample" in can and "images" in columns) or ("translate" in can and "b" in columns):
        return FEATURES
    if "translate" in can and TRANSLATED & {*columns}:
        return FEATURES if "boxes" in columns else (*FEATURES, "target")
    return ("target",) if "translate" in can and ("target" in columns or {*columns} <= {"images", "tokens"}) else ()


def list_selectable(needs: Sequence[Needs] = SELECTABLE) -> tuple[str, ...]:
    """The metrics that --select takes, of those that need one of `needs`."""
    return tuple(name for name, one in catalogue.find_all().items() if one.select and one.needs in needs)


def suits(metric: str, needs: Sequence[Needs] = SELECTABLE) -> bool:
    """Whether --select takes `metric`, and it needs one of `needs`.  Imports that metric alone."""
    return metric in catalogue.names() and (one := catalogue.find(metric)).select and one.needs in needs


def metric_direction(select: str) -> Better:
    """Whether lower or higher is better, for the value of --select.  Raises OptionError for an unknown metric."""
    metric = select.partition(":")[0]
    if not suits(metric):
        raise OptionError(f"There is no metric {metric!r} to compare by; there are {', '.join(list_selectable())}.")
    return catalogue.find(metric).better


def build_selection(
    run: Run,
    data: DataSet,
    held_out: Callable[[], DataSet],
    folder: Path,
    device: torch.device,
    callbacks: Sequence[Callback],
    say: Callable[[str], None],
) -> list[BestCheckpoint]:
    """The callback that marks the best checkpoint of the run in `folder`.

    Empty without --select, and in all processes but the first.
    """
    if not run.select or distributed.rank():
        return []
    metric = build_metric(run, data, held_out, folder, device, say)
    score_callbacks = [callback for callback in callbacks if isinstance(callback, ScoreCallback)]
    return [BestCheckpoint(folder / "scores.jsonl", metric, say, score_callbacks)]


def build_metric(
    run: Run,
    data: DataSet,
    held_out: Callable[[], DataSet],
    folder: Path,
    device: torch.device,
    say: Callable[[str], None] = lambda _: None,
) -> CheckpointMetric:
    """The metric of `--select`; real features are computed now, once.  `held_out` opens the held-out split."""
    metric, _, features = run.select.partition(":")

    def as_trained(game: Game[Any, Any]) -> Trained:
        return Trained(game, folder, type(game).__name__, -1, device, tokeniser=tokeniser_of(data))

    if suits(metric, ("target",)):
        return build_paired_metric(metric, held_out(), run.judged, as_trained)
    reference = held_out() if TRANSLATED & data.columns.keys() else data
    return build_data_metric(metric, features, reference, run.judged, device, as_trained, say)


def build_data_metric(
    metric: str,
    features: str,
    data: DataSet,
    n: int,
    device: torch.device,
    as_trained: Callable[[Game[Any, Any]], Trained],
    say: Callable[[str], None],
) -> CheckpointMetric:
    """A metric of generated images against `n` images of the data."""
    from ganforge.evaluation.image_sets import sample_images
    from ganforge.evaluation.inputs import open_translation
    from ganforge.metrics.extractors import inception
    from ganforge.metrics.extractors.base import extract_features
    from ganforge.metrics.extractors.choose import choose_extractor
    from ganforge.metrics.image_set import select_images

    no_extractor = "condition" not in data.columns and not inception.weights_path().is_file()
    name: Any = features or (
        "pixels" if no_extractor else "auto"
    )  # without labels and Inception weights, only pixels are available
    extractor, _ = choose_extractor(name, data, device=device)
    say(f"Checkpoints are compared by {metric}, features: {extractor.about}.")
    declared = catalogue.find(metric)
    images = select_images(data, "b" if "b" in data.columns else "images", n)
    real = extract_features(extractor, images.batches(BATCH))

    def compute(game: Game[Any, Any]) -> float:
        made = (
            open_translation(as_trained(game), data, n)[2](SEED)
            if TRANSLATED & data.columns.keys()
            else sample_images(as_trained(game), n, SEED, images.labels, data)
        )
        return declared.compute(FeaturePair(real, extract_features(extractor, made.batches(BATCH))))[0].value

    return CheckpointMetric(metric, declared.better, compute)


def build_paired_metric(
    metric: str, data: DataSet, n: int, as_trained: Callable[[Game[Any, Any]], Trained]
) -> CheckpointMetric:
    """A metric of translated images against their targets."""
    from ganforge.evaluation.inputs import open_translation

    declared = catalogue.find(metric)

    def compute(game: Game[Any, Any]) -> float:
        _, targets, translate = open_translation(as_trained(game), data, n)
        pairs = zip(translate(SEED).batches(BATCH), targets.batches(BATCH), strict=True)
        return float(torch.cat([declared.compute(output, target) for output, target in pairs]).mean())

    return CheckpointMetric(metric, declared.better, compute)
