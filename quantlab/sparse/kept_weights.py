"""Where the kept weights of a layer read and add to, whatever the shape of its inputs."""

from dataclasses import dataclass, field
from math import prod

import numpy as np

from quantlab.sparse.geometry import Geometry
from quantlab.sparse.pattern import Pattern
from quantlab.sparse.stable_order import Key, Places, stable_order


@dataclass(frozen=True, kw_only=True, eq=False)
class KeptWeights:
    """What all plans of a pattern share.

    Of each value: its output, the plane that it reads and its place in the kernel, its tap. Of each
    tap: the phase that it reads and how far down and across. Arrays of values are int32
    where that reaches all of the dense weight.
    """

    output: Key
    plane: Key
    tap: Key
    phase: Places
    down: Places
    across: Places
    _orders: dict[int, Places] = field(default_factory=dict)  # the last one, by its panels

    @classmethod
    def of(cls, pattern: Pattern, geometry: Geometry) -> "KeptWeights":
        """Return those of a pattern."""
        outputs, inputs, *kernel = pattern.shape
        rows, columns = geometry.taps
        num_phases = len(rows.phases) * len(columns.phases)
        row, column = (place.reshape(-1) for place in np.indices(geometry.kernel))
        phase = rows.phase[row] * len(columns.phases) + columns.phase[column]
        is_narrow = prod(pattern.shape) <= 2**31 - 1
        indices = pattern.indices.astype(np.int32) if is_narrow else pattern.indices
        square = indices // prod(kernel)  # that of an output and an input
        output = square // max(inputs, 1)
        group = output // max(outputs // geometry.groups, 1)
        channel = group * inputs + square - output * inputs
        tap = indices - square * prod(kernel)
        return cls(
            output=output,
            plane=channel * num_phases + phase.astype(indices.dtype)[tap],
            tap=tap,
            phase=phase,
            down=rows.distance[row],
            across=columns.distance[column],
        )

    def of_taps(self, table: Places) -> Key:
        """Return a table's number of each value's tap, of 32 bits."""
        return table.astype(np.int32)[self.tap]

    def order_of_rows(self, per_panel: int) -> Places:
        """Return the values' places, output by output within panels of so many planes."""
        if per_panel not in self._orders:
            self._orders.clear()
            panel = self.plane // per_panel
            self._orders[per_panel] = stable_order((self.plane, self.output, panel))
        return self._orders[per_panel]
