"""Images in a table of their own as the rows of a tensor."""

from math import prod

from quantlab.deploy.clickhouse.relational.geometry import numbers
from quantlab.deploy.clickhouse.relational.writer import columns, step
from quantlab.deploy.clickhouse.sql.functions import call, index
from quantlab.deploy.clickhouse.sql.nodes import Column, Expression, Step, Table
from quantlab.integer.tensor_type import TensorType


def images_in(table: Table, given: TensorType, *, sample: str = "id", image: str = "image") -> Step:
    """Return (sample, element, value) of a table with an image a row.

    given: the program's input. sample: the column with the number of a row, up to 2^32 - 1. image:
    the column with its integers in C order, little-endian, as String or FixedString.
    """
    num_bytes = given.kind.num_bits // 8
    element = numbers("elements", prod(given.shape))
    numbered = step(
        "image_elements",
        columns(sample=index(sample), image=Column(image), element=element),
        table,
    )
    start: Expression = Column("element")
    if num_bytes > 1:
        start = start * num_bytes
    part = call("substring", "image", start + 1, num_bytes)
    sign = "UInt" if given.kind.minimum == 0 else "Int"
    value = call("toInt32", call(f"reinterpretAs{sign}{given.kind.num_bits}", part))
    return step("images", columns("sample", element=index("element"), value=value), numbered)
