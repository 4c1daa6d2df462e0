"""GANForge's side: the engine and the loader as `ganforge train` uses them, on images in memory."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.program import Program, boxes_and_labels, maps, pictures, sentences
from ganforge import system
from ganforge.batches import Batch, Facts
from ganforge.catalogue import build_stand_ins, find
from ganforge.data.dataset import DataSet
from ganforge.data.loader import BatchLoader
from ganforge.engine import Engine
from ganforge.game import Game, rest, resting_ids

CLASSES = tuple("0123456789")


def game(model: str, preset: str, count: bool = False, **run: Any) -> Program:
    """Whole steps of a model's preset; `run` changes its Run, and `config` in it its Config; `count` counts FLOPs."""
    return train_steps(build_engine(model, preset, **run), count)


def train_steps(engine: Engine, count: bool = False) -> Program:
    """Whole steps of an engine."""
    system.keep_memory()

    def play(steps: int) -> None:
        engine.run = replace(engine.run, steps=engine.step + steps)
        engine.train()

    flops = 0
    if count:
        from torch.utils.flop_counter import FlopCounterMode  # it brings triton along: 76 MB

        with FlopCounterMode(display=False) as counter:
            play(1)
        flops = counter.get_total_flops()
    batches = engine.game.config.critic_moves if hasattr(engine.game.config, "critic_moves") else 1
    resting = resting_ids(engine.game)
    parameters = sum(p.numel() for p in engine.game.parameters() if id(p) not in resting)
    return Program(play, batches * engine.run.batch, parameters, flops)


def load_only(model: str, preset: str, **run: Any) -> Program:
    """The loader alone: the batches of such a run, loaded and discarded."""
    system.keep_memory()
    engine = build_engine(model, preset, **run)
    loaded = 0

    def play(steps: int) -> None:
        nonlocal loaded
        for number in range(loaded, loaded + steps):
            engine.loader.batch(number, 0, 1)
        loaded += steps

    return Program(play, engine.run.batch)


def build_engine(model: str, preset: str, **run: Any) -> Engine:
    """An engine before its first step, without checkpoints and callbacks; `parts` {name: model} are no stand-ins."""
    found, models = find(model), run.pop("parts", {})
    chosen = found.preset(preset)
    chosen = replace(chosen, config=replace(chosen.config, **run.pop("config", {})))
    run_settings = replace(chosen.run, **run)
    side, channels = run_settings.size[0], run_settings.channels or 3
    images = pictures(side, channels, min(4_000, 4_000 * 64**2 // side**2))
    data = DataSet("noise", *annotate(images, found.game.choose_batches(chosen.config)))
    torch.manual_seed(run_settings.seed)
    known = {name: build_part(model, data.facts) for name, model in models.items()}
    parts = build_stand_ins(found, chosen.config, data.facts, known)  # usual loops read stored embeddings: it is tiny
    game = rest(found.game(chosen.config, data.facts, **parts), parts)
    loader = BatchLoader(data, game.batch_type, run_settings)
    return Engine(game, run_settings, loader, device=system.pick_device(run_settings.device))


def build_part(model: str, facts: Facts) -> Game[Any, Any]:
    """The untrained game of a model's preset small, at rest."""
    found = find(model)
    return rest(found.game(found.preset("small").config, facts), {}).eval()


def annotate(images: np.ndarray, batch_type: type[Batch]) -> tuple[Facts, dict[str, np.ndarray]]:
    """The facts and the columns of such images (n, side, side, C) with everything that a batch holds."""
    n, side, _, channels = images.shape
    names, facts = batch_type.columns(), Facts(channels, side, side, labels=CLASSES)
    known = {"condition": np.arange(n) % len(CLASSES)}
    if "label_map" in names:
        colours = tuple((20 * k, 20 * k, 20 * k) for k in range(len(CLASSES)))
        facts = replace(facts, labels=(), regions=CLASSES, region_colours=colours, instance_maps=True)
        known["label_map"], known["instance_map"] = (maps(side, len(CLASSES), n, seed)[..., None] for seed in (1, 2))
        names = (*names, "instance_map")
    if "boxes" in names:
        known["boxes"], known["box_labels"] = boxes_and_labels(n, len(CLASSES) + 1)
        facts = replace(facts, labels=(), objects=("", *CLASSES), most=known["boxes"].shape[1])
    if "tokens" in names:
        known["tokens"] = sentences(n)
        vocabulary, length = int(known["tokens"].max()) + 1, known["tokens"].shape[1]
        facts = replace(facts, labels=(), vocabulary=vocabulary, caption_length=length, captions=1)
    return facts, {name: known.get(name, images) for name in names}
