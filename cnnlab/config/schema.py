"""The keys of a configuration that no `_target_` declares, with their types and ranges.

A group's other keys are the arguments of its `_target_`, whose signature is their schema.
"""

from typing import Annotated, Any, Literal, TypedDict

from cnnlab.config.durations import DurationLike, TimedDurationLike
from cnnlab.config.ranges import AT_LEAST_0, AT_LEAST_1, AT_LEAST_2, POSITIVE, SEED, SHARE
from cnnlab.config.tta import TestTimeAugmentation
from cnnlab.config.types import shown
from cnnlab.errors import UserError

Count = Annotated[int, AT_LEAST_1]

TABLE_FORMAT = ("path_column", "label_column", "split_column", "encoding", "delimiter")
"""The keys of `dataset=table` that another table is read by as well, and that may stand beside `data=`."""


def _check_image_shape(value: list[int], key: str) -> None:
    if min(value) < 1 or value[2] not in (1, 3):
        raise UserError(f"{key}={shown(value)}: must be [height, width, channels], with 1 or 3 channels")


ImageShape = Annotated[tuple[int, int, int], _check_image_shape]


class HeldOut(TypedDict, total=False):
    """The key of datasets that have no test split of their own."""

    test_fraction: Annotated[float, SHARE] | None


class Stored(TypedDict, total=False):
    """The key of datasets whose images are stored larger than they are shown; those of one's own need none."""

    resize_size: Count | None


class SplitsAndSampling(TypedDict, total=False):
    """How a dataset is divided into folds and drawn from; datasets of one's own need none of the keys."""

    folds: Annotated[int, AT_LEAST_2] | None
    fold: Annotated[int, AT_LEAST_0] | None
    sampling: Literal["shuffled", "balanced"]


class Dataset(HeldOut, Stored, SplitsAndSampling):
    """The keys of conf/dataset that are not the reader's."""

    name: str
    image_shape: ImageShape
    num_classes: Count | None
    validation: Literal["auto", "none", "published"] | Annotated[float, SHARE]


class Preprocessing(TypedDict):
    """The layers of a model before its network."""

    rescaling: bool
    contrast_normalization: bool
    normalization: bool
    zca_epsilon: Annotated[float, POSITIVE] | None


class ManyHeaded(TypedDict, total=False):
    """The key of models that have auxiliary heads."""

    auxiliary_loss_weight: Annotated[float, AT_LEAST_0]


class OwnModel(TypedDict, total=False):
    """The key of models of one's own: what they end in; cnnlab's end in logits."""

    outputs: Literal["auto", "logits", "probabilities"]


class Model(ManyHeaded, OwnModel):
    """The keys of conf/model that are not the builder's."""

    name: str
    head: Literal["softmax", "sigmoid"]
    preprocessing: Preprocessing


class Initializer(TypedDict):
    """The keys of conf/initializer that are not the Keras initializer's."""

    name: str
    bias: float | None


class Schedule(TypedDict):
    """The keys of conf/schedule that are not the schedule's."""

    name: str
    warmup: DurationLike


class LossByName(TypedDict, total=False):
    """The key of loss=keras."""

    loss: str


class Loss(LossByName):
    """The keys of conf/loss that are not the loss's."""

    name: str
    class_weight: Literal["balanced"] | dict[str, Annotated[float, AT_LEAST_0]] | None


class Metric(TypedDict, total=False):
    """The keys of conf/metric that are not the metric's: of metric=keras the class."""

    name: str
    metric: str


class Lookahead(TypedDict, total=False):
    """The keys of optimizers whose weights go back part of the way now and then; those of one's own need none."""

    lookahead_every: Count | None
    lookahead_decay: Annotated[float, SHARE]
    lookahead_power: Annotated[float, AT_LEAST_0]


class LayerRates(TypedDict, total=False):
    """The keys of optimizers for layers that learn more slowly, or later; those of one's own need none."""

    layer_multipliers: dict[str, Annotated[float, AT_LEAST_0]] | None
    layer_decay: Annotated[float, SHARE] | None
    layer_starts: dict[str, DurationLike] | None


class Optimizer(Lookahead, LayerRates):
    """The keys of conf/optimizer that are not the Keras optimizer's."""

    name: str


class Unnamed(TypedDict):
    """The group whose options have nothing beside the arguments of their target."""


class Named(TypedDict):
    """Groups whose options have nothing but a label beside the arguments of their target."""

    name: str


GROUPS: dict[str, Any] = {
    "dataset": Dataset,
    "augmentation": Named,
    "model": Model,
    "initializer": Initializer,
    "loss": Loss,
    "metric": Metric,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "trainer": Unnamed,
    "logger": Named,
}


SEVERAL = ("augmentation", "metric", "logger")
"""Groups of which several options may be chosen, each of which is built of a `_target_` of its own."""

METHODS: dict[str, type] = {"method": Named}
"""The group that only `visualize` has."""


class Seeds(TypedDict):
    """Independent seeds; null derives one from `seed`."""

    initializer: Annotated[int, SEED] | None
    shuffle: Annotated[int, SEED] | None
    augmentation: Annotated[int, SEED] | None
    split: Annotated[int, SEED] | None


class Sweep(TypedDict):
    """How a sweep is run; no part of what a run is trained with."""

    name: str | None
    retry_failed: bool
    dry_run: bool
    job_timeout: TimedDurationLike | None


class Train(TypedDict):
    """conf/train.yaml; the groups are checked against their targets."""

    dataset: dict[str, Any]
    augmentation: dict[str, Any]
    model: dict[str, Any]
    initializer: dict[str, Any]
    loss: dict[str, Any]
    metric: dict[str, Any]
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    trainer: dict[str, Any]
    logger: dict[str, Any]
    name: str
    seed: Annotated[int, AT_LEAST_0]
    seeds: Seeds
    input_shape: ImageShape | None
    num_classes: Count | None
    weights: str | None
    weights_map: str | None
    weights_head: Literal["drop"] | None
    resume: str | None
    targets: list[str]


class Visualize(Train):
    """conf/visualize.yaml; the method is checked against its target."""

    run: str | None
    method: dict[str, Any]


class Inspect(Train):
    """conf/inspect.yaml."""

    format: Literal["table", "json"]
    initializers: list[str]
    placement: bool


Format = Literal["saved_model", "onnx", "litert"]

PRECISIONS = {
    "saved_model": ("float32",),
    "onnx": ("float32", "float16", "int8"),
    "litert": ("float32", "float16", "int8"),
}
"""What each format of exported files has; the first is meant where none is named."""

Backend = Literal["saved_model", "onnx", "onnx/float16", "onnx/int8", "litert", "litert/float16", "litert/int8"]


class Eval(Train):
    """conf/eval.yaml."""

    run: str | None
    data: str | None
    split: Literal["train", "validation", "test"]
    tta: TestTimeAugmentation
    batch_size: Count | None
    backend: Backend | None


class Predict(Train):
    """conf/predict.yaml; the keys of `Train` come from the run."""

    run: str
    images: str | list[str]
    top: Count
    tta: TestTimeAugmentation
    batch_size: Count | None
    output: str | None


class Export(Train):
    """conf/export.yaml; the keys of `Train` come from the run."""

    run: str
    format: Format | list[Format]
    precision: Literal["float32", "float16", "int8"]
    check_images: Count
    calibration_images: Count
    tolerance: Annotated[float, POSITIVE] | None


class Compare(TypedDict):
    """conf/compare.yaml."""

    runs: str | list[str]
    by: str | None
    baseline: str | None
    smoothing: Count
    confidence: Annotated[float, SHARE]


class Doctor(TypedDict):
    """conf/doctor.yaml."""

    format: Literal["table", "json"]


COMMANDS: dict[str, type] = {
    "train": Train,
    "eval": Eval,
    "predict": Predict,
    "export": Export,
    "inspect": Inspect,
    "visualize": Visualize,
    "doctor": Doctor,
    "compare": Compare,
}
