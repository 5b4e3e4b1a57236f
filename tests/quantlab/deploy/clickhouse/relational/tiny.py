"""Small programs with constants of their own: a binary one, and one with every operation."""

import numpy as np
from numpy.typing import NDArray

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
    Permute,
    Requantize,
    Reshape,
    Slice,
    SumPool,
    Threshold,
    Windows,
)
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, S32, U8, TensorType

PADDED = Windows(kernel=(3, 3), padding=(1, 1, 1, 1))


def signs(random: np.random.Generator, *shape: int) -> NDArray[np.int8]:
    return np.where(random.integers(0, 2, shape) == 1, 1, -1).astype(np.int8)


def binary_program(seed: int = 0) -> Program:
    """Return a network of bits: 70 channels, so that a pixel has two words, one of 6 bits."""
    random = np.random.default_rng(seed)
    return Program(
        inputs={"x": TensorType((70, 6, 5), U8)},
        operations=(
            Threshold(
                inputs=("x",), output="bits", layer="first", signs=signs(random, 70),
                thresholds=random.integers(-200, 200, (70, 1)), low=0, step=1, kind=U8,
            ),
            Convolution(
                inputs=("bits",), output="sums", layer="middle", windows=PADDED, weight_bits=1,
                weight=signs(random, 9, 70, 3, 3), bias=random.integers(-9, 9, 9),
                padding_codes=np.zeros(70, np.int32),
            ),
            Threshold(
                inputs=("sums",), output="codes", layer="middle", signs=signs(random, 9),
                thresholds=random.integers(-20, 20, (9, 1)), low=-1, step=2, kind=S8,
            ),
            MaxPool(inputs=("codes",), output="pooled", windows=Windows(kernel=(2, 2))),
            Reshape(inputs=("pooled",), output="row", shape=(9 * 5 * 4,)),
            Linear(
                inputs=("row",), output="scores", layer="last", weight_bits=1,
                weight=signs(random, 4, 180), bias=random.integers(-9, 9, 4),
            ),
        ),
        outputs=("scores",),
    )  # fmt: skip


def whole_program(seed: int = 0) -> Program:
    """Return a program with every operation."""
    random = np.random.default_rng(seed)
    operations = (
        Convolution(
            inputs=("x",), output="sums", layer="conv", windows=PADDED, weight_bits=8, groups=2,
            weight=random.integers(-128, 128, (4, 1, 3, 3)), bias=random.integers(-99, 99, 4),
            padding_codes=np.array([3, 250]),
        ),
        Requantize(
            inputs=("sums",), output="codes", layer="conv", kind=S8, low=-100, high=127,
            multiplier=random.integers(-(2**20), 2**20, (4, 1, 1)), shift=np.array(25),
            offset=random.integers(-(2**30), 2**30, (4, 1, 1)),
        ),
        MaxPool(
            inputs=("codes",), output="largest",
            windows=Windows(kernel=(2, 2), stride=(2, 2), ceil_mode=True),
        ),
        SumPool(
            inputs=("codes",), output="summed", padding_code=-2,
            windows=Windows(kernel=(2, 2), stride=(2, 2), padding=(0, 1, 0, 1), ceil_mode=True),
        ),
        Add(
            inputs=("largest", "summed"), output="added", kind=S16, low=-9999, high=9999,
            left_multiplier=np.array(3 * 2**20), right_multiplier=np.array(-(2**20) - 1),
            offset=np.array(2**19), shift=np.array(20),
        ),
        AdaptiveSumPool(inputs=("largest",), output="few", size=(1, 1)),
        Requantize(
            inputs=("few",), output="gate", kind=U8, low=0, high=255, multiplier=np.array(5),
            offset=np.array(1), shift=np.array(2),
        ),
        Multiply(
            inputs=("largest", "gate"), output="gated", left_zero=-7, right_zero=3
        ),
        Threshold(
            inputs=("gated",), output="levels", low=-1, step=1, kind=S8, signs=signs(random, 4),
            thresholds=np.sort(random.integers(-2000, 2000, (4, 2))),
        ),
        Lookup(
            inputs=("levels",), output="looked", table=random.integers(-128, 128, 256), kind=S8
        ),
        Concatenate(inputs=("levels", "looked"), output="both", axis=1),
        Slice(inputs=("both",), output="part", axis=1, start=1, stop=5, step=2),
        Permute(inputs=("part",), output="turned", axes=(1, 2, 0)),
        Linear(
            inputs=("turned",), output="scores", weight_bits=8, bias=random.integers(-9, 9, 3),
            weight=random.integers(-128, 128, (3, 4)),
        ),
        ArgMax(inputs=("scores",), output="best", axis=2),
    )  # fmt: skip
    return Program(
        inputs={"x": TensorType((2, 6, 5), U8)}, operations=operations, outputs=("best",)
    )


def images(program: Program, count: int, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """Return so many samples of the input."""
    shape = (count, *program.inputs["x"].shape)
    return {"x": np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)}


def ternary_program(seed: int = 0) -> Program:
    """Return ternary weights in two groups of 70 channels and inputs of 4 bits; one neuron without
    weights, a kernel with gaps, and the largest numbers that a rescaling has."""
    random = np.random.default_rng(seed)
    weight = random.integers(-1, 2, (6, 70, 2, 3))
    weight[2] = 0
    operations = (
        Requantize(
            inputs=("x",), output="codes", kind=S8, low=-8, high=7, multiplier=np.array(2),
            offset=np.array(-240), shift=np.array(5),
        ),
        Convolution(
            inputs=("codes",), output="sums", weight=weight, weight_bits=2, groups=2,
            windows=Windows(
                kernel=(2, 3), stride=(2, 1), dilation=(2, 1), padding=(1, 2, 0, 1)
            ),
            bias=random.integers(-99, 99, 6), padding_codes=random.integers(-8, 8, 140),
        ),
        Requantize(
            inputs=("sums",), output="rescaled", kind=S32, low=-(2**31), high=2**31 - 1,
            multiplier=random.integers(-(2**31), 2**31, (6, 1, 6)),
            shift=np.array([[0], [20], [31]]),
            offset=random.integers(-(2**61), 2**61, (3, 1)),
        ),
    )  # fmt: skip
    return Program(
        inputs={"x": TensorType((140, 6, 5), U8)}, operations=operations, outputs=("rescaled",)
    )
