"""How the sums of a layer are computed.

    sum = factor * (sum of a * b) + (sum of c over the window) + bias

a is made of the inputs, b of the weights, in one of four forms, a word of several of them at a
time:

    bits     a and b are bits, and products are counted. Of inputs of one plane, weights -1 and 1,
             x = offset + coefficient a and w = 2 b - 1, so that
             sum = 2 coefficient (sum of a b) - coefficient (sum of a) + offset (sum of w)
    signs    the same of weights -1, 0 and 1, each two bits, b = 1 and b = -1, so that
             sum = coefficient (sum of a b) + offset (sum of w)
    bytes    products of 8 and 7 bits (relaxed_dot, which is exact for these), 4 in 32 bits, or 2
             in 16 bits where these hold the sum, for what wraps on the way is the same in the
             end: a = x - low where
             inputs have 7 bits, and b = w; else b = w - least where weights have 7 bits, and a is x
             as a signed byte, x - zero, so that
             sum = (sum of a b) + least (sum of a) + zero (sum of w)
    shorts   2 products of 16 bits: a = x and b = w
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.wasm.geometry import Geometry, geometry_of
from quantlab.integer.bounds import Bound
from quantlab.integer.layout.choice import are_ternary, padded_levels
from quantlab.integer.layout.levels import Levels, levels_of
from quantlab.integer.layout.planes import planes_of
from quantlab.integer.operations import Convolution, Linear, Reshape
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, U8, TensorType

Form = Literal["bits", "signs", "bytes", "shorts"]
ELEMENT_BITS = {"bits": 1, "signs": 1, "bytes": 8, "shorts": 16}
_MOST = 127  # that 7 bits hold


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """See the module. source: the tensor that is read: of a linear layer over a flat image the
    image. weight: b, `[O, runs, elements of a run]`. bias: int32 `[O]`, with all that is constant.
    shared: what a counts in the second sum; 0: there is none. low: what is taken from inputs, of
    bits: the bit that is a. are_inputs_small: of bytes, whether a is what has 7 bits. is_narrow: of
    bytes, whether sums are 16 bits. words_at_once: of bytes, whose products 16 bits can add up."""

    form: Form
    source: str
    geometry: Geometry
    weight: NDArray[np.int16]
    bias: NDArray[np.int32]
    padding_codes: NDArray[np.int64]
    are_inputs_small: bool = False
    factor: int = 1
    shared: int = 0
    low: int = 0
    is_narrow: bool = False
    words_at_once: int = 1

    @property
    def is_counted(self) -> bool:
        """Whether a is bits."""
        return ELEMENT_BITS[self.form] == 1

    @property
    def lanes(self) -> int:
        """Outputs in a vector."""
        return 8 if self.is_narrow else 4

    @property
    def num_signs(self) -> int:
        """Bits of a weight."""
        return 2 if self.form == "signs" else 1

    @property
    def word_bytes(self) -> int:
        """Of what is multiplied at a time."""
        return 16 // self.lanes

    @property
    def num_outputs(self) -> int:
        return len(self.weight)

    @property
    def pixel_bytes(self) -> int:
        return -(-self.geometry.channels * ELEMENT_BITS[self.form] // 8)

    @property
    def row_bytes(self) -> int:
        """Of a row of the padded image."""
        return self.geometry.padded_width * self.pixel_bytes

    @property
    def operand_bytes(self) -> int:
        """Of the padded image as a."""
        return self.geometry.padded_height * self.row_bytes

    @property
    def run_words(self) -> int:
        """Words of a run; the last one may have elements of another run, which count 0."""
        num_bits = self.geometry.run_length * ELEMENT_BITS[self.form]
        return -(-num_bits // (8 * self.word_bytes))


def plans_of(program: Program) -> Mapping[str, Plan]:
    """Return the plans of the layers that have one, by their outputs."""
    levels = levels_of(program)
    flattened = {o.output: o.inputs[0] for o in program.operations if isinstance(o, Reshape)}
    found = {}
    for layer in program.operations:
        if not isinstance(layer, Convolution | Linear):
            continue
        (name,) = layer.inputs
        given, bound = program.types[name], program.bounds[layer.output]
        plan = None
        if isinstance(layer, Linear) and len(given.shape) == 1 and name in flattened:
            image = flattened[name]
            placed = _over_image(layer, program.types[image])
            plan = placed and plan_of(placed, given, levels[name], bound, image)
        plan = plan or plan_of(layer, given, levels[name], bound, name)
        if plan is not None:
            found[layer.output] = plan
    return found


def _over_image(layer: Linear, image: TensorType) -> Linear | None:
    """Return a layer over a flat image with its weights as the image lies, channels last."""
    if len(image.shape) != 3:
        return None
    order = np.arange(layer.weight.shape[1]).reshape(image.shape).transpose(1, 2, 0)
    return replace(layer, weight=layer.weight[:, order.reshape(-1)])


def skipped(program: Program, plans: Mapping[str, Plan]) -> set[str]:
    """Return the tensors that nothing reads, as layers read what they are made of."""
    read = set(program.outputs)
    for operation in program.operations:
        plan = plans.get(operation.output)
        read.update(operation.inputs if plan is None else [plan.source])
    passed = {name for operation in program.operations for name in operation.inputs}
    return passed - read - set(program.inputs)


def plan_of(
    layer: Convolution | Linear, given: TensorType, levels: Levels, bound: Bound, source: str
) -> Plan | None:
    """Return how a layer is computed; None for one that has no geometry.

    levels: of its input. bound: of its sums. source: the tensor that it reads.
    """
    geometry = geometry_of(layer, given)
    if geometry is None:
        return None
    levels = padded_levels(layer, levels)
    wide = layer.weight.astype(np.int16)
    if isinstance(layer, Convolution):
        wide = wide.transpose(0, 2, 3, 1)
    weight = wide.reshape(len(wide), len(geometry.run_starts), geometry.run_length)
    codes = np.zeros(geometry.channels, np.int64)
    if isinstance(layer, Convolution) and geometry.is_padded:
        codes = layer.padding_codes.astype(np.int64)
    parts = layer, source, geometry, weight, codes, levels, given
    plan = _bits(*parts) or _numbers(*parts)
    is_narrow = plan.form == "bytes" and S16.holds(bound.lowest, bound.highest)
    words_at_once = 1
    if plan.form == "bytes" and not is_narrow:
        reach = levels.high - plan.low if plan.are_inputs_small else 128
        pair = 2 * reach * int(np.abs(plan.weight).max())
        words_at_once = 2 if 2 * pair <= S16.maximum else 1
    return replace(plan, is_narrow=is_narrow, words_at_once=words_at_once)


def _bits(
    layer: Convolution | Linear,
    source: str,
    geometry: Geometry,
    weight: NDArray[np.int16],
    codes: NDArray[np.int64],
    levels: Levels,
    given: TensorType,
) -> Plan | None:
    planes = planes_of(levels)
    is_whole = geometry.channels % 8 == 0 or geometry.num_positions == 1 == geometry.run_pixels
    if planes.count > 1 or not is_whole or not are_ternary(layer):
        return None
    if geometry.channels < 8 or given.kind not in (U8, S8):
        return None
    (coefficient,) = planes.coefficients
    plan = Plan(
        form="signs",
        source=source,
        geometry=geometry,
        weight=weight,
        bias=_bias(layer, weight, planes.offset),
        padding_codes=codes,
        factor=coefficient,
        low=planes.first,
    )
    if not weight.all():
        return plan
    return replace(
        plan, form="bits", weight=(weight + 1) // 2, factor=2 * coefficient, shared=-coefficient
    )


def _numbers(
    layer: Convolution | Linear,
    source: str,
    geometry: Geometry,
    weight: NDArray[np.int16],
    codes: NDArray[np.int64],
    levels: Levels,
    given: TensorType,
) -> Plan:
    least, most = int(weight.min()), int(weight.max())
    low = 0 if levels.low >= 0 and levels.high <= _MOST else levels.low
    are_bytes = given.kind in (U8, S8)
    if are_bytes and levels.high - low <= _MOST:
        return Plan(
            form="bytes",
            are_inputs_small=True,
            source=source,
            geometry=geometry,
            weight=weight,
            bias=_bias(layer, weight, low),
            padding_codes=codes,
            low=low,
        )
    least = min(least, 0)
    if are_bytes and most - least <= _MOST:
        zero = 128 if given.kind == U8 else 0
        return Plan(
            form="bytes",
            source=source,
            geometry=geometry,
            weight=weight - least,
            bias=_bias(layer, weight, zero),
            padding_codes=codes,
            shared=least,
            low=zero,
        )
    return Plan(
        form="shorts",
        source=source,
        geometry=geometry,
        weight=weight,
        bias=_bias(layer, weight, 0),
        padding_codes=codes,
    )


def _bias(layer: Convolution | Linear, weight: NDArray[np.int16], offset: int) -> NDArray[np.int32]:
    """Return the bias with what an offset of all inputs adds, in 32 bits that wrap as sums do."""
    bias: NDArray[np.int32] = (layer.bias + offset * weight.sum((1, 2), np.int64)).astype(np.int32)
    return bias
