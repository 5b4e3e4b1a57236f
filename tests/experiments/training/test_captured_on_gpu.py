"""Captured steps on a GPU: the bytes of those that are not, and of runs that were killed."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import main
from experiments.training.capture.graphs import CudaGraphs
from tests.lab import TOY_RUN, Lab

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")

USUAL = (
    *TOY_RUN,
    "--experiment.epochs=4",
    "--experiment.deterministic=true",
    "--data.batch_size=8",
    "--training.optimizer.params={lr: 0.1, momentum: 0.9}",
)
ADAM = "--training.optimizer={class: Adam, params: {lr: 0.01}}"
LSQ = "{kind: lsq, num_bits: 4, start_epoch: 1}"
RULES = f"--quantize.rules=[{{select: '*', on: weight, algorithm: {LSQ}}}, "
RULES += f"{{select: '!first', on: input, algorithm: {LSQ}}}]"
ANA = "{kind: ana, num_levels: 3, forward: random, start_epoch: 1"
ANA += ", noise: {kind: constant, value: 0.5}, noise_backward: {kind: constant, value: 0.5}}"
DRAWN = f"--quantize.rules=[{{select: '*', on: weight, algorithm: {ANA}}}]"
GENERATED = ("--mlg.base_in=2", "--mlg.base_out=3")
COMPILED = (
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:TensorFloat32:UserWarning"),  # torch's advice
    pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning"),  # its own
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),  # as that
)
BUSY = """
import torch
numbers = torch.randn(4096, 4096, device="cuda")
while True:
    numbers = torch.tanh(numbers @ numbers)
"""
ITEM = """

class Waits(Plain):
    def forward(self, x_NCHW: Tensor) -> Tensor:
        scores = super().forward(x_NCHW)
        return scores if scores.sum().item() > 1e9 else scores * 2
"""


def run(*arguments: str) -> int:
    return main.main([*USUAL, *arguments])


def captured(lab: Lab, exp_id: int = 0) -> str:
    (words,) = lab.record(exp_id)["captured"]
    return str(words)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--training.accumulate=3",),
        ("--training.clip_norm=0.1", "--training.ema.decay=0.9"),
        (ADAM,),
        ("--training.precision=bfloat16", "--training.channels_last=true"),
        ("--training.precision=float16",),
        (RULES,),
        (DRAWN,),
        (*GENERATED, "--mlg.mode=factored"),
        (*GENERATED, "--mlg.mode=auto", "--training.precision=bfloat16"),
        ("--data.batch_size=7",),
        pytest.param(("--training.compile=true",), marks=COMPILED),
        pytest.param(("--training.compile=true", RULES), marks=COMPILED),
    ],
)
def test_captured_steps_give_the_same_bytes(lab: Lab, arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == 0
    assert run(*arguments, "--training.capture=never") == 0
    assert not captured(lab, 0).startswith("0 of ")
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]
    assert lab.rows(0) == lab.rows(1)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--training.accumulate=3", "--data.batch_size=7"),
        ("--training.precision=bfloat16", "--training.channels_last=true"),
        (RULES,),
        pytest.param(("--training.compile=true",), marks=COMPILED),
    ],
)
def test_captured_steps_with_a_teacher_give_the_same_bytes(
    lab: Lab, arguments: tuple[str, ...]
) -> None:
    assert run("--experiment.seed=7", RULES) == 0
    given = (*arguments, "--teacher.exp_id=0", "--teacher.checkpoint=last")
    assert run(*given) == 0
    assert run(*given, "--training.capture=never") == 0
    assert not captured(lab, 1).startswith("0 of ")
    assert lab.record(1)["weights_sha256"] == lab.record(2)["weights_sha256"]
    assert lab.rows(1) == lab.rows(2)


def test_killed_and_resumed_runs_give_the_same_bytes(lab: Lab) -> None:
    given = (*USUAL, "--experiment.epochs=40", "--checkpoint.every_steps=5")
    assert main.main(list(given)) == 0
    process = lab.start(*given)
    saved = lab.logs / "exp001" / "fold0" / "saves" / "last.ckpt"
    while not saved.exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert main.main(["resume", "--problem=Toy", "--exp_id=1"]) == 0
    assert lab.record(0)["weights_sha256"] == lab.record(1)["weights_sha256"]
    assert lab.rows(0) == lab.rows(1)


@pytest.mark.long
def test_runs_on_a_busy_gpu_give_the_same_bytes(lab: Lab) -> None:
    given = ("--experiment.epochs=8", "--checkpoint.every_steps=5")
    assert run(*given, "--training.capture=never") == 0
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(6)]
    try:
        time.sleep(8)
        for _ in range(4):
            assert run(*given) == 0
    finally:
        for other in others:
            other.kill()
            other.wait()
    hashes = {lab.record(exp_id)["weights_sha256"] for exp_id in range(5)}
    assert len(hashes) == 1


def test_a_step_that_waits_runs_as_usual(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    with (lab.problems / "Toy" / "Tiny" / "network.py").open("a") as file:
        file.write(ITEM)
    assert run("--network.class=Waits") == 0
    said = captured(lab)
    assert "waits for the GPU in" in said
    assert "problems/Toy/Tiny/network.py:" in said
    capsys.readouterr()
    assert run("--network.class=Waits", "--training.capture=always") == 2
    assert "scores.sum().item()" in capsys.readouterr().err


def test_work_goes_on_after_a_recording_that_failed(tmp_path: Path) -> None:
    graphs = CudaGraphs()
    x = torch.arange(4.0, device="cuda")
    with pytest.raises(RuntimeError):
        graphs.record(lambda: float(x.sum()))
    drawn = torch.rand(4, device="cuda")
    result, replay = graphs.record(lambda: x * 2 + drawn)
    x += 1
    replay()
    assert torch.equal(result, x * 2 + drawn)
    assert float(x.sum()) == 10.0
