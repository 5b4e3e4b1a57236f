"""docs/migration.md: the networks of SmartLite are trained, stored and verified."""

import importlib
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from experiments.configuration.overrides import parse_override
from experiments.configuration.resolve import resolve
from experiments.configuration.section import validate
from experiments.experiment.config import Config
from quantlab.deploy.clickhouse.engines import open_scratch
from quantlab.deploy.clickhouse.store import Store
from tests.docs.markdown import CHECKOUT, read_page, spans
from tests.lab import Lab
from tests.quantlab.deploy.clickhouse.store.toys import scored

PAGE = read_page(CHECKOUT / "docs" / "migration.md")
CLICKHOUSE = (CHECKOUT / "docs" / "clickhouse.md").read_text(encoding="utf-8")
ROWS = PAGE.section("Networks in a database by SmartLite").rows
HERE = [spans(row[1])[0] for row in ROWS]
COMMANDS = [shlex.split(text)[2:] for text in HERE if text.startswith("python main.py")]
IMPORTS = [text for text in HERE if text.startswith("from ")]
(QUERY,) = (text for text in HERE if text.startswith("SELECT"))


def test_the_documented_parts_have_rows() -> None:
    originals = " ".join(row[0] for row in ROWS)
    for part in ("main_binary.py", "NN_data_storage_in_db.py", "im2col.py", "layer_reshape_udf"):
        assert part in originals
    assert len(COMMANDS) + len(IMPORTS) + 1 == len(ROWS)


@pytest.mark.parametrize("line", IMPORTS)
def test_imports(line: str) -> None:
    found = re.fullmatch(r"from ([\w.]+) import (\w+)", line)
    assert found is not None
    if found[1] == "clickhouse_driver":
        pytest.importorskip(found[1], reason="install quantlab[clickhouse]")
    assert hasattr(importlib.import_module(found[1]), found[2])


def test_the_query_classifies() -> None:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    with open_scratch() as connection:
        Store(connection).load("digits", scored(1))
        connection.execute("CREATE TEMPORARY TABLE images (image FixedString(8))")
        connection.insert("images", {"image": [bytes(range(8))]})
        (column,) = connection.execute(QUERY).values()
    assert column.dtype == np.uint16


def test_the_settings_are_those_of_a_binary_network() -> None:
    words = next(words for words in COMMANDS if words[0].startswith("--problem"))
    given = dict(word.removeprefix("--").split("=", 1) for word in words)
    problem, topology, config = (given.pop(name) for name in ("problem", "topology", "config"))
    overrides = [parse_override(name, value) for name, value in given.items()]
    found = validate(Config, resolve(problem, topology, config, overrides))
    assert found.experiment.name == "resnet18_binary"
    assert found.quantize is not None
    assert "binary" in {rule.algorithm.kind for rule in found.quantize.rules}


@pytest.mark.long
def test_the_commands_run(lab: Lab) -> None:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    small = ["--experiment.epochs=1", "--data.source=synthetic", "--experiment.threads=1"]
    small += ["--data.limit=100", "--data.batch_size=4", "--data.limit_test=8"]
    small += ["--network.params.width=8"]
    (verify,) = (words for words in COMMANDS if words[0] == "verify")
    assert shlex.join(["python", "main.py", *verify]) in CLICKHOUSE  # whose test runs it
    for words in COMMANDS:
        if words == verify:
            continue
        extra = small if words[0].startswith("--problem") else []
        done = subprocess.run(
            [sys.executable, "main.py", *words, *extra],
            cwd=lab.home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
