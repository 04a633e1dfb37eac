"""`method=augmentation`: what the augmentation does to training images."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tensorflow as tf
from omegaconf import DictConfig, OmegaConf

from cnnlab.augmentation.pipeline import Operation, Pipeline, StrengthOperation, apply_operation, build_pipeline
from cnnlab.augmentation.random_stream import RandomStream
from cnnlab.config.flat import plain
from cnnlab.config.instantiate import instantiate
from cnnlab.config.ranges import AT_LEAST_0, AT_LEAST_1
from cnnlab.config.targets import check_targets
from cnnlab.data.data_loader import build_data_loader
from cnnlab.data.dataset import Split
from cnnlab.data.load import load_dataset
from cnnlab.data.sample import decoded, draw
from cnnlab.data.sampler import EvaluationSampler
from cnnlab.errors import UserError
from cnnlab.visualize.drawing.grid import Row, draw_grid

BISECTIONS = 12  # halvings of the interval in which the largest strength that works is searched
NAMED_SHARE = 0.05  # of a mixed label, from which on a class is named
ALL = 0.995  # from which on its share goes without saying


def draw_augmentation(
    config: DictConfig,
    folder: Path,
    *,
    images: Annotated[int, AT_LEAST_1] = 8,
    strengths: Sequence[Annotated[float, AT_LEAST_0]] = (0.5, 1.0, 2.0),
) -> None:
    """Draw training images after each operation of `config.augmentation`, and each operation at several strengths.

    Writes pipeline.png (a row for the originals and one after each operation, as the pipeline of a training
    runs them), NAME.png for each operation that has a strength (a row per strength), and images.npz with the
    same rows as arrays: `original`, `pipeline/NAME`, `NAME/FACTOR`, labels as `targets/NAME`, and `seed`.

    Args:
        config: `dataset`, `augmentation`, `seeds` and `targets` are used.
        folder: where to write.
        images: how many images of the training split.
        strengths: factors of the options that an operation class lists as its `strength`. One that goes beyond
            what an option allows is replaced by the largest that does not, and marked so.

    Raises:
        UserError: an operation refuses its arguments or the number of images.
    """
    dataset = load_dataset(config.dataset, config.seeds.split)
    split, seed = dataset.splits["train"], config.seeds.augmentation
    drawn = draw(split, images, seed)
    shown = decoded(drawn)
    pipeline = build_pipeline(config.augmentation)
    pipeline.require_pairs(len(shown), "method.images")
    pipeline.adapt(split)
    targets = tf.one_hot(shown.labels, len(dataset.class_names))
    originals = Row("original", shown.images, _describe(targets, dataset.class_names))
    metadata = {"Title": "augmentation", "Seed": str(seed), "Dataset": dataset.name}
    arrays: dict[str, Any] = {"original": shown.images, "targets/original": targets.numpy(), "seed": np.int64(seed)}

    rows = [originals]
    for name, after, mixed in _stages(pipeline, drawn, targets, seed):
        rows.append(Row(f"after {name}", after, _describe(mixed, dataset.class_names)))
        arrays |= {f"pipeline/{name}": after, f"targets/{name}": mixed}
    title = f"{dataset.name} · " + (" → ".join(pipeline.operations) or "no augmentation")
    draw_grid(rows, folder / "pipeline.png", title, metadata)

    for name, operation in pipeline.operations.items():
        if not _strength(operation):
            continue
        rows = [originals]
        for label, changed in _at_strengths(
            config.augmentation[name], name, operation, strengths, split, config.targets
        ):
            after, mixed = _apply(changed, shown.images, targets, _stream(seed, len(shown)))
            rows.append(Row(label, after, _describe(mixed, dataset.class_names)))
            arrays[f"{name}/{label.split()[0]}"] = after
        draw_grid(rows, folder / f"{name}.png", f"{dataset.name} · {name}", metadata)
    np.savez_compressed(folder / "images.npz", **arrays)


def _stream(seed: int, count: int) -> RandomStream:
    return RandomStream(tf.constant([seed, 0]), count, 0, count, tf.range(count, dtype=tf.int64), 0)


def _stages(
    pipeline: Pipeline, split: Split, targets: tf.Tensor, seed: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """What `pipeline` makes of all images of a split as one batch, after each of its operations."""
    stream = _stream(seed, len(split))
    pixels = _loaded(pipeline, split, seed)
    for name, operation in pipeline.operations.items():
        pixels, targets = apply_operation(operation, pixels, targets, stream)
        yield name, pixels.numpy(), targets.numpy()


def _loaded(pipeline: Pipeline, split: Split, seed: int) -> tf.Tensor:
    """The images that a training's first step would be given, had it those of `split` in their order."""
    data_loader = build_data_loader(
        pipeline.before(split),
        EvaluationSampler(len(split), len(split)),
        tf.distribute.OneDeviceStrategy("CPU:0"),
        mode="stream",
        cache_limit_mib=0,
        cropping=pipeline.host_cropping(seed, len(split)),
    )
    images, _, _ = data_loader.select(data_loader.inputs(0, 1), 0, 0)
    return images


def _strength(operation: Operation) -> Sequence[str]:
    """The options that say how strong an operation is; an operation of the user's own need not name any."""
    return operation.strength if isinstance(operation, StrengthOperation) else ()


def _at_strengths(
    node: DictConfig,
    name: str,
    operation: Operation,
    strengths: Sequence[float],
    split: Split,
    packages: Sequence[str],
) -> Iterator[tuple[str, Operation]]:
    """The operation of `node` at each strength, with a title that tells the factor and its options."""
    options = _strength(operation)
    for factor in strengths:
        possible = _largest_possible(node, name, options, factor, packages)
        changed = _scaled(node, name, options, possible, packages)
        Pipeline({name: changed}).adapt(split)
        limit = "" if possible == factor else f" (the most of ×{factor:g})"
        values = [f"{option} {value:.3g}" for option, value in _options(node, options, possible).items()]
        yield "\n".join([f"×{possible:.3g}{limit}", *values]), changed


def _largest_possible(
    node: DictConfig, name: str, options: Sequence[str], factor: float, packages: Sequence[str]
) -> float:
    """The largest factor from 1 to `factor` that the operation accepts."""
    if _accepts(node, name, options, factor, packages):
        return factor
    low, high = 1.0, factor
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _accepts(node, name, options, middle, packages) else (low, middle)
    return low


def _accepts(node: DictConfig, name: str, options: Sequence[str], factor: float, packages: Sequence[str]) -> bool:
    try:
        _scaled(node, name, options, factor, packages)
    except UserError:
        return False
    return True


def _scaled(node: DictConfig, name: str, options: Sequence[str], factor: float, packages: Sequence[str]) -> Operation:
    values = plain(node, resolve=True) | _options(node, options, factor)
    check_targets(values, f"augmentation.{name}", packages)
    return instantiate(OmegaConf.create(values))


def _options(node: DictConfig, options: Sequence[str], factor: float) -> dict[str, float]:
    """The options times the factor; whole numbers, such as pixels, stay whole."""
    scaled = {option: node[option] * factor for option in options}
    return {option: round(value) if isinstance(node[option], int) else value for option, value in scaled.items()}


def _apply(
    operation: Operation, images: np.ndarray, targets: tf.Tensor, stream: RandomStream
) -> tuple[np.ndarray, np.ndarray]:
    after, mixed = apply_operation(operation, tf.constant(images), targets, stream)
    return after.numpy(), mixed.numpy()


def _describe(targets: np.ndarray | tf.Tensor, class_names: Sequence[str]) -> list[str]:
    """The class of each row of targets; of a mixed one, the classes with their shares, the largest first."""
    labels = []
    for row in np.asarray(targets):
        present = [number for number in np.argsort(-row) if row[number] >= NAMED_SHARE]
        shares = [class_names[number] + (f" {row[number]:.2f}" if row[number] < ALL else "") for number in present]
        labels.append("\n".join(shares))
    return labels
