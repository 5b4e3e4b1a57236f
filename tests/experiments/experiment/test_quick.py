"""`--quick` and limits of samples: a few batches of everything, and every number says so."""

import json
from typing import Any

import pytest
import torch

import main
from tests.experiments.commands.test_verify import RULES, deployed
from tests.lab import TOY_RUN, Lab
from tests.toy.Toy.data import patches

Captured = pytest.CaptureFixture[str]
SMALL = ("--data.batch_size=2", "--data.eval_batch_size=3", "--experiment.epochs=9")
RUN_0 = ("--problem=Toy", "--exp_id=0")
NOTE = "note: Toy/exp000 is a quick look; its numbers mean little\n"


def record(lab: Lab, *arguments: str) -> dict[str, Any]:
    assert main.main([*TOY_RUN, *arguments]) == 0
    return lab.record()


def test_a_few_batches_of_everything(lab: Lab, capsys: Captured) -> None:
    found = record(lab, "--quick", *SMALL[:2])
    assert found["quick"] is True
    config = found["config"]
    assert config["experiment"]["epochs"] == 2
    assert config["data"]["limit"] == 20, "8 batches of 2 to train, a fifth more to validate"
    assert (config["data"]["limit_valid"], config["data"]["limit_test"]) == (6, 6)
    assert [row["step"] for row in lab.rows() if "train/loss" in row] == [8, 16]
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "Toy/exp000  Tiny  toy  quick"
    assert "% on synthetic 6 of 25 test samples" in out


def test_not_otherwise(lab: Lab, capsys: Captured) -> None:
    assert record(lab)["quick"] is False
    assert main.main(["test", *RUN_0]) == 0
    captured = capsys.readouterr()
    assert "quick" not in captured.out + captured.err


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("--experiment.epochs=3", ("experiment", "epochs", 3)),
        ("--experiment.epochs=1", ("experiment", "epochs", 1)),
        ("--data.limit=30", ("data", "limit", 30)),
        ("--data.limit_test=9", ("data", "limit_test", 9)),
        ("--data={limit_test: 9}", ("data", "limit_test", 9)),
        ("--data.valid_fraction=0", ("data", "limit_valid", None)),
        ("--data.valid_fraction=0", ("data", "limit", 16)),
        ("--experiment.folds=5", ("data", "limit", 20)),
        ("--training.accumulate=2", ("data", "limit", 40)),
    ],
)
def test_what_else_is_asked_for_counts(
    lab: Lab, asked: str, expected: tuple[str, str, int | None]
) -> None:
    section, key, value = expected
    data = "--data={batch_size: 2, eval_batch_size: 3, valid_fraction: 0.2, limit_test: 9}"
    small = (data,) if asked.startswith("--data={") else (*SMALL[:2], asked)
    assert record(lab, "--quick", *small)["config"][section][key] == value


def test_smaller_limits_of_the_configuration_stay(lab: Lab) -> None:
    file = lab.home / "small.yaml"
    file.write_text("experiment: {epochs: 1}\ndata: {limit: 11, limit_test: 4}\n")
    config = record(lab, "--quick", f"--config={file}")["config"]
    assert config["experiment"]["epochs"] == 1
    assert (config["data"]["limit"], config["data"]["limit_test"]) == (11, 4)


def test_every_command_says_so(lab: Lab, capsys: Captured) -> None:
    record(lab, "--quick", *SMALL[:2], f"--quantize.rules={RULES}")
    capsys.readouterr()
    commands = (
        ("test", "--json"),
        ("export", "--to=program"),
        ("verify", "--samples=2"),
        ("report", "--samples=2", "--json"),
    )
    for command, *given in commands:
        assert main.main([command, *RUN_0, *given]) == 0
        assert capsys.readouterr().err == NOTE, command
    assert json.loads((deployed(lab) / "certificate.json").read_text())["quick"] is True
    assert main.main(["list"]) == 0
    assert "(synthetic, quick)" in capsys.readouterr().out
    assert main.main(["resume", *RUN_0, "--experiment.epochs=3"]) == 0
    assert lab.record()["quick"] is True


def test_limited_tests_are_those_of_the_samples_drawn(lab: Lab, capsys: Captured) -> None:
    found = record(lab, "--data.limit_test=7", "--data.eval_batch_size=3")
    counts = json.loads((lab.folder().fold(0) / "confusion.json").read_text())["counts"]
    generator = torch.Generator().manual_seed(0)
    chosen = torch.randperm(25, generator=generator)[:7]
    targets = patches(25, seed=2).targets[chosen]
    assert torch.tensor(counts).sum(1).tolist() == torch.bincount(targets, minlength=4).tolist()
    capsys.readouterr()
    assert main.main(["test", *RUN_0, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["samples"] == 7
    assert shown["metrics"]["loss"] == pytest.approx(found["metrics"]["test/loss"])
    assert main.main(["test", *RUN_0]) == 0
    assert "on 7 of 25 samples of synthetic patches" in capsys.readouterr().out
    assert main.main(["list"]) == 0
    assert "(synthetic, 7 samples)" in capsys.readouterr().out


def test_a_limit_of_no_validation_is_refused(lab: Lab, capsys: Captured) -> None:
    capsys.readouterr()
    limits = ("--data.valid_fraction=0", "--data.limit_valid=3")
    assert main.main([*TOY_RUN, *limits]) == 2
    line = "main.py: data.limit_valid: needs validation samples: set data.valid_fraction or "
    assert capsys.readouterr().err == f"{line}experiment.folds (command line)\n"
    assert lab.everything_in_logs() == []
