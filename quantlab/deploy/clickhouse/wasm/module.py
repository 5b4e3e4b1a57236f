"""A program as a module of WebAssembly."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import prod

import numpy as np

from quantlab.deploy.clickhouse.wasm.binary import PAGE, Function, encode
from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.buffers import ALLOCATE, DESTROY, allocate, destroy
from quantlab.deploy.clickhouse.wasm.codes import groups_of
from quantlab.deploy.clickhouse.wasm.constants import Constants
from quantlab.deploy.clickhouse.wasm.emit import emit
from quantlab.deploy.clickhouse.wasm.expressions import I32
from quantlab.deploy.clickhouse.wasm.places import (
    Lifetime,
    Place,
    lifetimes_of,
    outputs_of,
    placed,
)
from quantlab.deploy.clickhouse.wasm.plan import Plan, plans_of, skipped
from quantlab.deploy.clickhouse.wasm.rows import Result, classify, put, run, take
from quantlab.deploy.clickhouse.wasm.scratch import scratch_bytes
from quantlab.deploy.clickhouse.wasm.writer import Writer
from quantlab.errors import UsageError, check_kind
from quantlab.integer.groups import Group
from quantlab.integer.program import Program

FUNCTION = "classify"
_START = 64  # no tensor lies at address 0
_BUFFER_BYTES = 64 << 20  # for rows and results
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor that a module returns. number: what selects it. dtype: of NumPy, little-endian.
    shape: of a sample, in C order."""

    number: int
    dtype: str
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        return prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, kw_only=True, eq=False)
class WasmModule:
    """A program as a module.

    In ClickHouse:

        CREATE FUNCTION f LANGUAGE WASM ARGUMENTS (image FixedString(row_bytes), tensor UInt16)
        RETURNS String FROM 'module' :: 'function' ABI BUFFERED_V1
        SETTINGS serialization_format = 'RowBinary'

    code: the bytes of the module. function: what it exports. row_bytes: of an image, its integers
    in C order. tensors: by name, all that operations make. outputs: those that the number 0 gives,
    one behind the other. buffer_bytes: of the memory for the rows of a call and their results.
    """

    code: bytes
    function: str
    row_bytes: int
    tensors: Mapping[str, Tensor]
    outputs: tuple[Tensor, ...]
    buffer_bytes: int


def module_of(program: Program, *, is_poisoned: bool = False) -> WasmModule:
    """Return the module of a program: always the same bytes.

    is_poisoned: whether freed buffers are overwritten; for tests. Raises UsageError for a program
    of several inputs, and for one that needs more memory than a module may have.
    """
    check_kind("program", program, Program, "a Program")
    if len(program.inputs) != 1:
        names = ", ".join(program.inputs)
        raise UsageError(f"clickhouse: a program of the inputs {names} given, one input allowed")
    (image,) = program.inputs
    tensors = {name: _tensor(program, name, number) for number, name in enumerate(program.types)}
    plans = plans_of(program)
    groups = groups_of(program, plans)
    writer = _writer(program, plans, groups)
    code = _encoded(writer, groups, is_poisoned=is_poisoned)
    return WasmModule(
        code=code,
        function=FUNCTION,
        row_bytes=writer.places[image].num_bytes,
        tensors={op.output: tensors[op.output] for op in program.operations},
        outputs=tuple(tensors[name] for name in program.outputs),
        buffer_bytes=_BUFFER_BYTES,
    )


def _tensor(program: Program, name: str, number: int) -> Tensor:
    """number: that of the operation which makes it, from 1; the input is no tensor of a module."""
    given = program.types[name]
    return Tensor(number=number, dtype=np.dtype(given.kind.dtype).str, shape=given.shape)


def _writer(program: Program, plans: Mapping[str, Plan], groups: Sequence[Group]) -> Writer:
    """Return a writer with a place for every tensor."""
    sources = {name: plan.source for name, plan in plans.items()}
    lifetimes, scratch = dict(lifetimes_of(program, groups, sources)), {}
    for step, group in enumerate(groups):
        name = f"{group.operation.output}.scratch"
        size = scratch_bytes(group.operation, program, plans)
        lifetimes[name] = Lifetime(size=size, first=step, last=step)
        scratch[group.operation.output] = name
    addresses, end = placed(lifetimes, _START)
    return Writer(
        program=program,
        places={
            name: Place(address=addresses[name], tensor=tensor)
            for name, tensor in program.types.items()
        },
        scratch={output: addresses[name] for output, name in scratch.items()},
        constants=Constants(end),
        plans=plans,
    )


def _step(writer: Writer, group: Group) -> Function:
    """Return the function that does the operations of a group, of the number that is asked for."""
    body = Body([I32])
    name = group.operation.output
    is_asked = body.parameter(I32, 0).equals(writer.number(name))
    is_skipped = name in skipped(writer.program, writer.plans)
    with body.when(is_asked) if is_skipped else nullcontext():
        emit(group.operation, writer.writing(body, group))
    return Function(body=body, num_parameters=1)


def _encoded(writer: Writer, groups: Sequence[Group], *, is_poisoned: bool) -> bytes:
    program = writer.program
    (image,) = program.inputs
    steps = [_step(writer, group) for group in groups]
    made_by = {
        one.output: step for step, group in enumerate(groups, 1) for one in outputs_of(group)
    }
    puts = [operation.output for operation in program.operations]
    puts += [name for name in program.outputs if name in program.inputs]
    first_step, first_put = 5, 5 + len(steps)
    part = {
        name: (first_put + index, writer.places[name].num_bytes) for index, name in enumerate(puts)
    }
    results = [Result(step=len(steps), parts=[part[name] for name in program.outputs])]
    results += [
        Result(step=made_by[operation.output], parts=[part[operation.output]])
        for operation in program.operations
    ]
    entry = classify(writer.places[image].num_bytes, results, writer.constants, 0, 3, _BUFFER_BYTES)
    start = -(-writer.constants.end // PAGE) * PAGE
    end = start + _BUFFER_BYTES
    if end > _MOST_BYTES:
        raise UsageError(
            f"clickhouse: a program of {start:,} bytes of tensors and constants given, at most "
            f"{_MOST_BYTES - _BUFFER_BYTES:,} allowed"
        )
    functions = [
        allocate(end),
        destroy(start, is_poisoned=is_poisoned),
        entry,
        run(4, range(first_step, first_put), results),
        take(writer.places[image]),
        *steps,
        *(put(writer.places[name]) for name in puts),
    ]
    exports = {ALLOCATE: 0, DESTROY: 1, FUNCTION: 2}
    return encode(functions, exports, end // PAGE, [start, 0], writer.constants.data())
