"""Steps that are recorded once and replayed: they give the bytes of those that are not.

CUDA graphs are stood for by recordings of operations on the CPU; what needs a GPU is in
`test_captured_on_gpu.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import pytest
import torch

import main
from experiments.experiment import experiment
from experiments.processes.communicator import Single
from tests.lab import TOY_RUN, Lab
from tests.ranks import captured_weights, run_on_ranks, taught_weights
from tests.recorded_graphs import RecordedGraphs

T = TypeVar("T")

USUAL = (
    *TOY_RUN,
    "--experiment.epochs=4",
    "--data.batch_size=8",
    "--training.optimizer.params={lr: 0.1, momentum: 0.9}",
)
LSQ = "{kind: lsq, num_bits: 4, start_epoch: 1}"
RULES = f"--quantize.rules=[{{select: '*', on: weight, algorithm: {LSQ}}}, "
RULES += f"{{select: '!first', on: input, algorithm: {LSQ}}}]"
ANA = "{kind: ana, num_levels: 3, forward: random, start_epoch: 1"
ANA += ", noise: {kind: constant, value: 0.5}, noise_backward: {kind: constant, value: 0.5}}"
DRAWN = f"--quantize.rules=[{{select: '*', on: weight, algorithm: {ANA}}}]"

LINE = "        hidden = self.relu(self.linear1(self.flatten(x_NCHW)))\n        {}\n"
UNFIT = """

class Unfit(Plain):
    calls = 0
    def forward(self, x_NCHW: Tensor) -> Tensor:
        hidden = self.relu(self.linear1(self.flatten(x_NCHW)))
        {}
        return self.linear2(hidden)
"""


class Fragile(RecordedGraphs):
    """Recordings of which one fails when it ends, with all that it made in its place."""

    def __init__(self, failing: int) -> None:
        super().__init__()
        self._failing = failing

    def record(
        self, work: Callable[[], T], generators: Iterable[torch.Generator] = ()
    ) -> tuple[T, Callable[[], None]]:
        recorded = super().record(work, generators)
        if self.num_recorded == self._failing:
            raise RuntimeError("capture was invalidated")
        return recorded


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> RecordedGraphs:
    """Have steps recorded on the CPU."""
    recorded = RecordedGraphs()
    monkeypatch.setattr(experiment, "graphs_of", lambda device: recorded)
    return recorded


def run(*arguments: str) -> int:
    return main.main([*USUAL, *arguments])


def captured(lab: Lab, exp_id: int = 0) -> str:
    """What the record says of captured steps."""
    (words,) = lab.record(exp_id)["captured"]
    return str(words)


def assert_same_bytes(lab: Lab) -> None:
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]
    assert lab.rows(0) == lab.rows(1)


@pytest.mark.parametrize(
    ("arguments", "num_recorded", "words"),
    [
        ((), 2, "20 of 24 steps captured (the batch, its augmentation, forward, loss, backward and "
                "the update); not captured: 4 before a recording"),
        (("--training.accumulate=3",), 3, "4 of 8 steps captured"),
        (("--training.clip_norm=0.1",), 2, "20 of 24 steps captured"),
        (("--training.ema.decay=0.9",), 2, "20 of 24 steps captured"),
        (("--training.optimizer.params.nesterov=true",), 2, "20 of 24 steps captured"),
        (("--data.batch_size=7",), 2, "20 of 28 steps captured"),
        ((RULES,), 2, "14 of 24 steps captured"),
        ((DRAWN,), 4, "17 of 24 steps captured"),
        (("--monitor=[{stat: weight_norm, period: 5}]",), 2, "that the monitor measured"),
        (("--monitor=[{stat: sign_flips, period: 3}]",), 2, "not captured: 8 that the monitor"),
        (("--training.optimizer={class: Adagrad, params: {lr: 0.1}}",), 1,
         "not the update: torch has no form of Adagrad that can be recorded"),
        (("--network.class=PassesBy",), 2, "20 of 24 steps captured"),
    ],
    ids=["momentum", "accumulate", "clip", "average", "nesterov", "partial", "quantized", "drawn",
         "monitor", "often", "adagrad", "no gradient"],
)  # fmt: skip
def test_captured_steps_give_the_same_bytes(
    lab: Lab,
    graphs: RecordedGraphs,
    arguments: tuple[str, ...],
    num_recorded: int,
    words: str,
) -> None:
    assert run(*arguments) == 0
    assert run(*arguments, "--training.capture=never") == 0
    assert words in captured(lab, 0)
    assert graphs.num_recorded == num_recorded
    assert_same_bytes(lab)
    assert captured(lab, 1).startswith("0 of ")


def test_resumed_runs_give_the_same_bytes(lab: Lab, graphs: RecordedGraphs) -> None:
    constant = "--training.lr_scheduler.class=Constant"
    assert run(constant) == 0
    assert run(constant, "--experiment.epochs=2") == 0
    longer = ("--problem=Toy", "--exp_id=1", "--experiment.epochs=4")
    assert main.main(["resume", *longer]) == 0
    assert_same_bytes(lab)


def test_ranks_sum_the_gradients_of_captured_steps(tmp_path: Path) -> None:
    for found in run_on_ranks(captured_weights, tmp_path):
        assert found["num_recorded"] == 2
        assert_equal(found["captured"], found["usual"])


@pytest.mark.long
def test_ranks_learn_from_a_teacher(tmp_path: Path) -> None:
    alone = taught_weights(Single())
    assert_equal(alone["captured"], alone["usual"])
    for found in run_on_ranks(taught_weights, tmp_path):
        assert found["num_recorded"] == 2
        assert_equal(found["captured"], found["usual"])
        for name, tensor in alone["usual"].items():
            torch.testing.assert_close(found["usual"][name], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hidden = hidden * (1.0 if hidden.sum().item() > 0 else 2.0)", "waits for the GPU in "),
        ("import random; hidden = hidden * random.random()", "draws random numbers on the CPU"),
        ("self.calls += 1; hidden = hidden * self.calls", "network.calls changes at every step"),
        ("self.calls += 1; hidden = hidden.repeat(1 + self.calls % 2, 1)[:len(x_NCHW)]", "calls"),
        ("self.mask = torch.ones(16) / (1 + hidden.numel()); hidden = hidden * self.mask", None),
    ],
    ids=["item", "random", "counter", "shapes", "allocates"],
)
def test_what_cannot_be_captured_runs_as_usual(
    lab: Lab,
    graphs: RecordedGraphs,
    capsys: pytest.CaptureFixture[str],
    line: str,
    reason: str | None,
) -> None:
    with (lab.problems / "Toy" / "Tiny" / "network.py").open("a") as file:
        file.write(UNFIT.format(line))
    given = ("--network.class=Unfit", "--experiment.epochs=6")
    assert run(*given) == 0
    assert run(*given, "--training.capture=never") == 0
    assert_same_bytes(lab)
    if reason is None:
        return
    assert captured(lab, 0).startswith("0 of 36 steps captured; not captured: ")
    assert reason in captured(lab, 0)
    capsys.readouterr()
    assert run(*given, "--training.capture=always") == 2
    error = capsys.readouterr().err
    assert error.startswith("main.py: training.capture: always given, but ")
    assert reason in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("failing", "arguments"), [(1, ()), (2, ()), (2, ("--training.accumulate=3",))]
)
def test_a_recording_that_fails_leaves_no_gradients(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, failing: int, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(experiment, "graphs_of", lambda device: Fragile(failing))
    assert run(*arguments) == 0
    assert run(*arguments, "--training.capture=never") == 0
    assert "cannot be recorded: capture was invalidated" in captured(lab, 0)
    assert_same_bytes(lab)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--training.optimizer={class: Adagrad}",), "torch has no form of Adagrad that can be"),
        (("--training.optimizer.params.foreach=true",), "SGD can be recorded with fused: true"),
        (("--training.precision=float64",), "the learning rate would be rounded to float32"),
    ],
)
def test_what_must_be_captured_and_cannot_be_is_said_at_once(
    lab: Lab,
    graphs: RecordedGraphs,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    assert run(*arguments, "--training.capture=always") == 2
    assert reason in capsys.readouterr().err
    assert lab.everything_in_logs() == []


def test_a_cpu_captures_nothing(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--training.capture=always") == 2
    error = capsys.readouterr().err
    assert "training.capture: always given, but the run is on a CPU; auto or never" in error
    assert run() == 0
    assert captured(lab) == "0 of 24 steps captured; not captured: 24 on a CPU"


def assert_equal(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
