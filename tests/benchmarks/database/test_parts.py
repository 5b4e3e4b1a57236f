"""The parts of the benchmark in chDB, on few images."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.database.__main__ import kept, main, measure
from benchmarks.database.jobs import jobs
from benchmarks.database.mismatches import module_engine, tensor_row
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row
from quantlab.deploy.clickhouse.engines import open_scratch
from quantlab.errors import UsageError

pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")

LONG = pytest.mark.long


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    folder = tmp_path_factory.mktemp("database")
    with open_scratch() as connection:
        yield Workplace(connection=connection, programs=folder, most_images=3, repeats=1)


QUICK = "mismatches-wasm-LeNet-binary"
PARTS = [
    pytest.param(name, marks=[] if name == QUICK else LONG)
    for name in jobs()
    if "LeNet-binary" in name or name == "products"
]


@pytest.mark.parametrize("name", PARTS)
def test_a_part_has_rows(name: str, workplace: Workplace) -> None:
    if name.startswith("peers"):
        pytest.importorskip("duckdb", reason="DuckDB is not installed; install quantlab[bench]")
    rows = list(jobs()[name](workplace))
    assert rows
    for row in rows:
        assert row.ratio > 0
        assert row.figures["images"] <= 100
        assert row.figures["value"] >= 0


def test_a_wrong_number_is_seen(workplace: Workplace) -> None:
    right = module_engine("LeNet-binary", workplace)

    class Wrong:
        def execute(self, inputs: Any) -> Iterator[tuple[str, Any]]:
            for name, values in right.execute(inputs):
                yield name, values + (np.arange(values.size).reshape(values.shape) == 1)

    row = tensor_row("wrong", "LeNet-binary", Wrong(), 2, workplace)
    assert row.ratio == 0
    assert row.figures["value"] == len(workplace.program("LeNet-binary").operations)


def test_what_is_kept_is_not_measured_again(workplace: Workplace, tmp_path: Path) -> None:
    row = workplace.row("speed", "LeNet-binary", "x", value=1.5, unit="us", ratio=2.0)
    calls = []

    def job(given: Workplace) -> Iterator[Row]:
        calls.append(given)
        yield row

    for _ in range(2):
        measure("part", job, workplace, tmp_path)
    (found,) = kept("part", tmp_path)
    assert len(calls) == 1
    assert (found.figures, found.ratio) == (row.figures, 2.0)
    assert found.origin is not None
    assert found.origin["machine"]["cpu"]
    assert found.origin["command"] == "python -m benchmarks.database"


def test_what_is_missing_is_not_measured(
    workplace: Workplace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def job(given: Workplace) -> Iterator[Row]:
        yield given.row("speed", "LeNet-binary", "x", value=1.5, unit="us")
        raise UsageError("no server")

    measure("part", job, workplace, tmp_path)
    assert capsys.readouterr().out == "part: not measured: no server\n"
    assert list(tmp_path.iterdir()) == []
    assert kept("part", tmp_path) == []


def test_parts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--list"])
    assert capsys.readouterr().out.splitlines() == list(jobs())
