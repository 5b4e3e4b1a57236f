"""The fast engine against the interpreter, on every instruction set that runs here."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantlab import _backend, backend
from quantlab.errors import UsageError
from quantlab.integer.fast import FastEngine
from quantlab.integer.interpreter import run
from quantlab.integer.program import Program
from quantlab.integer.verify import compare
from tests.quantlab.integer.programs import Author, inputs

ISAS = backend.supported_isas()


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = backend.isa()
    _backend.activate(request.param)
    yield request.param
    _backend.activate(before)


def assert_same(program: Program, count: int, seed: int) -> None:
    engine, batch = FastEngine(program), inputs(program, count, seed)
    (comparison,) = compare(program, {"fast": engine}, [batch])
    comparison.check()
    assert comparison.num_tensors == len(program.operations)
    found, expected = engine.run(batch), run(program, batch)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype


@given(seed=st.integers(0, 2**32 - 1), num_operations=st.integers(1, 12))
def test_random_programs(seed: int, num_operations: int) -> None:
    assert_same(Author(seed).program(num_operations), 3, seed)


@pytest.mark.parametrize("seed", range(12))
def test_every_instruction_set(isa: str, seed: int) -> None:
    assert_same(Author(seed).program(12), 2, seed)


def test_batches_of_different_sizes() -> None:
    program = Author(5).program(10)
    engine = FastEngine(program)
    for count in (1, 4, 2, 4):
        batch = inputs(program, count, count)
        expected = run(program, batch)
        for name, value in engine.run(batch).items():
            np.testing.assert_array_equal(value, expected[name])


def test_wrong_inputs() -> None:
    program = Author(0).program(2)
    with pytest.raises(UsageError, match=r"input 'x': int64\[1\] given, u8 of"):
        FastEngine(program).run({"x": np.zeros(1, np.int64)})
