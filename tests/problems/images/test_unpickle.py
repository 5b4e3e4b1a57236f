"""Pickles of arrays are read; pickles that run something are not."""

import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from problems.images.unpickle import load_arrays
from quantlab.errors import DataError


class Runs:
    """Asks its reader to call a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", ">f8", "bool"])
def test_arrays_of_numbers(protocol: int, dtype: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    content = {"data": array, "labels": [1, 2, 3], "text": b"bytes"}
    loaded = load_arrays(pickle.dumps(content, protocol), "x")
    found = {key.decode() if isinstance(key, bytes) else key: loaded[key] for key in loaded}
    assert found["labels"] == [1, 2, 3]
    # As NumPy does, in the byte order of this machine.
    assert found["data"].dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(found["data"], array)


def test_builtin_types_stay_as_they_are() -> None:
    load_arrays(pickle.dumps(np.zeros(3, ">i4"), 2), "x")
    assert np.dtype("i4").isnative


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("touch {}",)),
        (os.mkdir, ("{}",)),
        (subprocess.call, (["touch", "{}"],)),
        (eval, ("__import__('pathlib').Path('{}').touch()",)),
        (Path, ("{}",)),
        (np.fromfile, ("{}",)),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_is_run(
    tmp_path: Path, protocol: int, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    target = str(tmp_path / "made")
    filled = tuple(
        [part.format(target) for part in argument]
        if isinstance(argument, list)
        else argument.format(target)
        for argument in arguments
    )
    raw = pickle.dumps({"data": Runs(function, *filled)}, protocol)
    with pytest.raises(DataError, match=r"^x: the pickle asks for .*allowed: arrays of numbers$"):
        load_arrays(raw, "x")
    assert list(tmp_path.iterdir()) == []


def test_arrays_of_objects_are_refused() -> None:
    with pytest.raises(DataError, match="array of object; allowed: numbers"):
        load_arrays(pickle.dumps(np.array([None, 1]), 2), "x")


@pytest.mark.parametrize("size", [0, 1, 20, 100])
def test_truncation_is_found(size: int) -> None:
    with pytest.raises(DataError, match=r"^x: not a readable pickle"):
        load_arrays(pickle.dumps(np.arange(100), 2)[:size], "x")
