"""Runs of rows that go on; 4 s."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from benchmarks.generation.rows import COMMON, OPTIMIZERS
from benchmarks.generation.trained import Run, train
from tests.lab import Lab

SETTINGS = {
    **COMMON,
    **OPTIMIZERS["sgd"],
    "experiment.name": "row",
    "experiment.epochs": "3",
    "network.params": "{depth: 8}",
    "data.source": "synthetic",
    "data.batch_size": "16",
    "data.eval_batch_size": "16",
    "data.limit": "64",
    "data.limit_test": "16",
    "training.precision": "float32",
    "training.channels_last": "false",
    "checkpoint.seconds_between": "0",
}


def ended_once_there(file: Path) -> threading.Thread:
    """Send this process SIGTERM as soon as there is a file."""

    def wait() -> None:
        while not file.exists():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def hash_of(run: Run) -> str:
    return str(run.record["weights_sha256"])


@pytest.mark.long
def test_an_interrupted_row_goes_on_within_its_run(lab: Lab) -> None:
    logs = lab.problems / "CIFAR10" / "logs"
    thread = ended_once_there(logs / "exp000" / "fold0" / "saves" / "last.ckpt")
    with pytest.raises(SystemExit, match="130"):
        train("mlg_pretrain", SETTINGS)
    thread.join()
    run = train("mlg_pretrain", SETTINGS)
    assert run.folder.name == "exp000"
    assert len(run.record["resumed"]) == 1
    assert train("mlg_pretrain", SETTINGS).record == run.record, "done: nothing is trained"
    other = train("mlg_pretrain", {**SETTINGS, "experiment.name": "other"})
    assert other.folder.name == "exp001"
    assert hash_of(other) == hash_of(run)
