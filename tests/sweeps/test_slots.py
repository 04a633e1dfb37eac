"""How GPUs and cores are shared among jobs."""

import os

import pytest

from cnnlab.errors import UserError
from cnnlab.sweeps import slots as module
from cnnlab.sweeps.slots import make_slots

CORES = len(os.sched_getaffinity(0))


@pytest.fixture
def gpus(monkeypatch):
    """`gpus(n)` makes believe that the driver lists n GPUs, all of them visible."""

    def install(count: int) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(module, "installed_gpus", lambda: ["GPU"] * count)

    return install


def visible(slots) -> list[str]:
    return [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in make_slots(slots)]


def test_without_gpus_one_job_has_all_cores(gpus):
    gpus(0)
    (slot,) = make_slots("auto")
    assert (slot.name, slot.environment, slot.cores) == ("cpu", {}, None)


def test_every_gpu_has_a_job_of_its_own(gpus):
    gpus(3)
    assert visible("auto") == ["0", "1", "2"]
    assert [slot.name for slot in make_slots("auto")] == ["gpu 0", "gpu 1", "gpu 2"]


def test_gpus_that_tensorflow_cannot_use_are_told(gpus, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.path", [])  # no wheels of NVIDIA's
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setattr("cnnlab.runtime.machine.find_library", lambda name: None)
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    gpus(2)
    make_slots("auto")
    told = capsys.readouterr().err
    assert told.startswith("hydra.launcher.slots=auto: 2 jobs at a time, one per GPU, but no cuDNN was found")
    assert "pip install 'cnnlab[gpu]'" in told
    make_slots(2)  # as was asked for
    (tmp_path / "libcudnn.so.9").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere:{tmp_path}")
    make_slots("auto")
    assert capsys.readouterr().err == ""


def test_where_a_system_binds_no_process_the_jobs_share_the_cores_which_is_told(gpus, monkeypatch, capsys):
    gpus(0)
    monkeypatch.delattr(os, "sched_setaffinity")
    monkeypatch.setattr("cnnlab.sweeps.slots.usable_cores", lambda: 8)
    assert [slot.cores for slot in make_slots(2)] == [None, None]
    assert "binds no process to cores, so that each job uses all 8; trainer.threads=4" in capsys.readouterr().err


def test_fewer_slots_have_several_gpus_each_and_more_share_them(gpus):
    gpus(4)
    assert visible(2) == ["0,2", "1,3"]
    gpus(2)
    assert visible(3) == ["0", "1", "0"]


def test_only_gpus_that_the_user_left_visible_are_used(gpus, monkeypatch):
    gpus(4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 1")
    assert visible("auto") == ["3", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert make_slots("auto")[0].name == "cpu"


@pytest.mark.skipif(CORES < 2, reason="one core cannot be divided")
def test_cores_are_divided_evenly_and_belong_to_one_job_each(gpus):
    gpus(0)
    shares = [slot.cores for slot in make_slots(2)]
    assert [len(share) for share in shares] == [CORES // 2] * 2
    assert not shares[0] & shares[1]


@pytest.mark.parametrize("slots", [0, -1, "many", True, 1.5])
def test_no_count_is_refused(gpus, slots):
    gpus(0)
    with pytest.raises(UserError, match=r"hydra\.launcher\.slots"):
        make_slots(slots)


def test_more_jobs_than_cores_are_refused(gpus):
    gpus(0)
    with pytest.raises(UserError, match=f"at most {CORES}"):
        make_slots(CORES + 1)
