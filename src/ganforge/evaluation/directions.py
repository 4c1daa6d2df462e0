"""Find the directions of a run's codes, store them by name, and draw a sheet of each."""

from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganforge.batches import PerhapsLabelled
from ganforge.console import Say, silent
from ganforge.data.dataset import DataSet
from ganforge.data.open import open_data
from ganforge.errors import DataError, OptionError
from ganforge.evaluation.boundaries import (
    Boundary,
    Movement,
    as_photographs,
    describe,
    find_boundaries,
    find_moves,
    measure,
    opposed_labels,
    read_labels,
    to_direction,
)
from ganforge.images import grid, to_uint8, visible_channels, write
from ganforge.inference.directions import (
    FOLDER,
    Direction,
    find_components,
    find_factors,
    sample_codes,
    save_directions,
)
from ganforge.inference.load import RunLike, load
from ganforge.inference.trained import Trained
from ganforge.metrics.extractors.classifier import Classifier, load_or_train_classifier
from ganforge.run import check_number
from ganforge.runs.folder import RunFolder, read_options_of, run_of
from ganforge.runs.run_data import run_data_arguments

ROWS, FARTHEST, COLUMNS = 4, 3.0, 7  # of a sheet: images, standard deviations at its ends, and pictures a row
PART = 256  # codes that are drawn and read at a time
MEASURED = 400  # images by which a label's direction is measured


@dataclass(frozen=True)
class Found:
    """A direction with its figures and its sheet."""

    direction: Direction
    sheet: Path
    movement: Movement | None = None
    """Of a label's direction."""


def directions(
    run: RunLike,
    *,
    components: int = 5,
    factors: int = 5,
    labels: bool = True,
    conditional: bool = True,
    n: int = 5_000,
    seed: int = 0,
    data: str = "",
    home: Path | None = None,
    device: str = "auto",
    trust: bool = False,
    say: Say = silent,
) -> list[Found]:
    """Find directions and store them in the run folder: principal components, factors of the weights, labels.

    `n` codes are sampled.  For `labels` a classifier is trained on the data's own, or on `data`; with `conditional` a
    label's direction does not move the other labels, but for those that exclude it.  A direction of 1 is a standard
    deviation of the codes.

    Raises OptionError for a run that has no codes, too small an `n` and negative numbers of directions.
    """
    check_number("--components", components, 0)
    check_number("--factors", factors, 0)
    trained = load(run, device, trust=trust)
    trained.require_codes()
    if n < 100:
        raise OptionError(f"{n} codes are too few to find directions in: take at least 100.")
    codes = sample_codes(trained.game, n, trained.device, seed)
    found: list[tuple[Direction, Movement | None]] = [(one, None) for one in find_components(codes, components)]
    if factors and hasattr(trained.game, "style_weights"):
        found += [(one, None) for one in find_factors(trained.game, codes, factors)]
    elif factors:
        say(f"No factors: {trained.model} does not show the weights that read its codes.")
    save_directions(trained.path, trained.step, (one for one, _ in found))  # labels take long, and may fail
    if labels:
        found += (of_labels := find_labels(trained, codes, data, home, conditional, say))
        save_directions(trained.path, trained.step, (one for one, _ in of_labels))
    return [Found(one, draw_sheet(trained, one, codes), movement) for one, movement in found]


def find_labels(
    trained: Trained, codes: Tensor, spec: str, home: Path | None, conditional: bool, say: Say
) -> list[tuple[Direction, Movement]]:
    """The directions of the data's labels, and how far they move them; none, with a sentence, where there are none.

    Raises DataError where `spec` names data without labels.
    """
    try:
        opened = open_labelled(trained, spec, home)
        classifier = load_or_train_classifier(opened, trained.device)
    except DataError as error:
        if spec:
            raise
        say(f"No directions of labels: {error}")
        return []
    say(f"Labels are read by {classifier.about}.")
    layers = trained.count_layers()
    parts = codes.split(PART)  # all images of large runs would not find room
    logits = torch.cat([read_labels(classifier, trained.decode(as_photographs(part, layers))) for part in parts])
    boundaries = find_boundaries(codes, logits, classifier.labels)
    known = {one.label for one in boundaries}
    if rare := [label for label in classifier.labels if label not in known]:
        say(f"No directions of {', '.join(map(repr, rare))}: too few or nearly all samples show them.")
    if not boundaries:
        return []
    places = [classifier.labels.index(one.label) for one in boundaries]
    opposed = opposed_of(classifier, opened)
    moves = find_moves(boundaries, codes, opposed[places][:, places] if conditional else None)
    found, taken = list[tuple[Direction, Movement]](), set[str]()
    for boundary, move, place in zip(boundaries, moves, places, strict=True):
        one, movement = measure_label(trained, boundary, move, place, codes, logits, opposed, classifier)
        name = next(name for k in count(1) if (name := one.name if k == 1 else f"{one.name}-{k}") not in taken)
        taken.add(name)  # labels that differ in what no file's name holds
        found.append((replace(one, name=name), movement))
    return found


def measure_label(
    trained: Trained, boundary: Boundary, move: Tensor, place: int, codes: Tensor, logits: Tensor, opposed: Tensor,
    classifier: Classifier,
) -> tuple[Direction, Movement]:  # fmt: skip
    """A label's direction, and how far it moves the labels of the first samples."""
    one = to_direction(boundary, move, codes, "")
    photographs = as_photographs(codes[:MEASURED], trained.count_layers())
    movement = measure(trained, one.vector, place, photographs, logits[:MEASURED], opposed, classifier)
    return replace(one, about=describe(boundary, movement)), movement


def open_labelled(trained: Trained, spec: str, home: Path | None) -> DataSet:
    """The run's data, or `spec`, with their labels at the run's size.  Raises DataError where they cannot be found."""
    run_config = RunFolder.open(trained.path).run_config
    where: dict[str, Any] = {"spec": spec} if spec else run_data_arguments(run_config)
    if not where["spec"]:
        raise DataError("the run does not say which data it was trained on: name some with --data.")
    return open_data(
        **where,
        size=(trained.facts.height, trained.facts.width),
        channels=trained.facts.channels,
        home=home,
        needed=PerhapsLabelled.columns(),
        optional=PerhapsLabelled.optional_columns(),
        reading=replace(read_options_of(run_config), only=""),
        native=run_of(run_config).native,
    )


def opposed_of(classifier: Classifier, data: DataSet) -> Tensor:
    """Which labels exclude each other: classes all do, attributes as the data has them."""
    if classifier.exclusive:
        return ~torch.eye(len(classifier.labels), dtype=torch.bool)
    return opposed_labels(torch.from_numpy((data.columns["condition"][:] > 0.5).astype(np.float32)))


def draw_sheet(trained: Trained, one: Direction, codes: Tensor) -> Path:
    """A sheet of a direction: each row an image, from -FARTHEST to FARTHEST standard deviations."""
    path = trained.path / FOLDER / f"{one.name}.png"
    rows = as_photographs(codes[:ROWS], trained.count_layers())
    steps = np.linspace(-FARTHEST, FARTHEST, COLUMNS)
    images = trained.decode([row.move(one.vector[None] * float(step)) for row in rows for step in steps])
    write(path, grid(visible_channels(to_uint8(images)), COLUMNS))
    return path
