"""Which query an operation becomes."""

from quantlab.deploy.clickhouse.relational import pooling, products, rescaling, shapes
from quantlab.deploy.clickhouse.relational.constants import rows_of
from quantlab.deploy.clickhouse.relational.lowering import Lowering
from quantlab.deploy.clickhouse.relational.relations import RELATIONS
from quantlab.deploy.emitter import joined

emit = joined(
    "ClickHouse's relational lowering",
    products.EMITTERS,
    rescaling.EMITTERS,
    pooling.EMITTERS,
    shapes.EMITTERS,
)

RELATIONAL = Lowering(emit=emit, rows_of=rows_of, relations=RELATIONS, value="Int32")
