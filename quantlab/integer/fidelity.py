"""What each operation that rounds loses by it, measured on samples.

Such an operation makes a code y of a number v, counted in steps of its output. That of a Requantize
or an Add is

    v = (sum multiplier * input + offset - half) / 2^shift,    half = floor(2^shift / 2)

where half is what makes the shift round to the nearest; that of a Threshold is what the program
says that it rounds, v = (scale * input + offset) / output scale + zero, with zero the output's code
of zero.
Over all numbers of all samples, with codes from low to high that are `step` apart,

    sqnr = 10 log10(sum (v - zero)^2 / sum (v - y)^2)    in dB
    clipping = 100 * the share where v < low - step / 2 or v >= high + step / 2    in %

So both are about this operation alone, whatever was lost before it.

What the network itself clamps is neither signal nor noise nor clipping: v is first clamped as the
network does. A program has one clamp for the network's activation and the grid's ends together, and
does not say which is which. A lowest code that is not below that of zero is taken for a ReLU. Other
activations (ReLU6, Hardtanh) are known only if `clamps` tells; without, what is beyond their ends
counts as clipped.

With this, both are what `sqnr` and `clipping_share` (a share, not %) of `quantlab.monitor` are for
the quantizer that the operation stands for, but for two things: negative numbers on an unsigned
grid without a ReLU are no noise here; and where a quantizer behind a max pool was lowered to an
operation before it, the numbers are those before the pool.

Not measured are a Lookup, whose table no longer has the numbers that it rounds, and operations
of which the program does not say what their codes stand for, or what a Threshold rounds.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.interpreter import Integers, execute
from quantlab.integer.operations import Operation, Threshold
from quantlab.integer.operations.rescale import Rescale
from quantlab.integer.program import Program

Reals = NDArray[np.float64]
Clamps = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """Of one operation; see the module. sqnr_db: infinite without noise, None without signal."""

    sqnr_db: float | None
    clipping_percent: float


def measure(
    program: Program, batches: Iterable[Mapping[str, Integers]], clamps: Clamps | None = None
) -> dict[str, Fidelity]:
    """Return the fidelity of the operations that round, by the name of the output.

    batches: of inputs, each `[N, ...]`; one batch of activations is held at a time. Without any
        sample nothing is measured.
    clamps: by layer, between which real numbers the network itself clamps.

    Raises UsageError for inputs of another type or shape than the program's.
    """
    meters = {
        operation.output: _Meter(program, operation, clamps or {})
        for operation in program.operations
        if isinstance(operation, Rescale | Threshold) and _is_told(program, operation)
    }
    for batch in batches:
        for operation, inputs, output in _steps(program, batch):
            if operation.output in meters:
                meters[operation.output].add(inputs, output)
    return {name: meter.result() for name, meter in meters.items() if meter.num_values}


class _Meter:
    """Adds up what one operation loses.

    zero, low, high: in codes, float64, in shapes that broadcast against the output: the code of
    zero and between what the network itself clamps.
    """

    def __init__(self, program: Program, operation: Rescale | Threshold, clamps: Clamps) -> None:
        self._operation = operation
        self._output = program.reals[operation.output]
        self._rounded = program.rounded.get(operation.output)
        zero, scale = np.rint(-self._output.offset / self._output.scale), self._output.scale
        ends = clamps.get(operation.layer, (-math.inf, math.inf))
        is_relu = _lowest_code(program, operation) >= zero
        self._zero = zero
        self._low = np.maximum(zero + ends[0] / scale, np.where(is_relu, zero, -math.inf))
        self._high = zero + ends[1] / scale
        self._signal = self._noise = 0.0
        self._num_clipped = self.num_values = 0

    def add(self, inputs: Sequence[Integers], y: Integers) -> None:
        operation = self._operation
        v = self._before_rounding(inputs).clip(self._low, self._high)
        half = operation.step / 2 if isinstance(operation, Threshold) else 0.5
        is_clipped = (v < operation.low - half) | (v >= operation.high + half)
        self._num_clipped += int(is_clipped.sum())
        self.num_values += v.size
        self._noise += float(np.square(v - y).sum())
        self._signal += float(np.square(v - self._zero).sum())

    def result(self) -> Fidelity:
        sqnr = math.inf if self._signal else None
        if self._signal and self._noise:
            sqnr = 10.0 * math.log10(self._signal / self._noise)
        return Fidelity(sqnr_db=sqnr, clipping_percent=100.0 * self._num_clipped / self.num_values)

    def _before_rounding(self, inputs: Sequence[Integers]) -> Reals:
        """Return v, before the network clamps it."""
        if isinstance(self._operation, Threshold):
            assert self._rounded is not None
            return np.asarray(self._rounded(inputs[0]) / self._output.scale + self._zero)
        shift = self._operation.shift
        half = (np.int64(1) << shift) >> 1
        total: NDArray[Any] = self._operation.offset - half
        for value, multiplier in zip(inputs, self._operation.multipliers, strict=True):
            total = total + value.astype(np.int64) * multiplier.astype(np.int64)
        return np.ldexp(total.astype(np.float64), -shift)


def _steps(
    program: Program, batch: Mapping[str, Integers]
) -> Iterator[tuple[Operation, list[Integers], Integers]]:
    """Yield every operation with its inputs and its output; tensors go after their last use."""
    values, last_uses = dict(batch), program.last_uses
    results = execute(program, batch)
    for index, (operation, (name, output)) in enumerate(
        zip(program.operations, results, strict=True)
    ):
        yield operation, [values[source] for source in operation.inputs], output
        values[name] = output
        values = {
            name: value
            for name, value in values.items()
            if name in program.outputs or last_uses.get(name, index) > index
        }


def _lowest_code(program: Program, operation: Rescale | Threshold) -> int:
    """Return the lowest code that comes out of any channel. One may have none below that of zero
    without a ReLU, where a batch norm's factor is 0, say."""
    if isinstance(operation, Rescale):
        return operation.low
    bound = program.bounds[operation.inputs[0]]
    first_C = np.where(operation.signs < 0, -bound.highest, bound.lowest)
    reached_C = (operation.thresholds <= first_C[:, None]).sum(1)
    return int(operation.low + operation.step * reached_C.min())


def _is_told(program: Program, operation: Rescale | Threshold) -> bool:
    """Return whether the program says what the operation rounds, and to what."""
    is_known = isinstance(operation, Rescale) or operation.output in program.rounded
    return is_known and operation.output in program.reals
