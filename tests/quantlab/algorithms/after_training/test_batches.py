from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.algorithms.after_training.batches import inputs_of_batches
from quantlab.errors import UsageError

NETWORK = nn.Linear(3, 2)


def test_tensors_tuples_and_lists() -> None:
    x, y = torch.randn(2, 3), torch.randn(4, 3)
    found = list(inputs_of_batches(NETWORK, iter([x, (y, torch.zeros(4)), [x]])))
    assert [torch.equal(a, b) for a, b in zip(found, [x, y, x], strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("batch", "given"), [((), "tuple"), (["x"], "str"), ({"image": 1}, "dict"), (3, "int")]
)
def test_what_is_no_batch(batch: Any, given: str) -> None:
    with pytest.raises(UsageError, match=rf"^batches\[0\]: a {given} given, a tensor or a tuple"):
        list(inputs_of_batches(NETWORK, [batch]))


def test_no_batch() -> None:
    with pytest.raises(UsageError, match=r"^batches: 0 given, at least 1 needed"):
        list(inputs_of_batches(NETWORK, []))


@pytest.mark.parametrize("batches", [torch.ones(2, 3), np.ones((2, 3)), "x", {"x": 1}, 3, None])
def test_a_single_batch_is_refused(batches: Any) -> None:
    given = type(batches).__name__
    with pytest.raises(UsageError, match=rf"^batches: a {given} given, several allowed, such as"):
        list(inputs_of_batches(NETWORK, batches))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_arrays_and_other_types(dtype: type) -> None:
    x = np.arange(6, dtype=dtype).reshape(2, 3)
    for given in (x, torch.from_numpy(x)):
        (found,) = inputs_of_batches(NETWORK, [given])
        assert found.dtype == torch.float32
        assert found.tolist() == x.tolist()
