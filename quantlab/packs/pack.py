"""A network as a pack has it: a float program, most of whose weights are computed from codes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError, VerificationError
from quantlab.floats.interpreter import run
from quantlab.floats.operations import Operation, Product
from quantlab.floats.program import FloatProgram
from quantlab.packs.join import join
from quantlab.packs.products import Products
from quantlab.packs.weights import Weight, scaled

Floats = NDArray[np.float32]
WRONG = (  # what a program that means nothing raises
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """Where the weight of a product comes from.

    name: of the weight. scale, ratios: see `weights.scaled`; a batch norm behind the layer is in
    them. order: which input of the layer each one of the product is, None: they are the same.
    """

    name: str
    scale: NDArray[Any]
    ratios: NDArray[Any]
    order: NDArray[np.intp] | None = None

    def weight(self, weight: Weight, shape: tuple[int, ...]) -> Floats:
        """Return the weight `[O, rows, columns, I]` of a product. Raises ValueError for a shape
        that it does not have."""
        outputs, rows, columns, inputs = shape
        kernels = scaled(weight.unscaled(), self.scale, self.ratios)
        found = kernels.reshape(outputs, inputs, rows, columns).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(found if self.order is None else found[..., self.order])


@dataclass(frozen=True, kw_only=True, eq=False)
class Pack:
    """See the module.

    skeleton: the program, in which products with a source have a weight of their shape that means
    nothing. weights: of codes, by the name of their layer. sources: of products, by their output.
    made_from: the SHA-256 of the network's weights, as its maker counts it; empty: not known.
    """

    skeleton: FloatProgram
    weights: Mapping[str, Weight]
    sources: Mapping[str, Source]
    made_from: str = ""

    @cached_property
    def program(self) -> FloatProgram:
        """The program with all weights as floats of 32 bits."""
        operations: list[Operation] = []
        for operation in self.skeleton.operations:
            source = self.sources.get(operation.output)
            if isinstance(operation, Product) and source is not None:
                weight = source.weight(self.weights[source.name], operation.weight.shape)
                operations.append(replace(operation, weight=weight))
            else:
                operations.append(operation)
        return replace(self.skeleton, operations=operations)

    @cached_property
    def _joined(self) -> FloatProgram:
        return join(self.skeleton)

    @cached_property
    def _products(self) -> Products:
        return Products(self.weights, self.sources)

    def run(self, x: NDArray[Any]) -> dict[str, Floats]:
        """Return the results `[N, ...]` of a batch, by name.

        x: `[N, ...]` as the network takes it, in floats. Sums of products are those of the kernels
        (`quantlab.backend.LayerTable`), which compute no generated weight. Raises UsageError for
        another shape, VerificationError for a program that cannot be run.
        """
        ((name, _),) = self.skeleton.inputs.items()
        batch = np.asarray(x, np.float32)
        if not batch.ndim or not len(batch):
            raise UsageError(f"input '{name}': no samples given, [N, ...] of 1 or more allowed")
        try:
            return run(self._joined, {name: batch}, self._products.compute)
        except UsageError:
            raise
        except WRONG as error:
            raise VerificationError(f"pack: it cannot be run: {error}") from error

    def scores(self, x: NDArray[Any]) -> Floats:
        """Return the only result of a batch. Raises UsageError for a network with several."""
        results = self.run(x)
        if len(results) != 1:
            raise UsageError(f"pack: {len(results)} results ({', '.join(results)}), one allowed")
        return next(iter(results.values()))
