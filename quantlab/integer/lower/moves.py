"""A tensor whose integers move, step by step. Axes are counted without the batch."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import fx

from quantlab.graphs.paths import origin
from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.value import Value
from quantlab.integer.operations import Concatenate, Operation, Permute, Reshape, Slice


class Moves:
    """Emits what moves the integers of one tensor, and nothing for what leaves them in place.

    x: of one scale for all; a value in another form is quantized first. node: what they become.
    """

    def __init__(self, lowering: Lowering, node: fx.Node, x: Value) -> None:
        is_costly = lowering.is_costly(x)
        if is_costly and lowering.is_result(node):
            x = lowering.builder.scores(x, node.name)
        elif not x.is_uniform or x.is_clamped or is_costly:
            x = lowering.codes(x, lowering.source(node), may_be_wide=True)
        self._lowering, self._node, self._x = lowering, node, x
        (term,) = x.terms
        self.tensor = term.tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return self._lowering.builder.types[self.tensor].shape

    @property
    def value(self) -> Value:
        """What the integers stand for where they are now."""
        (term,) = self._x.terms
        moved = replace(term, tensor=self.tensor, scale=term.scale.reshape(()))
        offset = self._x.offset.reshape(())
        return replace(self._x, terms=(moved,), offset=offset, shape=self.shape)

    def reshape(self, shape: Sequence[int]) -> "Moves":
        if tuple(shape) != self.shape:
            self.tensor = self._lowering.builder.lifted(self.tensor) or self.tensor
        if tuple(shape) != self.shape:
            self._emit(Reshape, (self.tensor,), shape=tuple(shape))
        return self

    def permute(self, axes: Sequence[int]) -> "Moves":
        if list(axes) != sorted(axes):
            self._emit(Permute, (self.tensor,), axes=tuple(axes))
        return self

    def slice(self, axis: int, start: int, stop: int, step: int = 1) -> "Moves":
        if (start, stop, step) != (0, self.shape[axis], 1):
            self._emit(Slice, (self.tensor,), axis=axis, start=start, stop=stop, step=step)
        return self

    def repeat(self, axis: int, count: int) -> "Moves":
        """Put the tensor behind itself along an axis, so that it is there `count` times."""
        if count > 1:
            self._emit(Concatenate, (self.tensor,) * count, axis=axis)
        return self

    def grow(self, shape: Sequence[int]) -> "Moves":
        """Repeat the tensor along all axes, new ones first, until it has a shape."""
        self.reshape((1,) * (len(shape) - len(self.shape)) + self.shape)
        for axis, (given, wanted) in enumerate(zip(self.shape, shape, strict=True)):
            self.repeat(axis, wanted // given)
        return self

    def stretch(self, axis: int, count: int) -> "Moves":
        """Repeat each element along an axis, `count` times."""
        shape = self.shape
        rows, behind = math.prod(shape[: axis + 1]), math.prod(shape[axis + 1 :])
        self.reshape((rows, 1, behind)).repeat(1, count)
        return self.reshape((*shape[:axis], shape[axis] * count, *shape[axis + 1 :]))

    def _emit(self, operation: type[Operation], inputs: tuple[str, ...], **settings: Any) -> None:
        builder, node = self._lowering.builder, self._node
        self.tensor = builder.emit(
            operation(inputs=inputs, output=builder.name(node.name), layer=origin(node), **settings)
        )
