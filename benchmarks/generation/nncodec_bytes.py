"""Print how many bytes NNCodec takes for the integer tensors of an .npz file.

It needs an environment of its own, since nncodec (2.1.3) wants NumPy below 2:

    ENVIRONMENT/bin/python benchmarks/generation/nncodec_bytes.py codes.npz
"""

import importlib
import sys

import numpy as np


def main() -> None:
    """Read, encode, print."""
    nncodec = importlib.import_module("nncodec.nn")
    with np.load(sys.argv[1]) as tensors:
        codes = {name: tensors[name].astype(np.int32) for name in tensors.files}
    stream = nncodec.encode(codes, {"verbose": False}, incremental=True)
    print(len(stream))


if __name__ == "__main__":
    main()
