"""From the word after --select to the measure that compares a run's checkpoints.

fid, kid, cmmd, is      a game that draws: its pictures against its data, in the features that suit it (`evaluate`
                        says which) or in those that are named, as in `fid:pixels`; a translator of two domains: what
                        it makes of one against the other, both of them what training never sees
psnr, ssim, l1          a translator of pairs or an enlarger: its answers against the truth, on pictures that
                        training never sees

The figures are those of `ganforge evaluate` at the same n and seed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from ganforge import distributed
from ganforge.callbacks.best_checkpoint import CheckpointMetric, ScoreCallback, Selection
from ganforge.capabilities import capabilities
from ganforge.data.dataset import DataSet
from ganforge.engine import Callback
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.inference.trained import Trained
from ganforge.run import Run

SEED = 0  # of the pictures that are compared: the same at every measurement
BATCH = 64
Better = Literal["lower", "higher"]
Features = Literal["classifier", "inception", "dinov2", "clip", "pixels"]
AGAINST_DATA: dict[str, Better] = {"fid": "lower", "kid": "lower", "cmmd": "lower", "is": "higher"}
AGAINST_TRUTH: dict[str, Better] = {"psnr": "higher", "ssim": "higher", "l1": "lower"}


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
    if features and (measure not in AGAINST_DATA or features not in get_args(Features)):
        raise OptionError(
            f"--select {run.select} names no features: {', '.join(AGAINST_DATA)} take {', '.join(get_args(Features))}, "
            "as in fid:pixels."
        )
    if min(run.every, run.patience) < 0 or run.judged < 2:
        raise OptionError("--every and --patience cannot be negative, and --judged is 2 or more.")


def measures(game: type[Game[Any, Any]]) -> tuple[str, ...]:
    """The measures by which a kind of game can be compared."""
    can, columns = capabilities(game), game.batch_type.columns()
    if ("sample" in can and "images" in columns) or ("translate" in can and "b" in columns):
        return (*AGAINST_DATA,)
    return (*AGAINST_TRUTH,) if "translate" in can and ("target" in columns or columns == ("images",)) else ()


def better(select: str) -> Better:
    """Which way a measure improves, by the word after --select.  Raises OptionError for one that there is not."""
    known: dict[str, Better] = {**AGAINST_DATA, **AGAINST_TRUTH}
    measure = select.partition(":")[0]
    if measure not in known:
        raise OptionError(f"There is no measure {measure!r} to compare by; there are {', '.join(known)}.")
    return known[measure]


def selection(
    run: Run,
    data: DataSet,
    held_out: Callable[[], DataSet],
    folder: Path,
    device: torch.device,
    seen_by: Sequence[Callback],
    say: Callable[[str], None],
) -> list[Selection]:
    """Who chooses the best checkpoint of a run in `folder`, if somebody does; of several processes the first."""
    if not run.select or distributed.rank():
        return []
    by = criterion(run, data, held_out, folder, device, say)
    heard_by = [watcher for watcher in seen_by if isinstance(watcher, ScoreCallback)]
    return [Selection(folder / "scores.jsonl", by, say, heard_by)]


def criterion(
    run: Run,
    data: DataSet,
    held_out: Callable[[], DataSet],
    folder: Path,
    device: torch.device,
    say: Callable[[str], None] = lambda _: None,
) -> CheckpointMetric:
    """What `--select` asks for; the data's side is read now, once.  `held_out` opens what training never sees."""
    measure, _, features = run.select.partition(":")

    def trained(game: Game[Any, Any]) -> Trained:
        return Trained(game, folder, type(game).__name__, -1, device)

    if measure in AGAINST_TRUTH:
        return against_truth(measure, held_out(), run.judged, trained)
    shown = held_out() if "b" in data.columns else data
    return against_data(measure, features, shown, run.judged, device, trained, say)


def against_data(
    measure: str,
    features: str,
    data: DataSet,
    n: int,
    device: torch.device,
    trained: Callable[[Game[Any, Any]], Trained],
    say: Callable[[str], None],
) -> CheckpointMetric:
    """Pictures that a game makes against as many pictures of the data."""
    from ganforge.evaluation.feature_metrics import MEASURES, FeaturePair
    from ganforge.evaluation.image_sets import drawn, of_data
    from ganforge.evaluation.inputs import translation
    from ganforge.metrics.extractors import inception
    from ganforge.metrics.extractors.base import reading
    from ganforge.metrics.extractors.choose import extractor

    unknown = "condition" not in data.columns and not inception.at_hand().is_file()
    name: Any = features or ("pixels" if unknown else "auto")  # of unlabelled pictures nothing else can be had here
    eyes, _ = extractor(name, data, device=device)
    say(f"Checkpoints are compared by {measure}, features: {eyes.about}.")
    two = "b" in data.columns
    side = of_data(data, "b" if two else "images", n)
    real = reading(eyes, side.batches(BATCH))

    def of(game: Game[Any, Any]) -> float:
        made = translation(trained(game), data, n)[2](SEED) if two else drawn(trained(game), n, SEED, side.labels)
        return MEASURES[measure](FeaturePair(real, reading(eyes, made.batches(BATCH))))[0].value

    return CheckpointMetric(measure, AGAINST_DATA[measure], of)


def against_truth(
    measure: str, data: DataSet, n: int, trained: Callable[[Game[Any, Any]], Trained]
) -> CheckpointMetric:
    """A translator's answers against the truth that belongs to each."""
    from ganforge.evaluation import feature_metrics as by_name
    from ganforge.evaluation.inputs import translation

    compare = by_name.AGAINST_TRUTH[measure][0]

    def of(game: Game[Any, Any]) -> float:
        _, targets, answers = translation(trained(game), data, n)
        pairs = zip(answers(SEED).batches(BATCH), targets.batches(BATCH), strict=True)
        return float(torch.cat([compare(one, true) for one, true in pairs]).mean())

    return CheckpointMetric(measure, AGAINST_TRUTH[measure], of)
