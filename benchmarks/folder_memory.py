"""Training on a folder of images whose decoded size exceeds the memory the process may have.

    python benchmarks/folder_memory.py --images 100000 --size 192 --limit-gib 6 --steps 200

Writes that many distinct JPEG files into ten class folders, then runs `cnnlab train` on them, streamed, under a hard
limit on its address space (`ulimit -v`), and prints the decoded size, the limit and the peak of resident memory.
The shuffling is over all files; only the images in flight are decoded. With --folder DIR the files are kept and
used again.
"""

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 10
DISTINCT = 1000  # images that are really encoded; the other files differ from them in a comment
GIB = 2**30


def main() -> None:
    arguments = parse_arguments()
    decoded = arguments.images * arguments.size**2 * 3
    limit = int(arguments.limit_gib * GIB)
    if limit >= decoded:
        sys.exit(f"the limit of {limit / GIB:.1f} GiB must be below the decoded size, {decoded / GIB:.1f} GiB")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "images"
        if not folder.exists():
            write_images(folder, arguments.images, arguments.size)
        started = time.perf_counter()
        train(folder, arguments, limit, Path(temporary) / "run")
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # Linux counts in KiB
    print(f"{arguments.images:,} images of {arguments.size}×{arguments.size}×3, decoded {decoded / GIB:.1f} GiB")
    print(f"address space limited to {limit / GIB:.1f} GiB; peak resident memory {peak / GIB:.2f} GiB")
    print(f"{arguments.steps} steps of {arguments.batch_size} images in {seconds:.0f} s, start and scan included")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=192, help="height and width in pixels")
    parser.add_argument("--limit-gib", type=float, default=6.0, help="address space of the training process")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--folder", type=Path, help="keep the images here, or use those that are here")
    return parser.parse_args()


def write_images(folder: Path, count: int, size: int) -> None:
    """Write `count` distinct JPEG files of coarse noise, in equal shares per class."""
    started = time.perf_counter()
    bases = encode_images(min(count, DISTINCT), size)
    for number in range(CLASSES):
        (folder / f"class_{number}").mkdir(parents=True)
    for index in range(count):
        comment = b"%08d" % index
        segment = b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment
        base = bases[index % len(bases)]
        path = folder / f"class_{index % CLASSES}" / f"{index:08}.jpg"
        path.write_bytes(base[:2] + segment + base[2:])
    print(f"wrote {count:,} files into {folder} in {time.perf_counter() - started:.0f} s")


def encode_images(count: int, size: int) -> list[bytes]:
    random = np.random.default_rng(0)
    encoded = []
    for _ in range(count):
        buffer = io.BytesIO()
        noise = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8))
        noise.resize((size, size), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
        encoded.append(buffer.getvalue())
    return encoded


def train(folder: Path, arguments: argparse.Namespace, limit: int, run: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "cnnlab", "train", "dataset=image_folder", "model=mnist_cnn"),
            *(f"dataset.root={folder}", f"dataset.image_shape=[{arguments.size},{arguments.size},3]"),
            *(f"dataset.num_classes={CLASSES}", "dataset.validation=none"),
            *("trainer.data=stream", f"trainer.steps={arguments.steps}", f"trainer.batch_size={arguments.batch_size}"),
            f"hydra.run.dir={run}",
        ],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        check=True,
    )


if __name__ == "__main__":
    main()
