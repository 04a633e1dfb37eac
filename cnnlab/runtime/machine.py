"""What the machine offers: processor, memory, the limits set on this process, and GPUs."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from ctypes.util import find_library
from pathlib import Path

import psutil

CPUINFO = Path("/proc/cpuinfo")
CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIPS = Path("/proc/self/cgroup")
NVIDIA_DRIVER = Path("/proc/driver/nvidia/gpus")


def processor_name() -> str:
    """The processor's model as the operating system calls it."""
    name = _field(CPUINFO.read_text(), "model name") if CPUINFO.exists() else None
    return name or platform.processor() or platform.machine()


def usable_cores() -> int:
    """Logical cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def core_limit() -> float | None:
    """How many cores' worth of time the control group grants; None where it sets no limit."""
    limits = []
    for text in _cgroup_files("cpu.max"):  # version 2: "quota period"
        quota, period = text.split()
        if quota != "max":
            limits.append(int(quota) / int(period))
    quotas, periods = _cgroup_files("cpu.cfs_quota_us"), _cgroup_files("cpu.cfs_period_us")  # version 1
    limits += [int(quota) / int(period) for quota, period in zip(quotas, periods, strict=True) if int(quota) > 0]
    return min(limits, default=None)


def memory_limit_bytes() -> int | None:
    """The control group's limit on memory in bytes; None where it sets none below the physical memory."""
    texts = [*_cgroup_files("memory.max"), *_cgroup_files("memory.limit_in_bytes")]
    physical = psutil.virtual_memory().total
    limit = min((int(text) for text in texts if text != "max"), default=physical)
    return limit if limit < physical else None


def installed_gpus() -> list[str]:
    """NVIDIA GPUs the driver knows, with memory and driver version where nvidia-smi tells them.

    They are listed whether or not TensorFlow can use them.
    """
    program = shutil.which("nvidia-smi")
    if program is not None:
        command = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        with suppress(OSError, subprocess.SubprocessError):
            answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
            return [line.strip() for line in answer.stdout.splitlines() if line.strip()]
    files = sorted(NVIDIA_DRIVER.glob("*/information"))
    return [_field(file.read_text(), "Model") or file.parent.name for file in files]


def finds_cudnn() -> bool:
    """Whether there is a cuDNN, without which TensorFlow sees no GPU; a version that does not fit counts too.

    It may be NVIDIA's wheel, a library that the dynamic linker knows, or one of a conda environment.
    """
    wheels = importlib.util.find_spec("nvidia")
    if wheels and any(Path(folder, "cudnn").is_dir() for folder in wheels.submodule_search_locations or ()):
        return True
    folders = [*filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)), f"{sys.prefix}/lib"]
    return any(any(Path(folder).glob("libcudnn.so*")) for folder in folders) or find_library("cudnn") is not None


def _field(text: str, name: str) -> str | None:
    """The value of the first "name : value" line."""
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return None


def _cgroup_files(name: str) -> list[str]:
    """The content of a control file in this process's control groups and all above them."""
    return [path.read_text().strip() for folder in _cgroup_folders() if (path := folder / name).is_file()]


def _cgroup_folders() -> Iterator[Path]:
    if not MEMBERSHIPS.exists():
        return
    for line in MEMBERSHIPS.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "cpu,cpuacct", "cpu", "memory"):
            continue
        root = CGROUPS / controllers
        group = Path(path.lstrip("/"))
        for folder in dict.fromkeys((group, *group.parents)):
            yield root / folder
