"""Steps of which it is known how much memory they need, for processes to find by name."""

import sys
from collections.abc import Callable

import numpy as np

MEBIBYTE = 2**20


def ones(num_bytes: int) -> int:
    """Make an array of so many bytes, touched, and drop it."""
    return int(np.ones(num_bytes, np.uint8)[-1])


def one_after_the_other(before: int, *during: int) -> Callable[[], object]:
    """Make an array and drop it; the step does so with others, one at a time."""
    ones(before)
    return lambda: [ones(num_bytes) for num_bytes in during]


def together(first: int, second: int) -> Callable[[], object]:
    """Keep one array; the step makes another beside it."""
    kept = np.ones(first, np.uint8)
    return lambda: (kept[-1], ones(second))


def chatty() -> Callable[[], object]:
    return lambda: (sys.stdout.write("a step that prints\n"), ones(8 * MEBIBYTE))


def failing() -> Callable[[], object]:
    raise ValueError("no such data")


def silent() -> Callable[[], object]:
    sys.exit(3)
