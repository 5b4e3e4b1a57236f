"""Operations that move elements and change none, as maps of indices."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.operations import Concatenate, Operation, Permute, Reshape, Slice
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class IndexMap:
    """Where the elements of a tensor come from, both in its shape. source: which of `sources`.
    index: which of that tensor's elements, counted in its own order."""

    sources: tuple[str, ...]
    source: NDArray[np.intp]
    index: NDArray[np.intp]


def index_map(operation: Operation, types: Mapping[str, TensorType]) -> IndexMap | None:
    """Return where an operation takes its elements from; None for one that computes.

    types: of its inputs, by their names.
    """
    shapes = [types[name].shape for name in operation.inputs]
    indices = [np.arange(prod(shape)).reshape(shape) for shape in shapes]
    sources = [np.full(shape, number) for number, shape in enumerate(shapes)]
    match operation:
        case Reshape(shape=shape):
            index, source = indices[0].reshape(shape), sources[0].reshape(shape)
        case Permute(axes=axes):
            index, source = indices[0].transpose(axes), sources[0].transpose(axes)
        case Slice(axis=axis, start=start, stop=stop, step=step):
            part = (slice(None),) * axis + (slice(start, stop, step),)
            index, source = indices[0][part], sources[0][part]
        case Concatenate(axis=axis):
            index, source = np.concatenate(indices, axis), np.concatenate(sources, axis)
        case _:
            return None
    return IndexMap(sources=operation.inputs, source=source, index=index)


def origin_of(program: Program, name: str) -> IndexMap:
    """Return which computed tensors, or inputs of the program, the elements of a tensor come from,
    through all operations that only move them."""
    makers = {operation.output: operation for operation in program.operations}
    if name in makers:
        moved = index_map(makers[name], program.types)
        if moved is not None:
            return _composed([origin_of(program, source) for source in moved.sources], moved)
    shape = program.types[name].shape
    return IndexMap(
        sources=(name,),
        source=np.zeros(shape, np.intp),
        index=np.arange(prod(shape)).reshape(shape),
    )


def _composed(inner: list[IndexMap], outer: IndexMap) -> IndexMap:
    """Return the map of a tensor whose sources have maps of their own."""
    names = tuple(dict.fromkeys(name for one in inner for name in one.sources))
    source, index = np.empty_like(outer.source), np.empty_like(outer.index)
    for number, one in enumerate(inner):
        here = outer.source == number
        at = outer.index[here]
        of_all = np.array([names.index(name) for name in one.sources])
        source[here] = of_all[one.source.reshape(-1)[at]]
        index[here] = one.index.reshape(-1)[at]
    return IndexMap(sources=names, source=source, index=index)
