"""TFLite's own interpreter, with the reference kernels that define its rounding."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray


class Reference:
    """Runs a file sample by sample."""

    def __init__(self, path: Path) -> None:
        self._interpreter = Interpreter(
            model_path=str(path),
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        (given,) = self._interpreter.get_input_details()
        self._input = given["index"]

    def __call__(
        self, samples: NDArray[np.int8], tensors: Mapping[str, int]
    ) -> dict[str, NDArray[Any]]:
        """Return tensors of all samples, by name; the program's shapes: `[N, C, H, W]`, `[N, L]`.

        tensors: their numbers in the file.
        """
        rows: dict[str, list[NDArray[Any]]] = {name: [] for name in tensors}
        for sample in samples:
            self._interpreter.set_tensor(self._input, _channels_last(sample)[None])
            self._interpreter.invoke()
            for name, number in tensors.items():
                rows[name].append(_channels_first(self._interpreter.get_tensor(number)[0]))
        return {name: np.stack(several) for name, several in rows.items()}


def _channels_last(value: NDArray[Any]) -> NDArray[Any]:
    return value.transpose(1, 2, 0) if value.ndim == 3 else value


def _channels_first(value: NDArray[Any]) -> NDArray[Any]:
    return value.transpose(2, 0, 1) if value.ndim == 3 else value
