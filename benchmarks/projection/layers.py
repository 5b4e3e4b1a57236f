"""Trained convolutions: of ResNet-20 in tests/models, and of the OCR networks of `ddddocr`."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from tests.models.stored import network

PACKAGE = "ddddocr"
_FILES = ("common.onnx", "common_det.onnx")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A 3x3 convolution. bases: R of the published bits."""

    network: str
    name: str
    weight: Tensor

    @property
    def bases(self) -> int:
        """As many as give about half a bit a weight."""
        outputs = len(self.weight)
        return 8 if outputs < 64 else 16 if outputs == 64 else 44


def layers() -> Iterator[Layer]:
    """Yield the 3x3 convolutions of ResNet-20 but for the first, then one of each shape of the OCR
    networks, whose batch norms are folded, where `ddddocr` is installed."""
    for name, module in network("resnet20_float").named_modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight.detach()
            if weight.shape[1] > 3 and weight.shape[2:] == (3, 3):
                yield Layer(network="ResNet-20", name=name.removeprefix("layers."), weight=weight)
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        print(f"{PACKAGE}: not installed, its networks are left out; make bench installs it")
        return
    folder = Path(spec.origin).parent
    found = [layer for file in _FILES for layer in _of_file(folder / file)]
    yield from sorted(found, key=lambda layer: layer.weight.numel())


def _of_file(path: Path) -> Iterator[Layer]:
    graph = onnx.load(path).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    seen = set()
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        shape = tuple(stored[node.input[1]].dims)
        if shape[1] < 16 or shape[2:] != (3, 3) or shape in seen:
            continue
        seen.add(shape)
        weight = torch.from_numpy(numpy_helper.to_array(stored[node.input[1]]).copy())
        yield Layer(network=f"{PACKAGE} {path.stem}", name=node.input[1], weight=weight)
