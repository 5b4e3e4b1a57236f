"""The float graph of the QDQ dialect as it grows; see the package."""

from collections import defaultdict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quantlab.deploy.onnx.graph import Graph, Model
from quantlab.deploy.onnx.metadata import metadata
from quantlab.integer.operations import (
    Operation,
    Threshold,
)
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.program import Program, Reading
from quantlab.integer.tensor_type import S32

Reals = NDArray[np.float64]
THEMSELVES = Reading(scale=np.array(1.0), offset=np.array(0.0))
SAME_FACTOR = 2.0**-22  # relative
SAME_OFFSET = 2.0**-10  # in steps of the codes
_EVEN_BIAS = 2.0**-13  # how far a bias may be rounded, as a share of the codes of what reads it


class Writer:
    """The float graph as it grows.

    floats, readings: the float tensor of each tensor of the program, and what it is of its
    integers. codes: the integers themselves, of tensors of codes.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.graph = Graph("quantlab", program.types)
        self.floats: dict[str, str] = {}
        self.readings: dict[str, Reading] = {}
        self.codes: dict[str, str] = {}
        self._readers: dict[str, list[Operation]] = defaultdict(list)
        for operation in program.operations:
            for name in operation.inputs:
                self._readers[name].append(operation)
        for name in program.inputs:
            if program.types[name].kind == S32:
                self.keep(name, self.graph.cast(name, np.float32), THEMSELVES)
            else:
                self._dequantize(name, name, f"{name}.reals")

    def grid(self, tensor: str) -> Reading:
        """Return what the float tensor is of the codes of what is quantized: what the program says
        where `QuantizeLinear` can say it, else the codes themselves."""
        given = self.program.reals.get(tensor, THEMSELVES)
        kind = self.program.types[tensor].kind
        if (given.scale <= 0).any():
            return THEMSELVES
        if kind == S32:
            return given
        zero = -given.offset / given.scale
        is_whole = bool((np.abs(zero - np.rint(zero)) < 1e-6).all())
        is_inside = kind.minimum <= zero.min() and zero.max() <= kind.maximum
        is_input = tensor in self.program.inputs and zero.shape == (zero.size, 1, 1)
        return given if is_whole and is_inside and (is_input or zero.size == 1) else THEMSELVES

    def name(self, tensor: str, reading: Reading) -> str:
        """Return what the float tensor is called: if it is not yet the output, another name."""
        is_final = tensor not in self.program.outputs or _is_same(reading, self._wanted(tensor))
        return tensor if is_final else f"{tensor}.scaled"

    def keep(self, tensor: str, floats: str, reading: Reading) -> None:
        """Note the float tensor of a tensor."""
        self.floats[tensor], self.readings[tensor] = floats, reading

    def quantize(self, tensor: str, floats: str) -> None:
        """Append what makes a float tensor codes and the codes a float tensor again."""
        if self.program.types[tensor].kind == S32:
            self.keep(tensor, floats, self.grid(tensor))
            return
        codes = self.graph.node(
            "QuantizeLinear", floats, *self._scale(tensor), to=f"{tensor}.codes"
        )
        self._dequantize(tensor, codes, self.name(tensor, self.grid(tensor)))

    def clip(self, tensor: str, floats: str, low: int, high: int) -> str:
        """Return a float tensor within the codes from `low` to `high` of a tensor."""
        kind, grid = self.program.types[tensor].kind, self.grid(tensor)
        has_low, has_high = low > kind.minimum, high < kind.maximum
        if has_low and not has_high and not grid(np.array(low)).any():
            return self.graph.node("Relu", floats)
        if not has_low and not has_high:
            return floats
        ends = [
            self.number(grid(np.array(end)).reshape(())) if is_needed else ""
            for end, is_needed in ((low, has_low), (high, has_high))
        ]
        return self.graph.node("Clip", floats, *ends[: 2 if has_high else 1])

    def again(self, tensor: str, floats: str) -> str:
        """Return a float tensor of a tensor's codes, such as it with padding, as codes and back."""
        scale = self._scale(tensor)
        codes = self.graph.node("QuantizeLinear", floats, *scale)
        return self.graph.node("DequantizeLinear", codes, *scale)

    def number(self, values: ArrayLike) -> str:
        return self.graph.number(values, np.float32)

    def converted(self, tensor: str, wanted: Reading, *, to: str | None = None) -> str:
        """Return the float tensor that is `wanted` of a tensor's integers."""
        floats, given = self.floats[tensor], self.readings[tensor]
        if _is_same(given, wanted):
            return self.graph.node("Identity", floats, to=to) if to else floats
        factor = ratio(wanted.scale, given.scale)
        if (np.abs(factor - 1) > SAME_FACTOR).any():
            floats = self.graph.node("Mul", floats, self.number(factor))
        rest = self.number(wanted.offset - factor * given.offset)
        return self.graph.node("Add", floats, rest, to=to)

    def even(self, tensor: str) -> tuple[str, Reading]:
        """Return the float tensor of a tensor in one positive scale, and what it is."""
        known = (self.readings[tensor], self.program.reals.get(tensor, THEMSELVES), THEMSELVES)
        found = next(r for r in known if r.scale.size == r.offset.size == 1 and (r.scale > 0).all())
        reading = Reading(scale=found.scale.reshape(()), offset=found.offset.reshape(()))
        return self.converted(tensor, reading), reading

    def reach(self, tensor: str) -> int:
        """Return the largest integer of a tensor, whatever its sign."""
        bound = self.program.bounds[tensor]
        return max(abs(bound.lowest), abs(bound.highest), 1)

    def accumulator(self, tensor: str, natural: float, shape: tuple[int, ...]) -> Reading:
        """Return what a layer is to make of its sums, scale and offset of a shape: what the first
        operation to rescale them does, or else to compare them.

        natural: the scale where no reader has one. The scale is 0 only where no reader needs it.
        """
        readers = self._readers[tensor]
        found = [self._part(o, tensor) for o in readers if isinstance(o, Rescale)]
        are_enough = len(found) == len(readers) > 0 and tensor not in self.program.outputs
        rounded = self.program.rounded
        found += [rounded[o.output] for o in readers if o.output in rounded]
        if tensor in self.program.reals:
            found.append(self.program.reals[tensor])
        fitting = [part for part in found if _fits(part, shape)]
        scale, offset = np.zeros(shape), np.zeros(shape)
        for part in reversed(fitting):
            scale = np.where(part.scale == 0, scale, part.scale)
            offset = np.broadcast_to(part.offset, shape)
        if not are_enough or len(fitting) < len(found):
            scale = np.where(scale == 0, natural, scale)
        return Reading(scale=scale, offset=offset)

    def _part(self, reader: Rescale, tensor: str) -> Reading:
        """Return what of a tensor `reader` adds to the other side, as far as that is there."""
        scales, constant = before_rounding(reader, self.grid(reader.output))
        own = reader.inputs.index(tensor)
        are_there = True
        for number, (name, scale) in enumerate(zip(reader.inputs, scales, strict=True)):
            if number == own:
                continue
            if name in self.readings:
                given = self.readings[name]
                constant = constant - ratio(scale, given.scale) * given.offset
            else:
                are_there = False
        return Reading(scale=scales[own], offset=constant if are_there else np.array(0.0))

    def allowed_rounding(self, tensor: str) -> float:
        """Return by how much a layer's bias may be off, in steps of its sums, so that next to no
        codes change."""
        least = np.inf
        for reader in self._readers[tensor]:
            if isinstance(reader, Rescale) and reader.kind != S32:
                multiplier = reader.multipliers[reader.inputs.index(tensor)]
                factor = float(np.ldexp(np.abs(multiplier, dtype=float), -reader.shift).max())
                num_codes = reader.high - reader.low + 1
                least = min(least, _EVEN_BIAS * num_codes / max(factor, 1e-30))
            elif isinstance(reader, Threshold):
                least = min(least, SAME_OFFSET)
            else:
                least = min(least, 2.0**-16 * self.reach(tensor))
        is_output = tensor in self.program.outputs
        return min(least, 2.0**-16 * self.reach(tensor)) if is_output else least

    def model(self) -> Model:
        """Return the checked model."""
        outputs = {}
        for name in dict.fromkeys(self.program.outputs):
            output = f"{name}.reals" if name in self.program.inputs else name
            if self.floats[name] != output:
                self.converted(name, self._wanted(name), to=output)
            outputs[output] = self.program.types[name]
        return self.graph.model(
            dict(self.program.inputs),
            outputs,
            metadata=metadata(self.program),
            has_real_outputs=True,
        )

    def _wanted(self, output: str) -> Reading:
        return self.program.reals.get(output, THEMSELVES)

    def _scale(self, tensor: str) -> tuple[str, str]:
        """Return the scale and zero point of a tensor of codes."""
        grid = self.grid(tensor)
        zero = np.rint(-grid.offset / grid.scale)
        scale = np.broadcast_to(grid.scale, zero.shape)
        shape = () if zero.size == 1 else (-1,)
        return (
            self.graph.constant(f"{tensor}.scale", scale.reshape(shape), np.float32),
            self.graph.constant(
                f"{tensor}.zero_point", zero.reshape(shape), self.program.types[tensor].kind.dtype
            ),
        )

    def _dequantize(self, tensor: str, codes: str, name: str) -> None:
        floats = self.graph.node("DequantizeLinear", codes, *self._scale(tensor), to=name)
        self.codes[tensor] = codes
        self.keep(tensor, floats, self.grid(tensor))


def _is_same(one: Reading, other: Reading) -> bool:
    step = np.abs(other.scale)
    is_close = np.abs(one.scale - other.scale) <= SAME_FACTOR * step
    is_near = np.abs(one.offset - other.offset) <= SAME_OFFSET * step
    return bool(is_close.all() and is_near.all())


def ratio(wanted: Reals, given: Reals) -> Reals:
    """Return wanted / given; 1 where both are 0."""
    is_zero = given == 0
    return np.where(is_zero, 1.0, wanted / np.where(is_zero, 1.0, given))


def _fits(reading: Reading, shape: tuple[int, ...]) -> bool:
    """Return whether a reading has at most as many numbers as a shape, in its places."""
    shapes = (shape, reading.scale.shape, reading.offset.shape)
    try:
        return np.broadcast_shapes(*shapes) == shape
    except ValueError:
        return False


def before_rounding(operation: Rescale, grid: Reading) -> tuple[list[Reals], Reals]:
    """Return what an operation makes of its inputs in real numbers before it rounds and clamps: the
    scale of each, and what is added. Half a step of the offset is for rounding down."""
    scales = [
        np.asarray(grid.scale * np.ldexp(multiplier.astype(np.float64), -operation.shift))
        for multiplier in operation.multipliers
    ]
    steps = np.ldexp(operation.offset.astype(np.float64), -operation.shift) - 0.5
    return scales, np.asarray(grid.scale * steps + grid.offset)
