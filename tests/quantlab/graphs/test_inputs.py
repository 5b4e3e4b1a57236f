from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.errors import UsageError
from quantlab.graphs.inputs import as_input, device_of, taking

NETWORK = nn.Linear(3, 2)


def test_device_is_the_networks() -> None:
    assert device_of(nn.Linear(2, 2, device="meta")).type == "meta"
    assert device_of(nn.BatchNorm1d(2, affine=False, device="meta")).type == "meta"
    assert device_of(nn.ReLU()) == torch.device("cpu")


def test_real_numbers_take_the_type_of_the_weights() -> None:
    x = torch.ones(2, 3)
    assert as_input(x, NETWORK, "x") is x
    assert as_input(x, nn.Linear(3, 2).double(), "x").dtype == torch.float64
    assert as_input(x.double(), nn.ReLU(), "x").dtype == torch.float64
    assert as_input(x.long(), nn.Embedding(4, 2), "x").dtype == torch.int64
    frozen = np.ones((2, 3))
    frozen.setflags(write=False)
    assert torch.equal(as_input(frozen[:, ::-1], NETWORK, "x"), x)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1.0]], "x: a list given, a tensor or a NumPy array of numbers allowed"),
        (np.array(["a"]), "x: a <U1 array given"),
        (None, "x: a NoneType given"),
        (torch.ones(0, 3), r"x: float32\[0, 3\] given, \[N, ...\] of at least 1 sample needed"),
        (torch.ones(()), r"x: float32\[\] given"),
    ],
)
def test_what_is_no_batch(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        as_input(given, NETWORK, "x")


@pytest.mark.parametrize("x", [torch.ones(2, 4), torch.ones(2, 3, dtype=torch.uint8)])
def test_what_a_network_does_not_take(x: torch.Tensor) -> None:
    message = r"^x: \w+\[2, [34]\] given, which the network does not take: mat1 and mat2"
    with pytest.raises(UsageError, match=message) as caught, taking(x, "x"):
        NETWORK(x)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)
