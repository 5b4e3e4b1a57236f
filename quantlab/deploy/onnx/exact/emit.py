"""Which nodes an operation becomes."""

from functools import singledispatch

from quantlab.deploy.onnx.exact import pooling, products, rescaling, shapes
from quantlab.deploy.onnx.exact.writer import Writer
from quantlab.errors import UsageError
from quantlab.integer.operations import Operation


@singledispatch
def emit(operation: Operation, writer: Writer) -> None:
    """Append the nodes of an operation; the last one's output is the operation's.

    Raises UsageError, with the layer, for an operation that has none.
    """
    raise UsageError(
        f"{type(operation).__name__} '{operation.output}' ({operation.layer or 'no layer'}): "
        "exact ONNX has no nodes for it"
    )


for family in (products, rescaling, pooling, shapes):
    for kind, emitter in family.EMITTERS.items():
        emit.register(kind, emitter)
