"""Run ONNX models in other runtimes, in default sessions but for the optimization level.

    python onnx_sessions.py FOLDER SETTING [SETTING ...]

FOLDER holds NAME.onnx beside NAME.npz with its inputs; NAME.SETTING.npz gets the outputs. A SETTING
is a level of onnxruntime (`ORT_DISABLE_ALL`, ...) or `openvino`. Imports neither torch nor this
project, so that it starts quickly on an emulated processor.
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


def run(model: bytes, inputs: Arrays, setting: str) -> Arrays:
    """Return the outputs by name."""
    if setting == "openvino":
        return _run_openvino(model, inputs)
    session = open_session(model, setting)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def _run_openvino(model: bytes, inputs: Arrays) -> Arrays:
    import openvino

    core = openvino.Core()
    # Floats of 32 bits as onnxruntime's, whatever the processor would prefer.
    exact = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model), "CPU", exact)
    results = compiled(inputs)
    return {name: results[output] for output in compiled.outputs for name in output.names}


def main(folder: Path, settings: list[str]) -> None:
    """Run every model in every setting."""
    for model in sorted(folder.glob("*.onnx")):
        with np.load(model.with_suffix(".npz")) as file:
            inputs = dict(file)
        for setting in settings:
            found = run(model.read_bytes(), inputs, setting)
            np.savez(folder / f"{model.stem}.{setting}.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
