"""What a sample costs up to each exit."""

from quantlab.exits.cost import exit_macs
from tests.quantlab.exits.networks import program


def test_heads_that_are_passed_count_too() -> None:
    convolutions = 4 * 9 * 64, 6 * 4 * 9 * 16
    heads = 3 * 64, 3 * 24
    end = 96 * 8 + 8 * 3
    first = convolutions[0] + heads[0]
    second = first + convolutions[1] + heads[1]
    assert exit_macs(program()) == [first, second, second + end]
