"""The examples, commands and tables of docs/clickhouse.md."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import main
from quantlab.deploy.clickhouse.engines import open_scratch
from quantlab.deploy.clickhouse.store import Store
from quantlab.deploy.clickhouse.store.tables import TABLES
from tests.clickhouse_server import HOST, need_server, running_server
from tests.docs.markdown import CHECKOUT, read_page
from tests.lab import Lab

PAGE = read_page(CHECKOUT / "docs" / "clickhouse.md")
CHDB, DRIVER = (block.text for block in PAGE.blocks if block.language == "python")
(SQL,) = (block.text for block in PAGE.blocks if block.language == "sql")


@pytest.fixture(scope="module")
def names() -> Mapping[str, Any]:
    """Run the example of chDB; return its names."""
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    found: dict[str, Any] = {}
    exec(compile(CHDB, "clickhouse.md", "exec"), found)
    return found


def counted(names: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return how many images have each class."""
    classes, counts = np.unique(names["classes"], return_counts=True)
    return list(zip(classes.tolist(), counts.tolist(), strict=True))


def test_ten_lines_of_sql_classify_a_table(names: Mapping[str, Any]) -> None:
    assert len([line for line in SQL.splitlines() if line]) <= 10
    create, view, query = SQL.split(";\n\n")
    labels = (names["classes"] + np.arange(16) % 2) % 10
    with open_scratch() as connection:
        Store(connection).load("digits", names["program"])
        connection.execute(create)
        connection.execute(view)
        rows = {"id": np.arange(16), "label": labels, "image": names["images"]}
        connection.insert("images", rows)
        found = connection.execute(query.rstrip(";\n"))
    assert list(zip(found["class"].tolist(), found["images"].tolist(), strict=True)) == counted(
        names
    )
    assert found["correct"].sum() == 8


def test_a_server_of_debian_classifies_through_the_driver(
    names: Mapping[str, Any], tmp_path: Path
) -> None:
    need_server()
    with running_server(tmp_path) as server:
        found = {**names, "host": HOST, "port": server.port}
        exec(compile(DRIVER, "clickhouse.md", "exec"), found)
        found["client"].disconnect()
    assert found["counts"] == counted(names)


def test_all_tables_are_described() -> None:
    described = [row[0].strip("`") for row in PAGE.rows]
    assert [name for name in described if name in TABLES] == list(TABLES)


@pytest.mark.long
def test_the_commands_run(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    lines = [
        line for block in PAGE.blocks if not block.language for line in block.text.splitlines()
    ]
    commands = [shlex.split(line)[2:] for line in lines if line.startswith("python main.py")]
    small = ["--data.source=synthetic", "--quick", "--experiment.threads=1"]
    done = []
    for words in commands:
        if words[0] == "store" and words[1].startswith("rollback"):
            other = ["store", "load", "--model=digits", "--problem=MNIST", "--exp_id=0"]
            assert main.main([*other, "--memory-bits=8", "--sum-bits=32"]) == 0
        if "model.sql" in " ".join(words):
            export = ["export", "--problem=MNIST", "--exp_id=0", "--to=clickhouse"]
            assert main.main(export) == 0
        extra = small if words[0].startswith("--problem") else []
        words = [str(lab.home / word) if word.endswith(".sql") else word for word in words]
        code = main.main([*words, *extra])
        assert code == 0, (words, capsys.readouterr().err)
        done.append(words[0])
    assert done.count("store") == 7
    assert "verify" in done
