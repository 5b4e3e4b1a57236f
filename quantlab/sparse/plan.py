"""A layer over inputs of one shape, ready for the kernels.

Shapes: B batch, C input channels, O output channels, P planes: a channel's phases (see `geometry`).
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from quantlab.backend import GatherPlan, GradientPlan, Int8Plan, PlaneLayout, ProductPlan
from quantlab.errors import UsageError
from quantlab.sparse.geometry import Geometry, Taps
from quantlab.sparse.kept_weights import KeptWeights
from quantlab.sparse.panels import panel_width
from quantlab.sparse.pattern import Pattern
from quantlab.sparse.stable_order import Key, Places

_MOST_NUMBERS = 2**31 - 1  # of an array that 32-bit offsets reach
_NUMBER_BYTES = 4
_PRODUCT_TILE, _GRADIENT_TILE = 128, 64  # numbers, with the widest vectors
_PRODUCT_LEAST, _GRADIENT_LEAST = 7, 20  # connections of a panel with a result; measured
_USUAL_BATCH = 32
_MOST_GATHERED = 4  # samples that a linear layer gathers in less time; measured


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Both kernels take the values in the pattern's order, which is that of `gradient`.

    x_layout and y_layout: inputs and gradients of outputs as the kernels read them; out_layout: as
    outputs are written. *_numbers: of these arrays.
    """

    out_shape: tuple[int, ...]
    product: ProductPlan
    gradient: GradientPlan
    x_layout: PlaneLayout
    y_layout: PlaneLayout
    out_layout: PlaneLayout
    x_numbers: int
    y_numbers: int

    @cached_property
    def gather(self) -> GatherPlan | None:
        """The plan of a linear layer that gathers a few samples' numbers where they lie; None where
        laying them out takes less time, or for convolutions."""
        batch, _, *size = self.out_shape
        if size or not 0 < batch <= _MOST_GATHERED:
            return None
        return GatherPlan(self.product, self.gradient)

    @cached_property
    def product_int8(self) -> Int8Plan:
        """The plan of outputs from int8."""
        return Int8Plan(self.product)

    @cached_property
    def gradient_int8(self) -> Int8Plan:
        """The plan of the input's gradient from int8."""
        return Int8Plan(self.gradient)


def canonical(pattern: Pattern, geometry: Geometry) -> Pattern:
    """Return a pattern in the order in which a layer's gradient goes through its values."""
    weights = KeptWeights.of(pattern, geometry)
    panel = weights.output // _output_panel(pattern, geometry)
    return pattern.sorted_by((pattern.indices, weights.output, weights.plane, panel))


def plan(
    pattern: Pattern,
    geometry: Geometry,
    x_shape: tuple[int, ...],
    weights: KeptWeights | None = None,
    *,
    num_bytes: int = _NUMBER_BYTES,
) -> Plan:
    """Return the plan of a canonical pattern for inputs `[B, C, H, W]`, or `[B, C]`.

    weights: the pattern's, for plans of several shapes; without, they are made. num_bytes: of the
    inputs' numbers, which panels of outputs' products go by. Raises UsageError for inputs that are
    too small, or too large for offsets of 32 bits.
    """
    batch, channels = x_shape[:2]
    height, width = x_shape[2:] or (1, 1)
    rows, columns = geometry.taps
    size = geometry.output_size(height, width)
    outputs, weights = pattern.shape[0], weights or KeptWeights.of(pattern, geometry)
    # What windows reach of a phase; beyond it, and in the padding, there are zeros.
    x_size = (size[0] + rows.reach, size[1] + columns.reach)
    y_size = (size[0] + 2 * rows.reach, size[1] + 2 * columns.reach)
    num_phases = len(rows.phases) * len(columns.phases)
    x_numbers = channels * num_phases * prod(x_size) * batch
    y_numbers = outputs * prod(y_size) * batch
    for name, numbers in (("input", x_numbers), ("output", y_numbers)):
        if numbers > _MOST_NUMBERS:
            raise UsageError(f"{name}: {numbers} numbers with their padding; 2^31 - 1 allowed")

    num_planes = channels * num_phases
    rounded_up = 1 << max(batch - 1, 0).bit_length()  # near batches have the same panels
    length = min(_PRODUCT_TILE, size[1] * rounded_up) + columns.reach * rounded_up
    density = pattern.num_values / max(outputs * num_planes, 1)
    per_panel = panel_width(
        num_planes, num_bytes * (rows.reach + 1) * length, density, _PRODUCT_LEAST
    )
    num_panels, panel = -(-num_planes // per_panel), weights.plane // per_panel
    order = weights.order_of_rows(per_panel)
    reads = weights.plane * (prod(x_size) * batch) + weights.of_taps(
        (weights.down * x_size[1] + weights.across) * batch
    )
    product = ProductPlan(
        _starts(panel * outputs + weights.output, num_panels * outputs),
        reads.astype(np.int32)[order],
        order,
        num_panels,
        (size[0], size[1] * batch, x_size[1] * batch),
        (size[1] * batch, prod(size) * batch),
    )

    regions = [
        (_region(rows, r, geometry.padding[0], height, x_size[0]),
         _region(columns, c, geometry.padding[1], width, x_size[1]))
        for r in range(len(rows.phases)) for c in range(len(columns.phases))
    ]  # fmt: skip
    firsts = np.array([[down[0], across[0]] for down, across in regions], np.int64)
    first = firsts[weights.phase]
    came = (first[:, 0] - weights.down + rows.reach) * y_size[1]
    came += first[:, 1] - weights.across + columns.reach
    comes_from = weights.output * (prod(y_size) * batch) + weights.of_taps(came * batch)
    places = [
        ((plane * x_size[0] + down[0]) * x_size[1] * batch + across[0] * batch,
         down[1] - down[0], (across[1] - across[0]) * batch, x_size[1] * batch)
        for plane in range(num_planes) for down, across in [regions[plane % num_phases]]
    ]  # fmt: skip
    per_panel = _output_panel(pattern, geometry)
    num_panels, panel = -(-outputs // per_panel), weights.output // per_panel
    gradient = GradientPlan(
        _starts(panel * num_planes + weights.plane, num_panels * num_planes),
        comes_from.astype(np.int32),
        num_panels,
        np.array(places, np.int64).reshape(-1, 4),
        y_size[1] * batch,
    )
    inner = np.arange(size[0])[:, None] * y_size[1] + np.arange(size[1])
    inside = inner + rows.reach * y_size[1] + columns.reach
    return Plan(
        out_shape=(batch, outputs, *(size if len(x_shape) == 4 else ())),
        product=product,
        gradient=gradient,
        x_layout=PlaneLayout(
            channels, _input_places(geometry, height, width, x_size), num_phases * prod(x_size)
        ),
        y_layout=PlaneLayout(outputs, inside.reshape(-1).astype(np.int64), prod(y_size)),
        out_layout=PlaneLayout(outputs, np.arange(prod(size), dtype=np.int64), prod(size)),
        x_numbers=x_numbers,
        y_numbers=y_numbers,
    )


def _output_panel(pattern: Pattern, geometry: Geometry) -> int:
    """Return how many outputs the gradient reads as a panel; the values' order depends on it, so it
    is that of a usual batch."""
    rows, columns = geometry.taps
    num_planes = pattern.shape[1] * geometry.groups * len(rows.phases) * len(columns.phases)
    density = pattern.num_values / max(pattern.shape[0] * num_planes, 1)
    length = _GRADIENT_TILE + columns.reach * _USUAL_BATCH
    num_bytes = _NUMBER_BYTES * (rows.reach + 1) * length
    return panel_width(pattern.shape[0], num_bytes, density, _GRADIENT_LEAST)


def _starts(groups: Key, count: int) -> Places:
    """Return where each group begins among all members, and the end."""
    sizes = np.bincount(groups, minlength=count)
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _region(taps: Taps, phase: int, padding: int, size: int, reached: int) -> tuple[int, int]:
    """Return the begin and end of the input's rows within a phase, as far as they are reached."""
    remainder = taps.phases[phase]
    begin = max(-(-(padding - remainder) // taps.stride), 0)
    end = min(-(-(padding + size - remainder) // taps.stride), reached)
    return min(begin, max(end, 0)), max(end, 0)


def _input_places(geometry: Geometry, height: int, width: int, x_size: tuple[int, int]) -> Places:
    """Return the place of each input pixel among a channel's planes; -1 if nothing reads it."""
    axes = zip(geometry.taps, geometry.padding, (height, width), x_size, strict=True)
    (row_phase, row), (column_phase, column) = (
        _input_axis(taps, padding, size, reached) for taps, padding, size, reached in axes
    )
    num_columns = len(geometry.taps[1].phases)
    phase = row_phase[:, None] * num_columns + column_phase
    place = phase * prod(x_size) + row[:, None] * x_size[1] + column
    is_read = (row_phase >= 0)[:, None] & (column_phase >= 0)
    return np.where(is_read, place, -1).reshape(-1).astype(np.int64)


def _input_axis(taps: Taps, padding: int, size: int, reached: int) -> tuple[Places, Places]:
    """Return the phase, -1 where nothing reads it, and the row within it of each input row."""
    padded = np.arange(size, dtype=np.int64) + padding
    numbers = np.full(taps.stride, -1, np.int64)
    numbers[list(taps.phases)] = np.arange(len(taps.phases))
    row = padded // taps.stride
    return np.where(row < reached, numbers[padded % taps.stride], -1), row
