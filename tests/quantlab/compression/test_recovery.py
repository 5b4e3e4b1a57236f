"""Epochs that diverged."""

from pathlib import Path
from shutil import which

import pytest
import torch
from torch import nn

from quantlab.compression import Recipe, compress
from quantlab.compression.recovery import Recovery
from quantlab.errors import DivergedError
from tests.quantlab.compression.test_compress import BUDGET, data, network

ALL = [0.5**attempt for attempt in range(6)]


class Epochs:
    """Epochs of a network of one weight, which each adds 1 to. lost: what an epoch tells, or
    raises, by the rates at which it does."""

    def __init__(self, recovery: Recovery, lost: dict[float, float | None]) -> None:
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.network.weight)
        self.rates: list[float] = []
        self._recovery, self._lost = recovery, lost

    def __call__(self) -> float:
        rate = self._recovery.rate
        self.rates.append(rate)
        with torch.no_grad():
            self.network.weight += 1
        accuracy = self._lost.get(rate, 80.0)
        if accuracy is None:
            raise DivergedError("a loss of nan")
        return accuracy


@pytest.mark.parametrize("lost", [None, 49.9])
def test_an_epoch_begins_again_at_half_the_rate(lost: float | None) -> None:
    recovery = Recovery(chance=20.0)
    epochs = Epochs(recovery, {1.0: lost, 0.5: lost})
    assert recovery.train([epochs.network], 80.0, epochs) == 80.0
    assert epochs.rates == [1.0, 0.5, 0.25]
    assert epochs.network.weight.item() == 1  # of one epoch
    assert recovery.num_repeated == 1
    assert recovery.train([epochs.network], 80.0, lambda: 80.0) == 80.0
    assert recovery.rate == 0.5


def test_an_epoch_that_kept_half_is_not_repeated() -> None:
    recovery = Recovery(chance=20.0)
    epochs = Epochs(recovery, {1.0: 50.0})
    assert recovery.train([epochs.network], 80.0, epochs) == 50.0
    assert recovery.num_repeated == 0


def test_where_lower_rates_do_not_help_the_rate_stays() -> None:
    recovery = Recovery(chance=20.0)
    epochs = Epochs(recovery, dict.fromkeys(ALL, 10.0))
    assert recovery.train([epochs.network], 80.0, epochs) == 10.0
    assert epochs.rates == ALL
    assert recovery.rate == 1


def test_a_loss_that_never_is_finite_is_said() -> None:
    recovery = Recovery(chance=20.0)
    epochs = Epochs(recovery, dict.fromkeys(ALL))
    with pytest.raises(DivergedError):
        recovery.train([epochs.network], 80.0, epochs)


@pytest.mark.long
@pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
def test_a_rate_that_is_too_high_is_lowered(tmp_path: Path) -> None:
    recipe = Recipe(
        epochs=6, optimizer="sgd", learning_rate=0.2, calibration=64, encodings=("small",)
    )
    made = compress(
        network(), data(), budget=BUDGET, recipe=recipe, board="host", folder=tmp_path / "run"
    )
    assert made.report.num_repeated > 0
    assert made.report.accuracy > 70
    assert "epochs that diverged and were trained again: " in str(made.report)
