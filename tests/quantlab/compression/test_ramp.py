"""The cubic ramp."""

import pytest

from quantlab.compression.ramp import ramped


def test_it_goes_from_the_begin_to_the_end_and_stays() -> None:
    assert ramped(1000, 200, 0.0) == ramped(1000, 200, -1.0) == 1000
    assert ramped(1000, 200, 1.0) == ramped(1000, 200, 1.5) == 200
    assert ramped(1000, 200, 0.5) == pytest.approx(300)
