"""cas: classification accuracy score, the accuracy on real images of a classifier trained on generated ones.

Ravuri, Vinyals, "Classification accuracy score for conditional generative models", 2019.
https://arxiv.org/abs/1905.10887
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ganforge import system
from ganforge.console import Say
from ganforge.errors import DataError, OptionError
from ganforge.images import to_uint8
from ganforge.metrics.estimate import Estimate, normal_estimate
from ganforge.metrics.extractors.classifier import measure_accuracy, train_classifier
from ganforge.metrics.image_set import ImageSet, select_images
from ganforge.metrics.inputs import MetricInputs, MetricOptions
from ganforge.metrics.metric import Metric

READ = 10_000  # the most real images on which accuracy is measured

Labelled = tuple[np.ndarray, np.ndarray]  # images as stored (N, H, W, C), and int64 (N,) or float32 (N, K)


def cas(
    fake: Labelled, real: Labelled, labels: Sequence[str], device: torch.device | str = "cpu", seed: int = 0
) -> Estimate:
    """Accuracy on `real` of a classifier trained on `fake` alone; `real` are images no generator was trained on.

    It falls with unrealistic images and with missing modes, which measures of realism alone do not detect.  Report it
    beside the same figure for real training images: `cas` with those as `fake`.
    The paper trains a ResNet-50 on as many images as the data has; here it is the small network of `classifier`.
    Raises DataError where a class is never generated, or the two sides differ in image shape or kind of labels.
    """
    (fake_images, fake_labels), (real_images, real_labels) = fake, real
    if fake_images.shape[1:] != real_images.shape[1:] or fake_labels.shape[1:] != real_labels.shape[1:]:
        raise DataError(
            f"A classifier of images {fake_images.shape[1:]} cannot take images {real_images.shape[1:]}, or their "
            "labels are of another kind: bring both sides to one size, with the same labels."
        )
    missing = [
        name for k, name in enumerate(labels) if fake_labels.ndim == 1 and k in real_labels and k not in fake_labels
    ]
    if missing:
        raise DataError(f"There is no generated image of class {missing[0]}: generate images of every class.")
    network = train_classifier(fake_images, fake_labels, len(labels), seed=seed, device=device)
    accuracy = measure_accuracy(network, real_images, real_labels, np.arange(len(real_images)))
    return normal_estimate("cas", accuracy, math.sqrt(accuracy * (1 - accuracy) / real_labels.size), better="higher")


def compute_cas(inputs: MetricInputs, options: MetricOptions, say: Say) -> tuple[Estimate, ...]:
    """The classification accuracy score on held-out images, and that of as many real training images.

    Raises OptionError where the classes of the generated images are unknown.
    """
    if inputs.fake.labels is None or not inputs.data.facts.labels:
        raise OptionError(
            "--metrics cas needs labelled data, and images whose classes are known: a conditional run, or one folder "
            "a class with the same names."
        )
    names, device = inputs.data.facts.labels, system.pick_device(options.device)
    true = to_arrays(select_images(inputs.open(held_out=True), most=READ))
    training = to_arrays(select_images(inputs.open(held_out=False), most=inputs.fake.count))
    made = cas(to_arrays(inputs.fake), true, names, device)
    return made, replace(cas(training, true, names, device), name="real_cas")


def to_arrays(images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Images as uint8 (N, H, W, C), and their classes int64 (N,)."""
    assert images.labels is not None
    return np.concatenate([to_uint8(part) for part in images.batches()]), np.asarray(images.labels)


METRIC = Metric(
    compute_cas,
    needs="inputs",
    better="higher",
    about="accuracy on real held-out images of a classifier trained on generated ones; conditional runs",
    interval="of a proportion",
)
