"""The networks of a user's problem: trained and verified by commands, or refused in one line."""

import json
import re
from pathlib import Path

import pytest

import main
from tests.lab import Lab
from tests.models.user_networks.cases import CASES
from tests.models.user_networks.problem import write_problem

COMMAND = ("--problem=Blog", "--exp_id=0")
NETWORKS = (
    *("blitz", "old mnist", "squeezenet", "resnet", "unflattened", "siamese", "mobilenet"),
    *("padded", "learned", "normalized", "recurrent", "checkpointed", "stochastic depth"),
    *("rezero", "second input", "cbam"),
)
REFUSED = ("convnext", "conditional", "attentive")


def start(lab: Lab, name: str) -> int:
    """Train a network of the table in a problem of its own."""
    case = CASES[name]
    file = Path(str(case.make.__module__).rpartition(".")[2]).with_suffix(".py").name
    write_problem(lab, file, case.make.__name__, case.raw, case.rules)
    return main.main(["--problem=Blog", "--topology=Net"])


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "old mnist" else pytest.mark.long) for n in NETWORKS]
)
def test_a_network_is_trained_and_verified(
    lab: Lab, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(lab, name) == 0
    out = capsys.readouterr().out
    assert "test accuracy (top-1)" in out
    assert "note: no integer program" not in out
    assert main.main(["verify", *COMMAND]) == 0
    said = capsys.readouterr()
    assert "0 mismatches in" in said.out
    assert said.err.count("note: log_softmax: LogSoftmax is left out") == (name == "old mnist")
    assert said.err.count("\n") == (name == "old mnist")
    run = lab.problems / "Blog" / "logs" / "exp000"
    certificate = json.loads((run / "fold0/deploy/best/certificate.json").read_text())
    assert all(engine["num_mismatches"] == 0 for engine in certificate["engines"])
    assert certificate["against_fake_quantized"]["same_class"] >= 90


@pytest.mark.long
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_deployed_is_trained_and_named(
    lab: Lab, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(lab, name) == 0
    _, message = CASES[name].refused or ("", "")
    message = message.replace("styles.py", "network.py")
    (note,) = re.findall("note: no integer program .*", capsys.readouterr().out)
    assert re.search(message, note)
    assert main.main(["verify", *COMMAND]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1
    assert not list((lab.problems / "Blog" / "logs").glob("*/fold0/deploy/*/*"))
