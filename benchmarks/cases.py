"""The benchmarks by name: their entries and their tables."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.race import Entry, Pace, Result, race
from benchmarks.table import spread, table
from ganforge import system


@dataclass(frozen=True)
class Terms:
    """The settings of a session of benchmarks."""

    pace: Pace
    quick: bool = False
    peers: str = sys.executable
    """The interpreter that has the peers' libraries."""


Case = Callable[[Terms], Iterator[str]]

CHAPTER = {"model": "dcgan", "preset": "chapter", "config": {"apart": False}}  # one step of D, as the usual loop has


def precisions() -> list[str]:
    """fp32, and bf16 where the processor has it."""
    return ["fp32", *(["bf16"] if system.is_bf16_faster() else [])]


def ours(precision: str = "fp32", **settings: Any) -> Entry:
    """GANForge's engine, without averaged weights, which the usual loops do not have."""
    return Entry(f"ganforge, {precision}", "ours:game", {"precision": precision, "ema": 0.0, **settings})


def usual(paper: str, precision: str = "fp32", **settings: Any) -> Entry:
    """The usual PyTorch loop."""
    return Entry(f"usual loop, {precision}", f"usual.{paper}:loop", {"precision": precision, **settings})


def chapter(terms: Terms) -> Iterator[str]:
    """The book chapter's networks against the usual loop and against Keras."""
    keras = has_keras(terms.peers)
    for batch in (32,) if terms.quick else (32, 128):
        entries = [ours(precision, **CHAPTER, batch=batch) for precision in precisions()]
        entries += [usual("chapter", precision, batch=batch) for precision in precisions()]
        if keras:
            entries.append(Entry("Keras 3 on TensorFlow, repaired", KERAS, {"batch": batch}, terms.peers))
        against = [entry.label for entry in entries if entry.label in ("usual loop, fp32", KERAS_LABEL)]
        yield rates(f"chapter, 28 x 28 grey, batch {batch}", race(entries, terms.pace), against)
    if not keras:
        yield (
            "Keras and TensorFlow are not here, so they did not take part. In an environment of their own:\n"
            "`python -m venv peers && peers/bin/pip install keras tensorflow`, then `--peers peers/bin/python`.\n"
        )


KERAS, KERAS_LABEL = "usual.chapter_keras:loop", "Keras 3 on TensorFlow, repaired"


def has_keras(python: str) -> bool:
    """Whether an interpreter finds Keras and TensorFlow."""
    return finds(python, "keras", "tensorflow")


def dcgan64(terms: Terms) -> Iterator[str]:
    """The networks of PyTorch's example at 64 x 64 against its loop."""
    own = [ours(precision, model="dcgan", preset="pytorch", batch=16) for precision in precisions()]
    theirs = [usual("dcgan", precision) for precision in precisions()]
    yield rates("dcgan64, 64 x 64 colour, batch 16", race([*own, *theirs], terms.pace), ["usual loop, fp32"])


def wgan_gp(terms: Terms) -> Iterator[str]:
    """The `small` preset against the usual one-file loop."""
    entries = [ours(model="wgan_gp", preset="small"), Entry("usual loop, fp32", "usual.wgan_gp:loop")]
    yield rates("wgan_gp, 32 x 32 colour, batch 64", race(entries, terms.pace), ["usual loop, fp32"])


def cgan(terms: Terms) -> Iterator[str]:
    """The `small` preset against the usual one-file loop."""
    own = [ours(precision, model="cgan", preset="small") for precision in precisions()]
    entries = [*own, *(usual("cgan", precision) for precision in precisions())]
    yield rates("cgan, 32 x 32 colour, batch 64", race(entries, terms.pace), ["usual loop, fp32"])


def text_encoder(terms: Terms) -> Iterator[str]:
    """The `small` preset against a one-file loop of words and images."""
    own = [ours(precision, model="text_encoder", preset="small") for precision in precisions()]
    entries = [*own, *(usual("text_encoder", precision) for precision in precisions())]
    yield rates("text_encoder, 32 x 32 colour, 12 words, batch 64", race(entries, terms.pace), ["usual loop, fp32"])


def r3gan(terms: Terms) -> Iterator[str]:
    """The `small` preset against the authors' loop."""
    own = [ours(precision, model="r3gan", preset="small") for precision in precisions()]
    results = race([*own, *(usual("r3gan", precision) for precision in precisions())], terms.pace)
    yield rates("r3gan, 32 x 32 colour, batch 32", results, ["usual loop, fp32"], memory=True)


def pix2pix(terms: Terms) -> Iterator[str]:
    """The paper's networks at 256 x 256 against the usual loop, batches of one, and of four."""
    for batch in (1,) if terms.quick else (1, 4):
        own = [ours(precision, model="pix2pix", preset="paper", batch=batch, **PLAIN) for precision in precisions()]
        theirs = [usual("pix2pix", precision, batch=batch) for precision in precisions()]
        results = race([*own, *theirs], terms.pace)
        yield rates(f"pix2pix, 256 x 256 colour, batch {batch}", results, ["usual loop, fp32"], memory=True)


def cyclegan(terms: Terms) -> Iterator[str]:
    """The paper's networks at 128 x 128 against the usual loop, batches of one."""
    settings = {"model": "cyclegan", "preset": "paper", "config": {"identity": 0.5}, **PLAIN}
    own = [ours(precision, size=(128,), **settings) for precision in precisions()]
    results = race([*own, *(usual("cyclegan", precision) for precision in precisions())], terms.pace)
    yield rates("cyclegan, 128 x 128 colour, batch 1", results, ["usual loop, fp32"], memory=True)


PLAIN = {"flip": False, "crop": False}  # the usual loops take their images as they lie


def spade(terms: Terms) -> Iterator[str]:
    """Narrow networks with a style encoder at 64 x 64 against the authors' loop, and the paper's at 128 x 128."""
    narrow = {"width": 12, "hidden": 32, "latent": 16, "judge_width": 24}
    rounds = {"spade, 64 x 64 colour, batch 8": ((64,), 8, narrow)}
    if not terms.quick:
        paper = {"width": 64, "hidden": 128, "latent": 0, "judge_width": 64}
        rounds["spade, the paper's networks, 128 x 128 colour, batch 1"] = ((128,), 1, paper)
    for title, (size, batch, networks) in rounds.items():
        latent = networks["latent"]
        config = {**networks, "latent": latent or 256, "use_vae": latent > 0, "content": "none"}
        own = {"model": "spade", "preset": "paper", "size": size, "batch": batch, "config": config, **PLAIN}
        entries = [ours(precision, **own) for precision in precisions()]
        entries += [usual("spade", p, side=size[0], batch=batch, **networks) for p in precisions()]
        yield rates(title, race(entries, terms.pace), ["usual loop, fp32"], memory=True)


def gan_cls(terms: Terms) -> Iterator[str]:
    """Narrow networks of GAN-INT-CLS at 64 x 64 against the authors' loop."""
    networks = {"width": 32, "judge_width": 32}
    config = {**networks, "encoder_from": 0.0}
    own = [ours(p, model="gan_cls", preset="paper", batch=32, config=config, **PLAIN) for p in precisions()]
    loops = [usual("gan_cls", precision, batch=32, width=32) for precision in precisions()]
    title = "gan_cls, 64 x 64 colour, batch 32"
    yield rates(title, race([*own, *loops], terms.pace), ["usual loop, fp32"], memory=True)


def stackgan(terms: Terms) -> Iterator[str]:
    """Narrow networks of Stage I at 64 x 64 against the authors' loop."""
    networks = {"width": 64, "judge_width": 32}
    own = [ours(p, model="stackgan", preset="paper", batch=16, config=networks, **PLAIN) for p in precisions()]
    loops = [usual("stackgan", precision, batch=16, **networks) for precision in precisions()]
    title = "stackgan, Stage I, 64 x 64 colour, batch 16"
    yield rates(title, race([*own, *loops], terms.pace), ["usual loop, fp32"], memory=True)


def stylegan2(terms: Terms) -> Iterator[str]:
    """The `small` preset at 64 x 64, and images of 256 x 256, against the form with weights made for each image."""
    own = {"model": "stylegan2", "preset": "small", **PLAIN}
    entries = [*(ours(precision, **own) for precision in precisions()), *(usual("stylegan2", p) for p in precisions())]
    yield rates("stylegan2, 64 x 64 colour, batch 16", race(entries, terms.pace), ["usual loop, fp32"], memory=True)
    forms = [Entry("ganforge, fp32", "synthesis:ours"), Entry("reference form, fp32", "synthesis:theirs")]
    title = "stylegan2, images of the generator of 256 x 256, batch 4"
    yield rates(title, race(forms, terms.pace), ["reference form, fp32"], memory=True)


def e4e(terms: Terms) -> Iterator[str]:
    """The `small` preset with all deltas, on a generator of stylegan2's `small`, against the authors' loop."""
    own = {"model": "e4e", "preset": "small", "parts": GENERATOR, "config": {"wait": 0, "every": 1}, **PLAIN}
    entries = [*(ours(precision, **own) for precision in precisions()), *(usual("e4e", p) for p in precisions())]
    yield rates("e4e, 64 x 64 colour, batch 16", race(entries, terms.pace), ["usual loop, fp32"], memory=True)


def hyperstyle(terms: Terms) -> Iterator[str]:
    """The `small` preset, five passes a step, on a generator of stylegan2's `small`, against the authors' loop."""
    own = {"model": "hyperstyle", "preset": "small", "parts": GENERATOR, **PLAIN}
    entries = [*(ours(precision, **own) for precision in precisions()), *(usual("hyperstyle", p) for p in precisions())]
    yield rates("hyperstyle, 64 x 64 colour, batch 16", race(entries, terms.pace), ["usual loop, fp32"], memory=True)


GENERATOR = {"generator": "stylegan2"}


def lostgan(terms: Terms) -> Iterator[str]:
    """Narrow networks of V1 at 32 x 32 against the authors' loop, and the paper's at 64 x 64."""
    python = find_torchvision(terms)
    narrow = {"width": 16, "latent": 32, "embedding": 32, "mask_width": 32}
    rounds = {"lostgan, 32 x 32 colour, batch 16": ((32,), 16, narrow)}
    if not terms.quick:
        paper = {"width": 64, "latent": 128, "embedding": 128, "mask_width": 128}
        rounds["lostgan, the paper's networks of V1, 64 x 64 colour, batch 4"] = ((64,), 4, paper)
    for title, (size, batch, networks) in rounds.items():
        config = {"version": 1, **networks, "judge_width": networks["width"], "content": "none"}
        own = {"model": "lostgan", "preset": "paper", "size": size, "batch": batch, "config": config, **PLAIN}
        entries = [ours(precision, **own) for precision in precisions()]
        loops = [usual("lostgan", p, side=size[0], batch=batch, **networks) for p in precisions()]
        entries += [replace(entry, python=python) for entry in loops if python]
        yield rates(title, race(entries, terms.pace), ["usual loop, fp32"] if python else [], memory=True)
    if not python:
        yield f"The usual loop needs torchvision, so it did not take part. {TORCHVISION}"


TORCHVISION = "`pip install torchvision`, or `make peers` and `--peers .venv-peers/bin/python`.\n"


def find_torchvision(terms: Terms) -> str:
    """The interpreter that has torchvision: this one, or else the peers'; empty where neither has."""
    return next((python for python in (sys.executable, terms.peers) if finds(python, "torchvision")), "")


def roialign(terms: Terms) -> Iterator[str]:
    """ROIAlign with its gradient against torchvision's."""
    entries = [Entry("ganforge", "roialign:ours")]
    if python := find_torchvision(terms):
        entries.append(Entry("torchvision", "roialign:theirs", {}, python))
    against = [entry.label for entry in entries[1:]]
    yield rates("roialign, 8 boxes an image, 256 channels of 32 x 32", race(entries, terms.pace), against, memory=True)
    if not python:
        yield f"torchvision is not here, so it did not take part. {TORCHVISION}"


def adaptive(terms: Terms) -> Iterator[str]:
    """Sample-adaptive convolutions with their gradients, against a grouped convolution."""
    for side, bank in ((8, 2),) if terms.quick else ((4, 4), (8, 2), (16, 1), (16, 4)):
        sizes = {"side": side, "bank": bank}
        entries = [
            Entry(f"{name}, {precision}", f"adaptive:{form}", {**sizes, "precision": precision})
            for precision in precisions()
            for name, form in (("ganforge", "ours"), ("grouped", "grouped"))
        ]
        title = f"adaptive, {side} x {side}, 64 channels, {bank} kernels, batch 16"
        yield rates(title, race(entries, terms.pace), ["grouped, fp32"], memory=True)


def gigagan(terms: Terms) -> Iterator[str]:
    """The `small` preset against the same networks with a kernel made for each image."""
    own = [ours(precision, model="gigagan", preset="small") for precision in precisions()]
    usual_form = [Entry(f"grouped, {p}", "adaptive:grouped_steps", {"precision": p}) for p in precisions()]
    results = race([*own, *usual_form], terms.pace)
    yield rates("gigagan, 32 x 32 colour, batch 16", results, ["grouped, fp32"], memory=True)


def anogan(terms: Terms) -> Iterator[str]:
    """Descents of a batch of images together against one image after the other."""
    entries = [Entry("ganforge", "anomaly:ours"), Entry("usual loop, fp32", "anomaly:usual")]
    yield rates("anogan, 32 x 32 colour, 20 steps of descent", race(entries, terms.pace), ["usual loop, fp32"])


def loader(terms: Terms) -> Iterator[str]:
    """The loader alone, and as a share of a chapter step."""
    rows = []
    for batch in (32, 128):
        alone = Entry("loader", "ours:load_only", {**CHAPTER, "batch": batch})
        results = race([alone, *(ours(p, **CHAPTER, batch=batch) for p in precisions())], terms.pace)
        loaded = results.pop("loader")
        for label, result in results.items():
            images, share = spread(loaded.rates("images")), f"{result.times(loaded):.2%}"
            rows.append([f"{label}, batch {batch}", images, share])
    yield table("loader, 28 x 28 grey in memory", ["beside", "loader: images/s", "share of a chapter step"], rows)


def startup(terms: Terms) -> Iterator[str]:
    """Seconds until a command has ended."""
    commands = {
        "`ganforge --help`": ["-m", "ganforge", "--help"],
        "`ganforge list`": ["-m", "ganforge", "list"],
        "`import torch`": ["-c", "import torch"],
        "Python alone": ["-c", "pass"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(terms.pace.turns + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - began)
    rows = [[name, spread(taken[1:], 2)] for name, taken in seconds.items()]  # the first reads the disk
    yield table("startup", ["command", "seconds"], rows)


def memory(terms: Terms) -> Iterator[str]:
    """Peak memory of training processes, and how much of it training itself adds."""
    rows = []
    for batch in (32, 128):
        entries = [ours(**CHAPTER, batch=batch), usual("chapter", batch=batch)]
        for label, result in race(entries, terms.pace).items():
            ready = result.facts["memory"]
            row = [f"{label}, batch {batch}", *(f"{x:,.0f}" for x in (ready, result.memory, result.memory - ready))]
            rows.append(row)
    yield table("memory, chapter", ["program", "ready: MiB", "peak: MiB", "added: MiB"], rows)


def peak(terms: Terms) -> Iterator[str]:
    """How much of what the machine can do a chapter step uses."""
    rows = []
    for precision in precisions():
        best = {f"{what}, {precision}": f"peak:{what}" for what in ("convolution", "product")}
        entries = [Entry(label, program, {"precision": precision}) for label, program in best.items()]
        training = [
            replaced(ours(precision, **CHAPTER, batch=n, count=True), f"chapter {n}, {precision}") for n in (32, 128)
        ]
        results = race([*entries, *training], terms.pace)
        top = max(statistics.median(results[label].rates("flops")) for label in best)
        for label, result in results.items():
            rate = [flops / 1e9 for flops in result.rates("flops")]
            rows.append(
                [
                    label,
                    f"{result.facts['flops'] / 1e9:.2f}",
                    spread(rate),
                    f"{statistics.median(rate) * 1e9 / top:.2f}",
                ]
            )
    yield table("peak", ["program", "GFLOP a step", "GFLOP/s", "of the best"], rows)


PEERS = {"pytorch_fid": "pytorch-fid", "torch_fidelity": "torch-fidelity", "torchmetrics": "torchmetrics"}


def judging(terms: Terms) -> Iterator[str]:
    """Inception's features of JPEGs end to end, the Frechet distance, precision and recall, against other libraries."""
    own = [Entry(f"ganforge, {p}", "judging:ours", {"precision": p}) for p in precisions()]
    if not finds(terms.peers, *PEERS, "cleanfid", "prdc"):
        yield "Other libraries are not here: `make peers`, then `--peers .venv-peers/bin/python`.\n"
        yield rates("judging, 299 x 299 JPEGs to features", race(own, terms.pace), [])
        return
    theirs = [Entry(label, f"judging:{program}", {}, terms.peers) for program, label in PEERS.items()]
    theirs.append(Entry("clean-fid", "judging:clean_fid", {}, terms.peers))
    results = race([*own, *theirs], terms.pace)
    fastest = max(
        (entry.label for entry in theirs), key=lambda label: statistics.median(results[label].rates("images"))
    )
    yield rates("judging, 299 x 299 JPEGs to features", results, [fastest])
    libraries = {"ganforge": "ours", "clean-fid": "clean-fid", "torchmetrics": "torchmetrics"}
    entries = [
        Entry(label, "judging:distance", {"library": library}, terms.peers) for label, library in libraries.items()
    ]
    yield seconds("judging, Frechet distance of 2,048 numbers", race(entries, terms.pace))
    settings = {"n": 2_000} if terms.quick else {}
    entries = [
        Entry(label, "judging:manifold", {"library": library, **settings}, terms.peers)
        for label, library in {"ganforge": "ours", "prdc": "prdc"}.items()
    ]
    yield seconds("judging, precision and recall, 10,000 x 2,048", race(entries, replace(terms.pace, warm=1)))


def finds(python: str, *modules: str) -> bool:
    """Whether an interpreter finds all of these modules."""
    look = "import importlib.util as u, sys; sys.exit(not all(u.find_spec(m) for m in sys.argv[1:]))"
    return subprocess.run([python, "-c", look, *modules], check=False).returncode == 0


def seconds(title: str, results: Mapping[str, Result]) -> str:
    """Seconds per step, and memory."""
    rows = [
        [label, spread([1 / pace for pace in result.paces], 2), f"{result.memory:,.0f}"]
        for label, result in results.items()
    ]
    return table(title, ["program", "seconds", "peak: MiB"], rows)


def replaced(entry: Entry, label: str) -> Entry:
    """The same program by another label."""
    return Entry(label, entry.program, entry.settings, entry.python)


def rates(title: str, results: Mapping[str, Result], against: Sequence[str], memory: bool = False) -> str:
    """Images a second, how many times the programs named in `against`, and the peak of memory if asked for."""
    slow = any(min(result.rates("images")) < 20 for result in results.values())
    rows = [
        [
            label,
            spread(result.rates("images"), 2 if slow else 0),
            *(f"{result.times(results[other]):.2f}" for other in against),
            *([f"{result.memory:,.0f}"] if memory else []),
        ]
        for label, result in results.items()
    ]
    heads = [*(f"x {other.partition(',')[0]}" for other in against), *(["peak: MiB"] if memory else [])]
    return table(title, ["program", "images/s", *heads], rows)


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        *(
            chapter,
            dcgan64,
            wgan_gp,
            cgan,
            stylegan2,
            e4e,
            hyperstyle,
            r3gan,
            pix2pix,
            cyclegan,
            spade,
            lostgan,
            roialign,
        ),
        *(text_encoder, gan_cls, stackgan, gigagan, adaptive, anogan),
        *(loader, startup, memory, peak, judging),
    )
}
