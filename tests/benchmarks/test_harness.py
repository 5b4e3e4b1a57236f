"""The harness takes turns, forms ratios and writes complete rows; no assertion on a time."""

import json
from pathlib import Path

import pytest

from benchmarks.harness import Row, interleaved, machine, markdown, write_rows

ROW = Row(figures={"kernel": "pack", "speed": 12.3456}, peer="memcpy", ratio=0.98765)


def test_sides_take_turns_and_the_first_is_the_peer() -> None:
    order: list[str] = []
    timings = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 4)
    assert "".join(order[-8:]) == "abbaabba"
    assert list(timings) == ["a", "b"]
    assert timings["a"].ratio == 1
    assert all(0 < timing.fastest <= timing.seconds for timing in timings.values())


def test_short_calls_are_repeated() -> None:
    calls: list[None] = []
    interleaved({"a": lambda: calls.append(None)}, 2, seconds=0.001)
    assert len(calls) > 4


def test_long_calls_are_made_once_before_they_are_timed() -> None:
    calls: list[None] = []
    interleaved({"a": lambda: calls.append(None)}, 2)
    assert len(calls) == 1 + 2


def test_no_sides_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 sides, 3 repeats"):
        interleaved({}, 3)


def test_rows_are_complete(tmp_path: Path) -> None:
    path = write_rows("example", [ROW, ROW], folder=tmp_path)
    rows = json.loads(path.read_text())
    assert path.name == "example.json"
    assert len(rows) == 2
    assert rows[0].keys() == {"kernel", "speed", "peer", "ratio", "machine", "command"}
    assert (rows[0]["speed"], rows[0]["ratio"], rows[0]["peer"]) == (12.35, 0.9877, "memcpy")
    assert rows[0]["machine"].keys() == machine().__dict__.keys()


def test_markdown() -> None:
    assert markdown([ROW]).splitlines() == [
        "| kernel | speed | peer | ratio |",
        "| --- | --- | --- | --- |",
        "| pack | 12.35 | memcpy | 0.9877 |",
    ]
