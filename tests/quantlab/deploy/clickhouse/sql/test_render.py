"""The text of SQL: names in quotes, values as parameters, steps by names of their own."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab.deploy.clickhouse.engines import open_chdb
from quantlab.deploy.clickhouse.sql.dialect import LEGACY, MODERN
from quantlab.deploy.clickhouse.sql.functions import call
from quantlab.deploy.clickhouse.sql.nodes import (
    Binary,
    Column,
    CreateTemporaryTable,
    DropTable,
    Expression,
    Insert,
    Join,
    Literal,
    Named,
    Select,
    Step,
    Table,
    UnionAll,
    Value,
)
from quantlab.deploy.clickhouse.sql.render import identifier, render

ODD = "x`; DROP TABLE models; --\\"


T = Table("t")


def selected(*columns: Named, source: Any = T, **clauses: Any) -> Select:
    return Select(columns=columns or (Column("a").named("a"),), source=source, **clauses)


def text(statement: Any) -> str:
    return " ".join(render(statement, MODERN).text.split())


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("sample", "sample"),
        ("Sample", "`Sample`"),
        ("", "``"),
        (ODD, "`x\\`; DROP TABLE models; --\\\\`"),
    ],
)
def test_names_are_plain_words_or_in_backticks(name: str, quoted: str) -> None:
    assert identifier(name) == quoted


def test_no_name_ends_its_quotes() -> None:
    statements = [
        selected(Column(ODD).named(ODD), source=Table(ODD, ODD), group_by=(ODD,)),
        selected(source=Step(ODD, selected())),
        selected(source=Join(Table(ODD), Table("t"), (ODD,))),
        CreateTemporaryTable(Table(ODD), ((ODD, "UInt8"),)),
        Insert(Table(ODD), selected(Column("a").named(ODD))),
        DropTable(Table(ODD)),
    ]
    for statement in statements:
        outside = re.sub(r"`(?:[^`\\]|\\.)*`", "", render(statement, MODERN).text)
        assert "DROP TABLE models" not in outside


def test_values_are_parameters_in_both_dialects() -> None:
    given = selected(Value("key", "String", ODD).named("k"), Value("size", "UInt32", 7).named("s"))
    modern, legacy = render(given, MODERN), render(given, LEGACY)
    assert "{key:String} AS k" in modern.text
    assert "CAST(%(key)s AS String) AS k" in legacy.text
    assert modern.parameters == legacy.parameters == {"key": ODD, "size": 7}


def test_values_of_one_name_that_differ_get_numbers() -> None:
    values = [Value("n", "UInt8", number) for number in (5, 6, 5)]
    query = render(selected(*(value.named(f"c{i}") for i, value in enumerate(values))), MODERN)
    assert query.parameters == {"n": 5, "n_2": 6}
    assert query.text.count("{n:UInt8}") == 2


def test_a_step_stands_once_and_where_it_is_read_in_the_legacy_dialect() -> None:
    step = Step("rows", selected())
    both = selected(source=UnionAll((selected(source=step), selected(source=step))))
    assert text(both).startswith("WITH rows AS ( SELECT a FROM t ) SELECT")
    assert render(both, LEGACY).text.count("FROM t") == 2


def test_steps_take_no_name_of_a_table_or_of_another_step() -> None:
    first = Step("t", selected())
    second = Step("t", selected(source=first))
    found = text(selected(source=second))
    assert found == (
        "WITH t_2 AS ( SELECT a FROM t ), t_3 AS ( SELECT a FROM t_2 ) SELECT a FROM t_3"
    )


NUMBERS = st.integers(0, 9).map(Literal)
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: st.builds(
        Binary, st.sampled_from(["+", "-", "*", "<", ">=", "=", "<>", "AND", "OR"]), inner, inner
    ),
    max_leaves=12,
)


def value_of(node: Expression) -> int:
    if isinstance(node, Literal):
        return node.number
    assert isinstance(node, Binary)
    a, b = value_of(node.left), value_of(node.right)
    return int(
        {
            "+": a + b, "-": a - b, "*": a * b, "<": a < b, ">=": a >= b, "=": a == b,
            "<>": a != b, "AND": bool(a) and bool(b), "OR": bool(a) or bool(b),
        }[node.operator]
    )  # fmt: skip


@given(EXPRESSIONS)
def test_parentheses_keep_the_meaning(expression: Expression) -> None:
    query = render(selected(expression.named("x"), source=Table("one")), MODERN)
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE one AS SELECT 1")
        assert database.execute(query.text).fetchone() == (value_of(expression),)
    database.close()


def test_bits_are_counted_by_arithmetic_in_the_legacy_dialect(tmp_path: Path) -> None:
    pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")
    counts = selected(Column("a").named("a"), call("bitCount", "a").named("n"), source=Table("w"))
    query = render(counts, LEGACY)
    assert "bitCount" not in query.text
    words = [0, 1, 2**63, 2**64 - 1, 0x0123456789ABCDEF, 0xAAAAAAAAAAAAAAAA]
    with open_chdb(tmp_path) as chdb:
        chdb.execute("CREATE TEMPORARY TABLE w (a UInt64)")
        chdb.insert("w", {"a": np.array(words, np.uint64)})
        found = chdb.execute(query.text)
    assert found["n"].tolist() == [int(word).bit_count() for word in found["a"]]
