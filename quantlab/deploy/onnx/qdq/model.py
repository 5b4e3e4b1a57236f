"""A program as a model of the QDQ dialect."""

from quantlab.deploy.onnx.graph import Model
from quantlab.deploy.onnx.qdq.emit import emit
from quantlab.deploy.onnx.qdq.writer import Writer
from quantlab.integer.program import Program


def qdq_model(program: Program) -> Model:
    """Return the program as a float model that `onnx.checker` passes.

    Inputs are the program's integers. Outputs are the real numbers that the program's stand for, or
    the integers as floats where nothing is known of them, under their names; of an input that is an
    output too, under its name and `.reals`.
    """
    writer = Writer(program)
    for operation in program.operations:
        emit(operation, writer)
    return writer.model()
