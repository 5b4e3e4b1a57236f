"""docs/migration.md: what stands for SmartLite's operators runs, and its measurements are there."""

import importlib
import re

import pytest

from benchmarks.database.jobs import jobs
from quantlab.deploy.clickhouse.engines import open_scratch
from tests.docs.markdown import CHECKOUT, read_page, spans

PAGE = read_page(CHECKOUT / "docs" / "migration.md")
HERE = [row[1] for row in PAGE.section("Operators and measurements of SmartLite").rows]
CODE = [spans(cell)[0] for cell in HERE if cell != "none"]
VALUES = {"bitCount": 2, "groupBitOr": 8}


@pytest.mark.parametrize("query", [code for code in CODE if code.startswith("SELECT")])
def test_functions_of_clickhouse(query: str) -> None:
    pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")
    (value,) = [value for name, value in VALUES.items() if name in query]
    with open_scratch() as connection:
        (column,) = connection.execute(query).values()
    assert column.tolist() == [value]


@pytest.mark.parametrize("code", [code for code in CODE if not code.startswith("SELECT")])
def test_measurements_and_names(code: str) -> None:
    measurement = re.fullmatch(r"python -m benchmarks\.database --only=(\w+)", code)
    if measurement is not None:
        assert [name for name in jobs() if name.startswith(measurement[1])]
        return
    imported = re.fullmatch(r"from ([\w.]+) import (\w+)", code)
    assert imported is not None
    assert hasattr(importlib.import_module(imported[1]), imported[2])


def test_all_documented_parts_have_a_row() -> None:
    parts = [row[0] for row in PAGE.section("Operators and measurements of SmartLite").rows]
    for part in ("lookuptable", "layer_reshape_udf", "bnn_prune", "mcmm_generator", "exp-load"):
        assert any(part in cell for cell in parts), part
