"""From the word after --select to the measure that compares a run's checkpoints.

fid, kid                a game that draws: its pictures against the training data, in the features of a classifier of
                        that data where it has classes, else of pixels; `fid:pixels` names them
l1, psnr, ssim          a translator of pairs: its answers against the truth, on pairs that training never sees
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ganforge import parallel
from ganforge.batches import PIXELS
from ganforge.capabilities import capabilities
from ganforge.data.dataset import DataSet
from ganforge.data.deal import to_images
from ganforge.draw import RowDraw
from ganforge.engine import Watcher, performing
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.run import Run
from ganforge.trained import Trained
from ganforge.watch.selection import Criterion, Hearing, Selection

if TYPE_CHECKING:
    from ganforge.planning import Plan

SEED = 0  # of the pictures that are compared: the same at every measurement
BATCH = 64
Better = Literal["lower", "higher"]
AGAINST_DATA: dict[str, Better] = {"fid": "lower", "kid": "lower"}
AGAINST_TRUTH: dict[str, Better] = {"l1": "lower", "psnr": "higher", "ssim": "higher"}
FEATURES = ("classifier", "pixels")


def check(run: Run, game: type[Game[Any, Any]]) -> None:
    """Raise OptionError for a selection that makes no sense, or that this kind of game cannot be compared by."""
    measure, _, features = run.select.partition(":")
    if not run.select:
        if run.every or run.patience:
            raise OptionError("--every and --patience need a measure: give one with --select fid.")
        return
    able = measures(game)
    if measure not in able:
        there = f"there are {', '.join(able)}" if able else "there is none for it"
        raise OptionError(f"--select {measure} cannot compare the checkpoints of this model: {there}.")
    if features and (measure not in AGAINST_DATA or features not in FEATURES):
        raise OptionError(
            f"--select {run.select} names no features: fid and kid take {' or '.join(FEATURES)}, as in fid:pixels."
        )
    if min(run.every, run.patience) < 0 or run.judged < 2:
        raise OptionError("--every and --patience cannot be negative, and --judged is 2 or more.")


def measures(game: type[Game[Any, Any]]) -> tuple[str, ...]:
    """The measures by which a kind of game can be compared."""
    can, columns = capabilities(game), game.Deal.columns()
    if "translate" in can and {"source", "target"} <= set(columns):
        return (*AGAINST_TRUTH,)
    return (*AGAINST_DATA,) if "sample" in can and "images" in columns else ()


def better(select: str) -> Better:
    """Which way a measure improves, by the word after --select.  Raises OptionError for one that there is not."""
    known: dict[str, Better] = {**AGAINST_DATA, **AGAINST_TRUTH}
    measure = select.partition(":")[0]
    if measure not in known:
        raise OptionError(f"There is no measure {measure!r} to compare by; there are {', '.join(known)}.")
    return known[measure]


def criterion(run: Run, data: DataSet, held_out: Callable[[], DataSet], device: torch.device) -> Criterion:
    """What `--select` asks for; the data's side is read now, once.  `held_out` opens what training never sees."""
    measure, _, features = run.select.partition(":")
    if measure in AGAINST_TRUTH:
        return against_truth(measure, pairs(held_out(), run.judged), device)
    return against_data(measure, features, data, run.judged, device)


def selection(
    thought: "Plan", folder: Path, device: torch.device, seen_by: Sequence[Watcher], say: Callable[[str], None]
) -> list[Selection]:
    """Who chooses the best checkpoint of a run in `folder`, if somebody does; of several processes the first."""
    if not thought.run.select or parallel.rank():
        return []
    by = criterion(thought.run, thought.data, thought.held_out, device)
    heard_by = [watcher for watcher in seen_by if isinstance(watcher, Hearing)]
    return [Selection(folder / "scores.jsonl", by, say, heard_by)]


def against_data(measure: str, features: str, data: DataSet, n: int, device: torch.device) -> Criterion:
    """Pictures that a game draws against all pictures of the data."""
    from ganforge.metrics import classifier, fid, kid  # heavy, and only needed here
    from ganforge.metrics import features as seen_by

    labelled = "condition" in data.columns
    kind = features or ("classifier" if labelled else "pixels")
    extractor: Any = classifier.classifier_of(data, device) if kind == "classifier" else seen_by.Pixels()
    real = seen_by.reading(extractor, stored(data, "images")).features
    compare = {"fid": fid.fid, "kid": kid.kid}[measure]

    def of(game: Game[Any, Any]) -> float:
        drawn = Trained(game, Path(), type(game).__name__, 0, device).samples(n, SEED, batch=BATCH)
        return compare(real, seen_by.reading(extractor, drawn).features).value

    return Criterion(measure, AGAINST_DATA[measure], of)


def against_truth(measure: str, sides: tuple[Tensor, Tensor], device: torch.device) -> Criterion:
    """A translator's answers against the truth that belongs to each."""
    from ganforge.metrics import paired, psnr, ssim

    compare = {"l1": paired.l1, "psnr": psnr.psnr, "ssim": ssim.ssim}[measure]

    def of(game: Game[Any, Any]) -> float:
        values = [compare(made, true) for made, true in answers(game, *sides, device)]
        return float(torch.cat(values).mean())

    return Criterion(measure, AGAINST_TRUTH[measure], of)


def answers(
    game: Game[Any, Any], source: Tensor, target: Tensor, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """(what the game makes of some sources, their targets), always by the same chance."""
    for first in range(0, len(source), BATCH):
        with performing(game):
            game.draw = RowDraw(SEED, first, device)
            made = game.translate(source[first : first + BATCH].to(device))  # pyright: ignore
        yield made.float().cpu(), target[first : first + BATCH]


def pairs(data: DataSet, n: int) -> tuple[Tensor, Tensor]:
    """The first `n` pairs, as tensors in [-1, 1]."""
    data.need("source", "target")
    source, target = (to_images(middle(data, name, slice(0, n))) for name in ("source", "target"))
    return source, target


def stored(data: DataSet, column: str) -> Iterator[Tensor]:
    """All pictures of a column, a few at a time."""
    for first in range(0, len(data.columns[column]), 10 * BATCH):
        yield to_images(middle(data, column, slice(first, first + 10 * BATCH)))


def middle(data: DataSet, column: str, rows: slice) -> np.ndarray:
    """Some pictures of a column as games see them: without the margin that is kept for random windows."""
    assert column in PIXELS
    pictures, height, width = data.columns[column][rows], data.facts.height, data.facts.width
    top, left = (pictures.shape[1] - height) // 2, (pictures.shape[2] - width) // 2
    return np.array(pictures[:, top : top + height, left : left + width])  # a copy: the map is not to be written to
