"""How a layer's weights are stored: dense, or as rows of those that are not zero.

    dense     all of them, in the order of `runtime/float_layer.h`
    csr       compressed sparse rows: of each weight that is not zero how far it lies behind the one
              before, in 16 bits; dense where that is smaller
    auto      the smallest of these and of csr with 8 bits; `smallest` is the same here

A gap that its bits do not hold is made of several, between which weights of zero stand.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError, did_you_mean
from quantlab.floats.operations import Product, Reals

ENCODINGS = ("auto", "smallest", "csr", "dense")
BLOCK = 4
_GAPS = {
    "auto": (np.uint16, np.uint8),
    "smallest": (np.uint16, np.uint8),
    "csr": (np.uint16,),
    "dense": (),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Sparse weights. sizes: of each output, `[O]`. gaps, values: of all, one after the other."""

    sizes: NDArray[np.uint16]
    gaps: NDArray[Any]
    values: Reals

    @property
    def nbytes(self) -> int:
        return self.sizes.nbytes + self.gaps.nbytes + self.values.nbytes


def check_encoding(encoding: str) -> None:
    """Raise UsageError for an encoding that does not exist."""
    if encoding not in ENCODINGS:
        raise UsageError(
            f"encoding: '{encoding}' given, {', '.join(ENCODINGS)} allowed"
            f"{did_you_mean(str(encoding), ENCODINGS)}"
        )


def stored(product: Product, encoding: str) -> Rows | Reals:
    """Return a layer's weights as they are stored."""
    weight = product.weight
    if product.is_depthwise:
        weight = np.ascontiguousarray(weight[..., 0].transpose(1, 2, 0))
    choices: list[Rows | Reals] = [weight.reshape(-1)]
    choices += [rows for kind in _GAPS[encoding] if (rows := rows_of(product, kind)) is not None]
    return min(choices, key=lambda one: one.nbytes)


def rows_of(product: Product, kind: Any) -> Rows | None:
    """Return the rows of a layer's weights; None if a size of one has no 16 bits."""
    most = int(np.iinfo(kind).max)
    places, per_group = _places(product), len(product.weight) // product.groups
    sizes, gaps, values = [], [], []
    for output, weight in enumerate(product.weight):
        begin = output // per_group * weight.shape[2]
        taps = np.flatnonzero(weight)
        steps = np.diff(places.reshape(-1)[taps] + begin, prepend=0)
        # How many steps each gap takes; the last has the weight.
        counts = np.maximum(-(-steps // most), 1)
        ends = np.cumsum(counts) - 1
        row = np.full(counts.sum(), most, np.int64)
        row[ends] = steps - (counts - 1) * most
        own = np.zeros(len(row), np.float32)
        own[ends] = weight.reshape(-1)[taps]
        sizes.append(len(row))
        gaps.append(row)
        values.append(own)
    if max(sizes) > np.iinfo(np.uint16).max:
        return None
    return Rows(
        sizes=np.array(sizes, np.uint16),
        gaps=np.concatenate(gaps).astype(kind),
        values=np.concatenate(values),
    )


def _places(product: Product) -> NDArray[np.int64]:
    """Return where the first group's taps lie behind a window's begin, `[rows, columns, I / G]`: in
    a copy of it if there is padding, else in the input."""
    (rows, columns), channels = product.windows.kernel, product.channels
    row, column = columns * channels, channels
    if not product.windows.is_padded:
        row = product.windows.dilation[0] * product.size[1] * channels
        column = product.windows.dilation[1] * channels
    taps = np.arange(rows)[:, None, None] * row + np.arange(columns)[:, None] * column
    return taps + np.arange(product.weight.shape[3])
