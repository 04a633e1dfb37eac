"""What a sweep costs beside the trainings themselves, and whether its own memory grows with them.

    python benchmarks/sweep.py [--jobs 8]

The same trainings of one epoch on the digits are run as a sweep, one at a time, and one after the other as bare
`cnnlab train`. The memory is the sweep's own resident size when its first and when its last job begins.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

SMALL = ("input_shape=[8,8,1]", "model.padding=same", "trainer.epochs=1", "trainer.threads=1", "trainer.progress=none")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=8)
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as folder:
        bare = [seconds_of_bare(Path(folder), seed) for seed in range(jobs)]
        whole, memory = seconds_of_sweep(Path(folder), jobs)
    one = sum(bare) / jobs
    each = whole / jobs
    print(f"{jobs} jobs: {each:.2f} s each in a sweep, {one:.2f} s each alone: {each - one:+.2f} s per job")
    print(f"the sweep's own memory: {memory[0]:.1f} MiB at the first job, {memory[-1]:.1f} MiB at the last")


def seconds_of_bare(folder: Path, seed: int) -> float:
    """Seconds that one training takes by itself."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "cnnlab", "train", f"seed={seed}", f"hydra.run.dir={folder}/{seed}", *SMALL]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def seconds_of_sweep(folder: Path, jobs: int) -> tuple[float, list[float]]:
    """Seconds that a sweep over as many seeds takes, and its resident MiB whenever it says that a job begins."""
    seeds = ",".join(map(str, range(jobs)))
    command = [sys.executable, "-m", "cnnlab", "train", "-m", f"seed={seeds}", "sweep.name=test", *SMALL]
    start, memory = time.perf_counter(), []
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if " begins on " in line:
                memory.append(_resident_mib(process.pid))
    return time.perf_counter() - start, memory


def _resident_mib(pid: int) -> float:
    return psutil.Process(pid).memory_info().rss / 2**20


if __name__ == "__main__":
    main()
