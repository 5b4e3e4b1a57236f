"""How many codes differ between TFLite's rounding and that of programs, on the same inputs.

Both sides have the same weights: the four networks of `benchmarks.reference_networks`. TFLite's
side is `ai_edge_litert` with its reference kernels. Inputs are random bytes: every network takes
them, and they show more differences than data would, for no code is certain.

differing: the share of all codes behind layers, in %, largest: by how much. In the first layer only
rounding differs; behind it a code that differs makes others differ. same_class: the share of inputs
with the same largest score, in %, for the autoencoder that of equal outputs. Row.ratio: the share
of codes that are equal.
"""

from pathlib import Path

import numpy as np

from benchmarks.harness import Row, report
from benchmarks.reference_networks import NETWORKS, folder
from benchmarks.tflite import read
from benchmarks.tflite_interpreter import Reference
from quantlab.integer.interpreter import execute

SAMPLES = 64


def row(name: str, path: Path) -> Row:
    """Return the figures of a network."""
    network = read(path)
    program = network.program
    ((given, kind),) = program.inputs.items()
    shape = (SAMPLES, *kind.shape)
    samples = np.random.default_rng(0).integers(-128, 128, shape, dtype=np.int8)
    ours = dict(execute(program, {given: samples}))
    shared = {tensor: number for tensor, number in network.tensors.items() if tensor in ours}
    theirs = Reference(path)(samples, shared)
    apart = {tensor: abs(ours[tensor].astype(int) - theirs[tensor]) for tensor in shared}
    first = apart[next(iter(apart))]
    codes = np.concatenate([one.ravel() for one in apart.values()])
    (output,) = program.outputs
    if program.ending:
        same = ours[output].argmax(1) == theirs[output].argmax(1)
    else:
        same = apart[output].max(1) == 0
    differing = float((codes > 0).mean())
    return Row(
        figures={
            "network": name,
            "samples": SAMPLES,
            "codes": codes.size,
            "differing_in_first_layer": 100 * float((first > 0).mean()),
            "differing": 100 * differing,
            "largest": int(codes.max()),
            "same_class": 100 * float(same.mean()),
        },
        peer="ai_edge_litert, reference kernels",
        ratio=1 - differing,
    )


def main() -> None:
    files = folder()
    report("tflite_rounding", [row(name, files / file) for name, file in NETWORKS.items()])


if __name__ == "__main__":
    main()
