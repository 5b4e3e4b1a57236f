"""Networks that return scores and more give the scores alone."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.compression.first_output import keep_first_output
from quantlab.errors import UsageError
from quantlab.graphs.trace import trace

X = torch.rand(2, 4)


class Returning(nn.Module):
    def __init__(self, returned: Any) -> None:
        super().__init__()
        self.fc1 = nn.Linear(4, 3)
        self.returned = returned

    def forward(self, x: Tensor, intermediate_outputs: bool = False) -> Any:
        return self.returned(self.fc1(x), x) if not intermediate_outputs else None


@pytest.mark.parametrize(
    "returned",
    [
        lambda y, x: (y, x),
        lambda y, x: [y],
        lambda y, x: {"scores": y, "x": x},
        lambda y, x: ((y, x), [x]),
    ],
)
def test_the_scores_are_left(returned: Any) -> None:
    network = Returning(returned)
    names = list(network.state_dict())
    keep_first_output(network, X)
    assert torch.equal(network(X), network.fc1(X))
    assert torch.equal(trace(network, X)(X), network.fc1(X))
    assert torch.equal(copy.deepcopy(network)(X), network.fc1(X))
    assert isinstance(network, Returning)
    assert list(network.state_dict()) == names


def test_a_tensor_stays() -> None:
    network = Returning(lambda y, x: y)
    keep_first_output(network, X)
    assert type(network) is Returning


def test_samples_of_other_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"train_loader: float32\[2, 5\] given, which the network"):
        keep_first_output(Returning(lambda y, x: (y, x)), torch.rand(2, 5))
