"""The commands and settings of docs/distillation.md."""

import shlex

import pytest

import main
from experiments.configuration.documents import parse_document
from experiments.training.distillation.config import CriterionConfig, TeacherConfig
from tests.docs.markdown import CHECKOUT, read_page, spans
from tests.lab import Lab

PAGE = read_page(CHECKOUT / "docs" / "distillation.md")
SMALL = ["--data.source=synthetic", "--quick", "--experiment.threads=1"]


@pytest.mark.long
def test_the_commands_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab.home)
    first, second = (shlex.split(line)[2:] for line in PAGE.blocks[0].text.splitlines())
    assert main.main([*first, *SMALL]) == 0
    assert main.main([*second, *SMALL]) == 0
    flags = [spans(row[0]) for row in PAGE.section("Which network teaches").rows]
    alone = [flag.replace("exp003", "exp000") for (flag,) in flags[1:2]]
    assert main.main([*second[:-1], *alone, *SMALL]) == 0
    saves = lab.problems / "MNIST" / "logs" / "exp001" / "fold0" / "saves"
    (lab.home / "weights.pt").write_bytes((saves / "last.ckpt").read_bytes())
    described = shlex.split(" ".join(flag for given in flags[2:] for flag in given))
    assert main.main([*second[:-1], *described, *SMALL]) == 0


def test_the_settings_are_valid() -> None:
    (block,) = [block for block in PAGE.blocks if block.language == "yaml"]
    values = parse_document(block.text, name="distillation.md").values
    assert TeacherConfig.model_validate(values["teacher"]).exp_id == 0
    assert CriterionConfig.model_validate(values["criterion"]) == CriterionConfig()
