"""What a model's own test expects: as `runtime/selftest.c` computes it."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.placed import channels_last
from quantlab.integer.interpreter import run
from quantlab.integer.program import Program

SEED = 2463534242  # that of Marsaglia's paper
_MASK = 2**32 - 1


def expected_crc32(program: Program) -> int:
    """Return the checksum of all outputs for the inputs that the test makes."""
    outputs = run(program, made_inputs(program))
    return crc32([outputs[name][0] for name in dict.fromkeys(program.outputs)])


def made_inputs(program: Program) -> dict[str, NDArray[Any]]:
    """Return the inputs that the test makes, `[1, ...]`."""
    inputs, seed = {}, SEED
    for name, kind in program.inputs.items():
        size = int(np.prod(kind.shape)) * np.dtype(kind.kind.dtype).itemsize
        raw, seed = fill(size, seed)
        order = channels_last(kind.shape)
        laid_out = raw.view(np.dtype(kind.kind.dtype).newbyteorder("<")).reshape(
            [kind.shape[axis] for axis in order]
        )
        inputs[name] = laid_out.transpose(np.argsort(order)).astype(kind.kind.dtype)[None]
    return inputs


def crc32(outputs: Sequence[NDArray[Any]]) -> int:
    """Return the checksum of outputs of one sample, each as it lies in memory."""
    crc = 0
    for value in outputs:
        little = value.transpose(channels_last(value.shape))
        crc = zlib.crc32(little.astype(value.dtype.newbyteorder("<")).tobytes(), crc)
    return crc


def fill(size: int, seed: int) -> tuple[NDArray[np.uint8], int]:
    found = np.empty(size, np.uint8)
    for place in range(size):
        seed ^= seed << 13 & _MASK
        seed ^= seed >> 17
        seed ^= seed << 5 & _MASK
        found[place] = seed >> 24
    return found, seed
