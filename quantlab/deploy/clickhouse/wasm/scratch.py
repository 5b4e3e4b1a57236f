"""Memory that operations use while they run."""

from functools import singledispatch

from quantlab.deploy.clickhouse.wasm.padding import padded_bytes
from quantlab.integer.operations import Convolution, MaxPool, Operation, SumPool
from quantlab.integer.program import Program


@singledispatch
def scratch_bytes(operation: Operation, program: Program) -> int:
    """Return how many bytes an operation needs beside its tensors."""
    return 0


@scratch_bytes.register(Convolution)
@scratch_bytes.register(MaxPool)
@scratch_bytes.register(SumPool)
def _(operation: Convolution | MaxPool | SumPool, program: Program) -> int:
    return padded_bytes(program.types[operation.inputs[0]], operation.windows)
