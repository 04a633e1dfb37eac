"""How the GPUs, or the cores, of this machine are shared among jobs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console

from cnnlab.errors import UserError
from cnnlab.runtime.machine import finds_cudnn, installed_gpus, usable_cores


@dataclass(frozen=True)
class Slot:
    """What a job has to itself, or shares: GPUs or cores.

    Attributes:
        name: as shown, such as "gpu 0" or "cpu".
        environment: variables it adds: which GPUs TensorFlow sees.
        cores: the processor cores it is bound to; None for all.
    """

    name: str
    environment: Mapping[str, str]
    cores: frozenset[int] | None = None


def make_slots(slots: str | int) -> list[Slot]:
    """The slots of this machine, one per job that runs at a time.

    Args:
        slots: how many; "auto" for one per GPU, and one where there is none.

    Returns:
        As many slots. Fewer than there are GPUs have several each, more share them. Without GPUs the cores are
        divided, so that every job counts the same number of threads whatever runs beside it.

    Raises:
        UserError: there are fewer cores than slots, or slots is no count.
    """
    gpus = _visible_gpus()
    if slots == "auto":
        slots = max(1, len(gpus))
        if len(gpus) > 1 and not finds_cudnn():  # TensorFlow itself is not asked: it is the jobs that import it
            _tell(
                f"hydra.launcher.slots=auto: {slots} jobs at a time, one per GPU, but no cuDNN was found, so "
                "TensorFlow may see none: pip install 'cnnlab[gpu]', or hydra.launcher.slots=1; cnnlab doctor tells"
            )
    if not isinstance(slots, int) or isinstance(slots, bool) or slots < 1:
        raise UserError(f"hydra.launcher.slots={slots}: must be auto, or how many jobs run at a time, 1 or more")
    if gpus:
        shares = [gpus[number::slots] or [gpus[number % len(gpus)]] for number in range(slots)]
        return [Slot(f"gpu {','.join(share)}", {"CUDA_VISIBLE_DEVICES": ",".join(share)}) for share in shares]
    if slots == 1:
        return [Slot("cpu", {})]
    count = usable_cores()
    each = count // slots
    if each == 0:
        raise UserError(f"hydra.launcher.slots={slots}: this machine has {count} cores; at most {count}")
    if not hasattr(os, "sched_setaffinity"):
        _tell(
            f"hydra.launcher.slots={slots}: this system binds no process to cores, so that each job uses all {count}; "
            f"trainer.threads={each} divides them"
        )
        return [Slot(f"cpu {number}", {}) for number in range(slots)]
    cores = sorted(os.sched_getaffinity(0))
    bound = [frozenset(cores[number * each : (number + 1) * each]) for number in range(slots)]
    return [Slot(f"cpu {_span(share)}", {}, share) for share in bound]


def _tell(message: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(message)


def _visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may name: its own value, or a number per GPU of the machine."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(number) for number in range(len(installed_gpus()))]
    return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]


def _span(cores: frozenset[int]) -> str:
    ordered = sorted(cores)
    whole = ordered == list(range(ordered[0], ordered[-1] + 1))
    return f"{ordered[0]}-{ordered[-1]}" if whole and len(ordered) > 1 else ",".join(map(str, ordered))
