import subprocess
import sys

import pytest

from quantlab.errors import UsageError
from quantlab.numerics.ranges import IntegerRange, integer_range


@pytest.mark.parametrize(
    ("num_bits", "signed", "narrow", "ends"),
    [
        (1, False, False, (0, 1)),
        (2, True, True, (-1, 1)),
        (4, False, False, (0, 15)),
        (4, True, False, (-8, 7)),
        (4, True, True, (-7, 7)),
        (8, True, False, (-128, 127)),
        (16, False, False, (0, 65535)),
    ],
)
def test_ends(num_bits: int, signed: bool, narrow: bool, ends: tuple[int, int]) -> None:
    found = integer_range(num_bits, signed=signed, narrow=narrow)
    assert found == IntegerRange(quant_min=ends[0], quant_max=ends[1])
    assert found.num_levels == 2**num_bits - narrow


@pytest.mark.parametrize(
    ("num_bits", "signed", "narrow", "message"),
    [
        (0, True, False, "num_bits: 0 given, 1 to 16 allowed"),
        (17, False, False, "num_bits: 17 given"),
        (1, True, False, "num_bits: 1 given with signed=True"),
        (4, False, True, "narrow: True given with signed=False"),
    ],
)
def test_impossible_ranges(num_bits: int, signed: bool, narrow: bool, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        integer_range(num_bits, signed=signed, narrow=narrow)


def test_needs_no_torch() -> None:
    code = (
        "import sys, quantlab.numerics.ranges, quantlab.numerics.granularity;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
