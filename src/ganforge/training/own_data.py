"""Defaults for a user's own data: a size near that of the images, augmentation of few images, advice on mirrors."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganforge import system
from ganforge.catalogue import Model, build_stand_ins
from ganforge.console import Say
from ganforge.data.dataset import DataSet
from ganforge.data.mirroring import find_side
from ganforge.data.named_sets import NAMED
from ganforge.data.one_class import select_source
from ganforge.data.open import HUB, find_data
from ganforge.data.read_options import ReadOptions
from ganforge.data.tokens import examples_of
from ganforge.errors import DataError, GANForgeError
from ganforge.game import Game, part_fields
from ganforge.run import Run
from ganforge.tracing import facts_for

FEW = 2_000  # images below which a discriminator soon knows each by heart (Karras 2020, figure 1; Zhao 2020)
HEADERS = 500  # the most that are read for the median


def is_own(data_spec: str) -> bool:
    """Whether this is a user's own data: a path, and no named set."""
    return data_spec not in NAMED and not data_spec.startswith(HUB)


def choose_size(
    model: Model, config: Any, run: Run, data_spec: str, home: str | Path | None, reading: ReadOptions, say: Say
) -> Run:
    """The run at a size chosen from the median of the images: 64, or 128 on a GPU for images of 256 and more.

    Its own size stays where that is as large, the images are smaller, or the networks cannot be built at 64.  `say`
    receives the choice.
    """
    batches = model.game.choose_batches(config)
    needed = batches.columns()
    if run.native or not run.size or "low" in batches.optional_columns():
        return run
    halves = "source" in needed and reading.make == "none"
    median = median_size(data_spec, home, halves, reading.only)
    if median is None:
        return run
    large = min(median) >= 256 and system.pick_device(run.device).type != "cpu"
    for side in (128, 64) if large else (64,):
        if min(run.size) < side <= min(median) and can_build(model, config, run, side):
            run = replace(run, size=(side,))
            break
    if (chosen := (run.size[0], run.size[-1])) != median:
        say("Size: {}x{} -> {}x{}; --size changes it.".format(*median, *chosen))
    return run


def median_size(data_spec: str, home: str | Path | None, halves: bool, only: str = "") -> tuple[int, int] | None:
    """(height, width): the medians of the images, or of their halves; None where none can be read."""
    source = find_data(data_spec, home=Path(home) if home is not None else None)
    source = select_source(source, only) if only else source
    rows = np.unique(np.linspace(0, len(source.images) - 1, min(HEADERS, len(source.images))).astype(int))
    sizes = []
    for row in rows:
        try:
            header = source.images[row].read_header()
        except DataError:
            continue
        sizes.append((header.height, header.width // 2 if halves and not source.sides else header.width))
    if not sizes:
        return None
    height, width = np.median(np.array(sizes), 0)
    return int(height), int(width)


def can_build(model: Model, config: Any, run: Run, side: int) -> bool:
    """Whether the model's networks can be built at this size, on the meta device; False where the Config names a part.

    A named part has been made for a size.
    """
    if any(getattr(config, name) for name in part_fields(config)):
        return False
    facts = facts_for(model.game.choose_batches(config), config, replace(run, size=(side,)))
    try:
        with torch.device("meta"):
            model.game(config, facts, **build_stand_ins(model, config, facts))
    except (GANForgeError, RuntimeError, ValueError, IndexError):
        return False
    return True


def choose_augmentation(run: Run, game: Game[Any, Any], data: DataSet, say: Say) -> Run:
    """The run with the augmentation that few images need, where the game samples from noise and has discriminators."""
    if len(data) >= FEW or not hasattr(game, "sample") or hasattr(game, "translate") or not game.augmented:
        return run
    kind = "ada" if game.discriminator_output == "logits" else "diffaug"
    flip = "" if run.flip or find_side(names_of(data)) else " --flip adds mirrored images, where these are as good."
    say(f"{len(data):,} images are few: --augment {kind} is on; --augment none switches it off.{flip}")
    return replace(run, augment=kind)


def names_of(data: DataSet) -> tuple[str, ...]:
    """The names of the data's labels and attributes, and some captions of them."""
    return *data.facts.labels, *data.facts.attributes, *examples_of(data)


def warn_of_flip(run: Run, data: DataSet) -> list[str]:
    """A sentence where mirrored images carry wrong labels or captions, which name left or right."""
    word = find_side(names_of(data)) if run.flip else ""
    wrong = f"--flip mirrors the images, and the label {word!r} names a side: mirrored ones carry the wrong label."
    return [wrong] if word else []


def adapts(preset: str, data_spec: str, options: Mapping[str, Any], name: str) -> bool:
    """Whether an option may be chosen here: the preset is `small`, the data the user's own, and it is not given."""
    return preset == "small" and is_own(data_spec) and name not in options
