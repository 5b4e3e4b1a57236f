from typing import Any

import pytest
import torch
from torch import nn

from quantlab.algorithms.after_training.batches import device_of, inputs_on
from quantlab.errors import UsageError

CPU = torch.device("cpu")


def test_tensors_tuples_and_lists() -> None:
    x, y = torch.randn(2, 3), torch.randn(4, 3)
    found = list(inputs_on(CPU, iter([x, (y, torch.zeros(4)), [x]])))
    assert [torch.equal(a, b) for a, b in zip(found, [x, y, x], strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("batch", "given"), [((), "tuple"), (["x"], "str"), ({"image": 1}, "dict"), (3, "int")]
)
def test_what_is_no_batch(batch: Any, given: str) -> None:
    with pytest.raises(UsageError, match=rf"^batches\[0\]: a {given} given, a tensor or a tuple"):
        list(inputs_on(CPU, [batch]))


def test_no_batch() -> None:
    with pytest.raises(UsageError, match=r"^batches: 0 given, at least 1 needed"):
        list(inputs_on(CPU, []))


def test_device_is_the_networks() -> None:
    assert device_of(nn.Linear(2, 2, device="meta")).type == "meta"
    assert device_of(nn.BatchNorm1d(2, affine=False, device="meta")).type == "meta"
    assert device_of(nn.ReLU()) == CPU
