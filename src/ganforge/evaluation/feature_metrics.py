"""The metrics of features: both sides run through one extractor, the metrics over all images and class by class."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from ganforge import distributed, system
from ganforge.data.cache import DecodeJob, DecodeReport, fingerprint, is_cached, load_or_decode
from ganforge.errors import OptionError
from ganforge.evaluation.inputs import EvalInputs, EvalOptions
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.extractors.base import Extractor, Features, extract_features
from ganforge.metrics.extractors.choose import choose_extractor
from ganforge.metrics.metric import FeaturePair, Metric, require_logits
from ganforge.metrics.prdc import proportion
from ganforge.metrics.sharded import compute_on_first, extract_sharded

PerClass = Mapping[str, tuple[Estimate, ...]]


def choose_features(inputs: EvalInputs, options: EvalOptions) -> tuple[Extractor, str]:
    """(the extractor of an evaluation, the reason for the choice).  Raises as `choose_extractor` does."""
    return choose_extractor(
        options.features,
        inputs.data,
        weights=options.weights,
        resize=options.resize,
        precision=options.precision,
        device=system.pick_device(options.device),
        fallback=True,
    )


def extract_pair(inputs: EvalInputs, extractor: Extractor, options: EvalOptions) -> FeaturePair:
    """Features of both sides; those of the real side come from the cache where they are stored."""
    fake = extract_sharded(extractor, inputs.fake, options.batch)
    real = Features(load_real_features(inputs, extractor, options))
    classes = inputs.real.labels if inputs.data.facts.labels else None
    return FeaturePair(real, fake, classes, inputs.fake.labels, options.seed)


def load_real_features(inputs: EvalInputs, extractor: Extractor, options: EvalOptions) -> torch.Tensor:
    """Features of the real images, cached by the data's content, the choice of images, and the extractor."""
    real = inputs.real
    key = fingerprint("features", inputs.data.fingerprint, real.name, real.count, inputs.paired, extractor.key)
    missing = distributed.any_process(not is_cached(key))  # in any of the processes
    seen = extract_sharded(extractor, real, options.batch).features if missing else None

    def begin() -> DecodeJob:
        rows = (extract_features(extractor, real.batches(options.batch)).features if seen is None else seen).numpy()
        return DecodeJob(rows.shape[1:], rows.dtype, rows, lambda: DecodeReport(tuple(range(real.count))))

    return torch.from_numpy(np.array(load_or_decode(key, begin).images))


def compute_feature_metrics(sides: FeaturePair, metrics: Mapping[str, Metric]) -> tuple[Estimate, ...]:
    """The feature metrics among `metrics`, computed in the first process."""
    return tuple(
        figure
        for metric in metrics.values()
        if metric.of_features
        for figure in compute_on_first(partial(metric.compute, sides))
    )


def compute_per_class(inputs: EvalInputs, sides: FeaturePair, metrics: Mapping[str, Metric]) -> PerClass:
    """The feature metrics class by class.  Raises OptionError where the classes of the images are unknown."""
    if sides.fake_labels is None or sides.real_labels is None:
        raise OptionError(
            "--per-class needs labelled data, and images whose classes are known: a conditional run, or one folder "
            "a class with the same names."
        )
    rows = {}
    by_class = {name: metric for name, metric in metrics.items() if metric.per_class}
    for number, label in enumerate(inputs.data.facts.labels):
        one = sides.of_class(number)
        if min(len(one.real), len(one.fake)) >= 2:
            rows[label] = compute_feature_metrics(one, by_class)
    return rows


def merge_per_class(rows: PerClass, more: PerClass) -> PerClass:
    """The per-class figures of both, merged by class."""
    return {name: (*rows.get(name, ()), *more.get(name, ())) for name in {**rows, **more}}


def find_duplicates(sides: FeaturePair) -> tuple[str, ...]:
    """Warnings about identical generated images: all of them, or more than a tenth."""
    features = sides.fake.features
    if bool((features == features[0]).all()):
        return (f"All {len(features)} images look the same: the generator has collapsed to one output.",)
    copies = len(features) - len(torch.unique(features, dim=0))
    if copies > len(features) // 10:
        return (f"{copies} of {len(features)} images are exact copies of others.",)
    return ()


def agreement(sides: FeaturePair) -> Estimate:
    """Share of images that the classifier assigns to the class they were conditioned on."""
    expected = torch.from_numpy(np.asarray(sides.fake_labels))
    return replace(proportion("agreement", require_logits(sides, "agreement").argmax(1) == expected), name="agreement")
