"""`python -m benchmarks.gpu [NAME ...]`: images a second of whole training steps on a GPU, and what a graph gains.

Three forms of the same step: the engine's in fp32, the engine's in bf16, and in bf16 with a CUDA graph, in which the
kernels of a step are recorded once and then started together.  Steps with lazy regularisation have graphs of their own.
Random images; nothing is augmented.
"""

import argparse
import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.ours import build_engine
from ganforge.batches import Batch, PerhapsLabelled
from ganforge.draw import Draw
from ganforge.engine import Engine
from ganforge.engine.ema import averaged_tensors
from ganforge.game import Clock

CASES: dict[str, dict[str, Any]] = {
    "stylegan2-64": {"model": "stylegan2", "preset": "small", "size": (64,), "batch": 16},
    "stylegan2-128": {"model": "stylegan2", "preset": "auto", "size": (128,), "batch": 32},
    "stylegan2-256": {"model": "stylegan2", "preset": "auto", "size": (256,), "batch": 32},
    "stylegan2-512": {"model": "stylegan2", "preset": "auto", "size": (512,), "batch": 16},
    "r3gan-64": {"model": "r3gan", "preset": "ffhq64", "size": (64,), "batch": 64},
}
WARM, SECONDS, LEAST = 5, 4.0, 16
"""Steps that are not timed, and how long and how many are."""


class DeviceDraw(Draw):
    """Random numbers of the device's own generator, which a graph can record."""

    def normal(self, n: int, *shape: int) -> Tensor:
        return torch.randn(n, *shape, device="cuda")

    def uniform(self, n: int, *shape: int) -> Tensor:
        return torch.rand(n, *shape, device="cuda")

    def choice(self, n: int, options: int) -> Tensor:
        return torch.randint(options, (n,), device="cuda")

    def permutation(self, n: int) -> Tensor:
        return torch.randperm(n, device="cuda")


def time_steps(take: Callable[[int], object], batch: int) -> float:
    """Images a second of `take(step)`."""
    for step in range(WARM):
        take(step)
    torch.cuda.synchronize()
    began, step = time.perf_counter(), 0
    while step < LEAST or time.perf_counter() - began < SECONDS:
        for _ in range(LEAST):  # all kinds of steps as often as in a training
            take(step)
            step += 1
        torch.cuda.synchronize()
    return step * batch / (time.perf_counter() - began)


def take_with_engine(engine: Engine) -> Callable[[int], object]:
    """A step as a training takes it, with the averages."""

    def take(step: int) -> None:
        engine.step = step
        engine.train_step()
        engine.update_averages()

    return take


def take_with_graphs(engine: Engine, regularised: tuple[int, ...]) -> Callable[[int], object]:
    """The same with a graph for each kind of step: `regularised` are the steps between two of something lazy."""
    game, side = engine.game, engine.run.size[0]  # pyright: ignore[reportOptionalSubscript, reportIndexIssue]
    images = torch.rand(engine.run.batch, 3, side, side, device="cuda") * 2 - 1
    game.draw = DeviceDraw()
    game.train()
    for optimiser in engine.players.values():
        for group in optimiser.param_groups:
            group["capturable"], group["lr"] = True, torch.tensor(group["lr"], device="cuda")
    live, mean = averaged_tensors(game), averaged_tensors(engine.averaged)

    def batches() -> Iterator[Batch]:
        while True:
            yield PerhapsLabelled(images, None)

    def play(step: int) -> None:
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            for move in game.play(batches(), Clock(step, 0, 0, 0.0, engine.run.batch)):
                with torch.autocast("cuda", enabled=False):
                    terms = torch.stack([term.float() for term in move.terms.values() if term.requires_grad])
                    terms.sum().backward(inputs=engine.parameters[move.player])
                    engine.players[move.player].step()
                    engine.players[move.player].zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(mean, live, 0.001)  # pyright: ignore[reportPrivateImportUsage]

    def kind(step: int) -> tuple[bool, ...]:
        return tuple(step % every == 0 for every in regularised)

    kinds = {kind(step): step for step in range(16)}
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for step in (*kinds.values(), *kinds.values()):
            play(step)
    torch.cuda.current_stream().wait_stream(stream)
    graphs, pool = {}, torch.cuda.graph_pool_handle()
    for each, step in kinds.items():
        graphs[each] = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graphs[each], pool=pool):
            play(step)
    return lambda step: graphs[kind(step)].replay()


def measure(name: str) -> str:
    """A row of the table."""
    case = CASES[name]
    rates, peaks = [], []
    for form in ("fp32", "bf16", "graph"):
        torch.cuda.reset_peak_memory_stats()
        plain = {"augment": "none", "augment_p": "adaptive", "device": "cuda"}  # graphs have no augmentation
        engine = build_engine(**case, **plain, precision="fp32" if form == "fp32" else "bf16")
        lazy = ("r1_every", "path_every")
        regularised = tuple(every for key in lazy if (every := getattr(engine.game.config, key, 0)))
        take = take_with_graphs(engine, regularised) if form == "graph" else take_with_engine(engine)
        rates.append(time_steps(take, engine.run.batch))
        peaks.append(torch.cuda.max_memory_allocated() / 2**30)
        bad = [key for key, p in engine.game.named_parameters() if not p.isfinite().all()]
        assert not bad, f"{form}: {bad[0]} is not finite"
        del engine, take
        gc.collect()
        torch.cuda.empty_cache()
    cells = [f"{rate:,.0f} ({peak:.1f} GiB)" for rate, peak in zip(rates, peaks, strict=True)]
    return f"| {name}, batch {case['batch']} | {' | '.join(cells)} | {rates[2] / rates[1]:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(CASES)}; all without a name")
    names = parser.parse_args().names or list(CASES)
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"there is no case {unknown[0]!r}: choose among {', '.join(CASES)}")
    if not torch.cuda.is_available():
        parser.error("there is no CUDA device here: `python -m benchmarks` measures on the CPU")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; images/s (peak memory)\n")
    print("| case | engine, fp32 | engine, bf16 | bf16 in graphs | graphs : engine, bf16 |")
    print("|:--|--:|--:|--:|--:|")
    for name in names:
        print(measure(name), flush=True)


if __name__ == "__main__":
    main()
