"""Memory of steps of which it is known by hand."""

import sys
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.memory.step import Step, peak_bytes, saved_bytes
from tests.quantlab.monitor import steps
from tests.quantlab.monitor.steps import MEBIBYTE

# What the counters of the kernel and small objects may add.
SLACK = 2 * MEBIBYTE


def test_a_convolution_with_its_batch_norm_and_relu() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    x = torch.randn(2, 3, 6, 6)
    maps = 2 * 8 * 6 * 6 * 4
    new = maps + maps + 2 * 8 * 4  # the norm's input and the ReLU's output; mean and deviation
    there = (2 * 3 * 6 * 6 + 8 * 3 * 3 * 3 + 3 * 8) * 4  # x; both weights, running statistics
    assert saved_bytes(lambda: net(x)) == new
    assert saved_bytes(lambda: net(x), includes_existing=True) == new + there


def test_a_stack_saves_what_each_layer_saves() -> None:
    layers = [
        m for _ in range(3) for m in (nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    ]
    x, maps = torch.randn(2, 4, 5, 5), 2 * 4 * 5 * 5 * 4
    assert saved_bytes(lambda: nn.Sequential(*layers)(x)) == 3 * (2 * maps + 2 * 4 * 4)


def squares(x: Tensor) -> Tensor:
    y = x + 1
    return y * y + y[:2].exp().sum() * y.T[0].sum()  # y twice, views of it, and two scalars


def test_shared_memory_counts_once() -> None:
    x = torch.ones(4, 4, requires_grad=True)
    y, exponentials, sums = 16 * 4, 8 * 4, 2 * 4
    assert saved_bytes(lambda: squares(x)) == y + exponentials + sums


def test_a_view_keeps_all_that_it_is_of() -> None:
    x = torch.ones(100, requires_grad=True)
    assert saved_bytes(lambda: (x + 1)[:1].square()) == 400


def test_only_what_needs_a_gradient_saves() -> None:
    x = torch.ones(100)
    assert saved_bytes(lambda: x.exp()) == 0
    with torch.no_grad():
        assert saved_bytes(lambda: nn.Linear(5, 5)(torch.ones(5)).exp()) == 0


def test_inputs_made_before_do_not_count() -> None:
    weight, x = nn.Parameter(torch.ones(10, 10)), torch.ones(3, 10)
    assert saved_bytes(lambda: x @ weight) == 0
    assert saved_bytes(lambda: x @ weight, includes_existing=True) == 3 * 10 * 4
    assert saved_bytes(lambda: (x + 0) @ weight) == 3 * 10 * 4


linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

STEPS = {
    "known": (partial(steps.one_after_the_other, 1, 64 * MEBIBYTE), 64),
    "not before": (partial(steps.one_after_the_other, 96 * MEBIBYTE, 48 * MEBIBYTE), 48),
    "the most": (partial(steps.one_after_the_other, 1, 80 * MEBIBYTE, 40 * MEBIBYTE), 80),
    "beside": (partial(steps.together, 80 * MEBIBYTE, 40 * MEBIBYTE), 40),
    "printing": (steps.chatty, 8),
}  # fmt: skip


@linux
@pytest.mark.parametrize("name", STEPS)
def test_a_known_step(name: str) -> None:
    prepare, mebibytes = STEPS[name]
    assert abs(peak_bytes(prepare) - mebibytes * MEBIBYTE) < SLACK


WRONG: dict[str, tuple[Callable[[], Step], str]] = {
    "nameless": (lambda: lambda: None, "has no name to be found by in a process"),
    "failing": (steps.failing, "the process failed: ValueError: no such data"),
    "silent": (steps.silent, "the process failed: exit code 3"),
}


@linux
@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_clear_line(name: str) -> None:
    prepare, message = WRONG[name]
    with pytest.raises(UsageError, match=message) as error:
        peak_bytes(prepare)
    assert "\n" not in str(error.value)


def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UsageError, match="runs on darwin; linux, which has /proc, allowed"):
        peak_bytes(steps.chatty)
