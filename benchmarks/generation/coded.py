"""What the codes of quantized weights take when they are entropy-coded."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks.generation.rivals.stored import float_bytes
from quantlab.algorithms.rate import quantized_weights
from quantlab.numerics.entropy import encode_codes


def codes_of(network: nn.Module) -> Iterator[tuple[NDArray[np.int8], int]]:
    """Yield the codes `[O, ...]` of each weight that has a quantizer, and their bits."""
    for one in quantized_weights(network):
        codes = one.quantizer.codes(one.parameter.detach().float())
        yield codes.cpu().numpy().astype(np.int8), one.quantizer.spec.num_bits


def coded_bytes(network: nn.Module) -> int:
    """Return the bytes of a network's file with coded weights; floats as in `rivals.stored`."""
    coded = sum(len(encode_codes(codes, num_bits)) for codes, num_bits in codes_of(network))
    return coded + float_bytes(network)


def nncodec_bytes(network: nn.Module, interpreter: Path) -> int:
    """Return the bytes of a network's file with weights coded by NNCodec; floats as above.

    interpreter: Python of an environment that has nncodec. Raises RuntimeError if it fails.
    """
    codes = {f"layer{place:02}": codes for place, (codes, _) in enumerate(codes_of(network))}
    with TemporaryDirectory() as folder:
        file = Path(folder, "codes.npz")
        np.savez(file, allow_pickle=False, **codes)
        line = [str(interpreter), str(Path(__file__).with_name("nncodec_bytes.py")), str(file)]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"nncodec: {done.stderr.strip()[-2000:]}")
    return int(done.stdout.split()[-1]) + float_bytes(network)
