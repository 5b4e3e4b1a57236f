"""Changed programs are caught where they differ, or compute the same."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quantlab.errors import VerificationError
from quantlab.integer.interpreter import execute
from quantlab.integer.operations import Convolution, Operation, Requantize, Threshold
from quantlab.integer.program import Program
from quantlab.integer.verify import Interpreter, compare
from tests.quantlab.integer.programs import Author, inputs


def changed(program: Program, index: int, **settings: Any) -> Program:
    operations: list[Any] = list(program.operations)
    operations[index] = replace(operations[index], **settings)
    return replace(program, operations=tuple(operations))


def mutants(program: Program) -> Iterator[tuple[int, Program]]:
    """Programs with one number changed, and the position of the operation."""
    for index, operation in enumerate(program.operations):
        if isinstance(operation, Convolution):
            weight = operation.weight.copy()
            weight.flat[weight.size // 2] = -weight.flat[weight.size // 2] - 1
            yield index, changed(program, index, weight=weight, weight_bits=8)
            yield index, changed(program, index, padding_codes=operation.padding_codes + 1)
        elif isinstance(operation, Requantize):
            yield index, changed(program, index, shift=np.maximum(operation.shift - 1, 0))
        elif isinstance(operation, Threshold):
            yield index, changed(program, index, thresholds=operation.thresholds + 1)


def test_mutants_are_caught_at_their_layer_or_are_equivalent() -> None:
    caught = equivalent = 0
    for seed in range(12):
        program = Author(seed).program(8)
        batch = inputs(program, 6, seed)
        for index, mutant in mutants(program):
            (one,) = compare(program, {"mutant": Interpreter(mutant)}, [batch])
            original, other = (dict(execute(p, batch)) for p in (program, mutant))
            if one.first is None:
                equivalent += 1
                assert all(np.array_equal(original[name], other[name]) for name in original)
                continue
            caught += 1
            assert one.first.tensor == program.operations[index].output
            assert one.first.layer == program.operations[index].layer
            place = one.first.index
            assert original[one.first.tensor][place] == one.first.expected
            assert other[one.first.tensor][place] == one.first.found
            with pytest.raises(VerificationError, match=f"first in layer '{one.first.layer}'"):
                one.check()
    assert caught > 40
    assert equivalent > 0


class Partial:
    """An engine that leaves a tensor out."""

    def __init__(self, program: Program, missing: str) -> None:
        self._program, self._missing = program, missing

    def execute(self, inputs: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
        return ((n, v) for n, v in execute(self._program, inputs) if n != self._missing)


def test_a_missing_tensor_is_a_mismatch() -> None:
    program = Author(1).program(3)
    last: Operation = program.operations[-1]
    batches = [inputs(program, 2, 0), inputs(program, 3, 1)]
    (one,) = compare(program, {"partial": Partial(program, last.output)}, batches)
    assert one.num_mismatches == 5
    with pytest.raises(VerificationError, match=f"tensor '{last.output}'.*nothing found"):
        one.check()


def test_the_sample_is_counted_over_all_batches() -> None:
    program = Author(1).program(3)
    batches = [inputs(program, 4, 0), inputs(program, 4, 1)]

    class Late(Interpreter):
        count = 0

        def execute(self, inputs: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
            self.count += 1
            for name, value in super().execute(inputs):
                yield name, value + (self.count == 2)

    (one,) = compare(program, {"late": Late(program)}, batches)
    assert one.first is not None
    assert one.first.index[0] == 4
    assert one.first.tensor == program.operations[0].output
