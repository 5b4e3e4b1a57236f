"""docs/migration.md: the commands of MLG are run."""

import os
import shlex
import subprocess

import pytest

from experiments.configuration.overrides import parse_override
from experiments.configuration.resolve import resolve
from experiments.configuration.section import validate
from experiments.experiment.config import Config
from experiments.runs.folder import open_run
from tests.docs.markdown import CHECKOUT, read_page, spans
from tests.lab import BIN, Lab

PAGE = read_page(CHECKOUT / "docs" / "migration.md")
COMMANDS = [spans(row[1])[0] for row in PAGE.section("Commands of MLG").rows]
SMALL = (
    " --quick --data.source=synthetic --experiment.epochs=1 --experiment.threads=1"
    " --data.batch_size=4 --data.limit=8 --data.eval_batch_size=4 --data.limit_test=8"
    " --network.params.width=8 --config="
)


@pytest.mark.parametrize("command", COMMANDS)
def test_settings_are_valid(command: str) -> None:
    start = command.index("python main.py")
    words = shlex.split(command[start:].partition(";")[0].replace("$seed", "41"))
    given = dict(word.removeprefix("--").split("=", 1) for word in words[3:])
    problem, topology, config = (given.pop(name) for name in ("problem", "topology", "config"))
    overrides = [parse_override(name, value.replace("$base", "8")) for name, value in given.items()]
    found = validate(Config, resolve(problem, topology, config, overrides))
    assert (found.mlg is not None) == (config == "mlg_train")
    assert found.network.params["depth"] == 18


@pytest.mark.long
def test_commands(lab: Lab) -> None:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    for command in COMMANDS:
        small = command.replace(" --config=", SMALL)
        if "projection_alg" not in command:  # svd is far quicker than train
            small = small.replace("=mlg_train", "=mlg_train --mlg.projection_alg=svd")
        done = subprocess.run(
            ["bash", "-ec", small],
            cwd=lab.home,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    logs = lab.problems / "CIFAR10" / "logs"
    records = [open_run("CIFAR10", logs, number).record() for number in range(6)]
    assert [record["status"] for record in records] == ["done"] * 6
    assert [record["config"]["experiment"]["seed"] for record in records[2:4]] == [41, 42]
    assert [record["config"]["mlg"]["base_out"] for record in records[4:]] == [8, 44]
