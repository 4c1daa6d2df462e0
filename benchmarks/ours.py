"""GANForge's side: the engine and the deck as `ganforge train` uses them, on pictures in memory."""

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.program import Program, pictures
from ganforge import system
from ganforge.batches import PIXELS, Facts
from ganforge.catalogue import find
from ganforge.data.dataset import DataSet
from ganforge.data.loader import BatchLoader
from ganforge.engine import Engine
from ganforge.inference.load import built

CLASSES = tuple("0123456789")


def game(model: str, preset: str, count: bool = False, **run: Any) -> Program:
    """Whole rounds of a model's preset; `run` changes fields of its Run, `count` counts a round's FLOPs."""
    system.keep_memory()
    engine = seated(model, preset, **run)

    def play(rounds: int) -> None:
        engine.run = replace(engine.run, steps=engine.step + rounds)
        engine.train()

    flops = 0
    if count:
        from torch.utils.flop_counter import FlopCounterMode  # it brings triton along: 76 MB

        with FlopCounterMode(display=False) as counter:
            play(1)
        flops = counter.get_total_flops()
    batches = engine.game.config.critic_moves if hasattr(engine.game.config, "critic_moves") else 1
    parameters = sum(p.numel() for p in engine.game.parameters())
    return Program(play, batches * engine.run.batch, parameters, flops)


def dealing(model: str, preset: str, **run: Any) -> Program:
    """The deck alone: the batches of such a run, dealt and thrown away."""
    system.keep_memory()
    engine = seated(model, preset, **run)
    dealt = 0

    def play(rounds: int) -> None:
        nonlocal dealt
        for number in range(dealt, dealt + rounds):
            engine.deck.batch(number, 0, 1)
        dealt += rounds

    return Program(play, engine.run.batch)


def seated(model: str, preset: str, **run: Any) -> Engine:
    """An engine before its first round; checkpoints and watchers have no seat here."""
    found = find(model)
    chosen = found.preset(preset)
    wanted = replace(chosen.run, **run)
    side, channels = wanted.size[0], wanted.channels or 3
    images = pictures(side, channels, min(4_000, 4_000 * 64**2 // side**2))
    facts = Facts(channels, side, side, labels=CLASSES)
    labels = np.arange(len(images)) % len(CLASSES)
    dealt = {name: images if name in PIXELS else labels for name in found.game.batch_type.columns()}
    players = built(found, chosen.config, facts, wanted.seed, {})
    return Engine(players, wanted, BatchLoader(DataSet("noise", facts, dealt), found.game.batch_type, wanted))
