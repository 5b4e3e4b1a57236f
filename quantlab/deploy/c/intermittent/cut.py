"""How the work of a layer is cut into tiles: rows of its result, of them some outputs or columns.

Shapes: O outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import lcm, prod

import numpy as np

from quantlab.deploy.c.intermittent.power import Power
from quantlab.deploy.c.kernels.kernel import Factors, Kernel, Stored
from quantlab.integer.groups import Group
from quantlab.integer.tensor_type import TensorType

_LEAST = 4  # outputs that kernels make at once
# Instructions of a place that kernels do not estimate, and of one of a tile that is made alone.
_OF_PLACE, _OF_SINGLE = 450, 950


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How a layer is cut. outputs, columns: that a tile has at most. rows: the fewest that it may
    have: all that one row of a pooling takes. instructions: of a tile of these, about. patch: what
    a tile reads of the input, if it has not all columns."""

    outputs: int
    columns: int
    rows: int
    instructions: float
    patch: TensorType | None = None

    def parts(self, factors: Factors) -> int:
        """Return how many tiles the same rows have."""
        _, columns = factors.num_places
        return -(-len(factors.weight) // self.outputs) * -(-columns // self.columns)


def cut_of(group: Group, factors: Factors, kernel: Kernel, power: Power) -> Cut:
    """Return how a layer is cut: into rows; if a tile of the fewest rows would take more than is
    wanted, into columns; if one of the fewest columns still does, into slices of outputs. Columns
    are as many as the kernel makes at once, fewer only if slices of those take too much. Layers of
    several groups have no slices."""
    rows, columns = factors.num_places
    strides = [one.pooling.windows.stride for one in group.made if one.pooling is not None]
    least_rows = min(lcm(*(stride[0] for stride in strides)), rows)
    least_columns = min(lcm(*(stride[1] for stride in strides)), columns)
    num_outputs, at_once = len(factors.weight), kernel.store(factors).places_at_once

    def cut(columns: int, outputs: int) -> Cut:
        has_patch = columns < factors.num_places[1]
        patch = _patch(factors, least_rows, columns) if has_patch else None
        share = least_rows * columns / prod(factors.num_places)
        is_whole = outputs >= num_outputs and not has_patch
        is_shared = 1 < at_once <= columns
        of_place = _OF_PLACE if is_whole or is_shared else _OF_SINGLE
        return Cut(
            outputs=min(outputs, num_outputs),
            columns=columns,
            rows=least_rows,
            instructions=share * _most(factors, kernel, outputs)
            + of_place * least_rows * columns
            + (0 if patch is None else prod(patch.shape)),
            patch=patch,
        )

    found = cut(columns, num_outputs)
    for least in (lcm(least_columns, at_once), least_columns):
        most = int(power.wanted / found.instructions * found.columns) // least * least
        if least < columns and found.instructions > power.wanted:
            found = cut(max(most, least), num_outputs)
            if found.instructions > power.wanted:  # A patch takes some too.
                found = cut(max(most - least, least), num_outputs)
        size = -(-num_outputs // _LEAST) * _LEAST
        while found.instructions > power.wanted and size > _LEAST and factors.groups == 1:
            size = -(-size // (2 * _LEAST)) * _LEAST
            found = cut(found.columns, size)
    return found


def sliced(factors: Factors, kernel: Kernel, outputs: int) -> list[Stored]:
    """Return the weights of a layer, so many outputs a slice: each is multiplied like a layer of
    its own."""
    return [kernel.store(one) for one in _slices(factors, outputs)]


def joined(slices: Sequence[Stored]) -> Stored:
    """Return the weights of a layer from its slices, one behind the other."""
    first, *others = slices
    if not others:
        return first
    added = [one.added for one in slices if one.added is not None]
    scratch = [one.scratch for one in slices if one.scratch is not None]
    return replace(
        first,
        weights=np.concatenate([one.weights.reshape(-1).view(np.uint8) for one in slices]),
        is_gathered=any(one.is_gathered for one in slices),
        is_of_places=any(one.is_of_places for one in slices),
        scratch=max(scratch, key=lambda kind: prod(kind.shape)) if scratch else None,
        added=np.concatenate(added) if added else None,
    )


def _most(factors: Factors, kernel: Kernel, outputs: int) -> float:
    """Return the instructions of the largest slice."""
    return max(kernel.instructions(one) for one in _slices(factors, outputs))


def _slices(factors: Factors, outputs: int) -> list[Factors]:
    if outputs >= len(factors.weight):
        return [factors]
    return [
        replace(factors, weight=factors.weight[first : first + outputs])
        for first in range(0, len(factors.weight), outputs)
    ]


def _patch(factors: Factors, rows: int, columns: int) -> TensorType:
    """Return what the windows of so many rows and columns reach."""
    windows = factors.windows
    height, width = (
        (count - 1) * windows.stride[axis] + (windows.kernel[axis] - 1) * windows.dilation[axis] + 1
        for axis, count in enumerate((rows, columns))
    )
    return TensorType((height, width * factors.weight.shape[3] * factors.groups), factors.kind)
