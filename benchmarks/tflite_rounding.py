"""How many codes differ between TFLite's rounding and that of programs, on the same inputs.

Both sides have the same weights: the four networks of `benchmarks.reference_networks`. TFLite's
side is `ai_edge_litert` with its reference kernels. Inputs are random bytes, which every network
takes, and for ResNet-8 test images of CIFAR-10 too, as JPEG re-encoded ones.

differing: the share of all codes behind layers, in %, largest: by how much. In the first layer only
rounding differs; behind it a code that differs makes others differ. same_class: the share of inputs
with the same largest score, in %, for the autoencoder that of equal outputs. top1: of ours and of
TFLite's, in %, where labels are known. Row.ratio: the share of codes that are equal.
"""

import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness import Figure, Row, report
from benchmarks.reference_networks import NETWORKS, folder
from benchmarks.tflite import read
from benchmarks.tflite_interpreter import Reference
from quantlab.integer.interpreter import execute

RANDOM, IMAGES = 64, 1000
CIFAR10 = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10_jpeg.tar.xz"


def random_bytes(shape: tuple[int, ...]) -> NDArray[np.int8]:
    return np.random.default_rng(0).integers(-128, 128, (RANDOM, *shape), dtype=np.int8)


def test_images() -> tuple[NDArray[np.int8], NDArray[np.intp]]:
    """Return images, `[N, 3, 32, 32]`, as many of each class, and their labels."""
    images: dict[str, NDArray[np.uint8]] = {}
    with tarfile.open(CIFAR10) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            if entry.name.startswith("test/") and file is not None:
                images[entry.name] = np.asarray(Image.open(file))
    names = sorted(images)[:: len(images) // IMAGES]
    classes = sorted({name.split("/")[1] for name in names})
    pixels = np.stack([images[name] for name in names]).transpose(0, 3, 1, 2)
    labels = np.array([classes.index(name.split("/")[1]) for name in names])
    return (pixels.astype(np.int16) - 128).astype(np.int8), labels


def row(
    name: str,
    path: Path,
    inputs: str,
    samples: NDArray[np.int8],
    labels: NDArray[np.intp] | None = None,
) -> Row:
    """Return the figures of a network."""
    network = read(path)
    program = network.program
    (given,) = program.inputs
    ours = dict(execute(program, {given: samples}))
    shared = {tensor: number for tensor, number in network.tensors.items() if tensor in ours}
    theirs = Reference(path)(samples, shared)
    apart = {tensor: abs(ours[tensor].astype(int) - theirs[tensor]) for tensor in shared}
    first = apart[next(iter(apart))]
    codes = np.concatenate([one.ravel() for one in apart.values()])
    (output,) = program.outputs
    if program.endings:
        same = ours[output].argmax(1) == theirs[output].argmax(1)
    else:
        same = apart[output].max(1) == 0
    differing = float((codes > 0).mean())
    return Row(
        figures={
            "network": name,
            "inputs": inputs,
            "samples": len(samples),
            "codes": codes.size,
            "differing_in_first_layer": 100 * float((first > 0).mean()),
            "differing": 100 * differing,
            "largest": int(codes.max()),
            "same_class": 100 * float(same.mean()),
            "top1": _top1(ours[output], labels),
            "top1_tflite": _top1(theirs[output], labels),
        },
        peer="ai_edge_litert, reference kernels",
        ratio=1 - differing,
    )


def _top1(scores: NDArray[np.int8], labels: NDArray[np.intp] | None) -> Figure:
    return "" if labels is None else 100 * float((scores.argmax(1) == labels).mean())


def main() -> None:
    files = folder()
    rows = []
    for name, file in NETWORKS.items():
        ((_, kind),) = read(files / file).program.inputs.items()
        rows.append(row(name, files / file, "random bytes", random_bytes(kind.shape)))
        if name == "ResNet-8" and CIFAR10.exists():
            rows.append(row(name, files / file, "CIFAR-10", *test_images()))
    report("tflite_rounding", rows)


if __name__ == "__main__":
    main()
