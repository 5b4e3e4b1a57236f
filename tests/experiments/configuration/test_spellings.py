"""Misspelled names of the originals."""

import pytest

import main
from experiments.configuration.documents import Document, parse_document
from experiments.configuration.overrides import apply_overrides, parse_override
from experiments.configuration.spellings import MISSPELLED, spelled
from experiments.experiment.config import Config
from quantlab.errors import UsageError
from tests.lab import TOY_RUN, Lab

SAID = "warning: criterion.ortho_weight_loss: the name is ortho_loss_weight, taken for it "


def of_file(text: str) -> Document:
    return parse_document(f"criterion: {{{text}}}", name="some.yaml")


def given(*overrides: str, base: str = "alpha: 0.5") -> tuple[Document, list[str]]:
    said: list[str] = []
    parsed = [parse_override(*override.split("=", 1)) for override in overrides]
    return spelled(apply_overrides(of_file(base), parsed), said.append), said


def test_the_right_names_are_keys() -> None:
    for (section, wrong), right in MISSPELLED.items():
        keys = type(Config.model_fields[section].default).model_fields
        assert right in keys
        assert wrong not in keys


def test_a_file_that_misspells() -> None:
    said: list[str] = []
    document = spelled(of_file("alpha: 0.5, ortho_weight_loss: 0.05"), said.append)
    assert document.values == {"criterion": {"alpha": 0.5, "ortho_loss_weight": 0.05}}
    assert document.origin(("criterion", "ortho_loss_weight")) == "some.yaml:1"
    assert said == [f"{SAID}(some.yaml:1)"]


def test_the_command_line_goes_before_a_file() -> None:
    for flags in (["criterion.ortho_weight_loss=0.1"], ["criterion={ortho_weight_loss: 0.1}"]):
        document, said = given(*flags, base="ortho_loss_weight: 0.05")
        assert document.values["criterion"] == {"ortho_loss_weight": 0.1}
        assert document.origin(("criterion", "ortho_loss_weight")) == "command line"
        assert said == [f"{SAID}(command line)"]


def test_right_names_are_left_alone() -> None:
    document, said = given("criterion.ortho_loss_weight=0.1")
    assert document.values["criterion"] == {"alpha": 0.5, "ortho_loss_weight": 0.1}
    assert said == []
    assert given("criterion=3")[0].values == {"criterion": 3}  # which is refused later


@pytest.mark.parametrize(
    "flags",
    [
        ["criterion.ortho_weight_loss=0.1", "criterion.ortho_loss_weight=0.1"],
        ["criterion={ortho_weight_loss: 0.1, ortho_loss_weight: 0.2}"],
    ],
)
def test_both_on_the_command_line_are_refused(flags: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        given(*flags)
    said = "criterion.ortho_weight_loss: given beside ortho_loss_weight, the same; one of them"
    assert str(caught.value) == f"{said} allowed (command line)"


def test_both_in_a_file_are_refused() -> None:
    with pytest.raises(UsageError, match=r"one of them allowed \(some.yaml:1\)"):
        spelled(of_file("ortho_weight_loss: 0.1, ortho_loss_weight: 0.1"), print)


def test_a_run_warns_once_and_stores_the_right_name(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    once = (*TOY_RUN, "--experiment.epochs=1", "--criterion.ortho_weight_loss=0")
    assert main.main(once) == 0
    assert capsys.readouterr().err.splitlines() == [f"{SAID}(command line)"]
    assert lab.record()["config"]["criterion"]["ortho_loss_weight"] == 0.0
    assert main.main([*once, "--criterion.ortho_loss_weight=0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "given beside ortho_loss_weight, the same; one of them allowed" in line
