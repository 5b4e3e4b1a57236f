"""Folds that are trained and tested, against the toy problem's networks run by hand."""

import itertools
import json
import math
import signal
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from experiments.experiment.experiment import Experiment
from experiments.experiment.folds import lost_steps, run_folds, unquantized
from experiments.experiment.record import new_record, summary
from experiments.progress import Steps
from experiments.runs.folder import RunFolder, create_run
from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.controller import Alone, Context
from quantlab.errors import DivergedError
from quantlab.numerics.digest import weights_sha256
from tests.toy.experiments import toy_experiment
from tests.toy.Toy.meter import Meter

NUM_TEST = 25
FOLDS = ("experiment.folds=3", "data.valid_fraction=0", "experiment.epochs=1")


def begin(experiment: Experiment, logs: Path) -> RunFolder:
    """Make a run's folder with the record that it has at first."""
    folder = create_run("Toy", logs)
    folder.update(**new_record(folder, experiment))
    return folder


def run(experiment: Experiment, folder: RunFolder, *, is_resumed: bool = False) -> list[str]:
    """Run all folds to their end; return what was told."""
    told: list[str] = []
    assert run_folds(experiment, folder, told.append, is_resumed=is_resumed)
    return told


def saved(folder: RunFolder, name: str, fold: int = 0) -> dict[str, Any]:
    file = folder.fold(fold) / "saves" / f"{name}.ckpt"
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


def run_by_hand(
    experiment: Experiment, weights: dict[str, Tensor]
) -> tuple[list[list[int]], float]:
    """Return the confusions and the mean loss of a network over the test samples."""
    network = experiment.library.network.Tiny()
    network.load_state_dict(weights)
    data = experiment.data.test
    with torch.no_grad():
        scores = network.eval()(experiment.library.preprocess.evaluate(data.inputs))
    confusion = [[0] * 4 for _ in range(4)]
    for target, row in zip(data.targets.tolist(), scores.tolist(), strict=True):
        confusion[target][row.index(max(row))] += 1
    return confusion, float(nn.functional.cross_entropy(scores.double(), data.targets))


def assert_tested(experiment: Experiment, folder: RunFolder, weights: dict[str, Tensor]) -> None:
    confusion, loss = run_by_hand(experiment, weights)
    found = json.loads((folder.fold(0) / "confusion.json").read_text())
    assert found == {"classes": ["north", "east", "south", "west"], "counts": confusion}
    metrics = folder.record()["metrics"]
    num_right = sum(confusion[i][i] for i in range(4))
    assert metrics["test/top1"] == 100 * num_right / len(experiment.data.test)
    assert metrics["test/loss"] == pytest.approx(loss, rel=1e-5)


def test_without_validation_the_last_network_is_tested(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path, "data.valid_fraction=0")
    folder = begin(experiment, tmp_path)
    run(experiment, folder)
    weights = saved(folder, "last")["network"]
    assert_tested(experiment, folder, weights)
    assert folder.record()["weights_sha256"] == weights_sha256(weights)
    assert not [name for name in folder.record()["metrics"] if name.startswith("best/")]


def test_without_validation_the_averaged_weights_are_tested(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path, "data.valid_fraction=0", "training.ema.decay=0.9")
    folder = begin(experiment, tmp_path)
    run(experiment, folder)
    state = saved(folder, "last")
    assert_tested(experiment, folder, state["ema"])
    assert folder.record()["weights_sha256"] == weights_sha256(state["network"])


@pytest.mark.parametrize("averaged", [(), ("training.ema.decay=0.5",)])
def test_with_validation_the_best_network_is_tested(
    tmp_path: Path, averaged: tuple[str, ...]
) -> None:
    overfitting = ("experiment.epochs=4", "training.optimizer.params.lr=0.5")
    experiment = toy_experiment(tmp_path, *overfitting, *averaged)
    folder = begin(experiment, tmp_path)
    run(experiment, folder)
    best, last = saved(folder, "best"), saved(folder, "last")
    assert best["position"]["epoch"] < last["position"]["epoch"], "the case tells them apart"
    assert_tested(experiment, folder, best["ema"] or best["network"])
    record = folder.record()
    assert record["metrics"]["best/epoch"] == best["position"]["epoch"]
    assert record["metrics"]["best/top1"] == last["best"]["value"]
    assert record["weights_sha256"] == weights_sha256(last["network"])


def test_the_record_holds_each_fold_and_their_means(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path, *FOLDS)
    folder = begin(experiment, tmp_path)
    told = run(experiment, folder)
    assert [line for line in told if line.startswith("fold")] == [
        "fold 1 of 3", "fold 2 of 3", "fold 3 of 3",
    ]  # fmt: skip
    record = folder.record()
    assert [entry["weights_sha256"] for entry in record["folds"]] == [
        weights_sha256(saved(folder, "last", fold)["network"]) for fold in range(3)
    ]
    assert record["weights_sha256"] == record["folds"][0]["weights_sha256"]
    assert record["seconds"] == pytest.approx(sum(entry["seconds"] for entry in record["folds"]))
    for name in ("test/top1", "best/top1"):
        values = [entry["metrics"][name] for entry in record["folds"]]
        assert record["metrics"][name] == pytest.approx(sum(values) / 3)


def test_a_single_fold_is_not_counted_aloud(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path, "experiment.epochs=1")
    told = run(experiment, begin(experiment, tmp_path))
    assert [line.split()[0] for line in told] == ["epoch"]


def test_an_interruption_ends_all_folds_and_what_is_done_stays_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = toy_experiment(tmp_path, *FOLDS)
    whole, folder = begin(experiment, tmp_path), begin(experiment, tmp_path)
    run(experiment, whole)
    steps = itertools.count(1)

    def advance(*_: object) -> None:
        if next(steps) == 5:  # the second of three in the second fold
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Steps, "advance", advance)
        assert not run_folds(experiment, folder, lambda _: None, is_resumed=False)
    first = folder.record()["folds"]
    assert len(first) == 1
    assert not folder.fold(2).exists()
    told = run(experiment, folder, is_resumed=True)
    assert told[:2] == ["fold 2 of 3", "resumed at epoch 1, step 2"]
    assert folder.record()["folds"][0] == first[0]
    assert folder.record()["metrics"] == whole.record()["metrics"]
    hashes = [[f["weights_sha256"] for f in run.record()["folds"]] for run in (folder, whole)]
    assert hashes[0] == hashes[1]


def test_a_fold_that_left_no_checkpoint_begins_anew(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path, "experiment.epochs=1")
    folder = begin(experiment, tmp_path)
    folder.fold(0).mkdir()
    rows = folder.fold(0) / "metrics.jsonl"
    rows.write_text('{"step": 1, "train/step_loss": 77.0}\n')
    told = run(experiment, folder, is_resumed=True)
    assert not [line for line in told if line.startswith("resumed")]
    assert "77.0" not in rows.read_text()
    assert len(folder.record()["folds"]) == 1


def board(folder: Path) -> EventAccumulator:
    reader = EventAccumulator(str(folder / "stats" / "toy"), {"images": 0, "scalars": 0})
    reader.Reload()
    return reader


def test_the_end_of_a_fold_is_written_once_more_in_rows_and_on_the_board(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path, "experiment.epochs=1")
    folder = begin(experiment, tmp_path)
    run(experiment, folder)
    final = json.loads((folder.fold(0) / "metrics.jsonl").read_text().splitlines()[-1])
    metrics = folder.record()["metrics"]
    assert final == {"step": 3, "epoch": 1, **metrics}
    reader = board(folder.fold(0))
    for name, value in metrics.items():
        (event,) = reader.Scalars(f"whole_run/{name}")
        assert event.value == pytest.approx(value, rel=1e-6)
    assert [event.step for event in reader.Images("whole_run/test/samples")] == [3]
    tags = reader.Tags()
    tops = {tag.partition("/")[0] for tag in (*tags["scalars"], *tags["images"])}
    assert max(tops) == "whole_run", "single points are shown below all curves"
    assert "_hparams_/session_start_info" in reader.summary_metadata


@pytest.mark.parametrize("end", ["done", "interrupted", "diverged"])
def test_the_board_is_closed_however_a_fold_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Nothing holds its files, and no thread waits for more events."""
    rates = "training.lr_scheduler={class: Hand, params: {schedule: {0: 1, 1: 1.0e+38}}}"
    explosive = (rates,) if end == "diverged" else ()
    experiment = toy_experiment(tmp_path, "monitor=[{stat: weight_norm, period: 1}]", *explosive)
    folder = begin(experiment, tmp_path)
    if end == "interrupted":
        monkeypatch.setattr(Steps, "advance", lambda *_: signal.raise_signal(signal.SIGINT))
    before = threading.enumerate()
    with pytest.raises(DivergedError) if end == "diverged" else nullcontext() as caught:
        is_done = run_folds(experiment, folder, lambda _: None, is_resumed=False)
    assert caught is not None or is_done == (end == "done")
    assert list((folder.fold(0) / "layers").rglob("events*"))
    assert not [file.path for file in psutil.Process().open_files() if "events" in file.path]
    more = [thread.name for thread in threading.enumerate() if thread not in before]
    assert not [name for name in more if not name.startswith("background")]


def test_a_note_on_what_is_not_quantized_at_the_end() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    rule = {"select": "*", "on": "weight", "algorithm": {"kind": "ste", "num_bits": 4}}
    (controller,) = quantize(network, QuantizeConfig.model_validate({"rules": [rule]}).rules)
    (line,) = unquantized(network)
    assert line.startswith("note: 2 of 2 tensors were not wholly quantized when the run ended (0.w")
    controller.on_epoch_start(
        Context(
            epoch=1,
            step=1,
            optimizer=None,
            communicator=Alone(),
            generator=torch.Generator(),
        )
    )
    assert not list(unquantized(network))
    assert not list(unquantized(nn.Linear(2, 2)))


class Unbounded(Meter):
    """Has a metric that is no finite number on the test samples."""

    def compute(self) -> Iterator[tuple[str, float]]:
        yield from super().compute()
        yield "worst", math.inf if int(self.state()["confusion"].sum()) == NUM_TEST else 0.0


@pytest.mark.parametrize("overrides", [("experiment.epochs=1",), FOLDS])
def test_metrics_that_are_not_finite_are_null_and_told(
    tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    plain = toy_experiment(tmp_path, *overrides)
    experiment = replace(plain, problem=replace(plain.problem, meter=Unbounded))
    folder = begin(experiment, tmp_path)
    told = run(experiment, folder)
    assert "note: test/worst is not finite; null in run.json and metrics.jsonl" in told

    def refuse(name: str) -> None:
        pytest.fail(f"{name} is no JSON")

    for file in (folder.path / "run.json", folder.fold(0) / "metrics.jsonl"):
        for line in (
            file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
        ):
            json.loads(line, parse_constant=refuse)
    assert folder.record()["metrics"]["test/worst"] is None
    # What is read back from the record is summed up again.
    assert math.isnan(summary([e["metrics"] for e in 2 * folder.record()["folds"]])["test/worst"])


def test_step_sizes_that_a_large_learning_rate_has_lost_are_told() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    rule = {"select": "*", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 8}}
    quantize(network, [rule])
    assert not list(lost_steps(network))
    with torch.no_grad():
        network[2].weight_quantizer.step_size[1] = -0.01
    (line,) = lost_steps(network)
    assert line == (
        "note: 1 of 10 learned step sizes fell to nothing (2.weight_quantizer); lower the learning "
        "rate: see lsq in docs/algorithms.md"
    )
    assert not list(lost_steps(nn.Linear(2, 2)))
