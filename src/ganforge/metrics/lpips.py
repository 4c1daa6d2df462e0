"""lpips: perceptual distance between images.

Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features as a perceptual metric", 2018.
https://arxiv.org/abs/1801.03924
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ganforge.console import Say
from ganforge.errors import DataError, OptionError
from ganforge.files import sha256
from ganforge.metrics.estimate import Estimate, normal_estimate
from ganforge.metrics.extractors.classifier import Network, limit_size, load_or_train_classifier
from ganforge.metrics.fcn import BATCH, open_region_segmenter, open_segmenter
from ganforge.metrics.inputs import MetricInputs, MetricOptions
from ganforge.metrics.metric import Metric
from ganforge.metrics.paired import check_pair
from ganforge.metrics.segmenter import Segmenter
from ganforge.nn import lpips as published

Maps = Callable[
    [Tensor], Sequence[Tensor]
]  # images (N, C, H, W) in [-1, 1] -> feature maps (N, K, h, w), one per layer

PUBLISHED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "alex": (("7be5be79", "4df8aa71"), ("df73285e35b22355",)),
    "vgg": (("397923af",), ("a78928a0af1e5f0f",)),
}
"""How the SHA-256 of the published files begins: torchvision's, in whose names it stands, and those of LPIPS 0.1."""


@dataclass(frozen=True)
class Distance:
    """A perceptual distance with a name that says which one."""

    name: str
    """Reported beside every value: `LPIPS 0.1 (alex)`, or that it is not LPIPS."""
    between: Callable[[Tensor, Tensor], Tensor]
    """Two batches of images (N, C, H, W) in [-1, 1] -> (N,)."""
    suffix: str = ""
    """Behind the metric's name where the distance is not LPIPS."""


def load_official(network: str | Path, weights: str | Path) -> Distance:
    """LPIPS with its published weights.

    `network` is the file of torchvision's AlexNet or VGG-16 trained on ImageNet, `weights` that of the authors' `lin`
    layers, version 0.1.  No code in either file is executed.  Only files with the published hashes are called LPIPS;
    others of the same shapes are named by theirs.  Raises WeightsError for files of other shapes.
    """
    from ganforge.official import read

    backbone = read(network)
    first = backbone.get("features.0.weight")
    kind: published.Kind = "vgg" if first is not None and first.shape == (64, 3, 3, 3) else "alex"
    net = published.LPIPS(kind).load(backbone, read(weights))
    hashes = [sha256(Path(file)) for file in (network, weights)]
    unknown = [
        f"{Path(file).name} (SHA-256 {found[:8]})"
        for file, found, known in zip((network, weights), hashes, PUBLISHED[kind], strict=True)
        if not found.startswith(known)
    ]
    if not unknown:
        return Distance(f"LPIPS 0.1 ({kind})", net)
    name = f"a distance of the form of LPIPS ({kind}) with weights other than those published: {' and '.join(unknown)}"
    return Distance(name, net, "_own_weights")


def feature_distance(maps: Maps, name: str) -> Distance:
    """The same distance in the feature maps of any network, all channels weighted equally.  This is not LPIPS."""

    def between(a: Tensor, b: Tensor) -> Tensor:
        features = maps(torch.cat([a, b]))
        n = len(a)
        weights = [torch.ones((), device=m.device) for m in features]
        return published.distance([m[:n] for m in features], [m[n:] for m in features], weights)

    return Distance(
        f"distance in the features of {name}, unweighted (not LPIPS: its published weights were not given)",
        between,
        "_unweighted",
    )


def lpips(output: Tensor, target: Tensor, distance: Distance, batch: int = 32) -> Tensor:
    """(N,): perceptual distance of each image from its target, lower is better."""
    check_pair(output, target)
    with torch.inference_mode():
        parts = zip(output.split(batch), target.split(batch), strict=True)
        return torch.cat([distance.between(a.float(), b.float()).double() for a, b in parts])


def compute_lpips(inputs: MetricInputs, options: MetricOptions, say: Say) -> tuple[Estimate, ...]:
    """Mean perceptual distance of outputs from their targets.  Raises OptionError without paired data."""
    if not inputs.paired:
        raise OptionError("--metrics lpips needs a translator and paired data: these images have no known targets.")
    distance = choose_distance(inputs, options, say)
    parts = [(start, min(start + BATCH, inputs.fake.count)) for start in range(0, inputs.fake.count, BATCH)]
    each = [lpips(inputs.fake.rows(*part), inputs.real.rows(*part), distance) for part in parts]
    return (estimate_distance("lpips", torch.cat(each), distance, "lower"),)


def estimate_distance(name: str, each: Tensor, distance: Distance, better: str) -> Estimate:
    """The mean over images; NAME_unweighted or NAME_own_weights where the distance is not LPIPS."""
    if len(each) < 2:
        raise DataError(f"One image gives no interval: {name} needs 2 or more.")
    figure = normal_estimate(name + distance.suffix, float(each.mean()), float(each.std()) / len(each) ** 0.5)
    return replace(figure, better=better, notes=(f"{name} is measured by {distance.name}.",))


def choose_distance(inputs: MetricInputs, options: MetricOptions, say: Say) -> Distance:
    """LPIPS where its weights are given; else a distance in the features of the data's classifier or segmenter.

    Raises OptionError where there is neither.
    """
    if options.lpips:
        return load_official(*options.lpips)
    if "condition" in inputs.data.columns:
        network = load_or_train_classifier(inputs.open(held_out=False)).network
        return feature_distance(lambda images: classifier_activations(network, images), "the data's classifier")
    if {"source", "label_map"} & inputs.data.columns.keys():
        try:
            has_maps = "label_map" in inputs.data.columns
            segmenter = open_region_segmenter(inputs, say) if has_maps else open_segmenter(inputs, say)[0]
        except DataError:  # the sources are no label maps
            segmenter = None
        if segmenter is not None:
            return feature_distance(
                lambda images: segmenter_activations(segmenter, images), "a segmenter of the data's label maps"
            )
    raise OptionError(
        "A perceptual distance needs a network: give that of LPIPS with --lpips NETWORK WEIGHTS (torchvision's AlexNet "
        "or VGG-16, and the lin layers of LPIPS 0.1 for it); only labelled data and label maps can train one here."
    )


def classifier_activations(network: Network, images: Tensor) -> list[Tensor]:
    """Feature maps after each ReLU of the classifier."""
    activations, maps = [], limit_size(images)
    for layer in network.body:
        maps = layer(maps)
        if isinstance(layer, nn.ReLU):
            activations.append(maps)
    return activations


def segmenter_activations(segmenter: Segmenter, images: Tensor) -> list[Tensor]:
    """Feature maps after each stage of the segmenter."""
    activations = []
    for stage in segmenter.stages:
        images = stage(images)
        activations.append(images)
    return activations


METRIC = Metric(
    compute_lpips,
    needs="inputs",
    better="lower",
    about="perceptual distance of outputs from their targets: LPIPS 0.1, or `lpips_unweighted` without its weights",
    interval="of the mean over images",
)
