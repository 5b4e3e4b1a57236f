"""The report states what the file weighs and what a sample costs."""

import pytest

from quantlab.integer.fidelity import measure
from quantlab.integer.file import to_bytes
from quantlab.integer.lower import lower
from quantlab.integer.report import report
from tests.quantlab.integer.networks import SPEC, pixels, plain, settled
from tests.quantlab.integer.programs import Author


@pytest.mark.parametrize("seed", range(8))
def test_the_size_is_that_of_the_file(seed: int) -> None:
    program = Author(seed).program(9)
    found = report(program)
    assert found.num_bytes == len(to_bytes(program))
    assert [cost.output for cost in found.layers] == [o.output for o in program.operations]


def test_a_network_of_four_bits() -> None:
    program = lower(settled(plain(), 4), SPEC)
    costs = {cost.layer: cost for cost in report(program).layers if cost.macs}
    stem, conv, linear = costs["0"], costs["4"], costs["8"]
    assert (stem.macs, conv.macs, linear.macs) == (6 * 27 * 81, 8 * 54 * 4, 5 * 32)
    assert (stem.input_bits, conv.input_bits, linear.input_bits) == (8, 4, 4)
    assert all(2 <= cost.weight_bits <= 4 for cost in costs.values())
    assert conv.bit_operations == conv.macs * conv.weight_bits * 4
    # The weights, packed; a bias and a code of zero of 32 bits for each output and input.
    assert conv.num_bytes == -(-8 * 54 * conv.weight_bits // 8) + 4 * 8 + 4 * 6
    assert linear.num_bytes == -(-5 * 32 * linear.weight_bits // 8) + 4 * 5
    assert all(cost.headroom == 32 - cost.accumulator_bits for cost in costs.values())
    assert conv.accumulator_bits <= 1 + (54 * 8 * 15).bit_length()


def test_what_rounding_loses_stands_beside_what_rounds() -> None:
    program = lower(settled(plain(), 4), SPEC)
    fidelity = measure(program, [{"input": pixels(8).numpy()}])
    found = report(program, fidelity)
    for cost in found.layers:
        if cost.operation in ("Requantize", "Threshold"):
            measured = fidelity[cost.output]
            assert cost.sqnr_db == measured.sqnr_db
            assert cost.clipping_percent == measured.clipping_percent
        else:
            assert (cost.sqnr_db, cost.clipping_percent) == (None, None)


def test_the_worst() -> None:
    program = lower(settled(plain(), 4), SPEC)
    assert report(program).lowest_sqnr is None
    fidelity = measure(program, [{"input": pixels(8).numpy()}])
    found = report(program, fidelity)
    assert found.lowest_sqnr is not None
    assert found.lowest_headroom is not None
    ratios = [one.sqnr_db for one in fidelity.values() if one.sqnr_db is not None]
    assert found.lowest_sqnr.sqnr_db == min(ratios)
    assert found.lowest_headroom.headroom == min(c.headroom for c in found.layers if c.macs)
    assert found.macs == sum(cost.macs for cost in found.layers) > 0
    assert found.bit_operations == sum(cost.bit_operations for cost in found.layers)
