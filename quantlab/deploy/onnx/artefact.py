"""`onnx-exact` and `onnx-qdq`: the two dialects, and onnxruntime as an engine of the exact one."""

from pathlib import Path

from quantlab.deploy.artefact import Artefact, EngineSource, Files, Options, Parts, only_path, paths
from quantlab.integer.verify import Engine

EXACT_FILE, QDQ_FILE = "exact.onnx", "qdq.onnx"


def exact_files(parts: Parts, options: Options) -> Files:
    from quantlab.deploy.onnx.exact import exact_model
    from quantlab.deploy.onnx.graph import to_bytes

    files = paths(parts, EXACT_FILE)
    return {path: to_bytes(exact_model(parts[name])) for name, path in files.items()}


def qdq_files(parts: Parts, options: Options) -> Files:
    from quantlab.deploy.onnx.graph import to_bytes
    from quantlab.deploy.onnx.qdq import qdq_model

    files = paths(parts, QDQ_FILE)
    return {path: to_bytes(qdq_model(parts[name])) for name, path in files.items()}


def check(found: bytes, expected: bytes, source: str) -> None:
    from quantlab.deploy.onnx.graph import from_bytes, read_model

    read_model(found, from_bytes(expected), source)


def onnxruntime(parts: Parts, folder: Path) -> Engine:
    from quantlab.deploy.onnx.runtime import OnnxEngine

    return OnnxEngine((folder / only_path(parts, EXACT_FILE)).read_bytes())


EXACT = Artefact(
    files=exact_files,
    check=check,
    engines={"onnx": EngineSource(open=onnxruntime, needs=("onnxruntime",))},
    needs=("onnx",),
    extra="onnx",
)
QDQ = Artefact(files=qdq_files, check=check, needs=("onnx",), extra="onnx")
