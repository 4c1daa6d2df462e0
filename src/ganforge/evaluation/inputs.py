"""Options of an evaluation, and its inputs: the generated and the real images, opened but not read."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from ganforge.capabilities import capabilities
from ganforge.catalogue import able
from ganforge.data.dataset import DataSet
from ganforge.data.decode import CLIPPED
from ganforge.data.one_class import drop_unknown_class
from ganforge.data.open import find_data, open_data
from ganforge.data.tokens import UNKNOWN_NOTE
from ganforge.data.value_range import UNIT_RANGES
from ganforge.errors import OptionError
from ganforge.evaluation.image_sets import (
    captions_of,
    choose_size,
    convert_images,
    embed_captioned,
    load_run,
    make_superresolution_pair,
    match_sentences,
    open_places,
    sample_images,
    step_from_codes,
    translate_images,
)
from ganforge.evaluation.label_edits import draw_label_targets, find_label_question
from ganforge.inference.input_columns import input_columns
from ganforge.inference.load import RunLike, load
from ganforge.inference.trained import Trained
from ganforge.metrics import catalogue
from ganforge.metrics.extractors.choose import Name
from ganforge.metrics.extractors.resize import Rule
from ganforge.metrics.image_set import ImageSet, select_images
from ganforge.metrics.inputs import MetricInputs
from ganforge.runs.folder import RunFolder, read_options_of, run_of
from ganforge.runs.run_data import check_run_data, ranges_of, run_data_arguments


@dataclass(frozen=True)
class EvalOptions:
    """How to evaluate."""

    metrics: tuple[str, ...] = ()
    """Names of metrics.  Empty: those that docs/metrics.md marks as default, for images of this kind."""
    features: Name = "auto"
    """The feature extractor; auto prints which one it chose and why."""
    n: int = 5_000
    """Images to sample from a run; also -n."""
    reals: int = 0
    """Real images to compare with, a fixed random choice.  0: as many as there are generated images."""
    seed: int = 0
    """Random seed of the samples."""
    weights: str = ""
    """A file, or a folder of `save_pretrained`, with the extractor's weights."""
    lpips: tuple[str, ...] = ()
    """Two files: torchvision's AlexNet or VGG-16, and the lin layers of LPIPS 0.1 for it."""
    reader: str = ""
    """For r_precision: the run of a text encoder that reads what was drawn, of another kind and seed than its own."""
    resize: Rule = "clean"
    """How images are resized to the extractor's input size: antialiased, or one of the legacy rules."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Precision of Inception: bf16 is faster and changes the metrics slightly."""
    size: tuple[int, ...] = ()
    """Resize both sides to this size first, so that runs of different sizes compare.  Empty: unchanged."""
    channels: int = 0
    """Convert both sides to this many channels first: 1 grey, 3 colour.  0: unchanged."""
    per_class: bool = False
    """Also compute metrics class by class, where the classes of the images are known."""
    held_out: bool = False
    """Compare with the held-out split, which training never sees."""
    device: str = "auto"
    batch: int = 50
    """Images per batch; affects memory and speed only."""
    trust: bool = False
    """Run the code of a run's model that was not trained here."""

    def __post_init__(self) -> None:
        if isinstance(self.size, Integral):  # from Python: size=64
            object.__setattr__(self, "size", (int(self.size),))
        for name in self.metrics:
            catalogue.find(name)
        if self.n < 2 or self.batch < 1:
            raise OptionError(
                f"--n {self.n} --batch {self.batch} measures nothing: --n needs 2 or more, --batch 1 or more."
            )
        if len(self.lpips) not in (0, 2):
            raise OptionError("--lpips takes two files: torchvision's network, and LPIPS's lin layers for it.")


@dataclass(frozen=True)
class EvalInputs(MetricInputs):
    """What the metrics read, with the run that the generated images come from."""

    run: Trained | None = None
    truncate: Callable[[float], ImageSet] | None = None
    """Samples of the seed with a truncation, of a run that has one."""
    notes: tuple[str, ...] = ()
    """Images that were skipped or converted when reading files."""


def open_inputs(what: RunLike, against: str | Path | None, options: EvalOptions, home: Path | None) -> EvalInputs:
    """Open a run or images, and the data to compare with.  Raises DataError, RunError and OptionError."""
    trained = load_run(what, options.device, options.trust)
    if trained is not None:
        return open_run_inputs(trained, against, options, home)
    if against is None:
        raise OptionError(f"{what} is no run: name the data to compare with by --against DATA.")
    size = (options.size[0], options.size[-1]) if options.size else None
    given = open_data(str(what), size=size, channels=options.channels, home=home)
    fake = select_images(given, most=options.n if options.n < len(given) else 0)
    open_again = partial(
        open_data, str(against), size=choose_size((), given.facts), channels=given.facts.channels, home=home
    )
    data = open_again(held_out=options.held_out)
    span = data.ranges.get("images")
    if span and given.ranges.get("images", span) not in (span, *UNIT_RANGES):  # the same units: the same range
        given = open_data(str(what), size=size, channels=options.channels, home=home, ranges=data.ranges)
        fake = select_images(given, most=options.n if options.n < len(given) else 0)
    notes, has = given.notes, given.facts.channels
    own = has if options.channels else open_again(channels=0, held_out=options.held_out).facts.channels
    if own != has:
        notes += (
            f"{given.name} has images of {has} channels and {data.name} of {own}: all are evaluated with {has}, as "
            f"--channels {has} does; --channels {own} evaluates them with {own}.",
        )
    real = select_images(data, most=options.reals or fake.count)
    return EvalInputs(replace(fake, labels=map_labels(fake.labels, given, data)), real, data, open_again, notes=notes)


def open_run_inputs(
    trained: Trained, against: str | Path | None, options: EvalOptions, home: Path | None
) -> EvalInputs:
    """Open a run and its own or other data, according to what it does: sample, translate, or superresolve."""
    run_config, game = RunFolder.open(trained.path).run_config, trained.game
    needs = game.batch_type.columns()
    reading = read_options_of(run_config)
    if against is None:
        remedy = "name the data to compare with by --against DATA"
        check_run_data(run_config, game.batch_type, home, remedy, trained.tokeniser)
        where = run_data_arguments(run_config)
    else:
        where = {"spec": str(against), "ranges": ranges_of(run_config) or {}}
        reading = drop_unknown_class(reading, find_data(str(against), home=home)) if reading.only else reading
    open_again = partial(
        open_data,
        **where,
        size=choose_size(options.size, trained.facts),
        channels=options.channels or trained.facts.channels,
        home=home,
        needed=needs,
        optional=game.batch_type.optional_columns(),
        reading=reading,
        native=run_of(run_config).native,
        tokeniser=trained.tokeniser,
    )
    data = open_again(held_out=options.held_out)
    inputs = build_run_inputs(trained, data, open_again, options)
    said = tuple(note for note in data.notes if note.endswith(CLIPPED) or note.startswith(UNKNOWN_NOTE))
    return replace(inputs, notes=(*inputs.notes, *said))


def build_run_inputs(
    trained: Trained, data: DataSet, open_again: Callable[..., DataSet], options: EvalOptions
) -> EvalInputs:
    """The inputs of a run, given the data to compare with, according to what it does."""
    game = trained.game
    needs = game.batch_type.columns()
    if hasattr(game, "sample"):
        real = select_images(data, most=options.reals or options.n)
        made = sample_images(trained, options.n, options.seed, real.labels, data)

        def truncate(truncation: float) -> ImageSet:
            drawn = sample_images(trained, options.n, options.seed, real.labels, data, truncation=truncation)
            return convert_images(drawn, options.size, options.channels)

        return EvalInputs(
            convert_images(made, options.size, options.channels),
            real,
            data,
            open_again,
            run=trained,
            truncate=truncate if any(q.name == "truncation" for q in capabilities(game)["sample"]) else None,
            match=partial(match_sentences, load_reader(options.reader, trained), made) if options.reader else None,
            walk=partial(step_from_codes, trained, options.seed) if hasattr(game, "decode") else None,
        )
    if hasattr(game, "embed"):
        images = select_images(data, most=options.n)
        return EvalInputs(images, images, data, open_again, run=trained, embed=partial(embed_captioned, trained))
    if not hasattr(game, "translate"):
        raise OptionError(f"{trained.model} neither samples nor translates images, so there is nothing to evaluate.")
    if question := find_label_question(trained):
        targets, sources, resample = draw_label_targets(trained, question, data, options.n, options.seed)
        fake = resample(options.seed)
        fake = fake if trained.facts.attributes else replace(fake, labels=targets.label.numpy())
        real = select_images(data, most=options.reals or options.n)
        return EvalInputs(fake, real, data, open_again, False, sources, resample, targets, run=trained)
    sources, real, resample = open_translation(trained, data, options.n)
    paired = not {"b", "boxes"} & set(needs)  # a layout leaves open what its objects look like
    return EvalInputs(resample(options.seed), real, data, open_again, paired, sources, resample, run=trained)


def load_reader(run: str, trained: Trained) -> Trained:
    """The run of a text encoder that reads the samples of another run.

    Raises OptionError where it is none, or is the run's own: that finds the sentences that it drew from.
    """
    reader = load(run, str(trained.device))
    if not hasattr(reader.game, "embed") or reader.tokeniser is None:
        raise OptionError(
            f"--reader {run} is a run of {reader.model}: name one that can read images "
            f"and sentences; of the models, {able('embed')} can."
        )
    own, read = (dict(module.state_dict()) for module in (getattr(trained.game, "text", nn.Module()), reader.game))
    if own.keys() == read.keys() and all(torch.equal(own[key], read[key]) for key in own):
        raise OptionError(f"{trained.path} was trained with the text encoder {run}: name another one by --reader.")
    return reader


def open_translation(trained: Trained, data: DataSet, n: int) -> tuple[ImageSet, ImageSet, Callable[[int], ImageSet]]:
    """(sources, targets, seed -> outputs) of a translator on the first `n` rows of the data."""
    needs = trained.game.batch_type.columns()
    if "images" not in input_columns(trained.game):
        return open_places(trained, data, n)
    if "low" in data.columns:
        sources, real = select_images(data, "low", n), select_images(data, most=n)
        return sources, real, lambda seed: translate_images(trained, sources, seed)
    if "images" in needs:
        sources, real = make_superresolution_pair(select_images(data, most=n), trained)
        answers = captions_of(trained, data, n)
        return sources, real, lambda seed: translate_images(trained, sources, seed, answers=answers)
    source, target = ("source", "target") if "source" in needs else ("a", "b")
    sources, real = select_images(data, source, n), select_images(data, target, n)
    masks = select_images(data, f"{source}_masks", n) if f"{source}_masks" in needs else None
    return sources, real, lambda seed: translate_images(trained, sources, seed, masks)


def map_labels(labels: np.ndarray | None, own: DataSet, data: DataSet) -> np.ndarray | None:
    """Labels of data set `own` as labels of `data`, matched by class name; None where names differ."""
    if labels is None or not set(own.facts.labels) <= set(data.facts.labels):
        return None
    return np.array([data.facts.labels.index(name) for name in own.facts.labels], np.int64)[labels]
