"""The variables of a training by names that say where each belongs, whatever Keras has counted up to."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import keras

from cnnlab.training.train_state import TrainState


def training_variables(train_state: TrainState) -> dict[str, keras.Variable]:
    """Everything a checkpoint holds, by its place, in a fixed order.

    "network/conv1/kernel" and "preprocessing/normalization/mean" are variables of layers,
    "optimizer/conv1/kernel/momentum" is the optimizer's for a weight, "optimizer/iteration" its own,
    "lookahead/conv1/kernel" the slow copy of a weight, and "metric/auc/true_positives" part of a metric's state.
    """
    network = train_state.network
    places = dict(zip((v.path for v in network.variables), variable_places(network.variables), strict=True))
    named = [(f"network/{places[variable.path]}", variable) for variable in network.variables]
    trained = {variable.path: places[variable.path] for variable in network.trainable_variables}
    named += [(f"optimizer/{_slot(variable, trained)}", variable) for variable in train_state.optimizer.variables]
    preprocessing = train_state.preprocessing.variables
    named += zip((f"preprocessing/{place}" for place in variable_places(preprocessing)), preprocessing, strict=True)
    if train_state.lookahead:
        named += [(f"lookahead/{places[fast.path]}", slow) for fast, slow in train_state.lookahead.pairs]
    named += [(f"metric/{name}", variable) for name, variable in train_state.metrics.variables]
    return dict(zip(_distinct(name for name, _ in named), (variable for _, variable in named), strict=True))


def variable_places(variables: Sequence[keras.Variable]) -> list[str]:
    """The path of each variable within its model: layers, then the variable.

    Keras numbers layers without a name of their own, and dropout's generators, through the whole process: the same
    model may have dense_1 in one process and dense_7 in another. Numbered names count from the first of their kind
    within the model here: dense, dense_1.
    """
    numbers: dict[tuple[str, str], set[int]] = {}
    paths = [variable.path.split("/") for variable in variables]
    for path in paths:
        for depth, part in enumerate(path[:-1]):
            base, number = _numbered(part)
            numbers.setdefault(("/".join(path[:depth]), base), set()).add(number)

    def place(path: list[str]) -> str:
        parts = []
        for depth, part in enumerate(path[:-1]):
            base, number = _numbered(part)
            rank = sorted(numbers["/".join(path[:depth]), base]).index(number)
            parts.append(f"{base}_{rank}" if rank else base)
        return "/".join([*parts, path[-1]])

    return _distinct(map(place, paths))


def _numbered(name: str) -> tuple[str, int]:
    """A layer's name without its number, and the number; 0 for none, as Keras counts."""
    found = re.fullmatch(r"(.+)_(\d+)", name)
    return (found[1], int(found[2])) if found else (name, 0)


def _slot(variable: keras.Variable, trained: dict[str, str]) -> str:
    """The place of an optimizer's variable, which Keras calls sgd/conv1_kernel_momentum: conv1/kernel/momentum.

    Args:
        trained: the place of each trained variable by its path.
    """
    name = variable.path.partition("/")[2] or variable.path
    owners = [path for path in trained if name.startswith(f"{path.replace('/', '_')}_")]
    if not owners:
        return name
    owner = max(owners, key=len)
    return f"{trained[owner]}/{name[len(owner) + 1 :]}"


def _distinct(names: Iterable[str]) -> list[str]:
    """The names, with a number behind each that came before; Keras gives some variables the same."""
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        distinct.append(f"{name}#{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return distinct
