"""Tensors as rows."""

import numpy as np
import pytest

from quantlab.deploy.clickhouse.relational.engine import rows_of_tensor, tensor_of_rows
from quantlab.errors import VerificationError
from quantlab.integer.tensor_type import S8, TensorType

GIVEN = TensorType((2, 3), S8)


def test_rows_in_any_order_are_the_tensor() -> None:
    random = np.random.default_rng(0)
    tensor = random.integers(-128, 128, (4, 2, 3)).astype(np.int8)
    rows = rows_of_tensor(tensor)
    order = random.permutation(24)
    found = tensor_of_rows("x", {name: one[order] for name, one in rows.items()}, GIVEN, 4)
    assert found.dtype == np.int8
    np.testing.assert_array_equal(found, tensor)


@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 4], [0, 1, 2, 3, 4, 5, 6]])
def test_a_missing_or_second_row_is_refused(rows: list[int]) -> None:
    elements = np.array(rows, np.uint32)
    given = {"sample": elements * 0, "element": elements, "value": elements}
    with pytest.raises(VerificationError, match=f"tensor 'x': {len(rows)} rows given"):
        tensor_of_rows("x", given, GIVEN, 1)
