"""Products by the kernels, from the codes of a pack; sums are in the kernels' order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from quantlab.backend import LayerTable, run_layers
from quantlab.errors import UsageError
from quantlab.floats import interpreter
from quantlab.floats.functions import Function
from quantlab.floats.interpreter import Arrays, Floats, finish_product, padded_image
from quantlab.floats.operations import Operation, Product
from quantlab.packs.kernels import packed, packed_codes
from quantlab.packs.weights import Weight

if TYPE_CHECKING:
    from quantlab.packs.pack import Source


@dataclass(frozen=True)
class _Ready:
    """A product as a table of one step. rest: what it does not compute; it has no bias."""

    product: Product
    table: LayerTable
    value: int
    is_padded: bool
    rest: Product


class Products:
    """Computes the operations of a program; each weight is brought into the kernels' order once."""

    def __init__(
        self,
        weights: Mapping[str, Weight] | None = None,
        sources: "Mapping[str, Source] | None" = None,
    ) -> None:
        """weights, sources: as of a `Pack`; products without a source have their weight."""
        self._weights, self._sources = weights or {}, sources or {}
        self._ready: dict[str, _Ready] = {}

    def compute(self, operation: Operation, arrays: Arrays, to: Floats) -> None:
        """Write what an operation makes of arrays to its output, as `interpreter.compute` does.

        Raises ValueError for a product that the kernels do not take.
        """
        if not isinstance(operation, Product):
            interpreter.compute(operation, arrays, to)
            return
        if operation.output not in self._ready:
            try:
                self._ready[operation.output] = self._made_ready(operation)
            except UsageError as error:  # what the kernels do not take stands in the program
                raise ValueError(f"layer '{operation.layer}': {error}") from error
        _run(self._ready[operation.output], arrays[operation.input], to)

    def _made_ready(self, product: Product) -> _Ready:
        top, left, bottom, right = product.windows.padding
        has_equal = (top, left) == (bottom, right) and not product.windows.ceil_mode
        padding, size = ((top, left), product.size) if has_equal else ((0, 0), _reach(product))
        source = self._sources.get(product.output)
        if source is None:
            convolution = packed(product, padding)
        else:
            convolution = packed_codes(product, padding, self._weights[source.name], source)
        table = LayerTable([(*size, product.channels)])
        bounds = _bounds(product.function)
        low, high = bounds or (-inf, inf)
        return _Ready(
            product=product,
            table=table,
            value=table.convolution(convolution, 0, None, low, high),
            is_padded=not has_equal,
            rest=replace(product, bias=None, function=None if bounds else product.function),
        )


def _run(ready: _Ready, x: Floats, to: Floats) -> None:
    product = ready.product
    if ready.is_padded:
        padded = padded_image(product, x)
        image = padded.reshape(*padded.shape[:3], -1)
    else:
        image = x.reshape(len(x), *product.size, -1)
    shape = (len(x), *product.places, len(product.weight))
    is_last = ready.rest.function is None and ready.rest.pooled is None
    made = to.reshape(shape) if is_last else np.empty(shape, np.float32)
    run_layers(ready.table, [np.ascontiguousarray(image)], [ready.value], [made])
    if not is_last:
        finish_product(ready.rest, made, to)


def _reach(product: Product) -> tuple[int, int]:
    """Return the rows and columns that the windows of a product reach."""
    windows = product.windows
    rows, columns = (
        (count - 1) * stride + dilation * (kernel - 1) + 1
        for count, stride, dilation, kernel in zip(
            product.places, windows.stride, windows.dilation, windows.kernel, strict=True
        )
    )
    return rows, columns


def _bounds(function: Function | None) -> tuple[float, float] | None:
    """Return the bounds that a function is, None if it is another or there is none."""
    match function:
        case Function(name="at_least", constants=(low,)):
            return low, inf
        case Function(name="at_most", constants=(high,)):
            return -inf, high
        case Function(name="clamp", constants=(low, high)):
            return low, high
        case _:
            return None
