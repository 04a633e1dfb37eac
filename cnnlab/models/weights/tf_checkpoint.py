"""Weights from TensorFlow's checkpoints: those of `tf.compat.v1.train.Saver`, and of `tf.train.Checkpoint`."""

import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from cnnlab.errors import UserError, one_line
from cnnlab.models.weights.stored_weights import Layout, StoredWeights, numbered

SUFFIX = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
"""Ends every name in a checkpoint of `tf.train.Checkpoint`."""

OPTIMIZER = re.compile(
    r"(Adam|AdamW|Adamax|AdaMax|Nadam|NAdam|AMSGrad|Adagrad|AdagradDA|Adadelta|Ftrl|FTRL|SGD|Momentum|RMSProp|RMSprop|"
    r"LAMB|LazyAdam|optimizer|\.OPTIMIZER_SLOT)(_\d+)?"
)
AVERAGE = re.compile(r"ExponentialMovingAverage(_\d+)?")
BOOKKEEPING = re.compile(
    r"(beta[12]_power|global_step|local_step|iter|iterations|learning_rate|decay|save_counter|"
    r"_CHECKPOINTABLE_OBJECT_GRAPH)(_\d+)?"
)


def is_checkpoint(path: Path) -> bool:
    """Whether a path looks like a checkpoint: a folder, a prefix, one of its files, or any `.ckpt`."""
    return path.is_dir() or SUFFIX.search(path.name) is not None or _is_prefix(path) or ".ckpt" in path.name


def read_tf_checkpoint(path: Path, where: str) -> StoredWeights:
    """Read the variables of a checkpoint in natural order, without those of optimizers and moving averages.

    Args:
        path: a prefix such as `model.ckpt`, one of its files, or a folder with a `checkpoint` file, whose latest one
            is taken. The graph in its `.meta` is not read.
        where: begins messages.

    Raises:
        UserError: there is no checkpoint, it is damaged or incomplete, or holds no weights.
    """
    prefix = _latest(path, where) if path.is_dir() else path.with_name(SUFFIX.sub("", path.name))
    if not _is_there(prefix):
        if path.is_file():
            raise UserError(f"{where}: is part of a checkpoint whose {prefix.name}.index is not beside it")
        raise UserError(f"{where}: no such file; of a checkpoint, give what its files begin with, such as model.ckpt")
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        names = sorted(reader.get_variable_to_shape_map(), key=_natural)
        unneeded = {name: kind for name in names if (kind := _unneeded(name, names))}
        arrays = {_plain(name): np.asarray(reader.get_tensor(name)) for name in names if name not in unneeded}
    except (tf.errors.OpError, RuntimeError, ValueError, LookupError) as error:
        reason = one_line(error)[:200]
        raise UserError(f"{where}: damaged, incomplete or no checkpoint; TensorFlow says: {reason}") from error
    counts = [
        f"{number} of {kind}"
        for kind in ("an optimizer", "moving averages", "bookkeeping")
        if (number := list(unneeded.values()).count(kind))
    ]
    left_out = f"arrays: {', '.join(counts)}" if counts else None
    if not arrays:
        raise UserError(f"{where}: holds no weights{f', only {left_out}' if left_out else ''}")
    return StoredWeights(
        arrays,
        ordered=False,
        layouts=(Layout(),),
        description=f"TensorFlow checkpoint {prefix.name}",
        left_out=left_out,
    )


def _is_prefix(path: Path) -> bool:
    return path.with_name(f"{path.name}.index").is_file()


def _is_there(prefix: Path) -> bool:
    return _is_prefix(prefix) or prefix.is_file()  # of TensorFlow before 1.0, one file


def _latest(folder: Path, where: str) -> Path:
    """The checkpoint that a folder's `checkpoint` file names, wherever the folder lies by now."""
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except (tf.errors.OpError, ValueError) as error:
        raise UserError(f"{where}: its file `checkpoint` cannot be read ({error})") from error
    prefixes = sorted(file.name.removesuffix(".index") for file in folder.glob("*.index"))
    if state is None or not state.model_checkpoint_path:
        found = f"; there are {', '.join(prefixes)}: give one of them" if prefixes else ", nor any other checkpoint"
        raise UserError(f"{where}: a folder without a file `checkpoint`{found}")
    named = Path(state.model_checkpoint_path)
    moved = folder / named.name
    for prefix in (moved, named):
        if _is_there(prefix):
            return prefix
    raise UserError(f"{where}: its file `checkpoint` names {named.name}, which is not there")


def _natural(name: str) -> tuple[str, tuple[int, ...], str]:
    layer, _, array = _plain(name).rpartition("/")
    return *numbered(layer or array), array


def _plain(name: str) -> str:
    return name.removesuffix(VALUE)


def _unneeded(name: str, names: list[str]) -> str | None:
    """What a variable is for, where it is none of the network: slots lie below the variable that they belong to."""
    parts = _plain(name).split("/")
    if any(AVERAGE.fullmatch(part) for part in parts):
        return "moving averages"
    if any(OPTIMIZER.fullmatch(part) for part in parts):
        return "an optimizer"
    if BOOKKEEPING.fullmatch(parts[-1]):
        return "bookkeeping"
    return "an optimizer" if "/".join(parts[:-1]) in names else None
