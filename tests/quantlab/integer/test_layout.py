"""Layout: levels, planes, words and index maps, against plain integers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.integer.interpreter import execute
from quantlab.integer.layout.choice import Elements, are_bits, layouts
from quantlab.integer.layout.levels import Levels, levels_of
from quantlab.integer.layout.moves import index_map, origin_of
from quantlab.integer.layout.planes import Planes, joined, planes_of, split
from quantlab.integer.layout.tensors import lay_out, restore
from quantlab.integer.layout.windows import Sharing, WindowWords, words_of_weights
from quantlab.integer.layout.words import count_bits, dot, num_words, pack, unpack
from quantlab.integer.operations import (
    Concatenate,
    Convolution,
    Linear,
    MaxPool,
    Permute,
    Reshape,
    Slice,
    Threshold,
    Windows,
)
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, U8, TensorType
from tests.quantlab.integer.programs import Author, inputs

WIDTHS = (8, 16, 32, 64)


@st.composite
def levels(draw: st.DrawFn) -> Levels:
    low = draw(st.integers(-128, 127))
    step = draw(st.sampled_from([1, 1, 2, 3, 4, 6]))
    count = (
        draw(st.integers(0, (255 - low) // step))
        if draw(st.booleans())
        else draw(st.integers(0, 1))
    )
    return Levels(low=low, high=low + step * count, step=step)


def drawn(grid: Levels, count: int, seed: int) -> NDArray[np.int64]:
    found = np.arange(grid.low, grid.high + 1, grid.step)
    return np.random.default_rng(seed).choice(found, count)


@given(grid=levels(), code=st.integers(-200, 300))
def test_levels_have_what_they_include(grid: Levels, code: int) -> None:
    found = grid.including(code)
    for one in (grid.low, grid.low + grid.step, grid.high, code):
        if one <= grid.high or one == code:
            assert found.low <= one <= found.high
            assert (one - found.low) % found.step == 0


@given(grid=levels(), seed=st.integers(0, 99))
def test_planes_give_the_integers_back(grid: Levels, seed: int) -> None:
    planes, integers = planes_of(grid), drawn(grid, 40, seed).reshape(5, 8)
    bits = split(integers, planes)
    assert bits.shape == (planes.count, 5, 8)
    assert bits.max() <= 1
    np.testing.assert_array_equal(joined(bits, planes), integers)


@pytest.mark.parametrize(
    ("low", "high", "step", "offset", "coefficients"),
    [
        (0, 1, 1, 0, (1,)),
        (-1, 1, 2, 1, (-2,)),
        (-1, 1, 1, 0, (1, -2)),
        (0, 3, 1, 0, (1, 2)),
        (0, 15, 1, 0, (1, 2, 4, 8)),
        (-3, 3, 2, 1, (2, -4)),
        (-8, 7, 1, 0, (1, 2, 4, -8)),
        (0, 0, 1, 0, (1,)),
    ],
)
def test_few_levels_are_few_planes(
    low: int, high: int, step: int, offset: int, coefficients: tuple[int, ...]
) -> None:
    planes = planes_of(Levels(low=low, high=high, step=step))
    assert (planes.offset, planes.coefficients) == (offset, coefficients)


@given(
    count=st.integers(1, 140), rows=st.integers(1, 3), width=st.sampled_from(WIDTHS),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_words_give_the_bits_back_and_their_tails_are_zero(
    count: int, rows: int, width: int, seed: int
) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (rows, count), np.uint8)
    words = pack(bits, width)
    assert words.shape == (rows, num_words(count, width))
    np.testing.assert_array_equal(unpack(words, count), bits)
    assert not unpack(words, words.shape[1] * width)[:, count:].any()
    assert count_bits(words).tolist() == bits.sum(1).tolist()
    first = sum(int(bit) << place for place, bit in enumerate(bits[0, :width]))
    assert int(words[0, 0]) == first


@given(
    x_grid=levels(), weight_grid=levels(), count=st.integers(1, 140),
    width=st.sampled_from(WIDTHS), seed=st.integers(0, 99),
)  # fmt: skip
def test_products_by_words_are_those_of_the_integers(
    x_grid: Levels, weight_grid: Levels, count: int, width: int, seed: int
) -> None:
    x, weight = drawn(x_grid, count, seed), drawn(weight_grid, count, seed + 1)
    x_planes, weight_planes = planes_of(x_grid), planes_of(weight_grid)
    words = [pack(split(*one), width) for one in ((x, x_planes), (weight, weight_planes))]
    assert dot(words[0], x_planes, words[1], weight_planes, count) == x @ weight


@given(
    num_taps=st.integers(1, 9), num_channels=st.integers(1, 130),
    sharing=st.sampled_from(["tap", "taps", "window"]), width=st.sampled_from(WIDTHS),
)  # fmt: skip
def test_inputs_of_a_window_have_a_bit_each(
    num_taps: int, num_channels: int, sharing: Sharing, width: int
) -> None:
    words = WindowWords(num_taps=num_taps, num_channels=num_channels, sharing=sharing, width=width)
    places = words.places()
    assert places.shape == (num_taps, num_channels)
    assert len(np.unique(places)) == places.size
    assert words.num_words == places.max() // width + 1
    of_tap = [set((row // width).tolist()) for row in places]
    if sharing == "tap":
        assert sum(map(len, of_tap)) == len(set().union(*of_tap)) == words.num_words
    if sharing == "taps" and num_channels <= width:
        assert {len(one) for one in of_tap} == {1}
        assert words.num_words == -(-num_taps // (width // num_channels))
    if sharing == "window":
        assert words.num_words == num_words(places.size, width)


@given(
    grid=levels(), shape=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    channels=st.integers(1, 130), width=st.sampled_from(WIDTHS), seed=st.integers(0, 99),
)  # fmt: skip
def test_tensors_are_what_was_laid_out(
    grid: Levels, shape: list[int], channels: int, width: int, seed: int
) -> None:
    axis = 0 if len(shape) == 3 else -1
    shape[axis] = channels
    x = drawn(grid, 2 * int(np.prod(shape)), seed).reshape(2, *shape)
    planes = planes_of(grid)
    memory = lay_out(x, planes, width)
    assert memory.shape[:2] == (2, planes.count)
    assert memory.shape[-1] == num_words(channels, width)
    np.testing.assert_array_equal(restore(memory, planes, channels), x)
    elements = lay_out(x, Elements())
    assert elements.flags.c_contiguous
    assert elements.shape[-1] == channels
    np.testing.assert_array_equal(restore(elements, Elements(), channels), x)


def test_which_weights_share_a_word() -> None:
    assert words_of_weights((2, 3), "window").tolist() == [[0, 0, 0], [1, 1, 1]]
    kernels = words_of_weights((2, 20, 1, 4), "taps")  # three taps of 20 channels a word
    assert kernels[0, :, 0].tolist() == [[0, 0, 0, 1]] * 20
    assert kernels[1].min() == 2
    assert words_of_weights((1, 70, 1, 2), "tap")[0, [0, 63, 64, 69], 0].tolist() == [
        [0, 2], [0, 2], [1, 3], [1, 3],
    ]  # fmt: skip


@given(seed=st.integers(0, 2**32 - 1), num_operations=st.integers(1, 12))
def test_moved_tensors_are_those_of_their_maps(seed: int, num_operations: int) -> None:
    program = Author(seed).program(num_operations)
    batch = inputs(program, 2, seed)
    values: dict[str, NDArray[Any]] = {**batch, **dict(execute(program, batch))}
    for operation in program.operations:
        direct = index_map(operation, program.types)
        is_moving = isinstance(operation, Concatenate | Permute | Reshape | Slice)
        assert (direct is not None) == is_moving
        for one in (direct, origin_of(program, operation.output)):
            if one is None:
                continue
            flat = [values[name].reshape(2, -1) for name in one.sources]
            moved = np.select(
                [one.source == number for number in range(len(flat))],
                [value[:, np.minimum(one.index, value.shape[1] - 1)] for value in flat],
            )
            np.testing.assert_array_equal(moved, values[operation.output])


@given(seed=st.integers(0, 2**32 - 1), num_operations=st.integers(1, 12))
def test_every_element_is_on_its_tensors_levels(seed: int, num_operations: int) -> None:
    program = Author(seed).program(num_operations)
    batch = inputs(program, 2, seed)
    found = levels_of(program)
    for name, value in execute(program, batch):
        grid = found[name]
        assert grid.low <= value.min()
        assert value.max() <= grid.high
        assert not ((value.astype(np.int64) - grid.low) % grid.step).any()


def test_a_window_wholly_in_the_padding_has_the_least_integer() -> None:
    codes = Threshold(
        inputs=("x",), output="codes", thresholds=np.array([[100]]),
        signs=np.ones(1, np.int8), low=-1, step=2, kind=S8,
    )  # fmt: skip
    pool = MaxPool(
        inputs=("codes",), output="y", windows=Windows(kernel=(1, 1), padding=(1, 0, 0, 0))
    )
    program = Program(
        inputs={"x": TensorType((1, 2, 2), U8)}, operations=(codes, pool), outputs=("y",)
    )
    assert levels_of(program)["codes"] == Levels(low=-1, high=1, step=2)
    assert levels_of(program)["y"].low == -128


def binary(padding: int) -> Program:
    """-1 and 1, pooled, through a convolution of weights -1 and 1, flattened, to a linear layer of
    8 bits."""
    codes = Threshold(
        inputs=("x",), output="codes", thresholds=np.array([[100]]),
        signs=np.ones(1, np.int8), low=-1, step=2, kind=S8,
    )  # fmt: skip
    pool = MaxPool(inputs=("codes",), output="pooled", windows=Windows(kernel=(2, 2)))
    layer = Convolution(
        inputs=("pooled",), output="sums", weight=np.ones((4, 3, 3, 3), np.int8), weight_bits=1,
        bias=np.zeros(4, np.int32), padding_codes=np.zeros(3, np.int32),
        windows=Windows(kernel=(3, 3), padding=(padding,) * 4),
    )  # fmt: skip
    again = Threshold(
        inputs=("sums",), output="again", thresholds=np.array([[0, 2]]),
        signs=np.ones(1, np.int8), low=0, step=1, kind=U8,
    )  # fmt: skip
    size = (9 - 2 + 2 * padding) ** 2 * 4
    flat = Reshape(inputs=("again",), output="row", shape=(size,))
    last = Linear(
        inputs=("row",), output="scores", weight=np.full((2, size), 7, np.int8), weight_bits=8,
        bias=np.zeros(2, np.int32),
    )  # fmt: skip
    return Program(
        inputs={"x": TensorType((3, 10, 10), U8)},
        operations=(codes, pool, layer, again, flat, last),
        outputs=("scores",),
    )


def test_tensors_that_binary_layers_read_lie_as_planes() -> None:
    one = Planes(offset=1, first=1, count=1, is_signed=True)
    elements = Elements()
    found = layouts(binary(0))
    assert found["pooled"] == one
    assert {found[name] for name in ("x", "sums", "again", "row", "scores")} == {elements}
    # The zeros beyond the border are a third level.
    assert layouts(binary(1))["pooled"] == elements
    assert layouts(binary(1), 2)["pooled"] == Planes(offset=0, first=0, count=2, is_signed=True)


def test_bits_need_words_that_are_full_enough() -> None:
    program = binary(0)
    layer = program.operations[2]
    assert isinstance(layer, Convolution)
    bound = program.bounds["pooled"]
    assert not are_bits(layer, program.types["pooled"], bound)
    wide = Linear(
        inputs=("x",), output="y", weight=np.ones((2, 32), np.int8), weight_bits=1,
        bias=np.zeros(2, np.int32),
    )  # fmt: skip
    assert are_bits(wide, TensorType((32,), S8), bound)
    assert not are_bits(wide, TensorType((32,), U8), program.bounds["x"])
