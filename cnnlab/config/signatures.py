"""The arguments of a `_target_`, read from its source without importing it.

Importing a builder means importing TensorFlow, which takes seconds; its source says the same at once.
"""

import ast
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, Literal, Optional, Union

from cnnlab.config import ranges
from cnnlab.config.durations import DurationLike, TimedDurationLike
from cnnlab.config.keras_source import keras_arguments
from cnnlab.config.nearest import did_you_mean
from cnnlab.config.ranges import Range
from cnnlab.errors import UserError

_TYPES = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "list": list,
    "tuple": tuple,
    "dict": dict,
    "Sequence": list,
    "Mapping": dict,
    "DurationLike": DurationLike,
    "DurationInSteps": DurationLike,
    "TimedDurationLike": TimedDurationLike,
}


@dataclass(frozen=True)
class Signature:
    """What a target accepts by keyword.

    Attributes:
        hints: argument name to type hint; Any where the source gives none, or none that says something
            about configuration values.
        open: whether it takes further arguments (`**kwargs` that lead nowhere known).
    """

    hints: dict[str, Any] = field(default_factory=dict)
    open: bool = False


def find_signature(target: str) -> Signature | None:
    """The signature of a function or class by its dotted name.

    Args:
        target: e.g. "cnnlab.models.all_cnn_c.all_cnn_c" or "keras.optimizers.SGD".

    Returns:
        The signature, or None where the source cannot tell: a name that a foreign module only re-exports, a
        package without Python source.

    Raises:
        UserError: there is no such module, or no such name in it, the nearest of which the message names; or the
            module is no Python.
    """
    owner, dot, name = target.rpartition(".")
    if not dot:
        raise UserError("expected package.module.name")
    package = target.partition(".")[0]
    if package == "keras":
        found = keras_arguments(owner, name)
        return Signature(*found) if found else None
    body = _module_body(owner)
    if body is None:
        return None
    known = _definitions(body)
    if name in known:
        return _Module(body).signature(name)
    if package == "cnnlab":
        offered = [other for other in known if not other.startswith("_")]
        raise UserError(f"no {name} in {owner}{did_you_mean(name, offered)}")
    return None


def _module_body(owner: str) -> list[ast.stmt] | None:
    """The source of a module, found without importing anything; None where it has none."""
    package, *rest = owner.split(".")
    spec = find_spec(package)
    if spec is None:
        raise UserError(f"no package {package} is installed or in the working directory, {Path.cwd()}")
    if not spec.submodule_search_locations:
        source = Path(spec.origin or "")
        return _parse(source).body if source.suffix == ".py" and not rest else None
    folder = Path(next(iter(spec.submodule_search_locations)))
    for index, name in enumerate(rest):
        module = folder / f"{name}.py"
        if module.is_file() and index == len(rest) - 1:
            return _parse(module).body
        if not (folder / name).is_dir():
            if package != "cnnlab":
                return None
            modules = [child.stem for child in folder.iterdir() if not child.name.startswith(("_", "."))]
            raise UserError(f"no module {name} in {'.'.join([package, *rest[:index]])}{did_you_mean(name, modules)}")
        folder /= name
    source = folder / "__init__.py"
    return _parse(source).body if source.is_file() else None


@lru_cache(maxsize=32)
def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), path)
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}") from error


def _definitions(body: list[ast.stmt]) -> dict[str, ast.ClassDef | ast.FunctionDef]:
    return {node.name: node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


class _Module:
    """The definitions of one module."""

    def __init__(self, body: list[ast.stmt]):
        self.body = body
        self.definitions = _definitions(body)
        self.aliases = {
            target.id: node.value
            for node in body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        self.imports = {
            alias.asname or alias.name: (node.module, alias.name)
            for node in body
            if isinstance(node, ast.ImportFrom) and node.module and not node.level
            for alias in node.names
        }

    def signature(self, name: str) -> Signature | None:
        node = self.definitions[name]
        return self._function(node) if isinstance(node, ast.FunctionDef) else self._class(node)

    def _class(self, node: ast.ClassDef) -> Signature | None:
        if any(_name(decorator) == "dataclass" for decorator in node.decorator_list):
            base = self._base(node)
            return base and Signature({**base.hints, **self._fields(node)}, base.open)
        own = _definitions(node.body).get("__init__")
        if not isinstance(own, ast.FunctionDef):
            return self._base(node)
        signature = self._function(own)
        base = self._base(node) if signature.open and node.bases else None
        return Signature({**base.hints, **signature.hints}, base.open) if base else signature

    def _base(self, node: ast.ClassDef) -> Signature | None:
        """What the first base class of this module takes; None where it is defined elsewhere."""
        names = [_name(base) for base in node.bases]
        if not names:
            return Signature()
        return self.signature(names[0]) if names[0] in self.definitions else None

    def _function(self, node: ast.FunctionDef) -> Signature:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        hints = {argument.arg: self.hint(argument.annotation) for argument in arguments if argument.arg != "self"}
        match node.args.kwarg:
            case None:
                return Signature(hints)
            case ast.arg(annotation=ast.Subscript(value=ast.Name(id="Unpack"), slice=ast.Name(id=name))) if isinstance(
                taken := self.definitions.get(name), ast.ClassDef
            ):
                return Signature(hints | self._fields(taken))
            case _:
                return Signature(hints, open=True)

    def _fields(self, node: ast.ClassDef) -> dict[str, Any]:
        """The annotated names of a dataclass or TypedDict."""
        return {
            statement.target.id: self.hint(statement.annotation)
            for statement in node.body
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        }

    def hint(self, node: ast.expr | None) -> Any:
        """The type hint an annotation stands for; Any where it says nothing about configuration values."""
        match node:
            case ast.Constant(value=None):
                return None
            case ast.Constant(value=str(text)):
                try:
                    return self.hint(ast.parse(text, mode="eval").body)
                except SyntaxError:  # words about shapes, as some packages have them
                    return Any
            case ast.Name(id=name) if name in _TYPES:
                return _TYPES[name]
            case ast.Name(id=name) if name in self.aliases:
                return self.hint(self.aliases[name])
            case ast.Name(id=name) if name in self.imports:
                return self._imported_hint(*self.imports[name])
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                return self._union([left, right])
            case ast.Subscript(value=value, slice=inside):
                items = inside.elts if isinstance(inside, ast.Tuple) else [inside]
                return self._generic(_name(value), items)
        return Any

    def _imported_hint(self, module: str, name: str) -> Any:
        """What an alias from another of our own modules stands for; nothing is said about classes."""
        if not module.startswith("cnnlab."):
            return Any
        source = _Module(_module_body(module) or [])
        return source.hint(ast.Name(name)) if name in source.aliases else Any

    def _generic(self, name: str | None, items: list[ast.expr]) -> Any:
        match name:
            case "Literal":
                try:
                    return Literal[tuple(ast.literal_eval(item) for item in items)]
                except ValueError:  # members of an enumeration
                    return Any
            case "Union":
                return self._union(items)
            case "Optional":
                return Optional[self.hint(items[0])]  # noqa: UP045 - the hint is a value here
            case "Annotated":
                rules = [rule for rule in map(self._rule, items[1:]) if rule]
                hint: Any = self.hint(items[0])
                return Annotated[(hint, *rules)] if rules else hint
            case "list" | "Sequence":
                return GenericAlias(list, (self.hint(items[0]),))
            case "tuple" if not (isinstance(items[-1], ast.Constant) and items[-1].value is Ellipsis):
                return GenericAlias(tuple, tuple(self.hint(item) for item in items))
            case "tuple":
                return GenericAlias(list, (self.hint(items[0]),))
            case "dict" | "Mapping":
                return GenericAlias(dict, (str, self.hint(items[-1])))
        return Any

    def _rule(self, node: ast.expr) -> Range | None:
        """The range that an annotation names, where it is one of `cnnlab.config.ranges`."""
        module, name = self.imports.get(_name(node) or "", ("", ""))
        return getattr(ranges, name) if module == ranges.__name__ else None

    def _union(self, items: list[ast.expr]) -> Any:
        hints = [self.hint(item) for item in items]
        return Any if Any in hints else Union[tuple(hints)]  # noqa: UP007 - the hint is a value here


def _name(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            return _name(function)
    return None
