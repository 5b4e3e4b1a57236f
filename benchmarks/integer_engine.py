"""The fast engine of integer programs beside onnxruntime's int8: ResNet-18 on 224 x 224 photos.

Both run torchvision's network with random weights at 8 bits, on one and two threads. onnxruntime
has its own static quantization of it (unsigned bytes by signed ones, a scale for each channel),
which it turns into fused integer convolutions; ours is the program that `main.py verify
--torchvision` lowers, with residual sums of 32 bits and a first layer that reads 16 bits. The ratio
is onnxruntime's time / the time; `roof`: the part of what the processor's multipliers of bytes can
do (`quantlab.backend.peak`).

    python -m benchmarks.integer_engine
"""

import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

from benchmarks.harness import Row, interleaved, report
from experiments.deployment.torchvision_networks import calibrated, real
from quantlab import backend
from quantlab.integer.fast import FastEngine
from quantlab.integer.report import report as costs_of
from quantlab.vision import torchvision

NETWORK = "resnet18"
REPEATS = 15
PEER = f"onnxruntime {onnxruntime.__version__} int8"
_NUM_PHOTOS = 16
_PEAK_REPEATS = 300_000


def write_photos(folder: Path) -> None:
    """Write made-up photos: the time does not depend on what is to be seen."""
    random = np.random.default_rng(0)
    for number in range(_NUM_PHOTOS):
        coarse = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        coarse.resize((256, 256)).save(folder / f"{number:02}.png")


class _Photos(CalibrationDataReader):
    def __init__(self, inputs: NDArray[np.float32]) -> None:
        self._batches = iter([{"x": inputs[i : i + 4]} for i in range(0, len(inputs), 4)])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


def quantized_onnx(inputs: NDArray[np.float32], folder: Path) -> Path:
    """Return the file of onnxruntime's own 8-bit model."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(NETWORK, weights=None).eval()
    paths = [folder / f"{name}.onnx" for name in ("float", "prepared", "quantized")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter says that it is the older one
        torch.onnx.export(
            network,
            (torch.from_numpy(inputs[:1]),),
            str(paths[0]),
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "N"}},
            opset_version=17,
        )
    logging.disable(logging.WARNING)
    quant_pre_process(paths[0], paths[1])
    quantize_static(
        paths[1],
        paths[2],
        _Photos(inputs),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return paths[2]


def session(path: Path, num_threads: int) -> onnxruntime.InferenceSession:
    """Return the model on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def peak(num_threads: int) -> float:
    """Return how many products of bytes a second the processor does in registers."""
    fastest = min(_seconds(lambda: backend.peak(_PEAK_REPEATS)) for _ in range(5))
    return num_threads * backend.peak(_PEAK_REPEATS) / fastest


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def rows(path: Path, engine: FastEngine, photos: Any, macs: int) -> list[Row]:
    """Return the comparison for all numbers of threads and images."""
    found = []
    for num_threads in (1, 2):
        torch.set_num_threads(num_threads)
        theirs, roof = session(path, num_threads), peak(num_threads)
        for count in (1, 8):
            raw, inputs = photos[:count].numpy(), real(photos[:count]).numpy()
            sides: dict[str, Callable[[], object]] = {
                PEER: lambda inputs=inputs, s=theirs: s.run(None, {"x": inputs}),
                "QuantLab, fast engine": lambda raw=raw: engine.run({"input": raw}),
            }
            for side, timing in interleaved(sides, REPEATS, seconds=0.2).items():
                found.append(
                    Row(
                        figures={
                            "side": side,
                            "threads": num_threads,
                            "images": count,
                            "ms_an_image": timing.seconds / count * 1e3,
                            "roof": macs * count / timing.seconds / roof,
                        },
                        peer=PEER,
                        ratio=timing.ratio,
                    )
                )
    return found


def main() -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder)
        found = calibrated(NETWORK, folder, 8)
        path = quantized_onnx(real(found.photos).numpy(), folder)
        macs = costs_of(found.program).macs
        report("integer_engine", rows(path, FastEngine(found.program), found.photos, macs))


if __name__ == "__main__":
    main()
