"""Operations that move integers and change none. Axes are counted without the batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from quantlab.integer.operations.operation import Operation
from quantlab.integer.tensor_type import TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class Reshape(Operation):
    """The same integers in the same order, in another shape."""

    shape: tuple[int, ...]

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        given = self.one(inputs)
        if math.prod(given.shape) != math.prod(self.shape):
            self.refuse(f"{given} to {list(self.shape)}", "as many integers")
        return TensorType(self.shape, given.kind)


@dataclass(frozen=True, kw_only=True, eq=False)
class Permute(Operation):
    """The axes in another order: axis `axes[i]` becomes axis i."""

    axes: tuple[int, ...]

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        given = self.one(inputs)
        if sorted(self.axes) != list(range(len(given.shape))):
            self.refuse(f"axes {self.axes} of {given}", "each axis once")
        return TensorType(tuple(given.shape[axis] for axis in self.axes), given.kind)


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice(Operation):
    """From `start` to before `stop` along an axis, every `step`-th."""

    axis: int
    start: int
    stop: int
    step: int = 1

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        given = self.one(inputs)
        if not 0 <= self.axis < len(given.shape):
            self.refuse(f"axis {self.axis} of {given}", "an axis of it")
        if not 0 <= self.start < self.stop <= given.shape[self.axis] or self.step < 1:
            self.refuse(f"{self.start}:{self.stop}:{self.step} of {given}", "a part of it")
        shape = list(given.shape)
        shape[self.axis] = len(range(self.start, self.stop, self.step))
        return TensorType(tuple(shape), given.kind)


@dataclass(frozen=True, kw_only=True, eq=False)
class Concatenate(Operation):
    """The tensors, all on one scale, one after the other along an axis."""

    axis: int

    def infer(self, inputs: Sequence[TensorType]) -> TensorType:
        if not inputs:
            self.refuse("nothing", "a tensor")
        first = inputs[0]
        if not 0 <= self.axis < len(first.shape):
            self.refuse(f"axis {self.axis} of {first}", "an axis of it")
        rests = {(g.kind, g.shape[: self.axis], g.shape[self.axis + 1 :]) for g in inputs}
        if len(rests) != 1:
            self.refuse(", ".join(map(str, inputs)), f"tensors alike but for axis {self.axis}")
        shape = list(first.shape)
        shape[self.axis] = sum(given.shape[self.axis] for given in inputs)
        return TensorType(tuple(shape), first.kind)
