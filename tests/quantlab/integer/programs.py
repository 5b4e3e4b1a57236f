"""Random integer programs that use every operation."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.integer.bounds import prove
from quantlab.integer.lower.multipliers import choose
from quantlab.integer.operations import (
    AdaptiveSumPool,
    Add,
    ArgMax,
    Concatenate,
    Convolution,
    Linear,
    Lookup,
    MaxPool,
    Multiply,
    Operation,
    Permute,
    Requantize,
    Reshape,
    Slice,
    SumPool,
    Threshold,
    Windows,
)
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, S32, U8, IntegerType, TensorType

SHAPE = (4, 9, 8)
NEVER_LOWERED = {"ArgMax"}  # from the layers that random networks have


def inputs(program: Program, count: int, seed: int) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(seed)
    (shape,) = [given.shape for given in program.inputs.values()]
    return {"x": random.integers(0, 256, (count, *shape), dtype=np.uint8)}


class Author:
    """Writes a program, one operation after the other, each of a tensor there is."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.types = {"x": TensorType(SHAPE, U8)}
        self.operations: list[Operation] = []

    def program(self, num_operations: int) -> Program:
        kinds = (
            *("convolution", "convolution", "add", "multiply", "concatenate", "slice", "permute"),
            *("max_pool", "sum_pool", "adaptive", "lookup", "threshold", "requantize"),
        )
        while len(self.operations) < num_operations:
            getattr(self, str(self.random.choice(kinds)))()
        self.head()
        return Program(
            inputs={"x": TensorType(SHAPE, U8)},
            operations=tuple(self.operations),
            outputs=(self.operations[-1].output,),
        )

    def emit(self, cls: Callable[..., Operation], *sources: str, **settings: Any) -> str:
        name = f"t{len(self.operations)}"
        operation = cls(inputs=sources, output=name, layer=f"layer {name}", **settings)
        self.types[name] = operation.infer([self.types[source] for source in sources])
        self.operations.append(operation)
        return name

    def bound(self, name: str) -> Any:
        return prove({"x": self.types["x"]}, self.operations, self.types)[name]

    def pick(self, *kinds: IntegerType) -> str:
        names = [n for n, t in self.types.items() if t.kind in kinds and len(t.shape) == 3]
        return str(self.random.choice(names))

    def windows(self, shape: tuple[int, ...], *, can_overhang: bool) -> Windows:
        kernel = [int(self.random.integers(1, min(4, size + 1))) for size in shape[1:]]
        padding = [int(self.random.integers(0, (k + 1) // 2 + (k > 1))) for k in kernel]
        return Windows(
            kernel=(kernel[0], kernel[1]),
            stride=(int(self.random.integers(1, 3)), int(self.random.integers(1, 3))),
            padding=(
                min(padding[0], kernel[0] // 2), min(padding[1], kernel[1] // 2),
                min(padding[0], kernel[0] // 2), min(padding[1], kernel[1] // 2),
            ),
            ceil_mode=can_overhang and bool(self.random.integers(2)),
        )  # fmt: skip

    def kind(self) -> IntegerType:
        return (U8, S8, S16)[self.random.integers(3)]

    def requantize(self, source: str | None = None) -> str:
        source = source or self.pick(U8, S8, S16, S32)
        given, kind = self.types[source], self.kind()
        bound = self.bound(source)
        reach = max(abs(bound.lowest), abs(bound.highest), 1)
        shape = (given.shape[0], 1, 1) if self.random.integers(2) and len(given.shape) == 3 else ()
        factors = self.random.normal(0, kind.maximum / reach, shape)
        offset = np.asarray(self.random.normal(0, 9, shape) + 0.5)
        (multiplier,), offsets, shift = choose([np.asarray(factors)], offset, [bound], "random")
        return self.emit(
            Requantize, source, multiplier=multiplier, offset=offsets, shift=shift,
            low=kind.minimum // 2, high=kind.maximum, kind=kind,
        )  # fmt: skip

    def convolution(self) -> None:
        source = self.pick(U8, S8, S16)
        given = self.types[source]
        channels = given.shape[0]
        groups = int(self.random.choice([g for g in (1, 2, channels) if channels % g == 0]))
        bits = int(self.random.integers(1, 9))
        outputs = groups * int(self.random.integers(1, 4))
        windows = self.windows(given.shape, can_overhang=False)
        half = 2 ** (bits - 1)
        size = (outputs, channels // groups, *windows.kernel)
        weight = self.random.integers(-half, half, size).astype(np.int8)
        if bits == 1:
            weight = np.where(weight < 0, -1, 1).astype(np.int8)
        codes = self.random.integers(max(given.kind.minimum, -5), 6, channels).astype(np.int32)
        if self.random.integers(2):
            codes[:] = codes[0]
        name = self.emit(
            Convolution, source, weight=weight, weight_bits=bits, padding_codes=codes,
            bias=self.random.integers(-999, 999, outputs).astype(np.int32), windows=windows,
            groups=groups,
        )  # fmt: skip
        self.requantize(name)

    def add(self) -> None:
        left = self.pick(U8, S8, S16, S32)
        same = [n for n, t in self.types.items() if t.shape == self.types[left].shape]
        right = str(self.random.choice(same))
        kind, bounds = self.kind(), [self.bound(left), self.bound(right)]
        factors = [
            np.asarray(self.random.normal(0, kind.maximum / max(abs(b.lowest), abs(b.highest), 1)))
            for b in bounds
        ]
        (one, two), offset, shift = choose(factors, np.asarray(0.5), bounds, "random")
        self.emit(
            Add, left, right, left_multiplier=one, right_multiplier=two, offset=offset, shift=shift,
            low=kind.minimum, high=kind.maximum, kind=kind,
        )  # fmt: skip

    def multiply(self) -> None:
        source = self.pick(U8, S8)
        sums = self.emit(AdaptiveSumPool, source, size=(1, 1))
        gate = self.requantize(sums)
        if self.types[gate].kind == S16:
            return
        name = self.emit(Multiply, source, gate, left_zero=3, right_zero=-2)
        self.requantize(name)

    def concatenate(self) -> None:
        first = self.types[self.pick(U8, S8, S16)]
        same = [n for n, t in self.types.items() if t.kind == first.kind and t.shape == first.shape]
        self.emit(
            Concatenate, *self.random.choice(same, 2).tolist(), axis=int(self.random.integers(3))
        )

    def slice(self) -> None:
        source = self.pick(U8, S8, S16)
        shape = self.types[source].shape
        axis = int(self.random.integers(3))
        start = int(self.random.integers(0, max(1, shape[axis] // 2)))
        step = int(self.random.integers(1, 3))
        self.emit(Slice, source, axis=axis, start=start, stop=shape[axis], step=step)

    def permute(self) -> None:
        self.emit(Permute, self.pick(U8, S8, S16), axes=tuple(self.random.permutation(3).tolist()))

    def max_pool(self) -> None:
        source = self.pick(U8, S8, S16)
        windows = self.windows(self.types[source].shape, can_overhang=True)
        self.emit(MaxPool, source, windows=windows)

    def sum_pool(self) -> None:
        source = self.pick(U8, S8, S16)
        windows = self.windows(self.types[source].shape, can_overhang=True)
        self.requantize(self.emit(SumPool, source, windows=windows, padding_code=2))

    def adaptive(self) -> None:
        source = self.pick(U8, S8, S16)
        size = tuple(int(self.random.integers(1, n + 1)) for n in self.types[source].shape[1:])
        self.requantize(self.emit(AdaptiveSumPool, source, size=size))

    def lookup(self) -> None:
        kind = self.kind()
        table = self.random.integers(kind.minimum, kind.maximum + 1, 256).astype(np.int16)
        self.emit(Lookup, self.pick(U8, S8), table=table, kind=kind)

    def threshold(self) -> None:
        source = self.pick(U8, S8, S16, S32)
        bound, channels = self.bound(source), self.types[source].shape[0]
        rows = int(self.random.choice([1, channels]))
        thresholds = self.random.integers(bound.lowest - 1, bound.highest + 2, (rows, 3))
        signs = self.random.choice([-1, 1], rows).astype(np.int8)
        self.emit(
            Threshold, source, thresholds=np.sort(thresholds), signs=signs, low=-3, step=2, kind=S8
        )

    def head(self) -> None:
        source = self.pick(U8, S8, S16)
        shape = self.types[source].shape
        flat = self.emit(Reshape, source, shape=(int(np.prod(shape)),))
        weight = self.random.integers(-8, 8, (5, int(np.prod(shape)))).astype(np.int8)
        bias = self.random.integers(-99, 99, 5).astype(np.int32)
        scores = self.emit(Linear, flat, weight=weight, weight_bits=4, bias=bias)
        self.emit(ArgMax, scores, axis=0)


def beyond_the_border() -> Program:
    """Return a program with pooling windows of padding alone, behind which words have bits."""
    few = Threshold(
        inputs=("x",), output="few", thresholds=np.array([[100]]),
        signs=np.ones(1, np.int8), low=-1, step=2, kind=S8,
    )  # fmt: skip
    pool = MaxPool(
        inputs=("few",), output="pooled", windows=Windows(kernel=(1, 1), padding=(1, 0, 0, 0))
    )
    layer = Convolution(
        inputs=("pooled",), output="y", weight=np.ones((3, 64, 1, 1), np.int8), weight_bits=1,
        bias=np.zeros(3, np.int32), padding_codes=np.zeros(64, np.int32),
        windows=Windows(kernel=(1, 1)),
    )  # fmt: skip
    return Program(
        inputs={"x": TensorType((64, 3, 3), U8)}, operations=(few, pool, layer), outputs=("y",)
    )
