import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from quantlab.graphs.operations import (
    Add,
    AddConstant,
    Concat,
    Divide,
    MatMul,
    Mean,
    Multiply,
    MultiplyConstant,
    Operation,
    Subtract,
)

A, B = torch.randn(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))

Case = tuple[Operation, tuple[Tensor, ...], Callable[..., np.ndarray]]
TO_THE_BIT: list[Case] = [
    (Add(), (A, B), np.add),
    (Subtract(), (A, B), np.subtract),
    (Multiply(), (A, B), np.multiply),
    (Divide(), (A, B), np.divide),
    (AddConstant(0.5), (A,), lambda a: a + np.float32(0.5)),
    (MultiplyConstant(3), (A,), lambda a: a * np.float32(3)),
    (Concat(1), (A, B, A), lambda *parts: np.concatenate(parts, 1)),
    (Concat(), (A, B), lambda *parts: np.concatenate(parts, 0)),
    (Concat(-1), (A, B), lambda *parts: np.concatenate(parts, -1)),
]
BUT_FOR_ROUNDING: list[Case] = [
    (MatMul(), (A, B), np.matmul),
    (Mean((2, 3)), (A,), lambda a: a.mean((2, 3))),
    (Mean((-1,), keepdim=True), (A,), lambda a: a.mean(-1, keepdims=True)),
    (Mean(1), (A,), lambda a: a.mean(1)),
    (Mean(), (A,), lambda a: a.mean()),
]


def over(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("operation", "inputs", "oracle"), cases, ids=[str(operation) for operation, *_ in cases]
    )


@over(TO_THE_BIT)
def test_is_numpys_to_the_bit(
    operation: Operation, inputs: tuple[Tensor, ...], oracle: Callable[..., np.ndarray]
) -> None:
    expected = oracle(*(x.numpy() for x in inputs))
    np.testing.assert_array_equal(operation(*inputs).numpy(), expected)


@over(BUT_FOR_ROUNDING)
def test_is_numpys_but_for_rounding(
    operation: Operation, inputs: tuple[Tensor, ...], oracle: Callable[..., np.ndarray]
) -> None:
    doubles = [x.double() for x in inputs]
    result = operation(*doubles).numpy()
    np.testing.assert_allclose(result, oracle(*(x.numpy() for x in doubles)), rtol=1e-12)


def test_state_is_empty_and_the_text_tells_the_settings() -> None:
    network = torch.nn.ModuleList([AddConstant(2.5), Concat(1), Mean((2, 3), keepdim=True)])
    assert not network.state_dict()
    assert [repr(m) for m in copy.deepcopy(network)] == [
        "AddConstant(2.5)",
        "Concat(dim=1)",
        "Mean(dims=(2, 3), keepdim=True)",
    ]
