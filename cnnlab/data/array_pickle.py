"""Reading pickles of plain values and uint8 arrays without running anything they ask for.

A pickle names the functions that rebuild its objects, so a hostile one runs what it likes. Here the names
that NumPy's arrays need are answered with stand-ins of our own, and every other name is refused. NumPy's
real functions stay out of reach, too: `numpy.ndarray` called with a buffer of object type makes pointers out
of the file's bytes.
"""

import io
import math
import pickle
from typing import Any

import numpy as np

from cnnlab.errors import UserError, one_line


def load_array_pickle(content: bytes, source: str) -> Any:
    """Unpickle plain Python values (dict, list, str, int, …) and uint8 arrays, of Python 2 or 3.

    Args:
        content: the pickle.
        source: the file, for the message.

    Returns:
        The pickled value; strings of Python 2 are decoded as Latin-1.

    Raises:
        UserError: the pickle is truncated or malformed, or asks for anything else, which is not executed.
    """
    try:
        return _without_stand_ins(_ArrayUnpickler(io.BytesIO(content), encoding="latin1").load())
    except _RefusedGlobalError as error:
        raise UserError(f"{source}: refused, as it is no plain data: the pickle asks for {error}") from error
    except Exception as error:  # the pickle module: "other exceptions may also be raised during unpickling"
        raise UserError(f"{source}: is truncated or no pickle of uint8 arrays ({one_line(error)})") from error


class _RefusedGlobalError(Exception):
    """The pickle asks for a name that arrays do not need."""


class _DType:
    """Stands in for numpy.dtype, of which only uint8 is known."""

    def __init__(self, code: str, *_: Any):
        if code != "u1":
            raise ValueError(f"an array of {code}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Byte order and the like, which uint8 has not."""


class _Array:
    """Stands in for numpy.ndarray until its content is known."""

    value: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, _dtype, is_fortran, content = state
        self.value = _to_array(content, shape, "F" if is_fortran else "C")


def _to_array(content: str | bytes, shape: tuple[int, ...], order: str) -> np.ndarray:
    raw = content.encode("latin1") if isinstance(content, str) else content
    if len(raw) != math.prod(shape):
        raise ValueError(f"{len(raw)} bytes for an array of shape {shape}")
    return np.frombuffer(raw, np.uint8).reshape(shape, order="F" if order == "F" else "C")


def _reconstruct(*_: Any) -> _Array:
    """An array whose content follows: every pickle protocol before 5."""
    return _Array()


def _frombuffer(content: bytes, _dtype: _DType, shape: tuple[int, ...], order: str, *_: Any) -> np.ndarray:
    """An array and its content at once: protocol 5."""
    return _to_array(content, shape, order)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as Python 3 writes them in protocol 2: as Latin-1 text."""
    if encoding != "latin1":
        raise ValueError(f"bytes in {encoding}")
    return text.encode(encoding)


_STAND_INS = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("_codecs", "encode"): _encode,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise _RefusedGlobalError(f"{module}.{name}") from None


def _without_stand_ins(value: Any) -> Any:
    """`value` with its arrays in place of their stand-ins, one level deep as in a CIFAR batch."""
    if isinstance(value, dict):
        return {key: _without_stand_ins(item) for key, item in value.items()}
    return value.value if isinstance(value, _Array) else value
