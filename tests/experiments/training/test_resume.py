"""A run that was killed anywhere and resumed is the run that was not killed, to the bit."""

import gc
import itertools
import os
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import main
from experiments.progress import Steps
from experiments.training.interruption import Interruption
from quantlab.numerics.digest import weights_sha256
from tests.lab import TOY_RUN, Lab

RUN = (
    *TOY_RUN,
    "--config=quantized",
    "--training.ema.decay=0.8",
    "--training.optimizer.class=Adam",
    "--training.optimizer.params.lr=0.01",
    "--data.valid_fraction=0.5",
    "--data.batch_size=8",
    "--checkpoint.every_epochs=1",
    "--checkpoint.keep_last=1",
)
RESUME = ("resume", "--problem=Toy")


class Killed(BaseException):
    """Stands for SIGKILL: nothing that follows has an effect on disk."""


def kill(
    arguments: tuple[str, ...],
    operations: int,
    monkeypatch: pytest.MonkeyPatch,
    *places: tuple[Any, str],
) -> None:
    """Run main.py; let the calls at `places` happen `operations` times in all, none after that."""
    count = [0]

    def counted(operation: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            if count[0] >= operations:
                raise Killed
            count[0] += 1
            return operation(*arguments, **named)

        return run

    with monkeypatch.context() as patch, suppress(Killed):
        for place, name in places:
            patch.setattr(place, name, counted(getattr(place, name)))
        main.main(list(arguments))
    # The kernel closes the files of a killed process and ends its threads; here that takes a
    # collection.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    for thread in threading.enumerate():
        if thread.name.startswith("background"):
            thread.join(timeout=60)
            assert not thread.is_alive(), "what was killed still writes"


def outcome(lab: Lab, exp_id: int) -> dict[str, Any]:
    """All that must not depend on having been killed; the status alone, if it is not done."""
    record = lab.record(exp_id)
    if record["status"] != "done":
        return {"status": (record["status"], record["exit_code"])}
    fold = lab.folder(exp_id).fold(0)
    best = torch.load(fold / "saves" / "best.ckpt", weights_only=True)
    board = EventAccumulator(str(fold / "stats" / record["name"]), size_guidance={"scalars": 0})
    board.Reload()
    return {
        "status": (record["status"], record["exit_code"]),
        "weights_sha256": record["weights_sha256"],
        "metrics": record["metrics"],
        "rows": lab.rows(exp_id),
        "best": (best["position"], weights_sha256(best["network"])),
        "newest_epoch": max(path.name for path in (fold / "saves").glob("epoch*")),
        "board": {
            tag: sorted((event.step, event.value) for event in board.Scalars(tag))
            for tag in board.Tags()["scalars"]
        },
    }


def run_and_kill(
    lab: Lab, exp_id: int, operations: int, patch: pytest.MonkeyPatch, *places: tuple[Any, str]
) -> bool:
    """Start run `exp_id`, kill it, resume it; return whether it ended before it was killed."""
    kill((*RUN, *ARGUMENTS), operations, patch, *places)
    if not (lab.folder(exp_id).path / "run.json").exists():
        return False
    if lab.record(exp_id)["status"] == "done":
        return True
    main.main([*RESUME, f"--exp_id={exp_id}"])
    return False


ARGUMENTS = (
    "--experiment.epochs=2",
    "--checkpoint.every_steps=2",
    "--checkpoint.seconds_between=0",
)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_killed_at_every_step(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([*RUN, *ARGUMENTS]) == 0
    expected = outcome(lab, 0)
    assert len(expected["board"]["train/step_loss"]) == 8
    for steps in range(8):
        assert not run_and_kill(lab, steps + 1, steps, monkeypatch, (Steps, "advance"))
        assert outcome(lab, steps + 1) == expected, f"killed after {steps} steps"
    assert "resumed at epoch 2, step 6" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.long)])
def test_killed_between_any_two_file_operations(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    assert main.main([*RUN, *ARGUMENTS]) == 0
    expected = outcome(lab, 0)
    places = ((Path, "replace"), (Path, "unlink"), (os, "link"))
    differing: dict[int, list[str]] = {}
    exp_id, operations, is_done = 1, 0, False
    while not is_done:
        is_done = run_and_kill(lab, exp_id, operations, monkeypatch, *places)
        if (lab.folder(exp_id).path / "run.json").exists():
            found = outcome(lab, exp_id)
            wrong = [key for key in expected if found.get(key) != expected[key]]
            if wrong:
                differing[operations] = wrong
        exp_id += 1
        operations += stride
    assert operations > 30
    assert not differing, "after so many operations, what differs"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_killed_twice_in_the_same_run(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main.main([*RUN, *ARGUMENTS]) == 0
    kill((*RUN, *ARGUMENTS), 3, monkeypatch, (Steps, "advance"))
    assert lab.record(1)["status"] != "done"
    kill((*RESUME, "--exp_id=1"), 2, monkeypatch, (Steps, "advance"))
    assert main.main([*RESUME, "--exp_id=1"]) == 0
    assert outcome(lab, 1) == outcome(lab, 0)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_folds_that_are_done_stay(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    folds = (*TOY_RUN, "--experiment.folds=3", "--data.valid_fraction=0", "--data.batch_size=20")
    assert main.main([*folds]) == 0
    kill(folds, 7, monkeypatch, (Steps, "advance"))
    assert len(lab.record(1)["folds"]) == 1
    assert main.main([*RESUME, "--exp_id=1"]) == 0
    assert lab.record(1)["metrics"] == lab.record(0)["metrics"]
    assert [lab.rows(1, fold) for fold in range(3)] == [lab.rows(0, fold) for fold in range(3)]


def test_a_done_run_is_left_alone(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([*TOY_RUN]) == 0
    before = {p: p.stat().st_mtime_ns for p in lab.logs.rglob("*") if p.is_file()}
    assert main.main([*RESUME, "--exp_id=0"]) == 0
    assert "Toy/exp000 is done; nothing to resume" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in lab.logs.rglob("*") if p.is_file()} == before


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_damaged_checkpoint_costs_time_only(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main([*RUN, *ARGUMENTS]) == 0
    kill((*RUN, *ARGUMENTS), 7, monkeypatch, (Steps, "advance"))
    (lab.folder(1).fold(0) / "saves" / "last.ckpt").write_bytes(b"torn")
    assert main.main([*RESUME, "--exp_id=1"]) == 0
    assert "last.ckpt: damaged" in capsys.readouterr().out
    assert outcome(lab, 1) == outcome(lab, 0)


def interrupt(arguments: tuple[str, ...], calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run main.py; the user presses Ctrl-C before `is_due` is asked for the `calls`-th time."""
    asked = itertools.count(1)
    with monkeypatch.context() as patch:
        patch.setattr(Interruption, "is_due", lambda _: next(asked) == calls)
        assert main.main([*arguments]) == 130


@pytest.mark.parametrize("step", [3, 7, 8])
def test_interrupted_at_a_step_also_the_partial_one_that_ends_an_epoch(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    seven_steps = ("--data.limit=53", "--data.valid_fraction=0", "--experiment.epochs=2")
    assert main.main([*RUN, *seven_steps]) == 0
    interrupt((*RUN, *seven_steps), step, monkeypatch)
    assert lab.record(1)["status"] == "interrupted"
    assert lab.rows(1)[-1]["step"] == step
    assert main.main([*RESUME, "--exp_id=1"]) == 0
    assert lab.rows(1) == lab.rows(0)
    assert lab.record(1)["weights_sha256"] == lab.record(0)["weights_sha256"]


@pytest.mark.parametrize("seconds_between", [0, 60])
@pytest.mark.parametrize("calls", range(5, 13))
def test_interrupted_while_validating(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, calls: int, seconds_between: int
) -> None:
    """Two epochs, each of four steps and then four batches of validation."""
    small = ("--experiment.epochs=2", "--data.limit=60", "--data.eval_batch_size=8",
             f"--checkpoint.seconds_between={seconds_between}")  # fmt: skip
    assert main.main([*RUN, *small]) == 0
    interrupt((*RUN, *small), calls, monkeypatch)
    assert main.main([*RESUME, "--exp_id=1"]) == 0
    assert outcome(lab, 1) == outcome(lab, 0)


def test_interrupted_while_validating_after_the_last_of_max_steps(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    six = ("--experiment.epochs=9", "--experiment.max_steps=6", "--checkpoint.seconds_between=0")
    assert main.main([*RUN, *six]) == 0
    interrupt((*RUN, *six), 8, monkeypatch)
    assert lab.rows(1)[-1]["step"] == 6
    assert main.main([*RESUME, "--exp_id=1"]) == 0
    assert outcome(lab, 1) == outcome(lab, 0)


@pytest.mark.parametrize(
    "often", [(), ("--checkpoint.every_steps=1",), ("--training.ema.decay=0.5",)]
)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_a_diverged_state_is_not_written_over_a_finite_one(
    lab: Lab, capsys: pytest.CaptureFixture[str], often: tuple[str, ...], optimizer: str
) -> None:
    """The learning rate explodes in the second epoch; whoever resumes begins before that."""
    rates = "--training.lr_scheduler={class: Hand, params: {schedule: {0: 1, 1: 1.0e+38}}}"
    chosen = (f"--training.optimizer.class={optimizer}", "--training.optimizer.params.lr=0.01")
    every = ("--checkpoint.seconds_between=0", *often)
    assert main.main([*TOY_RUN, "--experiment.epochs=3", rates, *chosen, *every]) == 4
    assert "training diverged" in capsys.readouterr().err
    assert lab.record()["status"] == "failed"
    file = lab.folder().fold(0) / "saves" / "last.ckpt"

    def check() -> None:
        saved = torch.load(file, weights_only=True)
        assert saved["position"]["epoch"] >= 1
        for name, value in [*saved["network"].items(), *(saved["ema"] or {}).items()]:
            assert value.isfinite().all(), name

    check()
    assert main.main(["resume", "--problem=Toy", "--exp_id=0"]) == 4
    said = capsys.readouterr()
    assert "resumed at epoch 2" in said.out
    assert "training diverged" in said.err
    check()
