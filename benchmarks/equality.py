"""`python -m benchmarks equality --against CHECKOUT [MODEL ...]`: do two checkouts compute the same numbers?

Every model's preset `tiny` is trained on the embedded data by this checkout and by the other one: on the CPU, in fp32,
from one seed, with averaged networks, in one process and in two.  `dcgan` is trained again with some options.  All rows
of the log and all bytes of the tensors in the last checkpoint must be equal; only the timing may differ.  The exit code
is 1 where something differs.

The package is known here by its command line and by the files of a run folder alone, not by its modules.  So a
checkout in which every module has moved can be compared with one from before.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.table import table

PATIENCE = 900.0  # seconds that one training may take
TIMING = {"seconds"}  # keys of a row of the log that no two runs share
WITH_OPTIONS = "dcgan"
OPTIONS = (("--accumulate", "2"), ("--precision", "bf16"), ("--augment", "ada"), ("--augment", "diffaug"))
SETTINGS = ("--preset", "tiny", "--seed", "0", "--device", "cpu", "--precision", "fp32", "--ema", "100")
WATCHING = ("--log-every", "1", "--no-tensorboard")


@dataclass(frozen=True)
class Case:
    """One training that both checkouts do."""

    model: str
    processes: int
    options: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The model, with the options as they are typed."""
        return " ".join([self.model, *self.options])


@dataclass(frozen=True)
class Left:
    """What a training left: {name: value as text}, for the log and for the last checkpoint."""

    losses: Mapping[str, str]
    weights: Mapping[str, str]
    steps: int


@dataclass(frozen=True)
class Checkout:
    """A working copy, the interpreter that runs it, and a folder for the cache that both copies share."""

    root: Path
    python: str
    cache: Path

    def run(self, *words: str) -> str:
        """Start the interpreter with `words`; returns what it prints.  Raises RuntimeError when it fails or hangs."""
        own = {"PYTHONPATH": str(self.root / "src"), "OMP_NUM_THREADS": "1", "GANFORGE_CACHE": str(self.cache)}
        with subprocess.Popen(
            [self.python, *words],
            cwd=self.cache,  # `-m` looks for modules where it is started
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired as error:
                process.terminate()  # torchrun ends the processes that it started
                raise RuntimeError(f"{self.root} was not done after {PATIENCE:.0f} s.") from error
        if process.returncode:
            raise RuntimeError(f"{self.root} failed with exit code {process.returncode}:\n{(err or out)[-4_000:]}")
        return out

    def check(self) -> None:
        """Raises RuntimeError where the interpreter would import another ganforge than this checkout's."""
        found = self.run("-c", "import ganforge; print(ganforge.__file__)").strip()
        if not Path(found).is_relative_to(self.root / "src"):
            raise RuntimeError(f"{self.python} imports {found} in place of the package in {self.root / 'src'}.")

    def models(self) -> list[str]:
        """The names in the catalogue."""
        return [line.split()[0] for line in self.run("-m", "ganforge", "list").splitlines() if line.strip()]

    def train(self, case: Case, steps: int) -> Left:
        """Train, read what that left, and delete it.  Raises RuntimeError when it fails."""
        torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", str(case.processes), "-m")
        start = ("-m", *(torchrun if case.processes > 1 else ()), "ganforge", "train", case.model)
        with tempfile.TemporaryDirectory(dir=self.cache) as folder:
            self.run(*start, *SETTINGS, *WATCHING, "--steps", str(steps), "--outdir", folder, *case.options)
            runs = [*Path(folder).iterdir()]
            if len(runs) != 1:
                raise RuntimeError(f"{self.root} left {len(runs)} run folders, which should be one.")
            return left(runs[0])


def left(run: Path) -> Left:
    """What a run folder holds.  Raises RuntimeError where it has no log or no tensors."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    checkpoint = max((run / "checkpoints").glob("step-*"), default=run)
    losses = {
        f"step {row['step']} {key}": json.dumps(value)
        for row in rows
        for key, value in row.items()
        if key not in TIMING
    }
    weights = {
        f"{file.stem} {key}": value
        for file in sorted(checkpoint.glob("*.safetensors"))
        for key, value in tensors(file).items()
    }
    if not losses or not weights:
        raise RuntimeError(f"The run folder {run} holds no rows of a log, or no tensors.")
    aliases = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))["aliases"]
    weights |= {f"{group} alias {key}": value for group, names in aliases.items() for key, value in names.items()}
    return Left(losses, weights, rows[-1]["step"])


def tensors(file: Path) -> dict[str, str]:
    """{key: type, shape and SHA-256} of each tensor in a safetensors file: a length, a header in JSON, the bytes."""
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    digests = {}
    for key, about in json.loads(content[8:start]).items():
        if key != "__metadata__":
            first, last = about["data_offsets"]
            digest = hashlib.sha256(content[start + first : start + last]).hexdigest()
            digests[key] = f"{about['dtype']} {about['shape']} {digest}"
    return digests


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """The first key whose values differ, with both, and how many differ; empty where all are equal."""
    keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
    if not keys:
        return ""
    mine, other = (values.get(keys[0], "nothing") for values in (here, there))
    return f"{keys[0]}: {mine} here, {other} there ({len(keys)} of {len({**here, **there})} differ)"


def compared(case: Case, steps: int, here: Checkout, there: Checkout) -> tuple[list[str], list[str]]:
    """A row of the table, and the complaints.  Both checkouts train at the same time."""
    with ThreadPoolExecutor(2) as pool:
        trainings = [pool.submit(checkout.train, case, steps) for checkout in (here, there)]
    where = f"{case.label}, {case.processes} process{'es' * (case.processes > 1)}"
    if errors := [error for training in trainings if (error := training.exception())]:
        return [case.label, str(case.processes), "-", "NO", "NO"], [f"{where}: {error}" for error in errors]
    mine, other = (training.result() for training in trainings)
    found = {"losses": difference(mine.losses, other.losses), "weights": difference(mine.weights, other.weights)}
    verdicts = ["NO" if text else "yes" for text in found.values()]
    complaints = [f"{where}: {what}: {text}" for what, text in found.items() if text]
    return [case.label, str(case.processes), str(mine.steps), *verdicts], complaints


def cases(models: Sequence[str]) -> Iterator[Case]:
    """All trainings of these models."""
    for model in models:
        for options in ((), *(OPTIONS if model == WITH_OPTIONS else ())):
            yield from (Case(model, processes, options) for processes in (1, 2))


def main(words: Sequence[str]) -> int:
    """Compare, print a table and what differs; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks equality", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="which to train; all without a name")
    parser.add_argument("--against", type=Path, required=True, metavar="CHECKOUT", help="the other working copy")
    parser.add_argument("--checkout", type=Path, default=Path(__file__).parents[1], help="this one, or another")
    parser.add_argument("--steps", type=int, default=6, help="steps of each training")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs both")
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="ganforge-equality-") as cache:
        pair = [Checkout(root.resolve(), asked.python, Path(cache)) for root in (asked.checkout, asked.against)]
        try:
            for checkout in pair:
                checkout.check()
            known = sorted({name for checkout in pair for name in checkout.models()})
        except RuntimeError as error:
            parser.error(str(error))
        if unknown := [name for name in asked.models if name not in known]:
            parser.error(f"there is no model {unknown[0]!r}: choose among {', '.join(known)}")
        rows, complaints = [], []
        for case in cases(asked.models or known):
            row, found = compared(case, asked.steps, *pair)
            print(" ".join(row), file=sys.stderr, flush=True)
            rows.append(row)
            complaints += found
    print(table("equality", ["model", "processes", "steps", "losses equal", "weights equal"], rows))
    print("\n".join(complaints) or f"{pair[0].root} and {pair[1].root} compute the same.")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
