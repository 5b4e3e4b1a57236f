"""Random programs for C: chains and residuals of sparse and dense layers of any sizes, with every
encoding, inputs of all types, several outputs, pooling and thresholds; and inputs at their ends."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.kernels.table import KERNELS
from quantlab.deploy.c.model import Model, c_model
from quantlab.errors import UsageError
from quantlab.integer.operations import Convolution, MaxPool, Requantize, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, U8, TensorType
from tests.quantlab.integer.programs import Author

DENSITIES = (0, 0.01, 0.1, 0.5, 1)


class Layers(Author):
    """Writes networks as they are deployed: mostly layers, each of the last tensor."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        channels = self.any_of(1, 2, 3, 4, 5, 8, 12, 16, 31)
        kind = (U8, S8, S16)[self.any_of(0, 0, 1, 2)]
        self.types = {"x": TensorType((channels, self.any_of(1, 5, 8), self.any_of(4, 7, 9)), kind)}
        self.given = dict(self.types)

    def any_of(self, *values: int) -> int:
        return int(self.random.choice(values))

    def program(self, num_operations: int) -> Program:
        kinds = (
            *("convolution",) * 6, *("add",) * 2, *("tiles",) * 2,
            *("requantize", "threshold", "lookup", "concatenate", "sum_pool", "max_pool"),
        )  # fmt: skip
        while len(self.operations) < num_operations:
            getattr(self, str(self.random.choice(kinds)))()
        if self.any_of(0, 1):
            self.head()
        names = [operation.output for operation in self.operations]
        also = self.random.choice(names, self.any_of(0, 0, 1, 2)).tolist()
        return Program(
            inputs=self.given,
            operations=tuple(self.operations),
            outputs=tuple(dict.fromkeys([*also, names[-1]])),
        )

    def pick(self, *kinds: Any) -> str:
        names = [n for n, t in self.types.items() if t.kind in kinds and len(t.shape) == 3]
        return names[-1] if self.any_of(0, 1, 1, 1) else str(self.random.choice(names))

    def convolution(self) -> None:
        source = self.pick(U8, S8, S16)
        given = self.types[source]
        channels = given.shape[0]
        groups = self.any_of(*[g for g in (1, 1, 1, 2, 3, channels) if channels % g == 0])
        windows = Windows(
            kernel=(self.any_of(1, 1, 2, 3), self.any_of(1, 3, 3)),
            stride=(self.any_of(1, 1, 2), self.any_of(1, 1, 3)),
            padding=(
                self.any_of(0, 1, 2), self.any_of(0, 1, 2), self.any_of(0, 1), self.any_of(0, 2)
            ),
            dilation=(self.any_of(1, 1, 2), self.any_of(1, 1, 2)),
        )  # fmt: skip
        try:
            windows.output_size(*given.shape[1:])
        except UsageError:
            return
        outputs = groups * self.any_of(1, 2, 4) if groups > 1 else self.any_of(1, 3, 4, 8, 9, 17)
        shape = (outputs, channels // groups, *windows.kernel)
        name = self.emit(
            Convolution, source, weight=self.weights(shape), weight_bits=8, windows=windows,
            groups=groups,
            padding_codes=self.padding(given), bias=self.random.integers(-999, 999, outputs),
        )  # fmt: skip
        self.requantize(name)

    def padding(self, given: TensorType) -> NDArray[np.int32]:
        ends = given.kind.minimum, given.kind.maximum + 1
        codes = self.random.integers(*ends, given.shape[0]).astype(np.int32)
        return codes if self.any_of(0, 1) else np.full_like(codes, codes[0])

    def weights(self, shape: tuple[int, ...]) -> NDArray[np.int8]:
        """Weights of few bits or of all, some of them -128, of some density."""
        reach = self.any_of(1, 2, 8, 128, 128)
        weight = self.random.integers(-reach, reach, shape).astype(np.int8)
        weight[self.random.random(shape) < self.any_of(0, 0, 50, 100) / 100] = -reach
        weight[self.random.random(shape) >= float(self.random.choice(DENSITIES))] = 0
        return weight

    def lookup(self) -> None:
        if any(t.kind in (U8, S8) for t in self.types.values()):
            super().lookup()

    def tiles(self) -> None:
        source = self.pick(U8, S8, S16)
        shape = self.types[source].shape
        kernel = (self.any_of(1, 2, 3), self.any_of(2, 3))
        if kernel[0] <= shape[1] and kernel[1] <= shape[2]:
            self.emit(MaxPool, source, windows=Windows(kernel=kernel, stride=kernel))


def network(seed: int) -> Program:
    """Return a random network."""
    return Layers(seed).program(2 + seed % 11)


def largest(seed: int) -> Program:
    """Return a convolution whose weights are the largest of either sign: sums at their ends, and of
    as many products as pairs of weights just have room for, or one more."""
    random = np.random.default_rng(seed)
    channels, rows = ((1, 1), (3, 3), (8, 1), (17, 1), (258, 1), (259, 1), (514, 1), (515, 1))[
        seed % 8
    ]
    kind = (U8, S8, S16)[seed % 3] if channels < 256 else (U8, S8)[seed % 2]
    columns, outputs = int(random.choice([1, 2, 3])), int(random.choice([1, 2, 4, 7, 33]))
    columns = columns if channels * rows < 16 else 1
    weight = np.full((outputs, channels, rows, columns), 127, np.int8)
    weight[random.random(outputs) < 0.5] *= -1
    weight[:: int(random.choice([1, 3, 100]))] = random.choice([-128, -127, 127])
    layer = Convolution(
        inputs=("x",), output="sums", weight=weight, weight_bits=8, groups=1,
        bias=np.full(outputs, random.choice([-99999, 0, 99999])), padding_codes=np.full(
            channels, random.choice([kind.minimum, 0, kind.maximum])
        ),
        windows=Windows(kernel=(rows, columns), padding=(rows - 1, 0, 0, columns - 1)),
    )  # fmt: skip
    reach = channels * rows * columns * 128 * max(-kind.minimum, kind.maximum) + 99999
    codes = Requantize(
        inputs=("sums",), output="y", multiplier=np.array(2**30), offset=np.array(0),
        shift=np.array(30 + max(reach.bit_length() - 6, 0)), low=-128, high=127, kind=S8,
    )  # fmt: skip
    types = {"x": TensorType((channels, 3, 5), kind)}
    return Program(inputs=types, operations=(layer, codes), outputs=("y", "sums"))


def any_model(program: Program, seed: int) -> tuple[Model, dict[str, str]]:
    """Return a program as C with a random encoding of each layer that has it."""
    random = np.random.default_rng(seed)
    encodings: dict[str, str] = {}
    model = c_model(program, encodings)
    for operation in program.operations:
        if "weight" not in operation.constants():
            continue
        for name in random.permutation(list(KERNELS)):
            try:
                model = c_model(program, {**encodings, operation.output: str(name)})
            except UsageError:
                continue
            encodings[operation.output] = str(name)
            break
    return model, encodings


def ends(program: Program, seed: int) -> Mapping[str, NDArray[Any]]:
    """Return four samples: of the lowest and of the highest integers, of both and of any."""
    random, found = np.random.default_rng(seed), {}
    for name, kind in program.inputs.items():
        low, high, shape = kind.kind.minimum, kind.kind.maximum, kind.shape
        samples = [
            np.full(shape, low),
            np.full(shape, high),
            random.choice([low, high], shape),
            random.integers(low, high + 1, shape),
        ]
        found[name] = np.stack(samples).astype(kind.kind.dtype)
    return found
