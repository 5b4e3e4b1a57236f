"""The line of an epoch, letter by letter."""

import pytest

from experiments.training.epoch_line import epoch_line

TRAIN = {"train/top1": 81.25, "train/loss": 0.5123456}
VALID = {"valid/top1": 100.0, "valid/loss": 0.000012345}
RATE = {"train/lr": 0.05}


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {**TRAIN, **VALID, **RATE},
            "epoch   1/10  train top1 81.25 loss 0.5123  valid top1 100 loss 1.234e-05  "
            "lr 0.05  4.5 s  ETA 1:02",
        ),
        ({**TRAIN, **RATE}, "epoch   1/10  train top1 81.25 loss 0.5123  lr 0.05  4.5 s  ETA 1:02"),
        (
            {**RATE, **VALID, **TRAIN},
            "epoch   1/10  train top1 81.25 loss 0.5123  valid top1 100 loss 1.234e-05  "
            "lr 0.05  4.5 s  ETA 1:02",
        ),
        ({"train/lr": 1.23456e-7, "best/top1": 3.0}, "epoch   1/10  lr 1.23e-07  4.5 s  ETA 1:02"),
    ],
)
def test_each_split_in_its_place_whatever_the_order(values: dict[str, float], line: str) -> None:
    assert epoch_line(0, 10, values, is_best=False, seconds=4.52, eta="1:02") == line


def test_the_last_epoch_has_no_time_left() -> None:
    line = epoch_line(9, 10, RATE, is_best=False, seconds=61.0, eta=None)
    assert line == "epoch  10/10  lr 0.05  1:01"


def test_the_best_epoch_says_so_at_the_end() -> None:
    line = epoch_line(999, 1000, RATE, is_best=True, seconds=0.0, eta="0.0 s")
    assert line == "epoch 1000/1000  lr 0.05  0.0 s  ETA 0.0 s  best"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_told(value: float) -> None:
    line = epoch_line(0, 1, {"valid/loss": value, **RATE}, is_best=False, seconds=0.0, eta=None)
    assert f"valid loss {value}  lr" in line
