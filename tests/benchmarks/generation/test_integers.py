"""The integer programs that are measured beside one another."""

import pytest

from benchmarks.generation.integers import (
    DENSE,
    FACTORS,
    integer_rows,
    pixels,
    products,
    program,
    weight_bytes,
)
from quantlab.deploy.verification import verify
from quantlab.integer.file import to_bytes
from quantlab.integer.lower import lower
from tests.quantlab.integer.generated_networks import SAMPLES, generated
from tests.quantlab.integer.networks import SPEC


def test_what_a_run_reads_and_multiplies() -> None:
    """Of a 3x3 convolution of 8 channels with 5 bases of 2 kernels, in 9 x 9 pixels."""
    given = lower(generated("three factors"), SPEC, SAMPLES)
    places = 81
    plain = 8 * 3 * 9, 5 * 32
    factors = 5 * 2 * 8, 5 * 2 * 9, 8 * 5
    assert products(given) == places * (plain[0] + sum(factors)) + plain[1]
    assert weight_bytes(given) == sum(plain) + factors[0] + 2 * (factors[1] + factors[2])


@pytest.mark.long
def test_both_sides_are_measured() -> None:
    rows = list(integer_rows(1, 1, 1))
    assert [row.figures["side"] for row in rows] == [DENSE, FACTORS]
    assert rows[0].ratio == 1
    assert len(to_bytes(program(FACTORS))) < 1_000_000 < len(to_bytes(program(DENSE)))


@pytest.mark.long
def test_a_whole_network_is_exact_on_every_engine() -> None:
    batches = [{"input": pixels(2).numpy()}]
    for comparison in verify(program(FACTORS), batches, ["numpy", "fast", "onnx"]):
        assert comparison.num_values > 0
