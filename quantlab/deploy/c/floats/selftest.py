"""What the own test of a model of floats expects: as `runtime/float_numbers.c` makes its inputs."""

import zlib
from math import prod

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.c.placed import channels_last
from quantlab.deploy.c.selftest import SEED, fill
from quantlab.floats.interpreter import run
from quantlab.floats.program import FloatProgram


def expected_crc32(program: FloatProgram) -> int:
    """Return the checksum of all outputs for the inputs that the test makes."""
    inputs, seed = {}, SEED
    for name, tensor in program.inputs.items():
        raw, seed = fill(4 * prod(tensor.shape), seed)
        order = channels_last(tensor.shape)
        laid_out = _numbers(raw).reshape([tensor.shape[axis] for axis in order])
        inputs[name] = laid_out.transpose(np.argsort(order))[None]
    outputs = run(program, inputs)
    crc = 0
    for name in program.outputs:
        value = outputs[name][0]
        crc = zlib.crc32(value.transpose(channels_last(value.shape)).astype("<f4").tobytes(), crc)
    return crc


def _numbers(raw: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return floats from -1 to 1, made of the first three of four bytes each."""
    bits = raw.view("<u4") & 0xFFFFFF
    return bits.astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
