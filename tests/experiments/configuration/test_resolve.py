"""The configuration of a run, and every configuration of the checkout."""

from pathlib import Path

import pytest

from experiments.configuration.documents import Document, read_document
from experiments.configuration.overrides import parse_override
from experiments.configuration.resolve import find_overlay, resolve
from experiments.configuration.section import validate
from experiments.experiment.config import Config, as_plain
from experiments.library import config_names, problem_names, topology_names
from experiments.runs.folder import RunFolder
from quantlab.errors import UsageError

ALL = [
    (problem, topology, name)
    for problem in problem_names()
    for topology in topology_names(problem)
    for name in (None, *config_names(problem, topology))
]


@pytest.mark.parametrize(("problem", "topology", "name"), ALL, ids=str)
def test_every_config_is_valid_and_round_trips(
    problem: str, topology: str, name: str | None, tmp_path: Path
) -> None:
    config = validate(Config, resolve(problem, topology, name, []))
    assert validate(Config, Document(values=as_plain(config))) == config
    run = RunFolder(problem=problem, exp_id=0, path=tmp_path)
    run.write_config(as_plain(config))
    stored = validate(Config, read_document(run.config_file))
    assert stored == config
    assert as_plain(stored) == as_plain(config)


def test_there_are_configs() -> None:
    assert len(ALL) >= 12


def test_layers() -> None:
    overrides = [parse_override("experiment.epochs", "3")]
    document = resolve("MNIST", "LeNet", "w4a4", overrides)
    assert document.values["experiment"]["name"] == "lenet-w4a4"
    assert document.values["experiment"]["epochs"] == 3
    assert document.origin(("experiment", "epochs")) == "command line"
    assert document.origin(("experiment", "name")).startswith(
        "problems/MNIST/LeNet/configs/w4a4.yaml:"
    )
    assert document.origin(("network",)).startswith("problems/MNIST/LeNet/config.yaml:")


def test_overlays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = find_overlay("MNIST", "LeNet", "w4a4")
    assert named.parts[-2:] == ("configs", "w4a4.yaml")
    Path("w4a4").write_text("{}")
    assert find_overlay("MNIST", "LeNet", "w4a4") == named, "a file took the name of a config"
    Path("mine.yaml").write_text("{}")
    assert find_overlay("MNIST", "LeNet", "mine.yaml") == Path("mine.yaml")
    with pytest.raises(UsageError, match=r"--config=w4a5: neither a file nor a config of LeNet; d"):
        find_overlay("MNIST", "LeNet", "w4a5")
    with pytest.raises(UsageError, match=r"there are: .*w4a4"):
        find_overlay("MNIST", "LeNet", "zzzzzzz")


def test_an_overlay_may_extend_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("extends: w4a4\nexperiment: {name: mine}\n")
    Path("yours.yaml").write_text("extends: mine.yaml\nexperiment: {epochs: 2}\n")
    document = resolve("MNIST", "LeNet", "yours.yaml", [])
    assert (
        document.values["experiment"] | {"name": "mine", "epochs": 2}
        == (document.values["experiment"])
    )
    w4a4 = resolve("MNIST", "LeNet", "w4a4", []).values
    assert document.values["quantize"] == w4a4["quantize"]
    assert document.origin(("experiment", "name")) == "mine.yaml:2"
    assert "extends" not in document.values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: w4a5", r"bad.yaml:1: extends: w4a5: neither a file nor .*; did you mean 'w4a4'"),
        ("extends: 3", "bad.yaml:1: extends: 3 given, the name of a config allowed"),
        ("extends: bad.yaml", "bad.yaml:1: extends: bad.yaml extends this file itself"),
    ],
)
def test_extending_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(text)
    with pytest.raises(UsageError, match=message):
        resolve("MNIST", "LeNet", "bad.yaml", [])
