"""Sums over what passes through a quantizer."""

from collections.abc import Iterator

import torch
from torch import Tensor

from quantlab.monitor.quantizer_statistic import QuantizerStatistic
from quantlab.monitor.statistic import Value
from tests.quantlab.monitor.small import trained


class Count(QuantizerStatistic):
    """How many tensors, how many numbers."""

    def measure(self, x: Tensor) -> Tensor:
        assert not x.requires_grad
        assert not torch.is_grad_enabled()
        return torch.tensor([1.0, x.numel()], dtype=torch.float64)

    def values(self, peaks: Tensor, sums: Tensor) -> Iterator[tuple[str, Value]]:
        yield from ()


def test_all_tensors_of_the_step_are_added_up() -> None:
    quantizer = trained(num_steps=3).quantizer("linear", "weight")
    count = Count(quantizer, 2)
    (hook,) = count.start(1.0)
    x = torch.randn(3, 64, requires_grad=True)
    quantizer(x)
    quantizer(x.clone())
    hook.remove()
    quantizer(x)
    assert count.sums(count.peaks()).tolist() == [2.0, 2 * x.numel()]


def test_a_quantizer_that_is_off_is_not_measured() -> None:
    quantizer = trained(num_steps=3).quantizer("linear", "weight")
    quantizer.set_enabled(False)
    count = Count(quantizer, 2)
    (hook,) = count.start(1.0)
    quantizer(torch.randn(3, 64))
    hook.remove()
    assert count.sums(count.peaks()).tolist() == [0.0, 0.0]
