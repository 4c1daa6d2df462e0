"""What is judged, what it is held against, and how: both sides opened, before anything is read."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ganforge.data.dataset import DataSet
from ganforge.data.open import open_data
from ganforge.data.read_options import ReadOptions
from ganforge.errors import OptionError
from ganforge.evaluation.feature_metrics import AGAINST_TRUTH, EDITS, MEASURES, WHOLE
from ganforge.evaluation.image_sets import ImageSet, brought, drawn, facts_for, of_data, reduced, run_at, translated
from ganforge.evaluation.label_edits import Asked, asked, question
from ganforge.inference.trained import Trained
from ganforge.metrics.extractors.choose import Name
from ganforge.metrics.extractors.resize import Rule
from ganforge.runs.folder import RunFolder, run_of
from ganforge.serialize import from_plain


@dataclass(frozen=True)
class EvalOptions:
    """How to judge."""

    metrics: tuple[str, ...] = ()
    """fid fid_infinity kid is prdc cmmd modes cas; of translators diversity; with pairs psnr ssim l1 lpips fcn labels;
    of those that are told what to make, edits.

    Empty: fid, kid, prdc, and is where classes can be read; where each picture has its truth, psnr, ssim and l1; of
    those that are told what to make, edits.
    """
    features: Name = "auto"
    """What looks at the pictures; auto says what it chose and why."""
    n: int = 5_000
    """Pictures to draw from a run; also -n."""
    reals: int = 0
    """Real pictures to hold them against, chosen at random, always the same.  0: as many as there are pictures."""
    seed: int = 0
    """Which pictures are drawn."""
    weights: str = ""
    """A file, or a folder of `save_pretrained`, with the extractor's weights."""
    lpips: tuple[str, ...] = ()
    """Two files: torchvision's AlexNet or VGG-16, and the lin layers of LPIPS 0.1 for it."""
    resize: Rule = "clean"
    """How pictures are brought to the extractor's size: antialiased, or one of the legacy rules."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of Inception's arithmetic: bf16 is faster and moves a figure by a little."""
    size: tuple[int, ...] = ()
    """Bring both sides to this size first, so that runs of different sizes compare.  Empty: as the pictures are."""
    channels: int = 0
    """The same for channels: 1 grey, 3 colour."""
    per_class: bool = False
    """Also class by class, where the classes of the pictures are known."""
    held_out: bool = False
    """Hold them against what training never saw."""
    device: str = "auto"
    batch: int = 50
    """Pictures at a time; changes nothing but memory and pace."""

    def __post_init__(self) -> None:
        known = (*MEASURES, *AGAINST_TRUTH, *WHOLE, EDITS)
        if strange := [name for name in self.metrics if name not in known]:
            raise OptionError(f"There is no metric {strange[0]!r}; there are {', '.join(known)}.")
        if self.n < 2 or self.batch < 1:
            raise OptionError(f"--n {self.n} pictures, {self.batch} at a time, measure nothing: take 2 or more.")
        if len(self.lpips) not in (0, 2):
            raise OptionError("--lpips takes two files: torchvision's network, and LPIPS's lin layers for it.")


@dataclass(frozen=True)
class EvalInputs:
    """Both sides opened, before anything is read."""

    fake: ImageSet
    real: ImageSet
    data: DataSet
    open: Callable[..., DataSet]
    """Opens the data again, with another `size` (None: its own) or split (`held_out`)."""
    run: Trained | None = None
    paired: bool = False
    """Picture k of one side is the truth of picture k of the other."""
    sources: ImageSet | None = None
    """What a translator was given."""
    again: Callable[[int], ImageSet] | None = None
    """A translator's answers to the same pictures by the chance of another seed."""
    asked: Asked | None = None
    """What each picture was asked to become, where a translator has to be told."""
    notes: tuple[str, ...] = ()
    """What was left out or changed as the pictures were read from files."""


def case(what: str | Path, against: str | Path | None, terms: EvalOptions, home: Path | None) -> EvalInputs:
    """Open what is judged and what it is held against.  Raises DataError, RunError and OptionError."""
    trained = run_at(what, terms.device)
    if trained is not None:
        return of_run(trained, against, terms, home)
    if against is None:
        raise OptionError(f"{what} is no run, so say what to hold its pictures against with --against DATA.")
    size = (terms.size[0], terms.size[-1]) if terms.size else None
    given = open_data(str(what), size=size, channels=terms.channels, home=home)
    fake = of_data(given, most=terms.n if terms.n < len(given) else 0)
    opened = partial(open_data, str(against), size=facts_for((), given.facts), channels=given.facts.channels, home=home)
    data, notes, has = opened(held_out=terms.held_out), given.notes, given.facts.channels
    own = has if terms.channels else opened(channels=0, held_out=terms.held_out).facts.channels
    if own != has:
        notes += (
            f"{given.name} has pictures of {has} channels and {data.name} of {own}: all are judged with {has}, as "
            f"--channels {has} says; --channels {own} judges them with {own}.",
        )
    real = of_data(data, most=terms.reals or fake.count)
    return EvalInputs(replace(fake, labels=as_named(fake.labels, given, data)), real, data, opened, notes=notes)


def of_run(trained: Trained, against: str | Path | None, terms: EvalOptions, home: Path | None) -> EvalInputs:
    """A run against its own data or other data, by what it does: draw, translate, or enlarge."""
    card, game = RunFolder.open(trained.path).card, trained.game
    needs = game.batch_type.columns()
    opened = partial(
        open_data,
        str(against) if against is not None else card.data["asked"],
        size=facts_for(terms.size, trained.facts),
        channels=terms.channels or trained.facts.channels,
        home=home,
        needed=needs,
        welcome=game.batch_type.welcome(),
        reading=from_plain(ReadOptions, card.data.get("reading", {})),
        native=run_of(card).native,
    )
    data = opened(held_out=terms.held_out)
    if hasattr(game, "sample"):
        real = of_data(data, most=terms.reals or terms.n)
        return EvalInputs(
            brought(drawn(trained, terms.n, terms.seed, real.labels), terms.size, terms.channels),
            real,
            data,
            opened,
            trained,
        )
    if not hasattr(game, "translate"):
        raise OptionError(f"{trained.model} neither samples nor translates pictures, so there is nothing to judge.")
    if about := question(trained):
        what, sources, again = asked(trained, about, data, terms.n, terms.seed)
        fake = again(terms.seed) if trained.facts.attributes else replace(again(terms.seed), labels=what.label.numpy())
        real = of_data(data, most=terms.reals or terms.n)
        return EvalInputs(fake, real, data, opened, trained, False, sources, again, asked=what)
    sources, real, again = translation(trained, data, terms.n)
    return EvalInputs(again(terms.seed), real, data, opened, trained, "b" not in needs, sources, again)


def translation(trained: Trained, data: DataSet, n: int) -> tuple[ImageSet, ImageSet, Callable[[int], ImageSet]]:
    """What a translator is given, what it is held against, and what it answers by the chance of a seed."""
    needs = type(trained.game).batch_type.columns()
    if "low" in data.columns:
        sources, real = of_data(data, "low", n), of_data(data, most=n)
        return sources, real, lambda seed: translated(trained, sources, seed)
    if "images" in needs:
        sources, real = reduced(of_data(data, most=n), trained)
        return sources, real, lambda seed: translated(trained, sources, seed)
    source, target = ("source", "target") if "source" in needs else ("a", "b")
    sources, real = of_data(data, source, n), of_data(data, target, n)
    masks = of_data(data, f"{source}_masks", n) if f"{source}_masks" in needs else None
    return sources, real, lambda seed: translated(trained, sources, seed, masks)


def as_named(labels: np.ndarray | None, own: DataSet, data: DataSet) -> np.ndarray | None:
    """Labels that count into one data set's classes as labels of another's, by name; None where names differ."""
    if labels is None or not set(own.facts.labels) <= set(data.facts.labels):
        return None
    return np.array([data.facts.labels.index(name) for name in own.facts.labels], np.int64)[labels]
