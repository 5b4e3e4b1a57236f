"""Which nodes an operation becomes; the last one's output is the operation's."""

from quantlab.deploy.emitter import joined
from quantlab.deploy.onnx.exact import pooling, products, rescaling, shapes

emit = joined(
    "exact ONNX", products.EMITTERS, rescaling.EMITTERS, pooling.EMITTERS, shapes.EMITTERS
)
