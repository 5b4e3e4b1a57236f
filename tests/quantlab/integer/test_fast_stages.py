"""The factors of a generated layer are one step of the fast engine, where shifts lie between."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from quantlab.integer.fast import FastEngine
from quantlab.integer.fast.plan import plan
from quantlab.integer.fast.stages import Staged
from quantlab.integer.interpreter import execute
from quantlab.integer.lower import lower
from quantlab.integer.operations import Requantize
from quantlab.integer.program import Program
from tests.quantlab.integer.generated_networks import CASES, SAMPLES, generated
from tests.quantlab.integer.networks import SPEC, pixels

# Of the others the first convolution is no 1x1 one, or is of several groups.
FUSED = (
    "three factors", "signed inputs", "stride and no border", "dilated", "1x1", "the first layer",
    "blocks", "blocks without outputs' coefficients", "rows",
)  # fmt: skip


@cache
def program_of(name: str) -> Program:
    return lower(generated(name), SPEC, SAMPLES)


def num_fused(program: Program) -> int:
    return sum(isinstance(step, Staged) for step in plan(program))


def check(program: Program) -> None:
    for count in (1, 5):
        inputs = {"input": pixels(count, count).numpy()}
        expected = dict(execute(program, inputs))
        engine = FastEngine(program)
        for name, values in engine.run(inputs).items():
            np.testing.assert_array_equal(values, expected[name])
        made = dict(engine.execute(inputs))
        assert made.keys() == expected.keys()
        for name, values in made.items():
            np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("name", CASES)
def test_results_are_the_interpreters(name: str) -> None:
    assert num_fused(program_of(name)) == (name in FUSED)
    check(program_of(name))


def changed(program: Program, output: str, **settings: Any) -> Program:
    operations = [
        replace(operation, **settings) if operation.output == output else operation
        for operation in program.operations
    ]
    return replace(program, operations=tuple(operations))


def between(program: Program, name: str) -> Requantize:
    (operation,) = (one for one in program.operations if one.output == name)
    assert isinstance(operation, Requantize)
    return operation


@pytest.mark.parametrize(
    ("change", "is_fused"),
    [
        (lambda given: {"multiplier": given.multiplier - 1}, False),
        (lambda given: {"offset": given.offset + 5}, True),
        (lambda given: {"offset": given.offset + (given.multiplier.astype(np.int64) << 9)}, True),
        (lambda given: {"low": given.low + 1}, False),
        (lambda given: {"shift": given.shift + 3}, True),
        (lambda given: {"multiplier": given.multiplier >> 9, "shift": given.shift - 7}, True),
    ],
)
@pytest.mark.parametrize("name", ["_3_coeff_in_codes", "_3_basis_codes"])
def test_what_is_a_shift(
    name: str, change: Callable[[Requantize], dict[str, Any]], is_fused: bool
) -> None:
    given = program_of("three factors")
    program = changed(given, name, **change(between(given, name)))
    assert (len(plan(program)) == len(plan(given))) == is_fused
    check(program)


@pytest.mark.parametrize("name", ["_3_coeff_in", "_3_coeff_in_codes", "_3_basis_codes"])
def test_what_something_else_reads_is_there(name: str) -> None:
    given = program_of("three factors")
    program = replace(given, outputs=(*given.outputs, name))
    assert len(plan(program)) > len(plan(given))
    check(program)
