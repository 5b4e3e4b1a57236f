"""What the emitters of operations write into."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from quantlab.deploy.clickhouse.wasm.body import Body
from quantlab.deploy.clickhouse.wasm.constants import Constants
from quantlab.deploy.clickhouse.wasm.expressions import I32
from quantlab.deploy.clickhouse.wasm.places import Place, c_strides
from quantlab.deploy.clickhouse.wasm.plan import Plan
from quantlab.deploy.clickhouse.wasm.walks import Strides, walk
from quantlab.integer.groups import Group
from quantlab.integer.operations import Operation
from quantlab.integer.program import Program


@dataclass(frozen=True, kw_only=True, eq=False)
class Writer:
    """See the module. places: of all tensors, by name. scratch: the address of the memory that an
    operation uses while it runs, by its output. plans: of layers, by their outputs. group, body: of
    the function that is being written."""

    program: Program
    places: Mapping[str, Place]
    scratch: Mapping[str, int]
    constants: Constants
    plans: Mapping[str, Plan]
    group: Group | None = None
    body: Body = field(default_factory=Body)

    def writing(self, body: Body, group: Group) -> "Writer":
        """Return a writer of the function of a group."""
        return replace(self, body=body, group=group)

    def number(self, name: str) -> int:
        """Return what selects a tensor that an operation makes: its place, from 1."""
        return [operation.output for operation in self.program.operations].index(name) + 1

    def inputs(self, operation: Operation) -> list[Place]:
        return [self.places[name] for name in operation.inputs]

    def output(self, operation: Operation) -> Place:
        return self.places[operation.output]

    @contextmanager
    def elements(self, output: Place, *operands: Strides) -> Iterator[list[I32]]:
        """Write a loop over a tensor in the order of its memory, and yield its offset and those of
        operands, whose strides are given by its axes."""
        sizes = [output.tensor.shape[axis] for axis in output.order]
        ordered = [[s[axis] for axis in output.order] for s in (output.strides, *operands)]
        with walk(self.body, sizes, *ordered) as offsets:
            yield offsets

    def constant(self, array: NDArray[Any], num_axes: int) -> tuple[int, Strides]:
        """Return the address of a constant and its strides beside a tensor of so many axes, against
        which it broadcasts."""
        shape = (1,) * (num_axes - array.ndim) + array.shape
        return self.constants.address(array), broadcast(shape, array.dtype.itemsize)


def broadcast(shape: Sequence[int], element_bytes: int) -> Strides:
    """Return the strides of an array in C order, 0 along axes of size 1."""
    steps = c_strides(shape, element_bytes)
    return [0 if size == 1 else step for size, step in zip(shape, steps, strict=True)]


def broadcast_place(place: Place) -> Strides:
    """Return the strides of a tensor that broadcasts against another one."""
    return [
        0 if size == 1 else stride
        for size, stride in zip(place.tensor.shape, place.strides, strict=True)
    ]
