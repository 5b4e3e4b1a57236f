"""What run.json says of a run that begins, and the metrics of its folds."""

import calendar
import json
import math
import statistics
import time
from pathlib import Path

import pytest
import torch

from experiments.configuration.documents import Document
from experiments.configuration.section import validate
from experiments.experiment.config import Config
from experiments.experiment.record import new_record, summary
from experiments.runs.checkpoints import Checkpoints
from experiments.runs.folder import create_run
from tests.toy.experiments import toy_experiment


def test_a_run_that_begins(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path, "experiment.seed=8", "data.split_seed=9")
    folder = create_run("Toy", tmp_path)
    earliest = int(time.time())
    record = new_record(folder, experiment)
    latest = int(time.time())
    assert earliest <= calendar.timegm(time.strptime(record["started"], "%Y-%m-%dT%H:%M:%SZ"))
    assert latest >= calendar.timegm(time.strptime(record["started"], "%Y-%m-%dT%H:%M:%SZ"))
    expected = {
        "schema_version": 1,
        "id": "Toy/exp000",
        "exp_id": 0,
        "problem": "Toy",
        "topology": "Tiny",
        "name": "toy",
        "quick": False,
        "status": "running",
        "exit_code": None,
        "parent": None,
        "teacher": None,
        "metrics": {},
        "folds": [],
        "weights_sha256": None,
        "data": "synthetic patches",
        "seeds": {"experiment": 8, "split": 9},
        "launcher": "single",
        "world_size": 1,
        "threads": torch.get_num_threads(),
        "seconds": 0.0,
        "resumed": [],
    }
    assert {key: record[key] for key in expected} == expected
    assert set(record) - set(expected) == {
        "config", "command", "git", "packages", "host", "started",
    }  # fmt: skip
    assert torch.__version__.startswith(record["packages"]["torch"].partition("+")[0])


def test_a_record_survives_json_and_its_config_is_the_run_s(tmp_path: Path) -> None:
    experiment = toy_experiment(tmp_path, "training.ema.decay=0.5", "data.limit=50")
    record = new_record(create_run("Toy", tmp_path), experiment)
    assert json.loads(json.dumps(record)) == record
    assert record["config"]["training"]["ema"] == {"decay": 0.5}
    assert record["config"]["checkpoint"]["keep_last"] == 3, "a default"
    assert validate(Config, Document(values=record["config"])) == experiment.config


def test_the_parent_is_the_run_that_the_weights_come_from(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    parent = create_run("Toy", logs)
    weights = toy_experiment(tmp_path).assemble(0).network.state_dict()
    Checkpoints(parent.fold(0) / "saves").save(["last"], {"network": weights, "ema": None})
    experiment = toy_experiment(tmp_path, "network.pretrained.exp_id=0")
    record = new_record(create_run("Toy", logs), experiment)
    assert (record["id"], record["parent"]) == ("Toy/exp001", "Toy/exp000")


def test_the_metrics_of_the_only_fold_are_the_run_s() -> None:
    assert summary([{"test/top1": 90.0, "test/loss": 0.3}]) == {"test/top1": 90.0, "test/loss": 0.3}


@pytest.mark.parametrize(
    "tops", [[90.0, 80.0], [0.1, 0.1, 0.1], [3.0, 1.0, 2.0, 5.5], [1e15, 1e15 + 1, 1e15 + 2]]
)
def test_the_metrics_of_folds_are_means_with_sample_deviations(tops: list[float]) -> None:
    found = summary([{"test/top1": top, "test/loss": -top} for top in tops])
    assert list(found) == ["test/top1", "test/top1_std", "test/loss", "test/loss_std"]
    assert found["test/top1"] == pytest.approx(statistics.mean(tops), rel=1e-15)
    assert found["test/loss"] == -found["test/top1"]
    deviation = math.sqrt(statistics.variance(tops))
    assert found["test/top1_std"] == pytest.approx(deviation, rel=1e-12, abs=1e-15)
    assert found["test/loss_std"] == found["test/top1_std"]
