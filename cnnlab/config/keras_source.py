"""The arguments of the installed Keras's classes, read from its source without importing it.

Keras annotates nothing; what its source says of an argument is its default and the docstring's "Float.",
"A Python integer." or `One of {"auto", "min", "max"}`.
"""

import ast
import inspect
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Union

from cnnlab.config.durations import DurationLike
from cnnlab.config.nearest import did_you_mean
from cnnlab.errors import UserError

CLOSED = frozenset({"callbacks", "initializers", "optimizers", "optimizers.schedules"})
"""Namespaces whose classes refuse further keyword arguments, even where they have `**kwargs`."""

TYPED = CLOSED | {"constraints", "losses", "metrics", "regularizers"}
"""Namespaces in which an argument is of the type of its default; a layer takes a name, an object or several numbers."""

ALLOWED = TYPED | {"applications", "layers", "models"}
"""Namespaces a configuration may name: those of things to build, not of functions that read, write or download."""

SHARED = ("src", "optimizers", "base_optimizer")
"""The module whose docstring template `base_optimizer_keyword_args` describes what all optimizers take."""

_TYPES = {"float": float, "integer": int, "int": int, "boolean": bool, "bool": bool, "string": str, "str": str}
_DOCUMENTED = re.compile(r"(?:an? |optional |python |scalar )*(\w+)", re.IGNORECASE)
_OR_INTEGER = re.compile(r"\bor (?:an )?integer\b", re.IGNORECASE)
_CHOICES = re.compile(r'one of[^".]*((?:[`{(\s]*"\w+"[`})\s,]*(?:or\s+)?)+)', re.IGNORECASE)


def keras_arguments(owner: str, name: str) -> tuple[dict[str, Any], bool] | None:
    """The named arguments of a class or function of Keras.

    Args:
        owner: a public namespace, such as "keras.optimizers".
        name: what it offers there.

    Returns:
        Argument name to type hint (Any where the source gives none), and whether further arguments are taken;
        None where Keras makes the object in a way that its source does not show.

    Raises:
        UserError: Keras has no such namespace, or nothing of that name in it; the message names the nearest.
    """
    offered = _offered(owner)
    if name not in offered:
        classes = [other for other in offered if other[0].isupper()]
        raise UserError(f"no {name} in {owner}{did_you_mean(name, classes or list(offered))}")
    module, original = offered[name]
    definition = _definition(_source(module), original)
    if definition is None:
        return None
    function, documentation = definition
    namespace = owner.partition(".")[2]
    arguments = {argument: default for argument, default in _parameters(function) if argument != "self"}
    hints: dict[str, Any] = dict.fromkeys(arguments, Any)
    if namespace in TYPED:
        hints = {name: _hint(default, _described(documentation, name)) for name, default in arguments.items()}
    if namespace == "optimizers.schedules":
        hints = {argument: _in_durations(argument, hint) for argument, hint in hints.items()}
    return hints, function.args.kwarg is not None and namespace not in CLOSED


def keras_names(owner: str) -> list[str]:
    """The names of a public namespace of Keras, such as "keras.losses"."""
    return list(_offered(owner))


def _offered(owner: str) -> dict[str, tuple[str, str]]:
    """The names of a public namespace, and the module and the name under which each is defined."""
    namespace = owner.partition(".")[2]
    if namespace not in ALLOWED:
        raise UserError(f"{owner} is no part of Keras that may be named here{did_you_mean(namespace, sorted(ALLOWED))}")
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in _source(owner).body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _root() -> Path:
    spec = find_spec("keras")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("no package keras is installed")
    return Path(next(iter(spec.submodule_search_locations)))


def _source(module: str) -> ast.Module:
    path = _root().joinpath(*module.split(".")[1:])
    return _parse(path / "__init__.py" if path.is_dir() else path.with_suffix(".py"))


@lru_cache(maxsize=32)
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _definition(module: ast.Module, name: str) -> tuple[ast.FunctionDef, str] | None:
    """The function that takes a target's arguments, and the docstring that describes them.

    A class without `__init__` takes what its first base takes, where that is defined in the same module.
    """
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node, ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef) and node.name == name:
            documentation = ast.get_docstring(node) or ""
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                    return member, documentation
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            above = _definition(module, bases[0]) if bases else None
            return (above[0], documentation or above[1]) if above else (_takes_nothing(), documentation)
    return None


def _takes_nothing() -> ast.FunctionDef:
    function = ast.parse("def __init__(self): ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    return function


def _parameters(function: ast.FunctionDef) -> Sequence[tuple[str, Any]]:
    """Names and defaults; `inspect.Parameter.empty` where there is none, or none that is a plain value."""
    named = [*function.args.posonlyargs, *function.args.args]
    missing: list[ast.expr | None] = [None] * (len(named) - len(function.args.defaults))
    defaults = [*missing, *function.args.defaults, *function.args.kw_defaults]
    return [
        (argument.arg, _value(default))
        for argument, default in zip([*named, *function.args.kwonlyargs], defaults, strict=True)
    ]


def _value(node: ast.expr | None) -> Any:
    try:
        return inspect.Parameter.empty if node is None else ast.literal_eval(node)
    except ValueError:
        return inspect.Parameter.empty


def _described(documentation: str, argument: str) -> str:
    """What a docstring says of an argument, in one line; "" where it says nothing."""
    if "{{base_optimizer_keyword_args}}" in documentation:
        documentation = f"{inspect.cleandoc(_shared_documentation())}\n{inspect.cleandoc(documentation)}"
    found = re.search(rf"^ *{argument}: (.*(?:\n(?! *\w+: | *$).*)*)", documentation, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


@lru_cache(maxsize=1)
def _shared_documentation() -> str:
    for node in _source(".".join(["keras", *SHARED])).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    return ""


def _hint(default: Any, description: str) -> Any:
    """The type of an argument: as its default, or as it is described; None is allowed where it is the default."""
    choices = _CHOICES.search(description)
    documented = _DOCUMENTED.match(description)
    named = _TYPES.get(documented[1].lower()) if documented else None
    if choices and isinstance(default, str):
        return Literal[tuple(re.findall(r'"(\w+)"', choices[1]))]
    match default:
        case bool():
            return bool
        case int() | float():
            return named if named in (int, float) else float
        case str():
            return int | str if _OR_INTEGER.search(description) else str
        case None:
            return Union[named, None] if named else Any  # noqa: UP007 - the hint is a value here
        case inspect.Parameter.empty if named in (int, float):
            return float
    return Any


def _in_durations(argument: str, hint: Any) -> Any:
    """A schedule's lengths may be given in epochs or percent, which become steps before Keras sees them."""
    if argument.endswith("_steps"):
        return DurationLike
    return list[DurationLike] if argument == "boundaries" else hint
