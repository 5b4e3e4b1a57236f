"""Which query an operation becomes."""

from quantlab.deploy.clickhouse.relational import pooling, products, rescaling, shapes
from quantlab.deploy.emitter import joined

emit = joined(
    "ClickHouse's relational lowering",
    products.EMITTERS,
    rescaling.EMITTERS,
    pooling.EMITTERS,
    shapes.EMITTERS,
)
