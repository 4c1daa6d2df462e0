"""The machine: CPU cores, threads, memory, devices, and installed libraries."""

import ctypes
import importlib
import math
import os
import platform
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import torch

from ganforge.errors import OptionError, OutOfMemoryError
from ganforge.version import __version__

LIBRARIES = ("torch", "numpy", "pillow", "safetensors", "tyro", "rich", "matplotlib", "tensorboard", "huggingface_hub")
EXTRAS = ("tifffile", "imagecodecs", "transformers", "optuna", "datasets", "av", "onnx", "onnxruntime")

LACKS_MEMORY = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|unable to allocate|bad_alloc|"
    r"storage size calculation overflowed|invalid buffer size",
    re.IGNORECASE,
)
ASKED = re.compile(r"(?:tried to )?allocate ([0-9.]+) ?([kMGTPE]?i?B|bytes)")


def use_threads(n: int) -> int:
    """Compute with `n` CPU threads; for 0 with OMP_NUM_THREADS where that is set (as torchrun does for each of
    several processes), else with as many as this process may use.  Returns how many.

    Raises OptionError for a negative number.
    """
    if n < 0:
        raise OptionError(f"--threads {n} is not a number of threads: give 1 or more, or 0 for all {cores()}.")
    setting = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    torch.set_num_threads(n or (int(setting) if setting.isdigit() and int(setting) else cores()))
    return torch.get_num_threads()


def cores() -> int:
    """Number of CPU cores that this process may use, given its affinity and its cgroup quota."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = next(iter(read_lines("/sys/fs/cgroup/cpu.max")), "max").partition(" ")
    return min(own, max(1, math.ceil(int(quota) / int(period)))) if quota.isdigit() else own


def idle_cores(seconds: float = 0.25) -> float:
    """Average number of idle cores among those this process may use, measured over `seconds`; all where unknown.

    Threads of one computation wait for each other after every layer.  Where another program uses one of their cores,
    they also wait for it, hundreds of times per step: two threads on two cores then train 40 times slower.
    """
    before, _, after = ticks(), time.sleep(seconds), ticks()
    return idle_between(before, after)


def idle_between(before: Sequence[tuple[int, int]], after: Sequence[tuple[int, int]]) -> float:
    """Average number of idle cores between two results of `ticks`; all cores where these are empty."""
    shares = [(rest - r) / max(1, total - t) for (t, r), (total, rest) in zip(before, after, strict=True)]
    return min(sum(shares), cores()) if shares else cores()


def ticks() -> list[tuple[int, int]]:
    """(total time, idle time) of each core that this process may use, from /proc/stat; empty elsewhere."""
    own = {f"cpu{core}" for core in os.sched_getaffinity(0)} if hasattr(os, "sched_getaffinity") else set()
    found = []
    for line in read_lines("/proc/stat"):
        name, *counts = line.split()
        if name in own:  # user, nice, system, idle, iowait, irq, softirq, steal
            times = [int(count) for count in counts[:8]]
            found.append((sum(times), times[3] + times[4]))
    return found


def keep_memory() -> bool:
    """Let the C library keep freed memory for later tensors; returns whether it will.

    glibc returns every large block to the kernel, which clears it page by page when it is allocated again: up
    to a third of a training step on a CPU.  Does nothing without glibc.  Only later allocations are affected,
    so call it early.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    return bool(mallopt(mmap_max, 0) and mallopt(trim_threshold, 2**31 - 1))


def pick_device(name: str = "auto") -> torch.device:
    """The device `name`; for "auto" the first available of cuda, mps, cpu.

    Raises OptionError, naming the available devices, when it is not one of them.
    """
    available = devices()
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if kind in available))
    if name not in available:
        why = f", for torch {torch.__version__} is built without CUDA" if not torch.backends.cuda.is_built() else ""
        raise OptionError(
            f"There is no device {name!r} here{why if name.startswith('cuda') else ''}: "
            f"choose among auto, {', '.join(available)}."
        )
    return torch.device(name)


def devices() -> list[str]:
    """Names of the available devices: always cpu; "cuda" for the current GPU and "cuda:0", ... for each."""
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *(["cuda", *gpus] if gpus else []), *(["mps"] if torch.backends.mps.is_available() else [])]


def is_bf16_faster(device: torch.device | str = "cpu") -> bool:
    """Whether `device` multiplies in bf16 faster than in fp32."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return kind == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def describe() -> dict[str, str]:
    """What `ganforge env` prints: versions, processor, memory, devices, and incompatible libraries."""
    facts = {
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "ganforge": __version__,
        "processor": processor(),
        "cores": f"{cores()} usable of {os.cpu_count()}, {torch.get_num_threads()} threads",
        "memory": memory(),
        "bf16": "faster on: "
        + (", ".join(name for name in devices() if name != "mps" and is_bf16_faster(name)) or "none"),
        "devices": ", ".join(describe_devices()),
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
    """Version of torchvision, which only some extras use, or why it cannot be imported; empty where it is missing."""
    found = version("torchvision")
    try:
        if found:
            importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError) as error:  # built for another torch: its operators do not register
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        return (
            f"{found} does not import beside torch {torch.__version__} ({cause}). GANForge trains without it; "
            "the measures of other libraries need it; repair it with: pip install --force-reinstall torch torchvision"
        )
    return found


def processor() -> str:
    """Model name of the CPU."""
    for line in read_lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory() -> str:
    """Memory of the machine, in GiB."""
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return "unknown"
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB"


def is_memory_error(error: BaseException) -> bool:
    """Whether an error says that memory is not enough, in the words of Python, NumPy, torch or a GPU's driver."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and LACKS_MEMORY.search(str(error)) is not None


@contextmanager
def explain_memory() -> Iterator[None]:
    """Turn a lack of memory inside the block into an OutOfMemoryError: how much was asked, and what helps."""
    try:
        yield
    except Exception as error:
        if not is_memory_error(error):
            raise
        raise OutOfMemoryError(describe_shortage(str(error))) from error


def describe_shortage(message: str) -> str:
    """The sentence for a lack of memory, from the message of the library that noticed it."""
    found, gpu = ASKED.search(message), "CUDA" in message or "MPS" in message
    asked = f"{found[1]} {found[2]}" if found else "more"
    if found and found[2] == "bytes":
        asked = format_bytes(int(float(found[1])))
    there = "" if gpu or memory() == "unknown" else f" (the machine has {memory()})"
    return (
        f"The {'GPU' if gpu else ''} memory is not enough: {asked} were asked for at once{there}. A smaller --batch, "
        "--accumulate 2 or more (the same batch in parts), and a smaller --size need less."
    ).replace("The  memory", "The memory")


def format_bytes(count: int) -> str:
    """A number of bytes in the largest unit: 3.6 TiB."""
    power = min(6, max(0, count.bit_length() - 1) // 10)
    return f"{count / 1024**power:.1f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB')[power]}"


def describe_devices() -> Iterator[str]:
    """Each device with its name and memory."""
    for name in devices():
        if name.startswith("cuda:"):
            gpu = torch.cuda.get_device_properties(name)
            yield f"{name} ({gpu.name}, {gpu.total_memory / 2**30:.0f} GiB)"
        elif name != "cuda":
            yield name


def read_lines(path: str) -> list[str]:
    """The lines of a file; none where it does not exist."""
    file = Path(path)
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []


def env() -> dict[str, str]:
    """Describe this machine and the installation: versions, devices, and incompatible libraries."""
    return describe()
