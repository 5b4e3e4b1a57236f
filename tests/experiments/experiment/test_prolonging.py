"""`resume --experiment.epochs=N`: a longer run is as if it had been asked for at the start."""

import shutil
from typing import Any

import pytest

import main
from experiments.configuration.documents import read_document
from experiments.progress import Steps
from tests.experiments.training.test_resume import RESUME, RUN, kill
from tests.experiments.training.test_resume import outcome as outcome_with_flag
from tests.lab import TOY_RUN, Lab

Captured = pytest.CaptureFixture[str]
CONSTANT = "--training.lr_scheduler.class=Constant"
LONGER = (*RESUME, "--exp_id=0", "--experiment.epochs=4")


def train(*arguments: str) -> None:
    assert main.main([*arguments]) == 0


def outcome(lab: Lab, exp_id: int) -> dict[str, Any]:
    """All but whether the best epoch was the last when its checkpoint was written."""
    whole = outcome_with_flag(lab, exp_id)
    del whole["best"][0]["is_finished"]
    return whole


def said(capsys: Captured, *arguments: str) -> str:
    capsys.readouterr()
    train(*arguments)
    return capsys.readouterr().out


def refused(lab: Lab, capsys: Captured, *arguments: str) -> str:
    before = {p: p.read_bytes() for p in lab.logs.rglob("*") if p.is_file()}
    capsys.readouterr()
    assert main.main([*arguments]) == 2
    captured = capsys.readouterr()
    assert (captured.out, len(captured.err.splitlines())) == ("", 1)
    assert {p: p.read_bytes() for p in lab.logs.rglob("*") if p.is_file()} == before
    return captured.err


def test_as_if_asked_from_the_start(lab: Lab, capsys: Captured) -> None:
    train(*RUN, CONSTANT, "--experiment.epochs=2")
    assert "note: " not in said(capsys, *LONGER)
    train(*RUN, CONSTANT, "--experiment.epochs=4")
    assert outcome(lab, 0) == outcome(lab, 1)
    record = lab.record()
    assert record["config"] == lab.record(1)["config"]
    assert record["resumed"][0]["prolonged"] == {"experiment.epochs": [2, 4]}
    assert read_document(lab.folder().config_file).values == record["config"]
    assert "is done; nothing to resume" in said(capsys, *RESUME, "--exp_id=0")
    assert "is done; nothing to resume" in said(capsys, *LONGER)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("steps", [2, 9])
def test_killed_on_the_way(lab: Lab, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Killed in the short run, then in the longer one; the last resume asks for nothing."""
    train(*RUN, CONSTANT, "--experiment.epochs=4")
    kill((*RUN, CONSTANT, "--experiment.epochs=2"), steps, monkeypatch, (Steps, "advance"))
    longer = (*RESUME, "--exp_id=1", "--experiment.epochs=4")
    kill(longer, 3, monkeypatch, (Steps, "advance"))
    assert lab.record(1)["status"] != "done"
    assert lab.record(1)["metrics"] == {}
    train(*RESUME, "--exp_id=1")
    assert outcome(lab, 1) == outcome(lab, 0)


def test_all_folds_go_on(lab: Lab) -> None:
    folds = (*TOY_RUN, CONSTANT, "--experiment.folds=2", "--data.valid_fraction=0")
    train(*folds)
    train(*LONGER)
    train(*folds, "--experiment.epochs=4")
    assert lab.record(0)["metrics"] == lab.record(1)["metrics"]
    assert [lab.rows(0, fold) for fold in (0, 1)] == [lab.rows(1, fold) for fold in (0, 1)]


def test_more_steps(lab: Lab, capsys: Captured) -> None:
    steps = (*RUN, CONSTANT, "--experiment.epochs=9")
    train(*steps, "--experiment.max_steps=8")
    longer = (*RESUME, "--exp_id=0", "--experiment.max_steps=14")
    assert "note: " not in said(capsys, *longer)
    train(*steps, "--experiment.max_steps=14")
    assert outcome(lab, 0) == outcome(lab, 1)


def test_weights_from_which_it_began_are_not_needed(lab: Lab) -> None:
    train(*TOY_RUN)
    pretrained = (*RUN, CONSTANT, "--experiment.epochs=2", "--network.pretrained.exp_id=0")
    train(*pretrained)
    train(*pretrained[:-2], "--experiment.epochs=4", pretrained[-1])
    shutil.rmtree(lab.folder(0).path)
    train(*RESUME, "--exp_id=1", "--experiment.epochs=4")
    assert outcome(lab, 1) == outcome(lab, 2)
    assert lab.record(1)["config"] == lab.record(2)["config"]


def test_what_differs_is_told(lab: Lab, capsys: Captured) -> None:
    train(*TOY_RUN)
    line = "note: Cosine followed 2 epochs until now: the weights are not those of a run of 4"
    assert line in said(capsys, *LONGER).splitlines()
    train(*TOY_RUN, "--experiment.epochs=4")
    assert lab.record(0)["weights_sha256"] != lab.record(1)["weights_sha256"]


def test_a_warm_up_of_all_epochs_so_far_differs_in_nothing(lab: Lab, capsys: Captured) -> None:
    warm = "--training.lr_scheduler={class: Cosine, params: {warmup_epochs: 2}}"
    train(*RUN, warm, "--experiment.epochs=2")
    assert "note: " not in said(capsys, *LONGER)
    train(*RUN, warm, "--experiment.epochs=4")
    assert outcome(lab, 0) == outcome(lab, 1)


def test_an_epoch_that_was_cut_is_told(lab: Lab, capsys: Captured) -> None:
    train(*TOY_RUN, CONSTANT, "--experiment.max_steps=4")
    line = "note: experiment.max_steps ended epoch 2 after 1 of 3 steps: the longer run goes on "
    told = said(capsys, *RESUME, "--exp_id=0", "--experiment.max_steps=9", "--experiment.epochs=3")
    assert line + "with epoch 3" in told.splitlines()
    assert lab.rows()[-2]["epoch"] == 2


@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        ((), "--experiment.epochs=1", "--experiment.epochs=1: Toy/exp000 has 2; more allowed"),
        ((), "--experiment.epochs=0", "--experiment.epochs=0: at least 1 allowed"),
        ((), "--experiment.epochs=x", "--experiment.epochs=x: expected a whole number"),
        ((), "--experiment.epoch=3", "did you mean 'experiment.epochs'"),
        ((), "--experiment.seed=3", "--experiment.seed: resume has no such option"),
        ((), "--experiment.max_steps=9", "--experiment.max_steps=9: Toy/exp000 has none"),
        (
            ("--experiment.max_steps=4",),
            "--experiment.max_steps=3",
            "--experiment.max_steps=3: Toy/exp000 has 4; more allowed",
        ),
        (
            ("--experiment.max_steps=4",),
            "--experiment.epochs=9",
            "--experiment.epochs=9: Toy/exp000 ends after 4 steps by experiment.max_steps",
        ),
        (
            ("--experiment.max_steps=4",),
            "--experiment.max_steps=99",
            "--experiment.max_steps=99: Toy/exp000 ended after 2 epochs by experiment.epochs",
        ),
        (
            ("--experiment.early_stop={patience: 1, min_delta: 1000}", "--experiment.epochs=3"),
            "--experiment.epochs=9",
            "--experiment.epochs=9: Toy/exp000 ended after 2 epochs by experiment.early_stop",
        ),
        (
            ("--training.lr_scheduler={class: OneCycleLR, params: {max_lr: 0.1, total_steps: 3}}",),
            "--experiment.epochs=9",
            "training.lr_scheduler: OneCycleLR does not last 9 epochs",
        ),
    ],
)
def test_refused(lab: Lab, capsys: Captured, first: tuple[str, ...], then: str, words: str) -> None:
    train(*TOY_RUN, *first)
    assert words in refused(lab, capsys, *RESUME, "--exp_id=0", then)


def test_without_its_checkpoint(lab: Lab, capsys: Captured) -> None:
    train(*TOY_RUN)
    for file in (lab.folder().fold(0) / "saves").glob("*.ckpt"):
        file.unlink()
    assert "last.ckpt: no such checkpoint" in refused(lab, capsys, *LONGER)
