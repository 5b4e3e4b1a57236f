"""Run models in onnxruntime, in default sessions but for the optimization level.

    python run_sessions.py FOLDER LEVEL [LEVEL ...]

FOLDER holds NAME.onnx beside NAME.npz with its inputs; NAME.LEVEL.npz gets the outputs. Imports
neither torch nor this project, so that it starts quickly on an emulated processor.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def open_session(
    model: bytes, level: str, optimized: Path | None = None
) -> onnxruntime.InferenceSession:
    """Return a session. level: a name of `GraphOptimizationLevel`. optimized: for the model as
    onnxruntime optimizes it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model: bytes, inputs: Arrays, level: str) -> Arrays:
    """Return the outputs."""
    session = open_session(model, level)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def main(folder: Path, levels: list[str]) -> None:
    for model in sorted(folder.glob("*.onnx")):
        with np.load(model.with_suffix(".npz")) as file:
            inputs = dict(file)
        for level in levels:
            np.savez(folder / f"{model.stem}.{level}.npz", **run(model.read_bytes(), inputs, level))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
