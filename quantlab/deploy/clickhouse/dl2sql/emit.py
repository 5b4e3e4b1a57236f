"""Which query an operation becomes."""

from quantlab.deploy.clickhouse.dl2sql import products, rescaling
from quantlab.deploy.clickhouse.dl2sql.constants import rows_of
from quantlab.deploy.clickhouse.dl2sql.relations import RELATIONS
from quantlab.deploy.clickhouse.relational import pooling, shapes
from quantlab.deploy.clickhouse.relational.lowering import Lowering
from quantlab.deploy.emitter import joined

emit = joined("DL2SQL", products.EMITTERS, rescaling.EMITTERS, pooling.EMITTERS, shapes.EMITTERS)

DL2SQL = Lowering(emit=emit, rows_of=rows_of, relations=RELATIONS, value="Float64")
