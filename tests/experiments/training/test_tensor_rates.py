"""Optimizers whose learning rates are tensors."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from experiments.training.capture.tensor_rates import TensorRates


def trained(*, is_fused: bool, **settings: Any) -> list[Tensor]:
    """Return parameters after steps in which one comes later and another begins anew."""
    parameters = [nn.Parameter(torch.linspace(-1, 1, 5) * size) for size in (1, 2, 3)]
    optimizer = torch.optim.SGD(parameters, 0.1, momentum=0.9, **settings)
    rates = TensorRates(optimizer, torch.device("cpu"))
    for number in range(5):
        used = parameters if number > 1 else parameters[:2]
        optimizer.zero_grad()
        sum((number + parameter).square().sum() for parameter in used).backward()
        if number == 3:
            optimizer.state.pop(parameters[0])
        if is_fused:
            rates.set()
            with rates.applied():
                optimizer.step()
        else:
            optimizer.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.1]
    return [parameter.detach() for parameter in parameters]


@pytest.mark.parametrize("settings", [{}, {"nesterov": True}, {"dampening": 0.5}])
def test_parameters_whose_momentum_begins_later(settings: dict[str, Any]) -> None:
    found, wanted = (trained(is_fused=fused, **settings) for fused in (True, False))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
