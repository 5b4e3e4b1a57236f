"""Which code an operation becomes."""

from quantlab.deploy.clickhouse.wasm import pooling, products, rescaling, shapes
from quantlab.deploy.emitter import joined

emit = joined(
    "WebAssembly", products.EMITTERS, rescaling.EMITTERS, pooling.EMITTERS, shapes.EMITTERS
)
