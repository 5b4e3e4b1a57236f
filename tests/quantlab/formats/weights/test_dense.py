"""The dense encoding: the codes themselves."""

import numpy as np

from quantlab.formats.weights.dense import Dense


def test_values_are_the_codes_row_by_row() -> None:
    codes = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    assert Dense().encode(codes.T).arrays["values"].tolist() == codes.T.reshape(-1).tolist()
