"""Reading pickles without trusting them."""

import pickle
from typing import Any

import numpy as np
import pytest

from cnnlab.data.array_pickle import load_array_pickle
from cnnlab.errors import UserError

ARRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)
WRITTEN_BY_PYTHON_2 = (
    b"\x80\x02}q\x01U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
    b"\x87Rq\x05(K\x01K\x02K\x02\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xff"
    b"J\xff\xff\xff\xffK\x00tb\x89U\x04\x00\x7f\x80\xfftbs."
)


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", [ARRAY, np.asfortranarray(ARRAY), ARRAY[:, ::2]])
def test_arrays_of_every_protocol_and_order_come_back(protocol, array):
    read = load_array_pickle(pickle.dumps({b"data": array, "n": [1, 2]}, protocol=protocol), "batch")
    np.testing.assert_array_equal(read[b"data"], array)
    assert read["n"] == [1, 2]


def test_files_written_by_python_2_come_back():
    read = load_array_pickle(WRITTEN_BY_PYTHON_2, "batch")
    np.testing.assert_array_equal(read["data"], np.array([[0, 127], [128, 255]], np.uint8))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (__import__("os").system, ("true",)),
        (eval, ("1",)),
        (np.load, ("file.npy",)),
        (np.array, ([1],)),
    ],
)
def test_every_other_name_is_refused(function, arguments):
    with pytest.raises(UserError, match=r"^batch: refused, .* the pickle asks for [\w.]+$"):
        load_array_pickle(pickle.dumps({"data": Call(function, *arguments)}), "batch")


def test_pointers_cannot_be_forged():
    forged = Call(np.ndarray, (1,), np.dtype(object), b"\x41" * 8)
    with pytest.raises(UserError, match=r"^batch: is truncated or no pickle of uint8 arrays"):
        load_array_pickle(pickle.dumps({"data": forged}, protocol=2), "batch")


@pytest.mark.parametrize("dtype", ["int64", "float32", "object", "u1,u1"])
def test_only_bytes_are_known(dtype):
    with pytest.raises(UserError, match="no pickle of uint8 arrays"):
        load_array_pickle(pickle.dumps({"data": np.zeros(3, dtype)}, protocol=2), "batch")


def test_every_truncation_is_one_clear_line():
    content = pickle.dumps({"data": ARRAY}, protocol=2)
    for length in range(len(content)):
        with pytest.raises(UserError, match=r"^batch: is truncated or no pickle of uint8 arrays \(.+\)$"):
            load_array_pickle(content[:length], "batch")
