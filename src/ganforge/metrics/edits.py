"""edits: share of edited images in which a classifier finds the target label, and of unchanged other labels.

Choi et al., "StarGAN", 2017, section 5.3 (domains predicted by a classifier trained on real images).
https://arxiv.org/abs/1711.09020
"""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ganforge import distributed, system
from ganforge.console import Say
from ganforge.errors import DataError, OptionError
from ganforge.metrics.estimate import Estimate, normal_estimate
from ganforge.metrics.extractors.classifier import load_or_train_classifier
from ganforge.metrics.image_set import ImageSet
from ganforge.metrics.inputs import MetricInputs, MetricOptions
from ganforge.metrics.metric import Metric
from ganforge.metrics.prdc import proportion
from ganforge.metrics.sharded import compute_sharded


def find_exclusive_labels(labels: Tensor) -> Tensor:
    """bool (K, K): pairs of labels (M, K) that no image has together, such as red and blue; the diagonal is true.

    Editing an image to one label removes the labels exclusive to it.  NaN is an unknown label.
    """
    present = (labels > 0.5).double()
    return ((present.T @ present) == 0) | torch.eye(labels.shape[1], dtype=torch.bool)


def edits(predicted: Tensor, own: Tensor, target: Tensor, exclusive: Tensor) -> tuple[Estimate, ...]:
    """`edited`, the share of images that show their target label, and `kept`, the share of unchanged other labels.

    `predicted` bool (N, K) are the labels that a classifier finds in the edited images, `own` (N, K) the true labels of
    the sources, `target` int64 (N,) the target labels, `exclusive` (K, K) from `find_exclusive_labels`: labels that
    exclude the target have to change, so they are not counted.  Without other labels there is no `kept`.
    Raises DataError where there is no image, or shapes do not match.
    """
    if (
        not len(target)
        or predicted.shape != own.shape
        or exclusive.shape != (predicted.shape[1],) * 2
        or len(target) != len(own)
    ):
        raise DataError(
            f"Predicted labels {tuple(predicted.shape)}, source labels {tuple(own.shape)} and {len(target)} targets "
            "do not match."
        )
    edited = proportion("edited", predicted.gather(1, target[:, None])[:, 0])
    others = ~exclusive[target] & ~own.isnan()
    counted = others.any(1)
    if counted.sum() < 2:
        return (edited,)
    each = ((predicted == (own > 0.5)) & others).sum(1)[counted].double() / others.sum(1)[counted]
    return edited, normal_estimate("kept", float(each.mean()), float(each.std()) / len(each) ** 0.5, "higher")


def compute_edits(
    inputs: MetricInputs, options: MetricOptions, say: Say
) -> tuple[tuple[Estimate, ...], dict[str, tuple[Estimate, ...]]]:
    """(figures over all edits, figures of the edits to each label).

    `edited` and `kept` are those of `edits`; `real_edited` is how often the classifier finds a label in real
    images that have it, and `real_kept` how often it is right about the other labels of the images before the edit.
    Raises OptionError unless a label-conditioned translator is evaluated.
    """
    if (targets := inputs.label_targets) is None or inputs.sources is None:
        raise OptionError("--metrics edits needs a translator to labels: a label-conditioned one.")
    with distributed.main_process_first():
        classifier = load_or_train_classifier(inputs.open(held_out=False), system.pick_device(options.device))

    def predict(side: ImageSet) -> Tensor:
        def part(start: int, stop: int) -> Tensor:
            return torch.cat(
                [classifier.predict_labels(images).byte() for images in side.batches(options.batch, start, stop)]
            )

        return compute_sharded(side.count, part).bool()

    edited, before = predict(inputs.fake), predict(inputs.sources)
    exclusive, own = find_exclusive_labels(targets.known), targets.own

    def estimate(rows: Tensor, labels: Tensor) -> tuple[Estimate, ...]:
        """Figures of the images `rows` (N,), bool; `real_edited` counts the labels `labels` (K,), bool."""
        figures = edits(edited[rows], own[rows], targets.label[rows], exclusive)
        real = edits(before[rows], own[rows], targets.label[rows], exclusive)[1:]
        have = (own > 0.5) & labels
        reference = (proportion("edited", before[have]), *real) if have.any() else real
        return (*figures, *(replace(figure, name=f"real_{figure.name}") for figure in reference))

    tried = F.one_hot(targets.label, len(exclusive)).bool()
    each = {
        targets.names[k]: estimate(tried[:, k], torch.arange(len(exclusive)) == k)
        for k in tried.any(0).nonzero().flatten().tolist()
    }
    whole = estimate(torch.ones(len(tried), dtype=torch.bool), tried.any(0))
    notes = [f"Labels are predicted by {classifier.about}."]
    if not options.held_out:
        notes.append("It was trained on these images, before they were edited: evaluate with --held-out.")
    return (replace(whole[0], notes=tuple(notes)), *whole[1:]), each


METRIC = Metric(
    compute_edits,
    needs="labels",
    better="higher",
    about="share of edited images in which a classifier predicts the requested label (`edited`), and "
    "of other labels that are unchanged (`kept`)",
    interval="Wilson's; of the mean over images",
    default=True,
)
