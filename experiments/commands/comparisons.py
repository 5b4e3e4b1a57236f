"""Engines compared on samples, with a bar, and what came out as a table."""

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from experiments.progress import Steps, console, show
from quantlab.integer.program import Program
from quantlab.integer.verify import Comparison, Engine, compare


def compared(
    program: Program, engines: Mapping[str, Engine], samples: Tensor, batch_size: int
) -> list[Comparison]:
    """Run the back ends on raw samples, with a bar."""
    with Steps(len(samples), 0, is_shown=True) as progress:
        return compare(program, engines, _batches(program, samples, batch_size, progress))


def _batches(
    program: Program, samples: Tensor, size: int, progress: Steps
) -> Iterator[Mapping[str, NDArray[Any]]]:
    done = 0
    for part in samples.split(size):
        yield {"input": program.encode("input", part.numpy())}
        done += len(part)
        progress.advance(done, "verifying")


def print_table(comparisons: list[Comparison]) -> None:
    """Print what came out for each engine."""
    table = Table("back end", "mismatches", "values", "tensors", "samples", "first difference")
    for one in comparisons:
        first = escape(str(one.first)) if one.first else ""
        numbers = (one.num_mismatches, one.num_values, one.num_tensors, one.num_samples)
        table.add_row(one.engine, *(f"{number:,}" for number in numbers), first)
    show(table)
    if all(one.first is None for one in comparisons):
        total = sum(one.num_values for one in comparisons)
        console.print(f"0 mismatches in {total:,} values")
