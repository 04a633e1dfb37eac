"""The test accuracies the README quotes: trains each system as the command line would, and judges it once.

    CNNLAB_DATA=DIR python benchmarks/accuracy.py [digits] [mnist_cnn] [alexnet_small] [--output outputs/accuracy]

About half a minute per seed of digits, three minutes for mnist_cnn and ten for alexnet_small on four cores. Runs that
are there already are judged again, not trained again; one that was cut is resumed.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

SYSTEMS = {
    "digits": ("", range(5), 0.98),
    "mnist_cnn": ("experiment=mnist_cnn_seed", range(1), 0.991),
    "alexnet_small": ("experiment=alexnet_small_seed", range(1), 0.62),
}
"""Overrides, seeds and the accuracy to reach."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", choices=[*SYSTEMS, []], help="all if none is named")
    parser.add_argument("--output", type=Path, default=Path("outputs/accuracy"))
    options = parser.parse_args()
    for name in options.systems or SYSTEMS:
        overrides, seeds, target = SYSTEMS[name]
        accuracies = [measure(options.output / f"{name}-{seed}", overrides, seed) for seed in seeds]
        spread = f" ± {statistics.stdev(accuracies):.2%}" if len(accuracies) > 1 else ""
        print(f"{name}: {statistics.mean(accuracies):.2%}{spread} (n = {len(accuracies)}; to reach: {target:.1%})")
        print(f"    cnnlab train {overrides}".rstrip(), flush=True)


def measure(run: Path, overrides: str, seed: int) -> float:
    """Train (or resume) one run and return its best model's accuracy on the test split."""
    if (run / "run.json").exists():
        cnnlab("train", f"resume={run}")
    else:
        cnnlab("train", *shlex.split(overrides), f"seed={seed}", f"hydra.run.dir={run}", "trainer.progress=none")
    cnnlab("eval", f"run={run}", "split=test")
    return json.loads((run / "eval" / "test" / "metrics.json").read_text())["accuracy"]


def cnnlab(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "cnnlab.cli", *arguments], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
