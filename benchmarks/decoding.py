"""How fast image files are read for training: cnnlab, Keras's image_dataset_from_directory and a PyTorch DataLoader.

    python benchmarks/decoding.py [--rounds 5] [--seconds 8]

Photographs are made of scikit-learn's two, cut and coloured at random, as JPEG of quality 90: 1024×768 pixels, which
are brought to 224×224, and 193×180, which are brought to 150×150. Each reader is a process of its own, and they take
turns, so that a drifting machine meets all of them; medians and ratios are printed.

- `cnnlab`: augmentation=[random_resized_crop,flip] for the large, resize=crop for the small ones; antialiased.
- `keras`: image_dataset_from_directory, which resizes the whole image, not antialiased, and augments nothing.
- `torch`: Pillow's crop, bilinear resize and mirroring, with as many workers as there are cores; if torch is there.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

BATCH = 32
WARMUP = 5  # batches
SETS = {"large": ((1024, 768), 224, 300), "small": ((193, 180), 150, 2000)}
"""Width and height of the files, side that they are brought to, and how many there are."""


def make_photographs(folder: Path) -> None:
    """The files of each set, in two class folders."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(0)
    sources = [Image.fromarray(image) for image in load_sample_images().images]
    for name, (size, _, count) in SETS.items():
        for number in range(count):
            source = sources[number % 2]
            left, top = rng.integers(0, source.width // 4), rng.integers(0, source.height // 4)
            box = (left, top, left + source.width * 3 // 4, top + source.height * 3 // 4)
            path = folder / name / f"class{number % 2}" / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.asarray(source.resize(size, Image.Resampling.BICUBIC, box), np.float32)
            noisy = pixels * rng.uniform(0.7, 1.1, 3) + rng.normal(0, 3, pixels.shape)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)


def cnnlab_batches(folder: Path, side: int, large: bool) -> Iterator[object]:
    import tensorflow as tf
    from omegaconf import OmegaConf

    from cnnlab.augmentation.pipeline import build_pipeline
    from cnnlab.augmentation.random_stream import RandomStream
    from cnnlab.data.data_loader import build_data_loader
    from cnnlab.data.image_folder import image_folder
    from cnnlab.data.sampler import TrainingSampler

    split = image_folder(root=str(folder), image_shape=(side, side, 3)).splits["train"]
    operations = {
        "random_resized_crop": {
            "_target_": "cnnlab.augmentation.random_resized_crop.RandomResizedCrop",
            "image_shape": [side, side, 3],
        },
        "flip": {"_target_": "cnnlab.augmentation.flip.Flip"},
    }
    pipeline = build_pipeline(OmegaConf.create(operations if large else {}))
    pipeline.adapt(split)
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    loader = build_data_loader(
        split,
        TrainingSampler(len(split), BATCH, 0),
        strategy,
        mode="stream",
        cache_limit_mib=0,
        cropping=pipeline.host_cropping(0, BATCH),
    )

    @tf.function
    def augmented(images: tf.Tensor, indices: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        stream = RandomStream(tf.stack([0, step]), BATCH, 0, BATCH, indices, tf.constant(0, tf.int64))
        return pipeline(images, tf.zeros((BATCH, 2)), stream)[0]

    step = 0
    while True:
        images, _, indices = loader.inputs(step, 1)
        yield augmented(images, indices, tf.constant(step))
        step += 1


def keras_batches(folder: Path, side: int, large: bool) -> Iterator[object]:
    import keras
    import tensorflow as tf

    dataset = keras.utils.image_dataset_from_directory(
        folder, image_size=(side, side), batch_size=BATCH, verbose=False
    ).repeat()
    yield from dataset.prefetch(tf.data.AUTOTUNE)


def torch_batches(folder: Path, side: int, large: bool) -> Iterator[object]:
    import torch

    paths = sorted(folder.rglob("*.jpg"))

    class Photographs(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> torch.Tensor:
            rng = np.random.default_rng()
            image = Image.open(paths[index]).convert("RGB")
            if large:
                image = image.crop(window(rng, image.size)).resize((side, side), Image.Resampling.BILINEAR)
                if rng.random() < 0.5:
                    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            else:
                edge = min(image.size)
                left, top = (image.width - edge) // 2, (image.height - edge) // 2
                box = (left, top, left + edge, top + edge)
                image = image.resize((side, side), Image.Resampling.BILINEAR, box)
            return torch.from_numpy(np.asarray(image).copy())

    loader = torch.utils.data.DataLoader(
        Photographs(), BATCH, shuffle=True, drop_last=True, num_workers=os.cpu_count() or 1, persistent_workers=True
    )
    while True:
        yield from loader


def window(rng: np.random.Generator, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The rule of torchvision's RandomResizedCrop with its defaults."""
    for _ in range(10):
        area, ratio = rng.uniform(0.08, 1) * size[0] * size[1], np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        width, height = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if width <= size[0] and height <= size[1]:
            left, top = rng.integers(0, size[0] - width + 1), rng.integers(0, size[1] - height + 1)
            return left, top, left + width, top + height
    return 0, 0, *size


READERS = {"cnnlab": cnnlab_batches, "keras": keras_batches, "torch": torch_batches}


def images_per_second(batches: Iterable[object], seconds: float) -> float:
    iterator = iter(batches)
    for _ in range(WARMUP):
        next(iterator)
    started, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        next(iterator)
        count += BATCH
    return count / elapsed


def measure(reader: str, name: str, folder: Path, seconds: float) -> float:
    """The speed of a reader, in a process of its own."""
    command = [sys.executable, __file__, "--only", reader, name, str(folder), "--seconds", str(seconds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--only", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        reader, name, folder = options.only
        batches = READERS[reader](Path(folder) / name, SETS[name][1], name == "large")
        print(images_per_second(batches, options.seconds))
        return
    readers = [name for name in READERS if name != "torch" or importlib.util.find_spec("torch")]
    with tempfile.TemporaryDirectory() as directory:
        make_photographs(Path(directory))
        for name, (size, side, _) in SETS.items():
            speeds: dict[str, list[float]] = {reader: [] for reader in readers}
            for _ in range(options.rounds):
                for reader in readers:
                    speeds[reader].append(measure(reader, name, Path(directory), options.seconds))
            print(f"{size[0]}x{size[1]} to {side}x{side}, images/s, median of {options.rounds}:")
            for reader, found in speeds.items():
                ratios = [ours / theirs for ours, theirs in zip(speeds["cnnlab"], found, strict=True)]
                spread = f"{min(found):,.0f} to {max(found):,.0f}"
                print(
                    f"  {reader:7} {statistics.median(found):7,.0f} ({spread}); "
                    f"cnnlab is {statistics.median(ratios):.2f} times as fast"
                )


if __name__ == "__main__":
    main()
