"""The best dense networks in float32, the peers of generated ones.

All compute the table of a network with its weights generated once, batch norms folded, biases,
residuals and ReLU in place:

    contiguous      torch's convolutions, NCHW
    channels last   the same, NHWC
    prepacked       oneDNN's convolutions, NHWC, weights reordered once for the batch, residual and
                    ReLU fused
    onnx            onnxruntime, which fuses what it will
"""

import io
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from quantlab.generation.execution.rows import ConvolveRow, PoolRow, Rows

Convolution = Callable[[Tensor, Tensor | None], Tensor]
Peer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class _Walk:
    """Walks a table. layers: a convolution for each row that is one."""

    rows: Rows
    layers: dict[int, Convolution]

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        buffers = [x]
        for number, row in enumerate(self.rows.rows):
            if isinstance(row, ConvolveRow):
                residual = None if row.residual is None else buffers[row.residual]
                buffers.append(self.layers[number](buffers[row.input], residual))
            else:
                assert isinstance(row, PoolRow)
                assert row.kind == "global_mean"
                buffers.append(buffers[row.input].mean((2, 3), keepdim=True))
        return buffers[self.rows.outputs[0]].flatten(1)


def contiguous(rows: Rows) -> Peer:
    """Return the network in NCHW."""
    return _walk(rows, lambda row: _plain(row, torch.contiguous_format))


def channels_last(rows: Rows) -> Peer:
    """Return the network in NHWC; takes such images."""
    return _walk(rows, lambda row: _plain(row, torch.channels_last))


def prepacked(rows: Rows, batch: int, dtype: torch.dtype = torch.float32) -> Peer:
    """Return the network of oneDNN's fused convolutions; takes so many images in NHWC."""
    return _walk(rows, lambda row: prepacked_layer(row, rows.shapes[row.input], batch, dtype))


def onnx(network: nn.Module, x: Tensor, num_threads: int) -> Peer:
    """Return onnxruntime's session of a dense network; takes images in NCHW."""
    import onnxruntime  # not on every host that is measured

    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter says that it is the older one
        torch.onnx.export(
            network,
            (x[:1],),
            content,
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "N"}},
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    session = onnxruntime.InferenceSession(
        content.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    return lambda images: torch.from_numpy(session.run(None, {"x": images.numpy()})[0])


def weight_of_row(row: ConvolveRow) -> Tensor:
    """Return the dense weight `[Co, Ci / groups, Kh, Kw]` of a layer."""
    return row.layer.floats().generate()


def _walk(rows: Rows, layer: Callable[[ConvolveRow], Convolution]) -> Peer:
    layers = {
        number: layer(row) for number, row in enumerate(rows.rows) if isinstance(row, ConvolveRow)
    }
    return _Walk(rows, layers)


def _plain(row: ConvolveRow, memory_format: torch.memory_format) -> Convolution:
    weight = weight_of_row(row).contiguous(memory_format=memory_format)
    bias, window, has_relu = row.layer.bias, row.layer.window, _has_relu(row)

    def run(x: Tensor, residual: Tensor | None) -> Tensor:
        y = functional.conv2d(
            x, weight, bias, window.stride, window.padding, window.dilation, window.groups
        )
        y = y if residual is None else y.add_(residual)
        return y.relu_() if has_relu else y

    return run


def prepacked_layer(
    row: ConvolveRow, image: tuple[int, int, int], batch: int, dtype: torch.dtype
) -> Convolution:
    """Return a layer of `prepacked` for images `[H, W, C]`."""
    height, width, channels = image
    window, bias = row.layer.window, row.layer.bias.to(dtype)
    over: tuple[Any, ...] = (window.padding, window.stride, window.dilation, window.groups)
    weight = torch._C._nn.mkldnn_reorder_conv2d_weight(
        weight_of_row(row).to(dtype).to_mkldnn(), *over, (batch, channels, height, width)
    )
    activation = "relu" if _has_relu(row) else None
    operations = torch.ops.mkldnn._convolution_pointwise

    def run(x: Tensor, residual: Tensor | None) -> Tensor:
        if residual is None:
            found: Tensor = operations(x, weight, bias, *over, activation or "none", [], "")
            return found
        sums: Tensor = operations.binary(
            x, residual, weight, bias, *over, "add", None, activation, [], ""
        )
        return sums

    return run


def _has_relu(row: ConvolveRow) -> bool:
    if row.bounds not in ((0.0, math.inf), (-math.inf, math.inf)):
        raise ValueError(f"bounds: {row.bounds} given, those of ReLU allowed")
    return row.bounds[0] == 0.0
