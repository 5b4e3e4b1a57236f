"""The benchmark of training on a GPU, on a CPU: all sides train, and its rows are complete."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.chip_rate import product_rate, step_flops
from benchmarks.gpu_training import CAPTURED, LOOP, USUAL, Case, measure, rows_of
from benchmarks.training import experiment_of, with_training
from experiments.experiment.experiment import Experiment
from experiments.protocols import Data, InMemory

CPU = torch.device("cpu")


def digits() -> Experiment:
    """Return an experiment of three steps."""
    few = InMemory(
        inputs=torch.randint(256, (20, 1, 28, 28), dtype=torch.uint8),
        targets=torch.randint(10, (20,)),
        classes=[str(digit) for digit in range(10)],
    )
    overrides = {"experiment.epochs": "2", "data.valid_fraction": "0", "data.batch_size": "8"}
    data = Data(train=few, test=few, source="synthetic digits")
    return experiment_of("MNIST", "LeNet", "float", overrides, data)


def test_all_sides_train(tmp_path: Path) -> None:
    case = Case(name="digits", result="none", experiment=digits, has_peers=True)
    rows = measure(case, tmp_path, chip=1e12, repeats=1)
    assert [row.figures["side"] for row in rows] == [LOOP, USUAL, CAPTURED]
    assert {row.peer for row in rows} == {LOOP}
    for row in rows:
        rate = float(row.figures["images_per_second"])
        assert row.figures["seconds_per_epoch"] == pytest.approx(20 / rate)
        # LeNet's two convolutions and two linear layers, forward and twice backward, but for the
        # gradient of the images.
        convolutions, linear = (16 * 25 * 24**2, 32 * 16 * 25 * 8**2), 512 * 128 + 128 * 10
        flops = 2 * (3 * (sum(convolutions) + linear) - convolutions[0])
        assert row.figures["tflops"] == pytest.approx(flops * rate / 1e12)
        assert row.figures["of_the_chip"] == pytest.approx(flops * rate / 1e12)
    words = [row.figures["captured"] for row in rows]
    assert words == ["", *["0 of 12 steps captured; not captured: 12 on a CPU"] * 2]


def test_rows_in_the_folder_are_kept(tmp_path: Path) -> None:
    case = Case(name="digits, small", result="none", experiment=digits)
    assert not rows_of(case, tmp_path, 1e12, is_asked=False, has_lightning=False)
    rows = rows_of(case, tmp_path, 1e12, is_asked=True, has_lightning=False)
    assert [(row.figures["side"], row.peer) for row in rows] == [(USUAL, USUAL), (CAPTURED, USUAL)]
    assert {row.origin["command"] for row in rows} == {"python -m benchmarks.gpu_training"}
    for is_asked in (True, False):
        assert rows_of(case, tmp_path, 1e12, is_asked=is_asked, has_lightning=False) == rows
    assert [path.name for path in tmp_path.iterdir()] == ["digits-small"]


@pytest.mark.long  # importing Lightning takes seconds
@pytest.mark.skipif(
    find_spec("lightning") is None, reason="lightning is not installed: pip install .[bench]"
)
def test_lightning_trains_the_same(tmp_path: Path) -> None:
    from benchmarks.gpu_training import lightning_run

    subject = digits()
    lightning_run(subject, subject.data.train, tmp_path)()
    (log,) = tmp_path.glob("lightning_logs/*/metrics.csv")
    assert log.read_text().splitlines()[0].split(",") == [
        "epoch",
        "step",
        "train/loss",
        "train/top1",
    ]
    assert list(tmp_path.glob("lightning_logs/*/checkpoints/*.ckpt"))


def test_flops_of_a_linear_layer() -> None:
    layer = nn.Linear(6, 4)
    inputs = torch.randn(2, 6, requires_grad=True)
    flops = step_flops(layer, nn.CrossEntropyLoss(), inputs, torch.tensor([0, 3]))
    assert flops == 3 * 2 * 6 * 4


def test_the_rate_of_a_product() -> None:
    assert product_rate(CPU, size=32, repeats=2) > 0


def test_other_entries_of_training() -> None:
    subject = digits()
    never = with_training(subject, capture="never")
    assert (subject.config.training.capture, never.config.training.capture) == ("auto", "never")
    assert never.data is subject.data
