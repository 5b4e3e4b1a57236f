"""Operations by the kernels, from the codes of a pack; sums are in the kernels' order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from quantlab.backend import LayerTable, PackedConvolution, run_layers
from quantlab.errors import UsageError
from quantlab.floats import interpreter
from quantlab.floats.interpreter import Arrays, Floats, finish_product, padded_image
from quantlab.floats.operations import Operation, Pool, Product
from quantlab.packs.joined import Joined, Shape, Step, shapes_read, windows_of
from quantlab.packs.kernels import packed, packed_channels, packed_codes
from quantlab.packs.weights import Weight

if TYPE_CHECKING:
    from quantlab.packs.pack import Source


@dataclass(frozen=True)
class _Ready:
    """A table, the value that is wanted, and the image `[H, W, C]` that it is."""

    table: LayerTable
    value: int
    shape: Shape


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

    def __reduce__(self) -> tuple[Any, ...]:
        return Products, (self._weights, self._sources)  # tables are made anew

    def compute(self, operation: Operation, arrays: Arrays, to: Floats) -> None:
        """Write what an operation makes of arrays to its output, as `interpreter.compute` does.

        Raises ValueError for an operation that the kernels do not take.
        """
        match operation:
            case Product():
                ready = self._kept(operation, lambda: self._product(operation))
                _run_product(operation, ready, arrays[operation.input], to)
            case Joined():
                ready = self._kept(operation, lambda: self._steps(operation.steps))
                images = [_image(arrays[n], s) for n, s in shapes_read(operation.steps).items()]
                run_layers(ready.table, images, [ready.value], [_image(to, ready.shape)])
            case _:
                interpreter.compute(operation, arrays, to)

    def _kept(self, operation: Operation, make: Callable[[], _Ready]) -> _Ready:
        """Return the table of an operation, made when it is used first."""
        if operation.output not in self._ready:
            try:
                self._ready[operation.output] = make()
            except UsageError as error:  # what the kernels do not take stands in the program
                raise ValueError(f"layer '{operation.layer}': {error}") from error
        return self._ready[operation.output]

    def _product(self, product: Product) -> _Ready:
        """Return the table of a product, which takes images that are padded already."""
        table = LayerTable([(*_reach(product), product.channels)])
        value = table.convolution(self._packed(product, (0, 0)), 0)
        return _Ready(table, value, (*product.places, len(product.weight)))

    def _steps(self, steps: Sequence[Step]) -> _Ready:
        shapes = shapes_read(steps)
        table = LayerTable(list(shapes.values()))
        values = {name: number for number, name in enumerate(shapes)}
        for step in steps:
            values[step.output] = self._add(table, step, [values[name] for name in step.inputs])
        return _Ready(table, values[steps[-1].output], steps[-1].output_shape)

    def _add(self, table: LayerTable, step: Step, inputs: list[int]) -> int:
        """Add a step to a table; return the number of what it makes."""
        match step.operation:
            case Product(windows=windows) as product:
                weight = self._packed(product, (windows.padding[0], windows.padding[1]))
                residual = inputs[1] if len(inputs) > 1 else None
                return table.convolution(weight, inputs[0], residual, *step.bounds)
            case Pool() as pool:
                height, width, _ = pool.size
                rows, columns = windows_of(pool.rows, height), windows_of(pool.columns, width)
                assert rows is not None
                assert columns is not None
                window = ((rows[0], columns[0]), (rows[1], columns[1]), (0, 0))
                if pool.divisors is None:
                    return table.max_pool(inputs[0], *window)
                return table.average_pool(inputs[0], *window, True)
            case _ if step.is_concatenation:
                return table.concatenate(inputs)
            case _ if step.factors is not None:
                weight = packed_channels(step.factors, step.offsets)
                return table.convolution(weight, inputs[0], None, *step.bounds)
            case _:
                return table.add(inputs[0], inputs[1], *step.bounds)

    def _packed(self, product: Product, padding: tuple[int, int]) -> PackedConvolution:
        source = self._sources.get(product.output)
        if source is None:
            return packed(product, padding)
        return packed_codes(product, padding, self._weights[source.name], source)


def _run_product(product: Product, ready: _Ready, x: Floats, to: Floats) -> None:
    padded = padded_image(product, x)
    sums = np.empty((len(x), *ready.shape), np.float32)
    run_layers(ready.table, [padded.reshape(*padded.shape[:3], -1)], [ready.value], [sums])
    finish_product(replace(product, bias=None), sums, to)


def _image(array: Floats, shape: Shape) -> Floats:
    return array.reshape(len(array), *shape)


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
