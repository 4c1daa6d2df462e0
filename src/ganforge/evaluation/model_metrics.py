"""Measures that need more of a case than two sets of features: networks of their own, several answers, other data.

fcn         what a judge that learned to read the real photographs reads in translated ones (pix2pix, section 4.1)
labels      which classes a translator's own label maps show, by their nearest colour (pix2pix, section 4.4, table 6)
lpips       how different an answer looks from its truth
diversity   how different the answers look that one input leads to
cas         how well a classifier that learned from generated pictures alone reads real ones
edits       whether a classifier of real pictures reads what a translator was asked for, and everything else as it was

Beside what is measured of generated pictures stands the same of real ones, where that makes sense: real_...
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganforge import distributed, system
from ganforge.errors import DataError, OptionError
from ganforge.evaluation.image_sets import ImageSet, of_data
from ganforge.evaluation.inputs import EvalInputs, EvalOptions
from ganforge.evaluation.sharded import together
from ganforge.images import to_uint8
from ganforge.metrics import cas as accuracy
from ganforge.metrics import lpips as perceptual
from ganforge.metrics.edits import edits as read_in_edits
from ganforge.metrics.edits import rivals
from ganforge.metrics.estimate import Estimate, around
from ganforge.metrics.extractors.classifier import Network, classifier_of, looked_at
from ganforge.metrics.fcn import confusion, score
from ganforge.metrics.label_colours import classes, colours_of, fitted, nearest
from ganforge.metrics.prdc import share
from ganforge.metrics.segmenter import Reader, kept_reader

BATCH = 16
DRAWS = 400  # resamplings of the photographs, for an interval
INPUTS, ANSWERS = 100, 10  # of the diversity, which BicycleGAN (section 5.2) measures on 100 inputs
READ = 10_000  # the most pictures that a classifier's accuracy is read off
Say = Callable[[str], None]


# -- fcn ------------------------------------------------------------------------------------------


def fcn(found: EvalInputs, terms: EvalOptions, say: Say) -> tuple[Estimate, ...]:
    """Accuracy over pixels, its mean over classes, and the classes' overlap, for translated and for real photographs.

    Raises OptionError where there is no translator of label maps, and DataError where sources are none.
    """
    if found.sources is None or "source" not in found.data.columns:
        raise OptionError("--metrics fcn needs a translator from label maps to photographs, and pairs of the two.")
    judge, colours = judge_of(found, say)
    own = of_data(found.open(size=None, channels=0, held_out=terms.held_out, native=False), "source", terms.n)
    made, real = (readings(judge, side, own, colours) for side in (found.fake, found.real))
    note = "These are the photographs that the judge of the FCN-score learned from: judge with --held-out."
    notes = () if terms.held_out else (note,)
    return (*figures("fcn", made, notes), *figures("real_fcn", real, notes))


def judge_of(found: EvalInputs, say: Say) -> tuple[Reader, np.ndarray]:
    """A reader of the data's real photographs, and the colour of each class that it knows."""
    own = found.open(size=None, channels=0, held_out=False, native=False)
    colours = colours_of(own.columns["source"])
    if len(colours) < 2:
        raise DataError(f"The label maps of {own.name} show one class only, so there is nothing to read.")
    training = found.open(held_out=False)
    size = (training.facts.height, training.facts.width)

    def pairs() -> tuple[Tensor, Tensor]:
        maps = fitted(classes(own.columns["source"], colours), size)
        return torch.from_numpy(np.array(training.columns["target"])).permute(0, 3, 1, 2), torch.from_numpy(maps)

    return kept_reader(training.fingerprint, pairs, len(colours), say=say), colours


def readings(judge: Reader, photographs: ImageSet, sources: ImageSet, colours: np.ndarray) -> Tensor:
    """int64 (N, K, K): of each photograph, how many pixels of true class i were read as j."""
    found = []
    for start in range(0, photographs.count, BATCH):
        stop = min(start + BATCH, photographs.count)
        photos = photographs.rows(start, stop)
        maps = fitted(classes(to_uint8(sources.rows(start, stop)), colours), (photos.shape[2], photos.shape[3]))
        with torch.inference_mode():
            read = judge(photos).argmax(1)
        found += [confusion(one, true, len(colours)) for one, true in zip(read, torch.from_numpy(maps), strict=True)]
    return torch.stack(found)


def figures(name: str, counts: Tensor, notes: tuple[str, ...]) -> tuple[Estimate, ...]:
    """The three figures of all photographs together, each with the interval of photographs drawn again."""
    whole = score(counts.sum(0))
    chance = np.random.Generator(np.random.Philox(0))
    again = chance.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=DRAWS)
    drawn = [score(torch.tensordot(torch.from_numpy(times).double(), counts.double(), 1)) for times in again]
    made = []
    for field in ("pixel_accuracy", "class_accuracy", "class_iou"):
        low, high = np.quantile([getattr(one, field) for one in drawn], (0.025, 0.975))
        made.append(Estimate(f"{name}_{field}", getattr(whole, field), float(low), float(high), "higher", notes))
    return tuple(made)


# -- labels ---------------------------------------------------------------------------------------


def labels(found: EvalInputs, terms: EvalOptions, say: Say) -> tuple[Estimate, ...]:
    """The same three figures of label maps that were made from photographs: each pixel counts as its nearest colour.

    Raises OptionError where there is no translator of pairs, and DataError where targets are no label maps.
    """
    if found.sources is None or "target" not in found.data.columns:
        raise OptionError("--metrics labels needs a translator from photographs to label maps, and pairs of the two.")
    own = found.open(size=None, channels=0, held_out=False)
    colours = colours_of(own.columns["target"])
    true = of_data(found.open(size=None, channels=0, held_out=terms.held_out), "target", terms.n)
    counts = []
    for start in range(0, found.fake.count, BATCH):
        stop = min(start + BATCH, found.fake.count)
        made = nearest(to_uint8(found.fake.rows(start, stop)), colours)
        maps = fitted(classes(to_uint8(true.rows(start, stop)), colours), (made.shape[1], made.shape[2]))
        pairs = zip(torch.from_numpy(made), torch.from_numpy(maps), strict=True)
        counts += [confusion(one, whole, len(colours)) for one, whole in pairs]
    return figures("labels", torch.stack(counts), ())


# -- lpips, diversity -----------------------------------------------------------------------------


def lpips(found: EvalInputs, terms: EvalOptions, say: Say) -> tuple[Estimate, ...]:
    """The mean distance of answers from their truth.  Raises OptionError where no truth is known."""
    if not found.paired:
        raise OptionError("--metrics lpips needs a translator and paired data: nobody knows these pictures' truth.")
    distance = distance_for(found, terms, say)
    parts = [(start, min(start + BATCH, found.fake.count)) for start in range(0, found.fake.count, BATCH)]
    each = [perceptual.lpips(found.fake.rows(*part), found.real.rows(*part), distance) for part in parts]
    return (named("lpips", torch.cat(each), distance, "lower"),)


def diversity(found: EvalInputs, terms: EvalOptions, say: Say) -> tuple[Estimate, ...]:
    """The mean distance between answers to one input.  Raises OptionError for what is no translator."""
    if found.again is None:
        raise OptionError("--metrics diversity needs a translator: it compares the answers to one input.")
    distance = distance_for(found, terms, say)
    answers = [found.again(terms.seed + k) for k in range(ANSWERS)]
    each = []
    for k in range(min(INPUTS, found.fake.count)):
        said = torch.stack([one.rows(k, k + 1) for one in answers], 1)
        each.append(perceptual.diversity(said, distance))
    return (named("diversity", torch.cat(each), distance, "higher"),)


def named(name: str, each: Tensor, distance: perceptual.Distance, better: str) -> Estimate:
    """The mean over pictures; what is no LPIPS does not bear its name."""
    if len(each) < 2:
        raise DataError(f"One picture gives no interval: {name} needs 2 or more.")
    real = distance.name.startswith("LPIPS")
    figure = around(name if real else f"{name}_unweighted", float(each.mean()), float(each.std()) / len(each) ** 0.5)
    return replace(figure, better=better, notes=(f"{name} is measured by {distance.name}.",))


def distance_for(found: EvalInputs, terms: EvalOptions, say: Say) -> perceptual.Distance:
    """LPIPS where its weights were given; else the distance through the data's classifier, or its reader of label maps.

    Raises OptionError where there is neither.
    """
    if terms.lpips:
        return perceptual.official(*terms.lpips)
    if "condition" in found.data.columns:
        network = classifier_of(found.open(held_out=False)).network
        return perceptual.through(lambda images: classifier_maps(network, images), "the data's classifier")
    if "source" in found.data.columns:
        try:
            judge, _ = judge_of(found, say)
        except DataError:  # its sources are no label maps
            judge = None
        if judge is not None:
            return perceptual.through(lambda images: reader_maps(judge, images), "a reader of the data's label maps")
    raise OptionError(
        "A perceptual distance needs eyes: give LPIPS's with --lpips NETWORK WEIGHTS (torchvision's AlexNet or VGG-16, "
        "and the lin layers of LPIPS 0.1 for it); only labelled data and label maps train some here."
    )


def classifier_maps(network: Network, images: Tensor) -> list[Tensor]:
    """What the classifier sees behind each of its ReLUs."""
    seen, maps = [], looked_at(images)
    for layer in network.body:
        maps = layer(maps)
        if isinstance(layer, nn.ReLU):
            seen.append(maps)
    return seen


def reader_maps(judge: Reader, images: Tensor) -> list[Tensor]:
    """What a reader sees behind each of its stages."""
    seen = []
    for stage in judge.stages:
        images = stage(images)
        seen.append(images)
    return seen


# -- cas ------------------------------------------------------------------------------------------


def cas(found: EvalInputs, terms: EvalOptions, say: Say) -> tuple[Estimate, ...]:
    """The classification accuracy score on held-out pictures, and that of as many real training pictures.

    Raises OptionError where nobody knows what the generated pictures show.
    """
    if found.fake.labels is None or not found.data.facts.labels:
        raise OptionError(
            "--metrics cas needs labelled data, and pictures whose classes are known: a conditional run, or one folder "
            "a class with the same names."
        )
    names, device = found.data.facts.labels, system.pick_device(terms.device)
    true = arrays(of_data(found.open(held_out=True), most=READ))
    seen = arrays(of_data(found.open(held_out=False), most=found.fake.count))
    made = accuracy.cas(arrays(found.fake), true, names, device)
    return made, replace(accuracy.cas(seen, true, names, device), name="real_cas")


def arrays(pictures: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Pictures as files hold them (N, H, W, C), and their classes."""
    assert pictures.labels is not None
    return np.concatenate([to_uint8(part) for part in pictures.batches()]), np.asarray(pictures.labels)


# -- edits ----------------------------------------------------------------------------------------


def edits(found: EvalInputs, terms: EvalOptions) -> tuple[tuple[Estimate, ...], dict[str, tuple[Estimate, ...]]]:
    """The figures of all edits together, and of those to each label.

    `edited` and `kept` (see metrics/edits.py); beside them `real_edited`, how often the classifier sees a label in real
    pictures that have it, and `real_kept`, how rightly it reads the others in the pictures before they were edited.
    Raises OptionError where nothing was asked for.
    """
    if (asked := found.asked) is None or found.sources is None:
        raise OptionError("--metrics edits needs a translator that is told what each picture shall become.")
    with distributed.one_prepares():
        judge = classifier_of(found.open(held_out=False), system.pick_device(terms.device))

    def read(side: ImageSet) -> Tensor:
        def part(start: int, stop: int) -> Tensor:
            return torch.cat([judge.shown(images).byte() for images in side.batches(terms.batch, start, stop)])

        return together(side.count, part).bool()

    made, before = read(found.fake), read(found.sources)
    apart, own = rivals(asked.known), asked.own

    def of(rows: Tensor, labels: Tensor) -> tuple[Estimate, ...]:
        """Of some pictures (N,), bool, and of some labels (K,), where real ones have them."""
        figures = read_in_edits(made[rows], own[rows], asked.label[rows], apart)
        real = read_in_edits(before[rows], own[rows], asked.label[rows], apart)[1:]
        have = (own > 0.5) & labels
        seen = (share("edited", before[have]), *real) if have.any() else real
        return (*figures, *(replace(figure, name=f"real_{figure.name}") for figure in seen))

    tried = F.one_hot(asked.label, len(apart)).bool()
    each = {
        asked.names[k]: of(tried[:, k], torch.arange(len(apart)) == k)
        for k in tried.any(0).nonzero().flatten().tolist()
    }
    whole = of(torch.ones(len(tried), dtype=torch.bool), tried.any(0))
    notes = [f"Labels are read by {judge.about}."]
    if not terms.held_out:
        notes.append("It has learned from these pictures, before they were edited: judge with --held-out.")
    return (replace(whole[0], notes=tuple(notes)), *whole[1:]), each
