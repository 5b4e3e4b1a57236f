"""Rows of the benchmark of quantized steps: kept, resumed, left out when there is no time."""

from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.harness import Row
from benchmarks.kept_rows import KeptRows
from benchmarks.quantized_step import LOOP, compare_on_gpu, pairs
from benchmarks.steps import WARM_UP, Step, captured, channels_last, eager_step, gpu_step

WANTED = [("captured QuantLab lsq", "captured float"), ("captured QuantLab lsq", LOOP)]


def row(side: str, peer: str) -> Row:
    return Row(figures={"side": side, "milliseconds": 2.5}, peer=peer, ratio=1.25, origin={})


def test_rows_come_one_by_one_and_are_kept(tmp_path: Path) -> None:
    kept, measured = KeptRows(tmp_path), []

    def measure(side: str, peer: str) -> Row:
        measured.append((side, peer))
        return row(side, peer)

    come = compare_on_gpu(WANTED, measure, kept, lambda: False)
    assert next(come) == [row(*WANTED[0])]
    assert measured == WANTED[:1]  # killed here
    for rows in compare_on_gpu(WANTED, measure, kept, lambda: False):
        last = rows
    assert measured == WANTED
    assert last == [row(*pair) for pair in WANTED]


def test_without_time_rows_are_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    KeptRows(tmp_path).write(row(*WANTED[1]))
    (rows,) = compare_on_gpu(WANTED, row, KeptRows(tmp_path), lambda: True)
    assert rows == [row(*WANTED[1])]
    line = "captured QuantLab lsq, captured float: no time left; call again with --rows to go on\n"
    assert capsys.readouterr().out == line


def test_nothing_is_kept_without_a_folder() -> None:
    KeptRows(None).write(row(*WANTED[0]))
    assert KeptRows(None).read(*WANTED[0]) is None


def test_every_kind_of_step_stands_beside_float() -> None:
    found = list(pairs(["lsq"]))
    assert len(set(found)) == len(found)
    for kind in ("captured ", "compiled captured ", "eager "):
        assert (f"{kind}QuantLab lsq", f"{kind}float") in found
    for side in ("compiled captured QuantLab lsq", "compiled captured float", "QuantLab lsq"):
        assert (side, LOOP) in found


def test_a_step_trains() -> None:
    network = nn.Linear(4, 3)
    before = network.weight.detach().clone()
    eager_step(network, torch.randn(5, 4), torch.zeros(5, dtype=torch.long))()
    assert not torch.equal(network.weight, before)


def warmed_up(step: Step) -> Step:
    """As many steps as before a capture, which itself runs nothing."""
    for _ in range(WARM_UP):
        step()
    return step


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_a_captured_step_trains_as_an_eager_one() -> None:
    weights = []
    for capture in (captured, warmed_up):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 10)).cuda()
        channels_last(network)
        inputs, targets = torch.randn(16, 3, 8, 8).cuda(), torch.randint(10, (16,)).cuda()
        step = capture(gpu_step(network, network, inputs, targets))
        for _ in range(3):
            step()
        weights.append(network[0].weight.detach().clone())
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-5)
