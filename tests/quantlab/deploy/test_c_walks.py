"""C: operations number by number go along the fewest axes."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.walks import Steps, merged
from quantlab.errors import UsageError
from quantlab.integer.operations import (
    Add,
    ArgMax,
    Concatenate,
    Lookup,
    MaxPool,
    Multiply,
    Operation,
    Permute,
    Requantize,
    Slice,
    Windows,
)
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, U8, IntegerType, TensorType
from tests.quantlab.deploy.test_c import check, needs_compiler

SHAPE = (3, 4, 5)


def program(*operations: Operation, inputs: Sequence[tuple[int, ...]] = (SHAPE,)) -> Program:
    return Program(
        inputs={f"x{i}": TensorType(shape, U8) for i, shape in enumerate(inputs)},
        operations=operations,
        outputs=(operations[-1].output,),
    )


def checked(given_: Program, folder: Path) -> None:
    random = np.random.default_rng(0)
    batch = {
        name: random.integers(0, 256, (2, *kind.shape), np.uint8)
        for name, kind in given_.inputs.items()
    }
    check(given_, batch, folder)


def sizes_of_axes(given_: Program) -> list[int]:
    """Return how many axes each walk has."""
    text = b"".join(c_model(given_).files.values()).decode()
    return [int(line.split("= ")[1].rstrip(",")) for line in text.splitlines() if ".axes" in line]


def half(channels: int = 1) -> Requantize:
    offset = np.arange(channels).reshape(-1, *[1] * (2 if channels > 1 else 0)) * 7
    return Requantize(
        inputs=("x0",), output="y", multiplier=np.array(1), offset=offset, shift=np.array(1),
        low=-9, high=99, kind=S8,
    )  # fmt: skip


OPERATIONS: dict[str, tuple[Operation, tuple[tuple[int, ...], ...], int]] = {
    "one constant for all": (half(), (SHAPE,), 1),
    "constants of channels": (half(3), (SHAPE,), 2),
    "constants of rows": (
        Requantize(
            inputs=("x0",), output="y", multiplier=np.arange(4, dtype=np.int32)[:, None],
            offset=np.array(5), shift=np.array(1), low=-9, high=99, kind=S8,
        ),
        (SHAPE,), 2,
    ),
    "constants of channels outside": (
        Requantize(
            inputs=("x0",), output="y", multiplier=np.arange(3, dtype=np.int32).reshape(3, 1, 1, 1),
            offset=np.array(5), shift=np.array(1), low=-9, high=99, kind=S8,
        ),
        ((3, 2, 2, 2),), 2,
    ),
    "a sum with one number a channel": (
        Add(
            inputs=("x0", "x1"), output="y", left_multiplier=np.array(3), offset=np.array(5),
            right_multiplier=np.array(2), shift=np.array(3), low=-128, high=127, kind=S8,
        ),
        (SHAPE, (3, 1, 1)), 2,
    ),
    "every other row": (
        Slice(inputs=("x0",), output="y", axis=1, start=1, stop=4, step=2), (SHAPE,), 2
    ),
    "columns outermost": (Permute(inputs=("x0",), output="y", axes=(0, 2, 1)), (SHAPE,), 3),
    "single channels joined": (
        Concatenate(inputs=("x0", "x1"), output="y", axis=0), ((1, 4, 5), (1, 4, 5)), 2
    ),
    "rows joined": (Concatenate(inputs=("x0", "x1"), output="y", axis=1), (SHAPE, SHAPE), 1),
    "the largest of channels": (ArgMax(inputs=("x0",), output="y", axis=0), (SHAPE,), 1),
    "the largest of columns": (ArgMax(inputs=("x0",), output="y", axis=2), (SHAPE,), 2),
}  # fmt: skip


QUICK = ("constants of rows", "single channels joined", "the largest of columns")


@needs_compiler
@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in OPERATIONS],
)
def test_walks_have_few_axes_and_the_integers_of_the_program(name: str, tmp_path: Path) -> None:
    operation, inputs, num_axes = OPERATIONS[name]
    given_ = program(operation, inputs=inputs)
    assert set(sizes_of_axes(given_)) == {num_axes}
    checked(given_, tmp_path)


def test_a_walk_through_all_numbers_takes_few_bytes() -> None:
    """Two sizes of 32 bits and steps of two tensors along one axis, beside 28 bytes of the walk."""
    text = b"".join(c_model(program(half())).files.values()).decode()
    assert "_size[1]" in text
    assert "_steps[4]" in text


def test_more_axes_or_longer_ones_than_c_has_are_refused() -> None:
    for shape, message in (
        ((1,) * 7, "7 axes given, at most 6 allowed"),
        ((70_000,), "an axis of 70000 given, at most 65535 allowed"),
    ):
        with pytest.raises(UsageError, match=message):
            c_model(program(half(), inputs=(shape,)))


SIZES = st.lists(st.integers(1, 4), max_size=5)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.data())
def test_the_same_numbers_in_the_same_order(sizes: list[int], data: st.DataObject) -> None:
    plain = [int(np.prod(sizes[axis + 1 :])) for axis in range(len(sizes))]
    others = [
        data.draw(st.sampled_from([plain, [0] * len(sizes), [3 * step for step in plain]]))
        if data.draw(st.booleans())
        else data.draw(st.lists(st.integers(0, 9), min_size=len(sizes), max_size=len(sizes)))
        for _ in range(2)
    ]
    steps = [Steps(start, axes) for start, axes in enumerate([plain, *others])]
    fewer, found = merged(sizes, steps)

    def places(size: list[int], one: Steps) -> list[int]:
        return [
            one.start + sum(i * step for i, step in zip(at, one.axes, strict=True))
            for at in product(*map(range, size))
        ]

    assert 1 <= len(fewer) <= max(1, len(sizes))
    for before, after in zip(steps, found, strict=True):
        assert places(fewer, after) == places(sizes, before)


def gate(*, is_read: bool = False, low: int = 0) -> Program:
    """An image times one number for each channel of another, as codes."""
    times = Multiply(inputs=("x0", "x1"), output="times", left_zero=3, right_zero=-2)
    codes = Requantize(
        inputs=("times",), output="codes", multiplier=np.array(2**30), offset=np.array(2**36),
        shift=np.array(38), low=low, high=255, kind=U8 if low == 0 else S16,
    )  # fmt: skip
    largest = ArgMax(inputs=("codes",), output="y", axis=0)
    outputs = ("y", "times") if is_read else ("y",)
    types = {"x0": TensorType((8, 4, 5), U8), "x1": TensorType((8, 1, 1), U8)}
    return Program(inputs=types, operations=(times, codes, largest), outputs=outputs)


def test_products_that_become_codes_have_no_room_in_the_arena() -> None:
    codes, largest = 8 * 4 * 5, 4 * 4 * 5
    assert c_model(gate()).arena_size == codes + largest
    assert c_model(gate(is_read=True)).arena_size >= 4 * codes + codes


@needs_compiler
@pytest.mark.parametrize(
    ("is_read", "low"),
    [
        (False, 0),
        pytest.param(True, 0, marks=pytest.mark.long),
        pytest.param(False, -5, marks=pytest.mark.long),
    ],
)
def test_products_of_tensors(is_read: bool, low: int, tmp_path: Path) -> None:
    checked(gate(is_read=is_read, low=low), tmp_path)


def pool(x: str, y: str) -> MaxPool:
    """Windows that overlap."""
    windows = Windows(kernel=(3, 3), padding=(1, 1, 1, 1))
    return MaxPool(inputs=(x,), output=y, windows=windows)


def looked_up(x: str, y: str, kind: IntegerType = S8) -> Lookup:
    table = np.random.default_rng(1).integers(kind.minimum, kind.maximum + 1, 256, np.int16)
    return Lookup(inputs=(x,), output=y, table=table, kind=kind)


def doubled(x: str, y: str) -> Add:
    return Add(
        inputs=(x, x), output=y, left_multiplier=np.array(3), right_multiplier=np.array(-1),
        offset=np.array(5), shift=np.array(1), low=-128, high=127, kind=S8,
    )  # fmt: skip


SIZE, GAP = 3 * 4 * 5, 3 * 5 + 2 * 3
TURNED = Permute(inputs=("a",), output="b", axes=(0, 2, 1))


@needs_compiler
@pytest.mark.parametrize(
    ("second", "arena"),
    [
        pytest.param(looked_up("a", "b"), SIZE, marks=pytest.mark.long),
        (doubled("a", "b"), SIZE),
        (pool("a", "b"), SIZE + GAP),
        pytest.param(looked_up("a", "b", S16), 2 * (SIZE + GAP), marks=pytest.mark.long),
        pytest.param(TURNED, 2 * SIZE, marks=pytest.mark.long),
    ],
)
def test_what_is_read_for_the_last_time_is_written_over(
    second: Operation, arena: int, tmp_path: Path
) -> None:
    given_ = program(pool("x0", "a"), second, pool("b", "y"))
    assert 0 <= c_model(given_).arena_size - arena < 4
    checked(given_, tmp_path)
