"""Reading data sets that come as pickles, without running what a pickle may ask to run.

Only plain Python data and NumPy arrays of numbers are rebuilt; the three names that such pickles
mention stand for functions of this module.
"""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import DataError


def load_arrays(raw: bytes, name: Path | str) -> Any:
    """Return the content of a pickle; text of Python 2 comes as bytes.

    Raises DataError for a damaged pickle and for one that names any other class or function.
    """
    try:
        return _ArrayUnpickler(io.BytesIO(raw), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    # A damaged pickle can make its reader raise nearly anything.
    except Exception as error:
        raise DataError(f"{name}: not a readable pickle ({type(error).__name__})") from error


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise DataError(f"the pickle asks for {module}.{name}; allowed: arrays of numbers")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: object) -> Any:
        raise DataError("the pickle refers to an object outside itself")


def _empty_array(kind: object, _shape: object, _dtype: object) -> NDArray[np.int8]:
    """Stand for NumPy's `_reconstruct`: an array to be filled by its state."""
    if kind is not np.ndarray:
        raise DataError("the pickle asks for a subclass of ndarray")
    return np.empty(0, np.int8)


def _number_dtype(code: str | bytes, *_flags: object) -> np.dtype[Any]:
    """Stand for `numpy.dtype`: a fresh copy, of numbers only."""
    dtype = np.dtype(code.decode("ascii") if isinstance(code, bytes) else code)
    if dtype.kind not in "biuf":
        raise DataError(f"the pickle has an array of {dtype}; allowed: numbers")
    return np.dtype(dtype, copy=True)


def _latin1(text: str, encoding: str | bytes) -> bytes:
    """Stand for `_codecs.encode`, by which Python 3 writes bytes into old pickles."""
    if encoding not in ("latin1", b"latin1"):
        raise DataError(f"the pickle asks for the encoding {encoding!r}; allowed: latin1")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _number_dtype,
    ("_codecs", "encode"): _latin1,
}
