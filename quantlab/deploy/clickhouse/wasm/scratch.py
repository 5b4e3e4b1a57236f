"""Memory that operations use while they run."""

from collections.abc import Mapping

from quantlab.deploy.clickhouse.wasm.padding import padded_bytes
from quantlab.deploy.clickhouse.wasm.places import SLACK
from quantlab.deploy.clickhouse.wasm.plan import Plan
from quantlab.deploy.clickhouse.wasm.second_sums import second_bytes
from quantlab.integer.operations import Convolution, MaxPool, Operation, SumPool
from quantlab.integer.program import Program


def scratch_bytes(operation: Operation, program: Program, plans: Mapping[str, Plan]) -> int:
    """Return how many bytes an operation needs beside its tensors."""
    if operation.output in plans:
        plan = plans[operation.output]
        return plan.operand_bytes + SLACK + second_bytes(plan)
    if isinstance(operation, Convolution | MaxPool | SumPool):
        return padded_bytes(program.types[operation.inputs[0]], operation.windows)
    return 0
