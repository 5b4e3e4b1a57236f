"""The text of SQL: the one place that makes it."""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from itertools import chain, count
from typing import Any

from quantlab.deploy.clickhouse.sql.dialect import Dialect
from quantlab.deploy.clickhouse.sql.nodes import (
    Binary,
    Call,
    Column,
    CreateTemporaryTable,
    DropTable,
    Expression,
    Insert,
    Join,
    Literal,
    Named,
    Select,
    Source,
    Statement,
    Step,
    Table,
    UnionAll,
    Value,
)

_INDENT = "    "
_STRENGTHS = {"OR": 1, "AND": 2, "<": 3, ">=": 3, "=": 3, "<>": 3, "+": 4, "-": 4, "*": 5}
_ASSOCIATIVE = {"OR", "AND", "+", "*"}
_COMPARISONS = {"<", ">=", "=", "<>"}


@dataclass(frozen=True, kw_only=True)
class Query:
    """Text, and the values that it has by name."""

    text: str
    parameters: Mapping[str, Any]


def render(statement: Statement, dialect: Dialect) -> Query:
    """Return the query of a statement, the same text for the same nodes.

    Values of one name that differ get numbers behind it: `width`, `width_2`.
    """
    text = _Text(dialect, frozenset(_tables(statement)))
    found = lines(statement, text)
    return Query(text="\n".join(found) + "\n", parameters=text.parameters)


class _Text:
    """The parameters and steps as the text grows."""

    def __init__(self, dialect: Dialect, tables: frozenset[str]) -> None:
        self.dialect, self._tables = dialect, tables
        self.parameters: dict[str, Any] = {}
        self.steps: dict[str, list[str]] = {}
        self.kept: set[str] = set()
        self._names: dict[tuple[str, str, str], str] = {}
        self._steps: list[tuple[Step, str]] = []

    def step(self, step: Step) -> str:
        """Return the name of a step, whose lines are among `steps` then."""
        for known, name in self._steps:
            if known is step or known == step:
                return name
        inner = rows(step.rows, self)
        name = _unused(step.name, {*self.steps, *self._tables})
        self._steps.append((step, name))
        self.steps[name] = inner
        if step.is_kept:
            self.kept.add(name)
        return name

    def parameter(self, value: Value) -> str:
        key = (value.name, value.kind, repr(value.value))
        if key not in self._names:
            name = _unused(value.name, self.parameters)
            self._names[key], self.parameters[name] = name, value.value
        return self.dialect.parameter(self._names[key], value.kind)


def _tables(statement: Statement) -> Iterator[str]:
    """Yield the names of the tables that a query reads, which none of its steps may have."""
    seen: set[int] = set()
    waiting: list[Any] = [statement]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        match node:
            case Table(name=name):
                yield name
            case Select(source=source):
                waiting.append(source)
            case Insert(query=query):
                waiting.append(query)
            case Step(rows=inner):
                waiting.append(inner)
            case UnionAll(parts=parts):
                waiting.extend(parts)
            case Join(left=left, right=right):
                waiting += [left, right]


def _unused(name: str, taken: Container[str]) -> str:
    """Return a name, with a number behind it if it is taken."""
    numbered = (f"{name}_{number}" for number in count(2))
    return next(one for one in chain([name], numbered) if one not in taken)


def identifier(name: str) -> str:
    """Return a name as SQL takes it: in backticks unless it is a plain word."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        return name
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


@singledispatch
def inline(node: Expression, text: _Text) -> str:
    """Return an expression in one line."""
    raise TypeError(f"{type(node).__name__}: has no `inline` in quantlab.deploy.clickhouse.sql")


@inline.register
def _(node: Column, text: _Text) -> str:
    return identifier(node.name)


@inline.register
def _(node: Literal, text: _Text) -> str:
    return str(node.number)


@inline.register
def _(node: Value, text: _Text) -> str:
    return text.parameter(node)


@inline.register
def _(node: Call, text: _Text) -> str:
    replaced = _replaced(node, text.dialect)
    if replaced is not node:
        return inline(replaced, text)
    return f"{node.function}({', '.join(inline(part, text) for part in node.arguments)})"


@inline.register
def _(node: Binary, text: _Text) -> str:
    strength = _STRENGTHS[node.operator]
    left, right = (_replaced(part, text.dialect) for part in (node.left, node.right))
    same = isinstance(right, Binary) and right.operator == node.operator
    from_left = strength + (node.operator in _COMPARISONS)
    from_right = strength + (not (same and node.operator in _ASSOCIATIVE))
    return f"{_operand(left, from_left, text)} {node.operator} {_operand(right, from_right, text)}"


def _replaced(node: Expression, dialect: Dialect) -> Expression:
    """Return what a dialect has for a call that it lacks."""
    if isinstance(node, Call) and node.function in dialect.functions:
        return dialect.functions[node.function](node)
    return node


def _operand(node: Expression, strength: int, text: _Text) -> str:
    """Return an expression, in parentheses if it binds less than the operator beside it."""
    inner = inline(node, text)
    is_weak = isinstance(node, Binary) and _STRENGTHS[node.operator] < strength
    return f"({inner})" if is_weak else inner


@singledispatch
def lines(node: Statement, text: _Text) -> list[str]:
    """Return a statement, line by line."""
    raise TypeError(f"{type(node).__name__}: has no `lines` in quantlab.deploy.clickhouse.sql")


@lines.register
def _(node: Select, text: _Text) -> list[str]:
    found = rows(node, text)
    steps: list[str] = []
    for name, inner in text.steps.items():
        head = "), " if steps else "WITH "
        kind = "AS MATERIALIZED" if name in text.kept else "AS"
        steps += [f"{head}{identifier(name)} {kind} (", *(_INDENT + line for line in inner)]
    if text.kept:
        found.append("SETTINGS enable_materialized_cte = 1")
    return [*steps, ")", *found] if steps else found


def rows(node: Select | UnionAll, text: _Text) -> list[str]:
    """Return the lines of a selection, or of several."""
    if isinstance(node, UnionAll):
        found = rows(node.parts[0], text)
        for part in node.parts[1:]:
            found += ["UNION ALL", *rows(part, text)]
        return found
    head = "SELECT DISTINCT" if node.is_distinct else "SELECT"
    found = [head, *_listed([_column(one, text) for one in node.columns])]
    found += _from("FROM ", node.source, text)
    for number, condition in enumerate(node.where):
        found.append(f"{_INDENT + 'AND' if number else 'WHERE'} {_operand(condition, 2, text)}")
    if node.group_by:
        found.append(f"GROUP BY {', '.join(map(identifier, node.group_by))}")
    return found


def _column(node: Named, text: _Text) -> str:
    inner = inline(node.expression, text)
    return inner if inner == identifier(node.name) else f"{inner} AS {identifier(node.name)}"


def _listed(items: Sequence[str]) -> list[str]:
    ends = [","] * (len(items) - 1) + [""]
    return [f"{_INDENT}{item}{end}" for item, end in zip(items, ends, strict=True)]


def _from(head: str, source: Source, text: _Text) -> list[str]:
    match source:
        case Table():
            return [head + _table(source)]
        case Join(left=left, right=right, using=using):
            found = _from(head, left, text)
            found += _from("ALL INNER JOIN " if using else "CROSS JOIN ", right, text)
            if using:
                found[-1] += f" USING ({', '.join(map(identifier, using))})"
            return found
        case Step() if text.dialect.has_steps:
            return [head + identifier(text.step(source))]
        case Step(rows=inside):
            inner = rows(inside, text)
        case _:
            inner = rows(source, text)
    return [f"{head}(", *(_INDENT + line for line in inner), ")"]


def _table(table: Table) -> str:
    name = identifier(table.name)
    return f"{identifier(table.database)}.{name}" if table.database else name


@lines.register
def _(node: CreateTemporaryTable, text: _Text) -> list[str]:
    columns = [f"{identifier(name)} {kind}" for name, kind in node.columns]
    return [f"CREATE TEMPORARY TABLE {_table(node.table)} (", *_listed(columns), ")"]


@lines.register
def _(node: Insert, text: _Text) -> list[str]:
    names = ", ".join(identifier(column.name) for column in node.query.columns)
    return [f"INSERT INTO {_table(node.table)} ({names})", *lines(node.query, text)]


@lines.register
def _(node: DropTable, text: _Text) -> list[str]:
    return [f"DROP TABLE IF EXISTS {_table(node.table)}"]
