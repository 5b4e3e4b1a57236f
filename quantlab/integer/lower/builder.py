"""The program while it is being built."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from quantlab.errors import UsageError
from quantlab.integer.bounds import bound_of, prove
from quantlab.integer.lower.arrangement import Arrangement, Row
from quantlab.integer.lower.grid import Grid, Reals, wide_grid
from quantlab.integer.lower.limits import Limits
from quantlab.integer.lower.multipliers import choose
from quantlab.integer.lower.thresholds import has_rows, thresholds_for
from quantlab.integer.lower.value import Term, Value, codes_of
from quantlab.integer.operations import Add, Operation, Requantize
from quantlab.integer.program import Reading
from quantlab.integer.tensor_type import TensorType

_MOST_TERMS = 2


class Builder:
    """Operations one after the other, with types and bounds as they come.

    Those that arrange parts wait until something reads what they make.
    """

    def __init__(self, inputs: Mapping[str, TensorType], limits: Limits) -> None:
        self.operations: list[Operation] = []
        self.types: dict[str, TensorType] = dict(inputs)
        self.bounds = dict(prove(inputs, (), inputs))
        self.reals: dict[str, Reading] = {}
        self.rounded: dict[str, Reading] = {}
        self._made: dict[tuple[Any, ...], str] = {}
        self._waiting: dict[str, Operation] = {}
        self._arranged: dict[str, tuple[Arrangement, tuple[str, ...]]] = {}
        self.limits = limits

    def name(self, wanted: str) -> str:
        """Return a name that is free."""
        wanted = wanted.replace(".", "_")
        names = (wanted, *(f"{wanted}_{number}" for number in range(1, len(self.types) + 2)))
        return next(name for name in names if name not in self.types)

    def emit(self, operation: Operation) -> str:
        """Append an operation, unless there is one that computes the same; return the name of its
        output."""
        made = self._later(operation)
        self.need(made)
        return made

    def need(self, tensor: str) -> None:
        """Append the operation that makes a tensor, if it waits, behind those that it waits for."""
        operation = self._waiting.pop(tensor, None)
        if operation is not None:
            for name in operation.inputs:
                self.need(name)
            self.operations.append(operation)

    def arrange(self, arrangement: Arrangement, parts: Sequence[str], name: str, layer: str) -> str:
        """Return the tensor that an arrangement makes of others."""

        def move(kind: type[Operation], inputs: Sequence[str], settings: dict[str, Any]) -> str:
            given: dict[str, Any] = {"inputs": tuple(inputs), "layer": layer, **settings}
            return self._later(kind(output=self.name(name), **given))

        whole = arrangement.join(parts, self.types[parts[0]].shape, move)
        self._arranged[whole] = arrangement, tuple(parts)
        return whole

    def lifted(self, tensor: str) -> str | None:
        """Return what a tensor is a `Row` of, None if it is none."""
        arrangement, parts = self._arranged.get(tensor, (None, ()))
        return parts[0] if isinstance(arrangement, Row) else None

    def made(self, tensor: str) -> str:
        """Return the tensor, or what it is a `Row` of if nothing has read it as such."""
        while tensor in self._waiting and (lifted := self.lifted(tensor)) is not None:
            tensor = lifted
        self.need(tensor)
        return tensor

    @property
    def readings(self) -> dict[str, Reading]:
        """What the integers of tensors stand for that something reads."""
        return {name: one for name, one in self.reals.items() if name not in self._waiting}

    def _later(self, operation: Operation) -> str:
        """Note an operation, unless there is one that computes the same; return the name of its
        output."""
        made = self._made.setdefault(_meaning(operation), operation.output)
        if made != operation.output:
            return made
        types = [self.types[name] for name in operation.inputs]
        self.types[operation.output] = operation.infer(types)
        bounds = [self.bounds[name] for name in operation.inputs]
        self.bounds[operation.output] = bound_of(operation, bounds, types)
        self._waiting[operation.output] = operation
        return operation.output

    def quantize(self, value: Value, grid: Grid, name: str) -> Value:
        """Return a value as codes of a grid, rounded and clamped by one operation, or by one for
        each part of which its tensors are arranged."""
        if grid.is_same(value.grid):
            return value
        parts = self._parts(value)
        if parts:
            arrangement, _ = self._arranged[value.terms[0].tensor]
            made = [self.quantize(part, grid, name).terms[0].tensor for part in parts]
            tensor = self.arrange(arrangement, made, f"{name}_arranged", value.node)
            codes = codes_of(tensor, grid, value.shape, value.node)
            self.read(codes)
            return codes
        is_few = grid.num_levels <= self.limits.threshold_levels and has_rows(value)
        if is_few or grid.step > 1:
            value = value if has_rows(value) else self._widened(value, f"{name}_wide")
            tensor = self.emit(thresholds_for(value, grid, self.bounds, self.name(name)))
            self.rounded.setdefault(tensor, _reading(value))
        else:
            tensor = self.emit(self._rescale(value, grid, self.name(name)))
        codes = codes_of(tensor, grid, value.shape, value.node)
        self.read(codes)
        return codes

    def _parts(self, value: Value) -> list[Value]:
        """Return the values of which one is arranged; none if its tensors are not arranged alike,
        or elements of one part have factors of their own."""
        tensors = [term.tensor for term in value.terms]
        arranged = [self._arranged[tensor] for tensor in tensors if tensor in self._arranged]
        if len(arranged) < len(tensors) or len({arrangement for arrangement, _ in arranged}) > 1:
            return []
        arrangement = arranged[0][0]
        scales = [arrangement.split(term.scale) for term in value.terms]
        offsets = arrangement.split(value.offset)
        if offsets is None or any(scale is None for scale in scales):
            return []
        return [
            replace(
                value,
                terms=tuple(
                    Term(tensor=parts[index], scale=scale[index])
                    for (_, parts), scale in zip(arranged, scales, strict=True)
                    if scale is not None
                ),
                offset=offset,
                shape=self.types[arranged[0][1][index]].shape,
                grid=None,
            )
            for index, offset in enumerate(offsets)
        ]

    def read(self, value: Value) -> bool:
        """Note what the integers of a value's one tensor stand for, unless that is known; return
        whether it is what they stand for in this value."""
        (term,) = value.terms
        reading = _reading(value)
        known = self.reals.setdefault(term.tensor, reading)
        return all(
            np.array_equal(np.broadcast_to(a, value.shape), np.broadcast_to(b, value.shape))
            for a, b in ((known.scale, reading.scale), (known.offset, reading.offset))
        )

    def scores(self, value: Value, name: str) -> Value:
        """Return a value as one tensor with one scale, in 32 bits or as `Limits` has it, so that
        its numbers can be compared with one another; nothing is lost that the accumulators know.

        No other scores are the same tensor and stand for other numbers.
        """
        if value.is_uniform and not value.is_clamped and self.read(value):
            return value
        end, bits = self.reach(value).max(), self.limits.wide_bits
        scores = self.quantize(value, wide_grid(end, bits), name)
        while not self.read(scores):  # as of x and of 2 x
            end = 2 * end
            scores = self.quantize(value, wide_grid(end, bits), name)
        return scores

    def reach(self, value: Value) -> Reals:
        """Return how far a value, before it is clamped, can be from zero, in a shape that
        broadcasts against it; above zero. No factor to the ends of 32 bits is beyond 2^31."""
        end = np.abs(value.offset) + 1e-30
        for term in value.terms:
            bound = self.bounds[term.tensor]
            end = end + np.abs(term.scale) * max(abs(bound.lowest), abs(bound.highest), 2)
        return np.asarray(end)

    def _widened(self, value: Value, name: str) -> Value:
        """Return a value as one tensor of 32 bits, with a scale for each channel, which thresholds
        can be found for as if nothing had been rounded. It is clamped as before, but not yet."""
        end = self.reach(value)
        end = end.reshape((1,) * (len(value.shape) - end.ndim) + end.shape)
        ends = end.max(axis=tuple(range(1, end.ndim)), keepdims=True)
        grid = wide_grid(ends, self.limits.wide_bits)
        open_value = replace(value, low=-np.inf, high=np.inf)
        tensor = self.emit(self._rescale(open_value, grid, self.name(name)))
        codes = codes_of(tensor, grid, value.shape, value.node)
        self.read(codes)
        return replace(codes, low=value.low, high=value.high, grid=None)

    def _rescale(self, value: Value, grid: Grid, output: str) -> Operation:
        if len(value.terms) > _MOST_TERMS:
            raise UsageError(f"{value.node}: {len(value.terms)} tensors to add, 2 allowed at once")
        low, high = self._code_range(value, grid)
        multipliers, offset, shift = choose(
            [term.scale / grid.scale for term in value.terms],
            np.asarray(value.offset / grid.scale + grid.zero_point + 0.5),
            [self.bounds[term.tensor] for term in value.terms],
            value.node,
            sum_bits=self.limits.sum_bits,
        )
        common: dict[str, Any] = {
            "inputs": tuple(term.tensor for term in value.terms),
            "output": output,
            "layer": value.node,
            "offset": offset,
            "shift": shift,
            "low": low,
            "high": high,
            "kind": grid.kind,
        }
        if len(multipliers) == 1:
            return Requantize(multiplier=multipliers[0], **common)
        left, right = multipliers
        return Add(left_multiplier=left, right_multiplier=right, **common)

    @staticmethod
    def _code_range(value: Value, grid: Grid) -> tuple[int, int]:
        """Return the codes of the value's ends, within those of the grid."""
        low, high = (
            default if np.isinf(end) else int(grid.encode(np.array([end])).reshape(-1)[0])
            for end, default in ((value.low, grid.low), (value.high, grid.high))
        )
        return low, high


def _reading(value: Value) -> Reading:
    """Return what a value of one tensor makes of its integers, before it is clamped."""
    (term,) = value.terms
    return Reading(scale=term.scale, offset=np.asarray(value.offset))


def _meaning(operation: Operation) -> tuple[Any, ...]:
    """Return what an operation computes, whatever it and its output are called."""
    found: list[Any] = [type(operation)]
    for field in fields(operation):
        value = getattr(operation, field.name)
        if isinstance(value, np.ndarray):
            found.append((value.dtype.str, value.shape, value.tobytes()))
        elif field.name not in ("output", "layer"):
            found.append(value)
    return tuple(found)
