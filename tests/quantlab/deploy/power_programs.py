"""Small networks of images for models that survive power failures."""

import numpy as np

from quantlab.integer.operations import (
    Convolution,
    Linear,
    MaxPool,
    Operation,
    Requantize,
    Reshape,
    Windows,
)
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, U8, TensorType


def images(size: int, channels: tuple[int, int], num_classes: int) -> Program:
    """Return two convolutions with maxima of 2x2 and a classifier, as LeNet is one, of random
    weights, half of them zero. size: of the rows and columns of the image."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
        kept = random.random(shape) < 0.5
        return (random.integers(-99, 100, shape) * kept).astype(np.int8)

    operations: list[Operation] = []
    source, given = "x", 1
    for number, outputs in enumerate(channels):
        conv, codes, pool = (f"{kind}{number}" for kind in ("conv", "codes", "pool"))
        reach = 9 * given * 99 * 255
        operations += [
            Convolution(
                inputs=(source,), output=conv, layer=f"conv{number}", weight_bits=8, groups=1,
                weight=weights(outputs, given, 3, 3), padding_codes=np.zeros(given, np.int32),
                bias=random.integers(-999, 999, outputs).astype(np.int32),
                windows=Windows(kernel=(3, 3), padding=(1, 1, 1, 1)),
            ),
            Requantize(
                inputs=(conv,), output=codes, layer=f"conv{number}", multiplier=np.array(2**20),
                offset=np.array(0), shift=np.array(20 + (reach // 3).bit_length() - 8), low=0,
                high=255, kind=U8,
            ),
            MaxPool(
                inputs=(codes,), output=pool, layer=f"pool{number}",
                windows=Windows(kernel=(2, 2), stride=(2, 2)),
            ),
        ]  # fmt: skip
        source, given = pool, outputs
    count = given * (size // 4) ** 2
    operations += [
        Reshape(inputs=(source,), output="flat", layer="flat", shape=(count,)),
        Linear(
            inputs=("flat",), output="sums", layer="scores", weight=weights(num_classes, count),
            weight_bits=8, bias=random.integers(-999, 999, num_classes).astype(np.int32),
        ),
        Requantize(
            inputs=("sums",), output="scores", layer="scores", multiplier=np.array(2**20),
            offset=np.array(0), shift=np.array(20 + (count * 5000).bit_length() - 8), low=-128,
            high=127, kind=S8,
        ),
    ]  # fmt: skip
    types = {"x": TensorType((1, size, size), U8)}
    return Program(inputs=types, operations=tuple(operations), outputs=("scores",))
