"""The state of lowering a network to a float program: its graph, and the operations so far."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import fx, nn

from quantlab.floats.functions import Function
from quantlab.floats.layout import View, in_order, places_of
from quantlab.floats.operations import Elementwise, Operation, Places, Product, Reals
from quantlab.graphs.paths import module_of
from quantlab.integer.lower.known import Known
from quantlab.integer.lower.lowering import refuse

Values = View | tuple[View, ...]


@dataclass(kw_only=True, eq=False)
class State:
    """known: the values of nodes that depend on no input. makers: the node that an array was first
    written for. sizes: of arrays."""

    gm: fx.GraphModule
    known: Known
    values: dict[fx.Node, Values] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    makers: dict[str, fx.Node] = field(default_factory=dict)

    def module(self, node: fx.Node) -> nn.Module:
        module = module_of(self.gm, node)
        assert module is not None
        return module

    def view(self, node: fx.Node) -> View:
        """Return what a node gives, which is one tensor."""
        value = self.values[node]
        assert isinstance(value, View)
        return value

    def new(self, node: fx.Node, size: int) -> str:
        """Return the name of a new array."""
        name = f"{len(self.sizes)}_{node.name}"
        self.sizes[name] = size
        self.makers[name] = node
        return name

    def emit(self, operation: Operation) -> None:
        self.operations.append(operation)

    def product(self, node: fx.Node, x: View) -> Product | None:
        """Return the layer whose whole result this node alone reads, if there is one, so that
        something can be done with its sums."""
        product = next((o for o in self.operations if o.output == x.array), None)
        if not isinstance(product, Product) or x.places.size != self.sizes[x.array]:
            return None
        is_whole = len(np.unique(x.places)) == x.places.size
        return product if is_whole and self._is_only_reader(node, x.array) else None

    def change(self, product: Product, **settings: Any) -> None:
        """Put another form of a layer in its place."""
        self.operations[self.operations.index(product)] = replace(product, **settings)

    def whole(self, node: fx.Node, x: View, places: Places) -> str:
        """Return an array whose numbers lie as `places` says, and no others: copied unless it is
        there."""
        if self.sizes[x.array] == x.places.size and np.array_equal(x.places, places):
            return x.array
        order = np.argsort(places.reshape(-1))
        return self._ordered(node, x, order, Function("copy")).array

    def image(self, node: fx.Node, x: View) -> tuple[str, tuple[int, int, int]]:
        """Return an array of a tensor `[C, H, W]`, or `[C, L]` as one of a row, channels last, and
        rows, columns and channels."""
        channels, *size = x.shape
        height, width = size if len(size) == 2 else (1, *size)
        places = places_of((channels, height, width)).reshape(x.shape)
        return self.whole(node, x, places), (height, width, channels)

    def elementwise(
        self,
        node: fx.Node,
        function: Function,
        x: View,
        other: View | Reals | None = None,
    ) -> View:
        """Return a function of each number, and of those of another tensor or a constant, which
        broadcast against one another."""
        check_number(node, *function.constants)
        if other is None:
            product = self.product(node, x)
            if product is not None and product.function is None and product.pooled is None:
                self.change(product, function=function)
                return x
            return self._ordered(node, x, x.order(), function)
        if isinstance(other, View):
            shape = np.broadcast_shapes(x.shape, other.shape)
            x = View(x.array, np.broadcast_to(x.places, shape))
            others = np.broadcast_to(other.places, shape).reshape(-1)
            return self._ordered(node, x, x.order(), function, other.array, None, others)
        counts = np.arange(other.size).reshape(other.shape)
        shape = np.broadcast_shapes(x.shape, other.shape)
        x = View(x.array, np.broadcast_to(x.places, shape))
        others = np.broadcast_to(counts, shape).reshape(-1)
        numbers = other.astype(np.float32).reshape(-1)
        return self._ordered(node, x, x.order(), function, None, numbers, others)

    def _ordered(
        self,
        node: fx.Node,
        x: View,
        order: Places,
        function: Function,
        other: str | None = None,
        constant: Reals | None = None,
        others: Places | None = None,
    ) -> View:
        """Return a function of a tensor's elements in an array in which they lie in an order."""
        to = in_order(self.new(node, len(order)), x.shape, order)
        self.emit(
            Elementwise(
                output=to.array,
                layer=layer_of(node),
                input=x.array,
                other=other,
                constant=constant,
                function=function,
                places=x.places.reshape(-1)[order],
                other_places=None if others is None else others[order],
                to_places=np.arange(len(order)),
            )
        )
        return to

    def _is_only_reader(self, node: fx.Node, array: str) -> bool:
        """Return whether from what made an array to a node each one has one reader."""
        maker, at = self.makers[array], node
        while at is not maker:
            sources = [source for source in at.all_input_nodes if source in self.values]
            if len(sources) != 1 or len(sources[0].users) != 1:
                return False
            (at,) = sources
        return True


def check_number(node: fx.Node, *numbers: float) -> None:
    """Raise UsageError for a number that no float of 32 bits is."""
    for number in numbers:
        if not abs(number) <= float(np.finfo(np.float32).max):
            refuse(node, f"a number of {number} given, finite floats of 32 bits allowed")


def layer_of(node: fx.Node) -> str:
    """Return what a node is called in errors and headers."""
    return str(node.target) if node.op == "call_module" else node.name
