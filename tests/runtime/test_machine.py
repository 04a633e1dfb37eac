"""What the machine offers, from files as the kernel writes them."""

import platform

import pytest

from cnnlab.runtime import machine


def test_the_processor_is_called_what_the_system_calls_it(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    assert machine.processor_name() == (platform.processor() or platform.machine())
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some Processor 9000\n")
    assert machine.processor_name() == "Some Processor 9000"


@pytest.mark.parametrize(
    ("files", "cores", "memory"),
    [
        ({}, None, None),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        ({"cpu.max": "150000 100000", "memory.max": "1048576"}, 1.5, 2**20),
        ({"job/cpu.max": "max 100000", "cpu.max": "400000 100000", "job/memory.max": "4096"}, 4.0, 4096),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None, None),
        (
            {"cpu/job/cpu.cfs_quota_us": "50000", "cpu/job/cpu.cfs_period_us": "100000"}
            | {"memory/job/memory.limit_in_bytes": "8192", "memory/memory.limit_in_bytes": str(2**63 - 4096)},
            0.5,
            8192,
        ),
    ],
)
def test_the_tightest_limit_of_all_control_groups_counts(tmp_path, monkeypatch, files, cores, memory):
    for name, content in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(content + "\n")
    (tmp_path / "memberships").write_text("4:memory:/job\n3:cpu:/job\n2:pids:/job\n0::/job\n")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "MEMBERSHIPS", tmp_path / "memberships")
    assert machine.core_limit() == cores
    assert machine.memory_limit_bytes() == memory


def test_gpus_are_asked_of_the_driver(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA X100, 81559 MiB, 999.9'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.installed_gpus() == ["NVIDIA X100, 81559 MiB, 999.9"]


def test_a_gpu_without_its_tools_is_found_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA X100\nIRQ: 1\n")
    monkeypatch.setattr(machine, "NVIDIA_DRIVER", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert machine.installed_gpus() == ["NVIDIA X100"]


def test_without_gpu_and_driver_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "NVIDIA_DRIVER", tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.installed_gpus() == []
