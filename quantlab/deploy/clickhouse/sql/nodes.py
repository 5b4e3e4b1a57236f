"""SQL as typed nodes; `render` alone makes text of them.

A number or text of a model or a caller is a `Value` and travels as a parameter. A `Literal` is a
number of the query itself: a shift by one, the width of a word.
"""

from dataclasses import dataclass
from typing import Any


def expression(given: "Expression | int | str") -> "Expression":
    """Return a node: of a whole number the number, of text the column."""
    if isinstance(given, str):
        return Column(given)
    return Literal(given) if isinstance(given, int) else given


class Expression:
    """What a row has: a column, a number, or what is computed of them."""

    def __add__(self, other: "Expression | int") -> "Expression":
        return Binary("+", self, expression(other))

    def __sub__(self, other: "Expression | int") -> "Expression":
        return Binary("-", self, expression(other))

    def __mul__(self, other: "Expression | int") -> "Expression":
        return Binary("*", self, expression(other))

    def __and__(self, other: "Expression") -> "Expression":
        return Binary("AND", self, other)

    def __or__(self, other: "Expression") -> "Expression":
        return Binary("OR", self, other)

    def __lt__(self, other: "Expression | int") -> "Expression":
        return Binary("<", self, expression(other))

    def __ge__(self, other: "Expression | int") -> "Expression":
        return Binary(">=", self, expression(other))

    def differs(self, other: "Expression | int") -> "Expression":
        return Binary("<>", self, expression(other))

    def equals(self, other: "Expression | int") -> "Expression":
        return Binary("=", self, expression(other))

    def named(self, name: str) -> "Named":
        return Named(self, name)


@dataclass(frozen=True)
class Column(Expression):
    """A column by its name."""

    name: str


@dataclass(frozen=True)
class Literal(Expression):
    """A number of the query itself."""

    number: int


@dataclass(frozen=True)
class Value(Expression):
    """A parameter. name: by which the query has it. kind: its type in ClickHouse."""

    name: str
    kind: str
    value: Any


@dataclass(frozen=True)
class Call(Expression):
    """A function, or an aggregate over the rows of a group."""

    function: str
    arguments: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Binary(Expression):
    """Two expressions and what stands between them."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Named:
    """A column of a result."""

    expression: Expression
    name: str


@dataclass(frozen=True)
class Table:
    """A table by its name. database: the current one where there is none."""

    name: str
    database: str = ""


@dataclass(frozen=True)
class Join:
    """The pairs of rows of two sources whose columns `using` are equal; all pairs of none."""

    left: "Source"
    right: "Source"
    using: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Select:
    """Rows made of rows. group_by: columns of the result by whose values aggregates are taken."""

    columns: tuple[Named, ...]
    source: "Source"
    where: tuple[Expression, ...] = ()
    group_by: tuple[str, ...] = ()
    is_distinct: bool = False


@dataclass(frozen=True)
class UnionAll:
    """The rows of several selections with the same columns."""

    parts: tuple[Select, ...]


@dataclass(frozen=True)
class Step:
    """Rows that have a name in the query: in the modern dialect it lists them first, each once.

    is_kept: whether the modern engine computes them once, else as often as they are read.
    """

    name: str
    rows: "Select | UnionAll"
    is_kept: bool = False


@dataclass(frozen=True)
class CreateTemporaryTable:
    """A table of columns, by their types, that ends with the session."""

    table: Table
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Insert:
    """A query's rows, appended to a table."""

    table: Table
    query: Select


@dataclass(frozen=True)
class DropTable:
    """A table that goes, if it is there."""

    table: Table


Source = Table | Step | Select | UnionAll | Join
Statement = Select | CreateTemporaryTable | Insert | DropTable
