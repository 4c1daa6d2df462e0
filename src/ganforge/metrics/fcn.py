"""fcn: the FCN-score, a segmentation network for real photographs applied to generated ones.

Isola et al. 2017 (pix2pix), section 4.1, https://arxiv.org/abs/1611.07004: if photographs generated from label
maps are realistic, a network trained to segment real photographs recovers the label maps they were generated from.
The scores are those of Long et al. 2015, section 5, https://arxiv.org/abs/1411.4038.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganforge.console import Say
from ganforge.data.dataset import DataSet
from ganforge.data.regions import UNKNOWN
from ganforge.errors import DataError, OptionError
from ganforge.images import to_uint8
from ganforge.metrics.estimate import Estimate
from ganforge.metrics.image_set import ImageSet, cut_centre, select_images, subsample
from ganforge.metrics.inputs import MetricInputs, MetricOptions
from ganforge.metrics.label_colours import VOID, colours_to_classes, find_colours, fit_label_maps
from ganforge.metrics.metric import Metric
from ganforge.metrics.segmenter import Segmenter, load_or_train_segmenter

BATCH = 16
DRAWS = 400  # bootstrap resamplings of the photographs, for an interval
TrueMaps = Callable[[int, int, tuple[int, int]], np.ndarray]
"""(start, stop, size of the photographs) -> int64 (n, H, W): the true class of every pixel, VOID for none."""
SegmentationModel = Callable[[Tensor], Tensor]
"""Photographs (N, C, H, W) in [-1, 1] -> scores of the classes (N, K, H, W); a network in evaluation mode."""


@dataclass(frozen=True)
class FCNScore:
    """How well predicted label maps agree with the true ones; everything in [0, 1], higher is better.

    A class that no label map contains is NaN in the per-class scores, and left out of the means.
    """

    pixel_accuracy: float
    """Share of correctly predicted pixels."""
    class_accuracy: float
    """The same share within each class, averaged over classes."""
    class_iou: float
    """Intersection over union of predicted and true pixels of each class, averaged over classes."""
    accuracies: tuple[float, ...]
    """`class_accuracy` of each class."""
    ious: tuple[float, ...]
    """`class_iou` of each class."""


def fcn_score(photographs: Tensor, label_maps: Tensor, model: SegmentationModel, batch: int = 16) -> FCNScore:
    """Scores of `model` on photographs (N, C, H, W) in [-1, 1] against their label maps (N, H, W).

    Compare with the score of the real photographs under the same model.
    Raises DataError where the shapes do not match, or there is nothing to score.
    """
    if photographs.ndim != 4 or label_maps.shape != (len(photographs), *photographs.shape[2:]):
        raise DataError(
            f"Photographs {tuple(photographs.shape)} and label maps {tuple(label_maps.shape)} do not match: "
            "they are (N, C, H, W) and (N, H, W) with the same height and width."
        )
    if not len(photographs):
        raise DataError("There is no photograph to score.")
    counts = torch.zeros(0, 0, dtype=torch.int64)
    with torch.inference_mode():
        for photos, maps in zip(photographs.split(batch), label_maps.split(batch), strict=True):
            scores = model(photos)
            if not len(counts):
                counts = torch.zeros(scores.shape[1], scores.shape[1], dtype=torch.int64)
            counts += confusion(scores.argmax(1).cpu(), maps.cpu(), len(counts))
    return score(counts)


def confusion(predicted: Tensor, true: Tensor, classes: int) -> Tensor:
    """int64 (classes, classes): number of pixels of true class i that were predicted as j.

    Raises DataError for a true class outside 0 ... classes - 1.
    """
    known = true != VOID
    true, predicted = true[known], predicted[known]
    if len(true) and not 0 <= int(true.min()) <= int(true.max()) < classes:
        raise DataError(
            f"A label map holds class {int(true.max())}, but the segmenter knows 0 to {classes - 1}, {VOID} for none: "
            "use a network that was trained on these classes."
        )
    return torch.bincount(true * classes + predicted, minlength=classes**2).view(classes, classes)


def score(counts: Tensor) -> FCNScore:
    """The scores of a confusion matrix (true class, predicted class)."""
    counts = counts.double()
    correct, true, predicted = counts.diag(), counts.sum(1), counts.sum(0)
    if not true.sum():
        raise DataError("No pixel of these label maps has a class.")
    missing = torch.full_like(true, torch.nan)
    accuracies = torch.where(true > 0, correct / true, missing)
    ious = torch.where(true > 0, correct / (true + predicted - correct), missing)
    return FCNScore(
        pixel_accuracy=float(correct.sum() / true.sum()),
        class_accuracy=float(accuracies.nanmean()),
        class_iou=float(ious.nanmean()),
        accuracies=tuple(accuracies.tolist()),
        ious=tuple(ious.tolist()),
    )


def compute_fcn(inputs: MetricInputs, options: MetricOptions, say: Say) -> tuple[Estimate, ...]:
    """Pixel accuracy, class accuracy and class IoU, for translated and for real photographs.

    Raises OptionError for other runs than translators of label maps, DataError where the sources are no label maps.
    """
    if inputs.sources is None or not {"source", "label_map"} & inputs.data.columns.keys():
        raise OptionError("--metrics fcn needs a translator from label maps to photographs, and pairs of the two.")
    if "label_map" in inputs.data.columns:
        segmenter, maps = open_region_segmenter(inputs, say), select_regions(inputs.data, options.n)
    else:
        segmenter, colours = open_segmenter(inputs, say)
        native = inputs.open(size=None, channels=0, held_out=options.held_out, native=False)
        maps = select_classes(select_images(native, "source", options.n), colours)
    made, real = (count_confusions(segmenter, side, maps) for side in (inputs.fake, inputs.real))
    note = "The segmenter of the FCN-score was trained on these photographs: evaluate with --held-out."
    notes = () if options.held_out else (note,)
    return (*estimate_scores("fcn", made, notes), *estimate_scores("real_fcn", real, notes))


def open_segmenter(inputs: MetricInputs, say: Say) -> tuple[Segmenter, np.ndarray]:
    """(a segmentation network of the data's real photographs, the colour (K, C) of each of its classes)."""
    native = inputs.open(size=None, channels=0, held_out=False, native=False)
    colours = find_colours(native.columns["source"])
    if len(colours) < 2:
        raise DataError(f"The label maps of {native.name} show only one class, so there is nothing to segment.")
    training = inputs.open(held_out=False)
    size = (training.facts.height, training.facts.width)

    def pairs() -> tuple[Tensor, Tensor]:
        maps = fit_label_maps(colours_to_classes(native.columns["source"], colours), size)
        return torch.from_numpy(np.array(training.columns["target"])).permute(0, 3, 1, 2), torch.from_numpy(maps)

    return load_or_train_segmenter(training.fingerprint, pairs, len(colours), say=say), colours


def open_region_segmenter(inputs: MetricInputs, say: Say) -> Segmenter:
    """A segmentation network of the data's real photographs and the regions of its label maps."""
    training = inputs.open(held_out=False)
    regions = training.facts.regions
    if len(regions) < 2:
        raise DataError(f"The label maps of {training.name} have only one region, so there is nothing to segment.")

    def pairs() -> tuple[Tensor, Tensor]:
        maps = select_regions(training)(0, len(training), (training.facts.height, training.facts.width))
        photographs = cut_centre(np.asarray(training.columns["images"]), training.facts)
        return torch.from_numpy(np.array(photographs)).permute(0, 3, 1, 2), torch.from_numpy(maps)

    return load_or_train_segmenter(training.fingerprint, pairs, len(regions), say=say)


def select_regions(data: DataSet, most: int = 0) -> TrueMaps:
    """The label maps of a data set, at most `most`, in the rows of `select_images`; `unknown` is no class."""
    stored, rows = data.columns["label_map"], subsample(np.arange(len(data)), most)
    unknown = len(data.facts.regions) - 1 if data.facts.regions[-1:] == (UNKNOWN,) else -1

    def read(start: int, stop: int, size: tuple[int, int]) -> np.ndarray:
        maps = cut_centre(stored[rows[start:stop]], data.facts)[..., 0].astype(np.int64)
        return fit_label_maps(np.where(maps == unknown, VOID, maps), size)

    return read


def select_classes(sources: ImageSet, colours: np.ndarray) -> TrueMaps:
    """The label maps of images whose colours (K, C) are classes."""

    def read(start: int, stop: int, size: tuple[int, int]) -> np.ndarray:
        return fit_label_maps(colours_to_classes(to_uint8(sources.rows(start, stop)), colours), size)

    return read


def count_confusions(segmenter: Segmenter, photographs: ImageSet, maps: TrueMaps) -> Tensor:
    """int64 (N, K, K): for each photograph, the number of pixels of true class i that were predicted as j."""
    counts = []
    for start in range(0, photographs.count, BATCH):
        stop = min(start + BATCH, photographs.count)
        photos = photographs.rows(start, stop)
        true = torch.from_numpy(maps(start, stop, (photos.shape[2], photos.shape[3])))
        with torch.inference_mode():
            scores = segmenter(photos)
        counts += [confusion(one, own, scores.shape[1]) for one, own in zip(scores.argmax(1), true, strict=True)]
    return torch.stack(counts)


def estimate_scores(name: str, counts: Tensor, notes: tuple[str, ...]) -> tuple[Estimate, ...]:
    """The three scores over all photographs, each with a bootstrap interval over photographs."""
    whole = score(counts.sum(0))
    random = np.random.Generator(np.random.Philox(0))
    resampled = random.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=DRAWS)
    bootstrap = [score(torch.tensordot(torch.from_numpy(times).double(), counts.double(), 1)) for times in resampled]
    estimates = []
    for field in ("pixel_accuracy", "class_accuracy", "class_iou"):
        low, high = np.quantile([getattr(one, field) for one in bootstrap], (0.025, 0.975))
        estimates.append(Estimate(f"{name}_{field}", getattr(whole, field), float(low), float(high), "higher", notes))
    return tuple(estimates)


METRIC = Metric(
    compute_fcn,
    needs="inputs",
    better="higher",
    about="scores of a segmentation network on photographs made from label maps (pix2pix, section 4.1)",
    interval="bootstrap over photographs",
)
