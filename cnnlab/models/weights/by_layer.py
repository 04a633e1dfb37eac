"""Pairing the arrays of a file that has no order, as TensorFlow's checkpoints have none, with a network's variables."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from cnnlab.errors import UserError
from cnnlab.models.weights.stored_weights import (
    Misfit,
    Shape,
    difference,
    layer_of,
    left_empty,
    left_over,
    numbered,
    role_of,
)

MAP_HINT = "say which is which with weights_map=FILE, a YAML file with a line `name in the file: variable` for each"


@dataclass
class _Kind:
    """Layers whose arrays could be swapped: their names in the file and in the network, as many in both."""

    theirs: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)


def pair_by_layer(names: Mapping[str, Shape], paths: Mapping[str, Shape], where: str, heads: int = 0) -> dict[str, str]:
    """Pair what has equal shapes, layer by layer; equal layers in the natural order of their names.

    A layer that alone has its shapes is decided by these. Several are decided by their names where these are equal, or
    differ in nothing but numbers. Within a layer, what an array is called decides. Of names that have no layers, each
    counts as one.

    Args:
        names: of the file's arrays, with their shapes.
        paths: of the network's variables, with theirs, in its order.
        where: begins messages.
        heads: how many more arrays the file may have, of layers that none of the network's is like.

    Returns:
        Names to paths, for all paths.

    Raises:
        Misfit: the first layer of the network that has no counterpart is named.
        UserError: neither shapes nor names decide.
    """
    layered = all("/" in name for name in names)
    theirs, ours = (_layers(side, layered) for side in (names, paths))
    roles = layered and {role_of(name) for name in names} <= {role_of(path) for path in paths}

    def key(name: str, shape: Shape) -> tuple[str, Shape]:
        return role_of(name) if roles else "", shape

    kinds: dict[tuple[tuple[str, Shape], ...], _Kind] = {}
    for layer, members in theirs.items():
        kinds.setdefault(_kind(members, names, key), _Kind()).theirs.append(layer)
    for layer, members in ours.items():
        kinds.setdefault(_kind(members, paths, key), _Kind()).ours.append(layer)
    _require_as_many(kinds.values(), theirs, names, ours, paths, heads)
    found: dict[str, str] = {}
    for kind in kinds.values():
        if kind.ours:
            for one, other in zip(_natural(kind, where), kind.ours, strict=True):
                found |= _within(theirs[one], names, ours[other], paths, key, where)
    return found


def _layers(names: Iterable[str], layered: bool) -> dict[str, list[str]]:
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(layer_of(name) if layered else name, []).append(name)
    return layers


def _kind(
    members: Iterable[str], shapes: Mapping[str, Shape], key: Callable[[str, Shape], tuple[str, Shape]]
) -> tuple[tuple[str, Shape], ...]:
    return tuple(sorted(key(name, shapes[name]) for name in members))


def _require_as_many(
    kinds: Iterable[_Kind],
    theirs: Mapping[str, list[str]],
    names: Mapping[str, Shape],
    ours: Mapping[str, list[str]],
    paths: Mapping[str, Shape],
    heads: int,
) -> None:
    """Check that the file has as many layers of each kind as the network, but for arrays of heads."""
    missing = {layer for kind in kinds for layer in kind.ours[len(kind.theirs) :]}
    surplus = {layer for kind in kinds for layer in kind.theirs[len(kind.ours) :]}
    for layer, members in ours.items():
        if layer in missing:
            spare = [other for other in theirs if other in surplus]
            if not spare:
                raise Misfit(left_empty(members[0], paths[members[0]]))
            raise Misfit(_first_difference(theirs[layer if layer in spare else spare[0]], names, members, paths))
    alike = {layer for kind in kinds if kind.ours for layer in kind.theirs}
    arrays = [name for layer in theirs if layer in surplus for name in theirs[layer]]
    if len(arrays) > heads or surplus & alike:
        raise Misfit(left_over(arrays[0], names[arrays[0]]))


def _first_difference(
    names: list[str], shapes: Mapping[str, Shape], paths: list[str], our_shapes: Mapping[str, Shape]
) -> str:
    """How two layers differ, in the first variable for which they do."""
    by_role = {role_of(name): name for name in names}
    for path in paths:
        role = role_of(path) if role_of(path) in by_role else next(iter(by_role), None)
        if role is None:
            return left_empty(path, our_shapes[path])
        name = by_role.pop(role)
        if shapes[name] != our_shapes[path] or role != role_of(path):
            return difference(name, shapes[name], path, our_shapes[path])
    name = next(iter(by_role.values()))
    return left_over(name, shapes[name])


def _natural(kind: _Kind, where: str) -> list[str]:
    """The file's layers of a kind, in the order of the network's."""
    if len(kind.ours) == 1:
        return kind.theirs
    if {*kind.theirs} == {*kind.ours}:
        return kind.ours
    numbers = {layer: numbered(layer) for layer in kind.theirs}
    if len({stem for stem, _ in numbers.values()}) > 1 or len({*numbers.values()}) < len(numbers):
        raise UserError(_ambiguous(kind.theirs, kind.ours, where))
    return sorted(kind.theirs, key=lambda layer: numbers[layer])


def _within(
    names: list[str],
    shapes: Mapping[str, Shape],
    paths: list[str],
    our_shapes: Mapping[str, Shape],
    key: Callable[[str, Shape], tuple[str, Shape]],
    where: str,
) -> dict[str, str]:
    """Pair the arrays of one layer."""
    by_key = {key(name, shapes[name]): name for name in names}
    if len(by_key) < len(names):
        raise UserError(_ambiguous(names, paths, where))
    return {by_key[key(path, our_shapes[path])]: path for path in paths}


def _ambiguous(names: Iterable[str], paths: Iterable[str], where: str) -> str:
    return (
        f"{where}: {', '.join(names)} have equal shapes, and their names do not tell which of them is which of "
        f"{', '.join(paths)}; {MAP_HINT}"
    )
