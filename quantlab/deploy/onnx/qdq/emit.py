"""Which nodes an operation becomes; the last one's output is the operation's real number."""

from quantlab.deploy.emitter import joined
from quantlab.deploy.onnx.qdq import pooling, products, rescaling, shapes

emit = joined(
    "ONNX with QDQ", products.EMITTERS, rescaling.EMITTERS, pooling.EMITTERS, shapes.EMITTERS
)
