"""What the machine is said to be, and what is said when it is not."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganforge import __version__, system
from ganforge.errors import OptionError


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_threads_are_the_requested_number_or_all(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert system.use_threads(1) == 1
    assert system.use_threads(0) == system.cores() <= (os.cpu_count() or 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert system.use_threads(0) == 3
    assert system.use_threads(1) == 1
    with pytest.raises(OptionError, match=r"--threads -1"):
        system.use_threads(-1)


def test_idle_cores_are_read_off_the_counters_of_those_we_may_use(monkeypatch):
    # user nice system idle iowait irq softirq steal: core 1 rests in 80 of 100 ticks, core 2 in none, 0 is not ours
    shown = [
        ["cpu0 0 0 0 0 0 0 0 0 0 0", "cpu1 10 0 5 800 20 0 0 0 0 0", "cpu2 7 0 0 5 0 0 0 0 0 0", "intr 1 2"],
        ["cpu0 0 0 0 99 0 0 0 0 0 0", "cpu1 25 0 10 870 30 0 0 0 0 0", "cpu2 7 0 0 5 0 0 0 90 0 0", "intr 1 2"],
    ]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 2}, raising=False)
    monkeypatch.setattr(system, "read_lines", lambda path: shown.pop(0) if path == "/proc/stat" else [])
    assert system.idle_cores(0) == pytest.approx(0.8)
    monkeypatch.setattr(system, "read_lines", lambda _: [])
    assert system.idle_cores(0) == 2  # nothing told: all


@pytest.mark.parametrize(("quota", "wanted"), [("max 100000", 8), ("250000 100000", 3), ("50000 100000", 1)])
def test_a_quota_of_processor_time_limits_the_cores(quota: str, wanted: int, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(system, "read_lines", lambda path: [quota] if path == "/sys/fs/cgroup/cpu.max" else [])
    assert system.cores() == wanted


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back in this way")
def test_kept_memory_is_not_faulted_in_again():
    import resource

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(4):
            torch.ones(2**22)  # 16 MiB: 4,096 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    assert system.keep_memory()
    assert min(faults() for _ in range(10)) < 1_000  # the first ones enlarge the heap; 16,384 without keeping


def test_elsewhere_memory_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not system.keep_memory()


def test_devices_are_found_by_name():
    assert system.pick_device("cpu") == torch.device("cpu")
    assert system.pick_device().type in ("cuda", "mps", "cpu")
    assert system.pick_device("auto").type == system.pick_device().type


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "cpu:1:2", ""])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name):
    with pytest.raises(OptionError, match=rf"no device '{name}'.*auto, cpu"):
        system.pick_device(name)


def test_bf16_is_answered_for_every_device_that_pick_device_gives():
    assert system.is_bf16_faster("cpu") in (True, False)
    assert not system.is_bf16_faster("mps")


def test_the_description_names_versions_and_devices():
    facts = system.describe()
    assert facts["ganforge"] == __version__
    assert facts["torch"] == torch.__version__.partition("+")[0] or facts["torch"] == torch.__version__
    assert facts["devices"].startswith("cpu")
    assert facts["processor"]
    assert all(isinstance(value, str) and "\n" not in value for value in facts.values())


@pytest.mark.parametrize("error", ["RuntimeError('operator torchvision::nms does not exist')", "ImportError('no _C')"])
def test_a_torchvision_that_does_not_import_is_named_with_its_remedy(error, tmp_path, monkeypatch):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(f"raise {error}\n")
    (tmp_path / "torchvision-0.0.1.dist-info").mkdir()
    (tmp_path / "torchvision-0.0.1.dist-info" / "METADATA").write_text("Name: torchvision\nVersion: 0.0.1\n")
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    said = system.describe()["torchvision"]
    assert said.startswith("0.0.1 does not import beside torch")
    assert "pip install --force-reinstall torch torchvision" in said


def test_help_never_imports_torch():
    asked = "import sys; from ganforge.cli import run; run(['--help']); print('torch' in sys.modules)"
    paths = os.environ | {"PYTHONPATH": str(Path(system.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True, env=paths)
    assert done.stdout.splitlines()[-1] == "False"
