"""What a model takes, as far as it is known without a compiler."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from quantlab.deploy.c.arena import Arena
from quantlab.deploy.c.interface import outputs_of
from quantlab.deploy.c.written import Interface, Written
from quantlab.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes.

    arena, inputs, outputs: of the memory that the caller gives. constants: of the arrays in each
    header; structures beside them depend on the target. layer, layer_arena: the layer for which
    most of the arena is in use at one time, and how much that is.
    """

    arena: int
    inputs: int
    outputs: int
    constants: Mapping[str, int]
    layer: str
    layer_arena: int

    @property
    def ram(self) -> int:
        """All memory that the caller gives: without the stack."""
        return self.arena + self.inputs + self.outputs

    @property
    def flash(self) -> int:
        """All constants: without the code."""
        return sum(self.constants.values())


def sizes_of(writer: Written, arena: Arena) -> Sizes:
    """Return the sizes of a model whose calls are all written."""
    program = writer.program
    layer, most = _largest(writer, arena)
    return Sizes(
        arena=arena.size,
        inputs=sum(num_bytes(program, name) for name in program.inputs),
        outputs=sum(num_bytes(program, name) for name in outputs_of(program)),
        constants=dict(writer.constant_bytes),
        layer=layer,
        layer_arena=most,
    )


def check_limits(
    sizes: Sizes, *, ram: int | None = None, flash: int | None = None, place: str = ""
) -> None:
    """Raise UsageError, with what is needed and given, for a model that exceeds its limits.

    ram: bytes for the arena, inputs and outputs. flash: bytes for constants. place: what has these
    limits, for the error.
    """
    if ram is not None and sizes.ram > ram:
        raise UsageError(
            f"{place}ram: {sizes.ram:,} bytes needed, {ram:,} given: {sizes.inputs:,} of inputs, "
            f"{sizes.outputs:,} of outputs, an arena of {sizes.arena:,}, of which layer "
            f"'{sizes.layer}' needs {sizes.layer_arena:,}"
        )
    if flash is not None and sizes.flash > flash:
        header, most = max(sizes.constants.items(), key=lambda item: item[1])
        raise UsageError(
            f"{place}flash: {sizes.flash:,} bytes of constants needed, {flash:,} given; the "
            f"largest are the {most:,} of headers/{header}.h"
        )


def num_bytes(program: Interface, name: str) -> int:
    """Return the bytes of an input or output."""
    kind = program.types[name]
    return prod(kind.shape) * np.dtype(kind.kind.dtype).itemsize


def _largest(writer: Written, arena: Arena) -> tuple[str, int]:
    """Return `Sizes`' layer and layer_arena."""
    uses: dict[str, list[int]] = {}
    for number, call in enumerate(writer.calls):
        for buffer in call.buffers:
            if buffer in arena.offsets:
                uses.setdefault(buffer, []).append(number)
    found = [
        (_covered([_span(writer, arena, b) for b, at in uses.items() if at[0] <= n <= at[-1]]), n)
        for n in range(len(writer.calls))
    ]
    most, number = max(found, key=lambda one: one[0])
    return writer.calls[number].layer, most


def _span(writer: Written, arena: Arena, buffer: str) -> tuple[int, int]:
    begin = arena.offsets[buffer]
    return begin, begin + writer.sizes[buffer]


def _covered(spans: list[tuple[int, int]]) -> int:
    """Return how many bytes lie in at least one span."""
    count = end = 0
    for begin, stop in sorted(spans):
        count += max(stop - max(begin, end), 0)
        end = max(end, stop)
    return count
