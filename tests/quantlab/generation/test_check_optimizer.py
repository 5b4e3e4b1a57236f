"""An optimizer that is older than the factors it should train."""

import pytest
import torch
from torch import nn

from quantlab import parameter_groups
from quantlab.errors import UsageError
from quantlab.generation import check_optimizer, convert


def test_an_optimizer_made_before_convert_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(6, 8, 3), nn.ReLU())
    old = torch.optim.SGD(network.parameters(), lr=0.1)
    check_optimizer(network, old)
    convert(network, {"base_in": 2, "base_out": 5, "quantizer": "lsq"})
    message = "optimizer: lacks 6 parameters of generated layers, such as '0.basis'; make it after"
    with pytest.raises(UsageError, match=message):
        check_optimizer(network, old)
    check_optimizer(network, torch.optim.SGD(parameter_groups(network), lr=0.1))


def test_other_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="network: a dict given"):
        check_optimizer({}, torch.optim.SGD([torch.zeros(1, requires_grad=True)]))
    with pytest.raises(UsageError, match=r"optimizer: a NoneType given, one of torch.optim"):
        check_optimizer(nn.ReLU(), None)
