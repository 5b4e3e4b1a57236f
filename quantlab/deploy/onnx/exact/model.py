"""A program as a model of the exact dialect."""

from quantlab.deploy.onnx.exact.emit import emit
from quantlab.deploy.onnx.exact.writer import Writer
from quantlab.deploy.onnx.graph import Model
from quantlab.errors import UsageError
from quantlab.integer.program import Program


def exact_model(program: Program) -> Model:
    """Return the program as a model that `onnx.checker` passes, all its tensors as outputs.

    Raises UsageError for a program without operations, which has no outputs then.
    """
    if not program.operations:
        raise UsageError("onnx-exact: a program of 0 operations given, at least 1 allowed")
    writer = Writer(program)
    for operation in program.operations:
        emit(operation, writer)
    return writer.model()
