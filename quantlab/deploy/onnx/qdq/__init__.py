"""The QDQ dialect: a program as a float model that quantizes and dequantizes every tensor of codes.

Other tools (onnxruntime, OpenVINO, TensorRT, ...) fuse such models into kernels of their own. Each
tensor of the program has a float one of its name: scale * integer + offset, in float32. A tensor of
codes is that between `QuantizeLinear` and `DequantizeLinear`, as `program.reals` says. An
accumulator is the real number that the first operation to rescale it makes of it, or to compare it
(`program.rounded`), so that batch norms are part of weights and biases; for other readers an affine
stands in front.

Codes may differ by one from the program's where a number lies almost on a tie: floats have 24 bits,
`QuantizeLinear` rounds ties to even and not up, and a bias in int32 is a multiple of the
accumulator's step. A tensor of 32 bits is not rounded at all.
"""

from quantlab.deploy.onnx.qdq.model import qdq_model

__all__ = ["qdq_model"]
