"""The bar counts batches over all epochs, those that are done already too."""

import pytest

from experiments import progress
from experiments.compression.shown import Shown


def test_batches_are_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    epochs: list[int] = []
    with Shown(num_epochs=5, num_batches=10, done=2, on_epoch=epochs.append) as shown:
        clock[0] = 40.0
        shown.batch(4)
        shown.epoch("compress", 3, 5)
        assert epochs == [3]
        clock[0] = 80.0
        shown.batch(6)
    assert capsys.readouterr().out.splitlines() == [
        "compressing: step 24 of 50 (48 %), ETA 4:20",
        "compressing: step 36 of 50 (72 %), ETA 1:10",
    ]
