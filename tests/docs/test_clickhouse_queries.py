"""The example and the tables of docs/clickhouse-queries.md."""

from typing import Any

import pytest

from quantlab.deploy.clickhouse.relational.relations import RELATIONS
from quantlab.deploy.clickhouse.sql.dialect import LEGACY, MODERN
from tests.docs.markdown import CHECKOUT, read_page, spans

PAGE = read_page(CHECKOUT / "docs" / "clickhouse-queries.md")


def test_the_example_runs() -> None:
    pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")
    (example,) = [block.text for block in PAGE.blocks if block.language == "python"]
    names: dict[str, Any] = {}
    exec(compile(example, "clickhouse-queries.md", "exec"), names)
    names["connection"].close()
    assert "WITH " in names["query"].text


def test_all_tables_and_dialects_are_described() -> None:
    described = {row[0].strip("`"): spans(row[1]) for row in PAGE.rows}
    for name, columns in RELATIONS.items():
        assert ["layer", *described[name]] == list(columns)
    assert {dialect.name.upper() for dialect in (MODERN, LEGACY)} <= set(described)
