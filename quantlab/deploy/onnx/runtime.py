"""Models in onnxruntime. Nothing else of the library imports it."""

from collections.abc import Iterator, Mapping
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from quantlab.deploy.onnx.graph import Model


class OnnxEngine:
    """Runs a model of the exact dialect. num_threads: 0 for all cores."""

    def __init__(self, model: Model | bytes, *, num_threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.log_severity_level = 3
        data = model if isinstance(model, bytes) else model.SerializeToString()
        self._session = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )

    def execute(self, inputs: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the name and value of every output."""
        names = [output.name for output in self._session.get_outputs()]
        yield from zip(names, self._session.run(names, dict(inputs)), strict=True)
