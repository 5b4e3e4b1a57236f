"""What a person sees, and when."""

import pytest

from experiments import progress
from experiments.progress import Steps, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (4.52, "4.5 s"),
        (59.94, "59.9 s"),
        (60.0, "1:00"),
        (61.4, "1:01"),
        (3599.6, "1:00:00"),
        (3723.0, "1:02:03"),
        (360_000.0, "100:00:00"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plain_lines_elsewhere_than_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    with Steps(200, 100, is_shown=True) as steps:
        assert steps.eta(100) == "unknown"
        steps.advance(101, "epoch 1/2")
        assert capsys.readouterr().out == ""
        clock[0] += 31.0
        steps.advance(150, "epoch 1/2")
        line = "epoch 1/2: step 150 of 200 (75 %), ETA 31.0 s\n"
        assert capsys.readouterr().out == line
        steps.advance(151, "epoch 1/2")
        assert capsys.readouterr().out == ""


def test_other_ranks_are_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    with Steps(10, 0, is_shown=False) as steps:
        clock[0] = 1000.0
        steps.advance(5, "epoch")
    assert capsys.readouterr().out == ""
