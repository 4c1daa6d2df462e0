"""What this machine is, and how to use it well."""

import ctypes
import importlib
import math
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

import torch

from ganforge.errors import OptionError
from ganforge.version import __version__

LIBRARIES = ("torch", "numpy", "pillow", "safetensors", "tyro", "rich", "matplotlib", "tensorboard", "huggingface_hub")
EXTRAS = (
    "tifffile",
    "imagecodecs",
    "torch-fidelity",
    "torchmetrics",
    "gradio",
    "optuna",
    "webdataset",
    "datasets",
    "onnx",
    "onnxruntime",
)


def use_threads(n: int) -> int:
    """Compute with `n` CPU threads; for 0 with OMP_NUM_THREADS where that is set (as torchrun does for each of
    several processes), else with as many as this process may use.  Returns how many.

    Raises OptionError for a negative number.
    """
    if n < 0:
        raise OptionError(f"--threads {n} is no number of threads: give 1 or more, or 0 for all {cores()}.")
    wished = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    torch.set_num_threads(n or (int(wished) if wished.isdigit() and int(wished) else cores()))
    return torch.get_num_threads()


def cores() -> int:
    """CPU cores that this process may use: fewer than there are where it is confined to some, or has a quota."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = next(iter(lines("/sys/fs/cgroup/cpu.max")), "max").partition(" ")
    return min(own, max(1, math.ceil(int(quota) / int(period)))) if quota.isdigit() else own


def idle_cores(seconds: float = 0.25) -> float:
    """How many of the cores that this process may use are idle, watched for so long; all where Linux does not tell.

    Threads of one computation wait for each other after every layer.  Where another program takes one of their cores
    they wait for its turns as well, hundreds of times a round: two threads on two cores then train 40 times slower.
    """
    before, _, after = ticks(), time.sleep(seconds), ticks()
    return idle_between(before, after)


def idle_between(before: Sequence[tuple[int, int]], after: Sequence[tuple[int, int]]) -> float:
    """How many cores were idle on average between two looks at `ticks`; all where they tell nothing."""
    shares = [(rest - r) / max(1, total - t) for (t, r), (total, rest) in zip(before, after, strict=True)]
    return min(sum(shares), cores()) if shares else cores()


def ticks() -> list[tuple[int, int]]:
    """(time in all, time at rest) of each core that this process may use, from /proc/stat; none elsewhere."""
    own = {f"cpu{core}" for core in os.sched_getaffinity(0)} if hasattr(os, "sched_getaffinity") else set()
    found = []
    for line in lines("/proc/stat"):
        name, *counts = line.split()
        if name in own:  # user, nice, system, idle, iowait, irq, softirq, steal
            times = [int(count) for count in counts[:8]]
            found.append((sum(times), times[3] + times[4]))
    return found


def keep_memory() -> bool:
    """Let the C library keep what tensors give back, for the next ones; returns whether it will.

    glibc returns every large block to the kernel and has it cleared page by page when it is wanted again: up
    to a third of a training step on a CPU.  Elsewhere than on Linux with glibc nothing is done.  Only
    allocations to come are affected, so call it early.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, 2**31 - 1))


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name`; for "auto" the first there is of cuda, mps, cpu.

    Raises OptionError, naming the devices there are, when it is not one of them.
    """
    there = devices()
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if kind in there))
    if name not in there:
        why = f", for torch {torch.__version__} is built without CUDA" if not torch.backends.cuda.is_built() else ""
        raise OptionError(
            f"There is no device {name!r} here{why if name.startswith('cuda') else ''}: "
            f"choose among auto, {', '.join(there)}."
        )
    return torch.device(name)


def devices() -> list[str]:
    """Names of the devices there are: cpu always, "cuda" for the current one and "cuda:0", ... for each."""
    cards = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *(["cuda", *cards] if cards else []), *(["mps"] if torch.backends.mps.is_available() else [])]


def bf16_pays(device: torch.device | str = "cpu") -> bool:
    """Whether `device` multiplies in bf16 faster than in fp32."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return kind == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def describe() -> dict[str, str]:
    """What `ganforge env` prints: versions, processor, memory, devices, and what does not fit together."""
    facts = {
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "ganforge": __version__,
        "processor": processor(),
        "cores": f"{cores()} usable of {os.cpu_count()}, {torch.get_num_threads()} threads",
        "memory": memory(),
        "bf16": "pays on: " + (", ".join(name for name in devices() if name != "mps" and bf16_pays(name)) or "none"),
        "devices": ", ".join(named_devices()),
    }
    facts |= {library: version(library) or "missing" for library in LIBRARIES}
    facts |= {library: found for library in EXTRAS if (found := version(library))}
    return facts | ({"torchvision": vision} if (vision := torchvision()) else {})


def version(library: str) -> str:
    """Installed version of `library`; empty where it is not installed."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def torchvision() -> str:
    """Version of torchvision, which only some extras use, or what is wrong with it; empty where there is none."""
    found = version("torchvision")
    try:
        if found:
            importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError) as error:  # built for another torch: its operators do not register
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        return (
            f"{found} does not import beside torch {torch.__version__} ({said}). GANForge trains without it; "
            "what needs it (the metrics extra) comes back with: pip install --force-reinstall torch torchvision"
        )
    return found


def processor() -> str:
    """The CPU's own name for itself."""
    for line in lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory() -> str:
    """Memory of the machine, in GiB."""
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return "unknown"
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB"


def named_devices() -> Iterator[str]:
    """Each device with what it is."""
    for name in devices():
        if name.startswith("cuda:"):
            card = torch.cuda.get_device_properties(name)
            yield f"{name} ({card.name}, {card.total_memory / 2**30:.0f} GiB)"
        elif name != "cuda":
            yield name


def lines(path: str) -> list[str]:
    """The lines of a file that only some systems have."""
    file = Path(path)
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []


def env() -> dict[str, str]:
    """What this machine has, and anything in the installation that does not fit together."""
    return describe()
