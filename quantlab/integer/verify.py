"""Verification: every tensor of a program, as an engine computes it, against the interpreter."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import VerificationError
from quantlab.integer.interpreter import check_inputs, execute
from quantlab.integer.program import Program

Batch = Mapping[str, NDArray[Any]]


class Engine(Protocol):
    """What runs programs."""

    def execute(self, inputs: Batch) -> Iterable[tuple[str, NDArray[Any]]]:
        """Return the names and values of the program's tensors."""
        ...


class Interpreter:
    """The definition as an engine: of a program that was read from a file, say."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def execute(self, inputs: Batch) -> Iterator[tuple[str, NDArray[Any]]]:
        return execute(self._program, inputs)


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """The first number that differs. index: of the sample first."""

    tensor: str
    layer: str
    index: tuple[int, ...]
    expected: int
    found: int | None

    def __str__(self) -> str:
        place = ", ".join(map(str, self.index))
        found = "nothing" if self.found is None else self.found
        return (
            f"layer '{self.layer}', tensor '{self.tensor}'[{place}]: {found} found, "
            f"{self.expected} expected"
        )


@dataclass(kw_only=True)
class Comparison:
    """What came out for one engine. first: in the order of the program."""

    engine: str
    num_samples: int = 0
    num_tensors: int = 0
    num_values: int = 0
    num_mismatches: int = 0
    first: Mismatch | None = None

    def check(self) -> None:
        """Raise VerificationError unless all numbers are the same."""
        if self.first is not None:
            raise VerificationError(
                f"{self.engine}: {self.num_mismatches:,} mismatches in {self.num_values:,} values; "
                f"first in {self.first}"
            )

    def __str__(self) -> str:
        return (
            f"{self.engine}: {self.num_mismatches:,} mismatches in {self.num_values:,} values of "
            f"{self.num_tensors} tensors, {self.num_samples:,} samples"
        )


def compare(
    program: Program, engines: Mapping[str, Engine], batches: Iterable[Batch]
) -> list[Comparison]:
    """Run the program and all engines on batches of its inputs, `[N, ...]` each, and compare every
    tensor that an operation makes."""
    comparisons = [Comparison(engine=name) for name in engines]
    order = {operation.output: i for i, operation in enumerate(program.operations)}
    for batch in batches:
        check_inputs(program, batch)
        count = len(next(iter(batch.values())))
        found = [dict(engine.execute(batch)) for engine in engines.values()]
        for name, expected in execute(program, batch):
            for comparison, tensors in zip(comparisons, found, strict=True):
                _add(comparison, program, order, name, expected, tensors.get(name))
        for comparison in comparisons:
            comparison.num_samples += count
            comparison.num_tensors = len(order)
    return comparisons


def _add(
    comparison: Comparison,
    program: Program,
    order: Mapping[str, int],
    name: str,
    expected: NDArray[Any],
    found: NDArray[Any] | None,
) -> None:
    comparison.num_values += expected.size
    if found is None or found.shape != expected.shape:
        differs = np.ones(expected.shape, bool)
        found = None
    else:
        differs = found != expected
    count = int(np.count_nonzero(differs))
    comparison.num_mismatches += count
    first = comparison.first
    if count and (first is None or order[name] < order[first.tensor]):
        index = tuple(int(i) for i in np.unravel_index(int(differs.argmax()), differs.shape))
        index_of_sample = (index[0] + comparison.num_samples, *index[1:])
        comparison.first = Mismatch(
            tensor=name,
            layer=program.operations[order[name]].layer,
            index=index_of_sample,
            expected=int(expected[index]),
            found=None if found is None else int(found[index]),
        )
