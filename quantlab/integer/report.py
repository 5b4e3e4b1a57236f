"""What each layer of a program costs: bits, bytes, multiplications, and room in its accumulator;
and what its rounding loses, where that was measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from quantlab.formats.container import unpack
from quantlab.integer.bounds import Bound, signed_bits
from quantlab.integer.fidelity import Fidelity
from quantlab.integer.file import KIND, to_bytes
from quantlab.integer.operations import Convolution, Linear, Operation
from quantlab.integer.program import Program


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """One operation.

    input_bits: of the widest input, for the numbers that it can take. weight_bits: 0 without
        weights. num_bytes: of its constants, as they are stored.
    macs: multiplications and additions for one sample. bit_operations: macs x weight_bits x
        input_bits.
    accumulator_bits: that the worst partial sum needs, 0 where nothing is summed. headroom: bits of
        the accumulator that are never needed.
    sqnr_db, clipping_percent: see `quantlab.integer.fidelity`; None where nothing is rounded or
        nothing was measured. sqnr_db is infinite where rounding changed no number.
    """

    layer: str
    operation: str
    output: str
    shape: tuple[int, ...]
    input_bits: int
    weight_bits: int
    num_bytes: int
    macs: int
    bit_operations: int
    accumulator_bits: int
    headroom: int
    sqnr_db: float | None = None
    clipping_percent: float | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """layers: in the order of the program. header_bytes: of its file, beside all tensors.
    reading_bytes: of the numbers that say what tensors stand for."""

    layers: tuple[LayerCost, ...]
    reading_bytes: int
    header_bytes: int

    @property
    def num_bytes(self) -> int:
        """Return the size of the program's file."""
        return sum(cost.num_bytes for cost in self.layers) + self.reading_bytes + self.header_bytes

    @property
    def macs(self) -> int:
        """Return the multiplications and additions for one sample."""
        return sum(cost.macs for cost in self.layers)

    @property
    def bit_operations(self) -> int:
        return sum(cost.bit_operations for cost in self.layers)

    @property
    def lowest_sqnr(self) -> LayerCost | None:
        """Return the operation whose rounding loses most, None if nothing was measured."""
        found = [(cost.sqnr_db, cost) for cost in self.layers if cost.sqnr_db is not None]
        return min(found, key=lambda pair: pair[0])[1] if found else None

    @property
    def lowest_headroom(self) -> LayerCost | None:
        """Return the layer with weights whose accumulator is fullest, None if there is none. Sums
        of 64 bits do not count: their multipliers take the room that there is."""
        return min(
            (cost for cost in self.layers if cost.macs),
            key=lambda cost: cost.headroom,
            default=None,
        )


def report(program: Program, fidelity: Mapping[str, Fidelity] | None = None) -> Report:
    """Return what a program costs, and what its rounding loses as `fidelity.measure` found it."""
    contents = unpack(to_bytes(program), KIND, "program")
    layers = tuple(
        _cost(program, operation, contents.sizes, (fidelity or {}).get(operation.output))
        for operation in program.operations
    )
    return Report(
        layers=layers,
        reading_bytes=sum(contents.sizes.values()) - sum(cost.num_bytes for cost in layers),
        header_bytes=contents.header_bytes,
    )


def _cost(
    program: Program, operation: Operation, sizes: Mapping[str, int], fidelity: Fidelity | None
) -> LayerCost:
    bound, shape = program.bounds[operation.output], program.types[operation.output].shape
    input_bits = max(_bits(program.bounds[name]) for name in operation.inputs)
    weight_bits = macs = 0
    if isinstance(operation, Convolution | Linear):
        weight_bits, macs = operation.weight_bits, math.prod(shape) * operation.weight[0].size
    return LayerCost(
        layer=operation.layer,
        operation=type(operation).__name__,
        output=operation.output,
        shape=shape,
        input_bits=input_bits,
        weight_bits=weight_bits,
        num_bytes=sum(sizes[f"{operation.output}.{name}"] for name in operation.constants()),
        macs=macs,
        bit_operations=macs * weight_bits * input_bits,
        accumulator_bits=bound.num_bits,
        headroom=bound.headroom,
        sqnr_db=fidelity.sqnr_db if fidelity else None,
        clipping_percent=fidelity.clipping_percent if fidelity else None,
    )


def _bits(bound: Bound) -> int:
    """Return of how many bits a tensor's numbers are, without a sign where there is none."""
    if bound.lowest >= 0:
        return max(1, bound.highest.bit_length())
    return signed_bits(bound.lowest, bound.highest)
