"""The functions of ClickHouse that queries call, by name."""

from quantlab.deploy.clickhouse.sql.nodes import Call, Expression, expression


def call(function: str, *arguments: Expression | int | str) -> Call:
    """Return a call; see `expression` for its arguments."""
    return Call(function, tuple(expression(argument) for argument in arguments))


def quotient(left: Expression | str, right: Expression | int) -> Expression:
    """Return left / right without its fraction."""
    return call("intDiv", left, right)


def remainder(left: Expression | str, right: Expression | int) -> Expression:
    """Return the rest of left / right."""
    return call("modulo", left, right)


def wide(given: Expression | str) -> Expression:
    """Return it with a sign, in 64 bits."""
    return call("toInt64", given)


def index(given: Expression | str) -> Expression:
    """Return it as an index: no sign, 32 bits. The keys of a join have equal types."""
    return call("toUInt32", given)
