"""An element of a stored model, computed once more from an image of a table: one query."""

from quantlab.deploy.clickhouse.relational.audit import audit
from quantlab.deploy.clickhouse.relational.images import images_in
from quantlab.deploy.clickhouse.relational.stored import stored_constants
from quantlab.deploy.clickhouse.sql.dialect import MODERN
from quantlab.deploy.clickhouse.sql.nodes import Table
from quantlab.deploy.clickhouse.sql.render import Query, render
from quantlab.deploy.clickhouse.store.layers import layer_of
from quantlab.deploy.clickhouse.store.tables import DATABASE
from quantlab.errors import UsageError
from quantlab.integer.program import Program


def audited(
    program: Program, tensor: str, element: int, image: int, *, images: str = "images"
) -> Query:
    """Return the query of an element of a tensor, (sample, element, value), from the parameters in
    the store.

    program: one that is stored (`Store.program`). element: in the tensor's own order. image: its
    `id` in the table `images` (id, image). Raises UsageError for a program of several inputs, and
    as `audit` does. A query of a layer that the store does not have returns no row.
    """
    if len(program.inputs) != 1:
        raise UsageError(f"audit: {len(program.inputs)} inputs given, a program of one allowed")
    ((name, given),) = program.inputs.items()
    keys = {operation.output: layer_of(operation).key for operation in program.operations}
    statement = audit(
        program,
        tensor,
        element,
        image,
        sources={name: images_in(Table(images), given)},
        constants=stored_constants(keys, DATABASE),
    )
    return render(statement, MODERN)
