"""Which array of a file belongs to which variable of a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import keras

from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError
from cnnlab.models.weights.by_layer import pair_by_layer
from cnnlab.models.weights.stored_weights import (
    Layout,
    Misfit,
    Shape,
    StoredWeights,
    difference,
    left_empty,
    left_over,
    role_of,
)


@dataclass(frozen=True)
class Pairing:
    """What each variable gets.

    Attributes:
        layout: of the file, one of those it may have.
        pairs: an array's name and the variable that gets it, in the order of the network.
        left_out: names of arrays that nothing gets: those of the head, and those that a map leaves out.
    """

    layout: Layout
    pairs: list[tuple[str, keras.Variable]]
    left_out: list[str]


def pair_weights(
    stored: StoredWeights,
    network: keras.Model,
    where: str,
    mapping: Mapping[str, str | None] | None = None,
    head: Sequence[keras.Variable] = (),
) -> Pairing:
    """Decide which array belongs to which variable: by the map, then by equal names, by order, or layer by layer.

    Where all names are equal, these decide. Else the arrays of a file that has an order are taken in it, and those of
    other files as `pair_by_layer` finds them.

    Args:
        stored: what the file holds.
        network: whose variables.
        where: begins messages, such as "weights=FILE".
        mapping: names in the file to paths of variables, which are decided so; None for an array to leave out.
        head: variables that get nothing, and whose arrays, if the file has any, are left out.

    Raises:
        Misfit: the first array that does not fit is named, with both shapes.
        UserError: equal shapes could be swapped, or the map names what there is not.
    """
    paths = [variable.path for variable in network.weights]
    twice = [path for path in paths if paths.count(path) > 1]
    if twice:
        raise UserError(f"{where}: {network.name} has two variables called {twice[0]}, which no file can tell apart")
    pairings, misfits = [], []
    for layout in stored.layouts:
        try:
            pairings.append(_pair(stored, layout, network, where, mapping or {}, {each.path for each in head}))
        except Misfit as misfit:
            misfits.append(misfit)
    if len(pairings) > 1:
        raise UserError(
            f"{where}: its kernels fit as (height, width, in, out) and as (out, in, height, width) alike, and the file "
            "does not say which; give the file of the whole model, which does"
        )
    if not pairings:
        raise misfits[0]
    return pairings[0]


def _pair(
    stored: StoredWeights,
    layout: Layout,
    network: keras.Model,
    where: str,
    mapping: Mapping[str, str | None],
    head: set[str],
) -> Pairing:
    variables = {variable.path: variable for variable in network.weights}
    ours: dict[str, Shape] = {path: tuple(variable.shape) for path, variable in variables.items()}
    theirs = {name: layout.shape(values.shape) for name, values in stored.arrays.items()}
    found = {name: path for name, path in mapping.items() if path is not None}
    _check_map(mapping, theirs, ours, head, network.name)
    names = {name: shape for name, shape in theirs.items() if name not in mapping}
    paths = {path: shape for path, shape in ours.items() if path not in found.values()}
    kept = {path: shape for path, shape in paths.items() if path not in head}
    try:
        if names.keys() in (paths.keys(), kept.keys()):
            found |= _in_order(names, {name: paths[name] for name in names}, head)
        elif stored.ordered:
            found |= _in_order(names, paths if len(names) == len(paths) else kept, head)
        else:
            found |= pair_by_layer(names, kept, where, heads=len(paths) - len(kept))
    except Misfit as misfit:
        whole = len(names) != len(paths)
        counts = f"has {len(names)} arrays, {network.name} {len(paths)} variables; " if whole else ""
        raise Misfit(f"{where}: {counts}{misfit}; set model=… and dataset=… as it was trained") from misfit
    by_path = {path: name for name, path in found.items() if path not in head}
    pairs = [(by_path[path], variable) for path, variable in variables.items() if path in by_path]
    taken = {name for name, _ in pairs}
    return Pairing(layout, pairs, [name for name in theirs if name not in taken])


def _check_map(
    mapping: Mapping[str, str | None],
    theirs: Mapping[str, Shape],
    ours: Mapping[str, Shape],
    head: set[str],
    network: str,
) -> None:
    """Check that a map names what there is, each once, and that it fits."""
    seen: set[str] = set()
    for name, path in mapping.items():
        if name not in theirs:
            raise UserError(f"weights_map: {name}: not in the file of weights{did_you_mean(name, theirs)}")
        if path is None:
            continue
        if path not in ours:
            raise UserError(f"weights_map: {name}: {path}: no variable of {network}{did_you_mean(path, ours)}")
        if path in seen:
            raise UserError(f"weights_map: {path}: is given more than one array")
        seen.add(path)
        if theirs[name] != ours[path] and path not in head:
            raise UserError(f"weights_map: {difference(name, theirs[name], path, ours[path])}")


def _in_order(names: Mapping[str, Shape], paths: Mapping[str, Shape], head: set[str]) -> dict[str, str]:
    roles = {role_of(path) for path in paths}
    for name, path in zip(names, paths, strict=False):
        named = {role_of(name), role_of(path)}
        contradict = len(named) > 1 and named <= roles
        if (contradict or names[name] != paths[path]) and path not in head:
            raise Misfit(difference(name, names[name], path, paths[path]))
    for name in islice(names, len(paths), None):
        raise Misfit(left_over(name, names[name]))
    for path in islice(paths, len(names), None):
        raise Misfit(left_empty(path, paths[path]))
    return dict(zip(names, paths, strict=True))
