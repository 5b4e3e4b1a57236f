"""Where buffers lie: never in one another's way, and over what is read no more."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quantlab.deploy.c.arena import ALIGNMENT, Gap, Lifetime, place
from quantlab.deploy.c.overlap import Places, place_gap, window_gap
from quantlab.errors import UsageError
from quantlab.integer.operations import Windows

LIFETIMES = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=3),
    st.builds(
        lambda size, first, length: Lifetime(size=size, first=first, last=first + length),
        st.integers(1, 50),
        st.integers(0, 8),
        st.integers(0, 5),
    ),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(LIFETIMES)
def test_buffers_never_overlap_and_no_byte_is_spare(lifetimes: Mapping[str, Lifetime]) -> None:
    arena = place(lifetimes)
    assert all(offset % ALIGNMENT == 0 for offset in arena.offsets.values())
    used = np.zeros(arena.size, bool)
    for name, own in lifetimes.items():
        begin, end = arena.offsets[name], arena.offsets[name] + own.size
        used[begin : -(-end // ALIGNMENT) * ALIGNMENT] = True
        for other, lifetime in lifetimes.items():
            if other != name and own.meets(lifetime):
                start = arena.offsets[other]
                assert end <= start or start + lifetime.size <= begin
    assert used.all()


def test_a_chain_needs_no_more_than_its_largest_pair() -> None:
    chain = {f"t{i}": Lifetime(size=8 * (i + 1), first=i, last=i + 1) for i in range(5)}
    assert place(chain).size == 8 * 5 + 8 * 4


def test_a_chain_of_steps_in_place_needs_one_buffer_and_a_gap() -> None:
    """Gaps do not add up: every other step goes backward."""
    gap = Gap(forward=8, backward=8)
    chain = {
        f"t{i}": Lifetime(size=80, first=i, last=i + 1, over={f"t{i - 1}": gap} if i else {})
        for i in range(6)
    }
    assert place(chain).size == 88


@st.composite
def layers(draw: st.DrawFn) -> tuple[Windows, Places, Places]:
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    windows = Windows(
        kernel=draw(pair),
        stride=draw(pair),
        dilation=draw(pair),
        padding=draw(st.tuples(*[st.integers(0, 2)] * 4)),
    )
    given_ = Places(
        rows=draw(st.integers(1, 6)), columns=draw(st.integers(1, 6)), size=draw(st.integers(1, 4))
    )
    try:
        rows, columns = windows.output_size(given_.rows, given_.columns)
    except UsageError:
        assume(condition=False)
    return windows, given_, Places(rows=rows, columns=columns, size=draw(st.integers(1, 4)))


def is_safe(
    windows: Windows,
    given_: Places,
    result: Places,
    offset: int,
    *,
    is_backward: bool,
    pooling: Windows | None = None,
) -> bool:
    """Write place after place, the result at an offset from the input; return whether nothing is
    read that was written before."""
    written: set[int] = set()
    rows, columns = windows.output_size(given_.rows, given_.columns)
    numbers = range(rows * columns)
    for number in reversed(numbers) if is_backward else numbers:
        i, j = divmod(number, columns)
        read = {
            (row * given_.columns + column) * given_.size + byte
            for k in range(windows.kernel[0])
            for m in range(windows.kernel[1])
            for byte in range(given_.size)
            if (row := i * windows.stride[0] - windows.padding[0] + k * windows.dilation[0]) >= 0
            and row < given_.rows
            and (column := j * windows.stride[1] - windows.padding[1] + m * windows.dilation[1])
            >= 0
            and column < given_.columns
        }
        # A place is written while its window is read.
        to = number if pooling is None else pooled(pooling, i, j, result)
        if to is not None:
            written |= {offset + to * result.size + byte for byte in range(result.size)}
        if read & written:
            return False
    return True


def pooled(pooling: Windows, i: int, j: int, result: Places) -> int | None:
    """Return the place of the result in whose window a place lies, if in any."""
    for number in range(result.count):
        rest = (
            i - number // result.columns * pooling.stride[0],
            j - number % result.columns * pooling.stride[1],
        )
        if all(0 <= at < edge for at, edge in zip(rest, pooling.kernel, strict=True)):
            return number
    return None


@settings(max_examples=60, deadline=None)
@given(layers(), st.tuples(*[st.integers(1, 3)] * 4), st.integers(0, 3))
def test_images_that_are_pooled_are_read_before_they_are_written_over(
    layer: tuple[Windows, Places, Places], sizes: tuple[int, int, int, int], more: int
) -> None:
    windows, given_, image = layer
    kernel = sizes[0], sizes[1]
    pooling = Windows(kernel=kernel, stride=(kernel[0] + sizes[2] - 1, kernel[1] + sizes[3] - 1))
    try:
        rows, columns = pooling.output_size(image.rows, image.columns)
    except UsageError:
        assume(condition=False)
    result = Places(rows=rows, columns=columns, size=image.size)
    gap = window_gap(windows, given_, result, pooling)
    assert gap.backward is None
    offset = -gap.forward - more
    assert is_safe(windows, given_, result, offset, is_backward=False, pooling=pooling)


def test_the_gap_of_a_pooled_image_is_a_row_of_it() -> None:
    image = Places(rows=6, columns=4, size=2)
    windows = Windows(kernel=(3, 3), padding=(1, 1, 1, 1))
    pooling, result = Windows(kernel=(2, 2), stride=(2, 2)), Places(rows=3, columns=2, size=2)
    gap = window_gap(windows, image, result, pooling)
    assert gap == Gap(forward=2 * 2, backward=None)
    assert not is_safe(windows, image, result, 1 - 4, is_backward=False, pooling=pooling)


def test_a_step_that_cannot_go_backward_never_does() -> None:
    gaps = [Gap(forward=8, backward=8), Gap(forward=8, backward=None)]
    chain = {
        f"t{i}": Lifetime(
            size=80, first=i, last=i + 1, over={f"t{i - 1}": gaps[i % 2]} if i else {}
        )
        for i in range(9)
    }
    arena = place(chain)
    assert arena.backward <= {2, 4, 6, 8}
    assert arena.size == 80 + 8


@settings(max_examples=150, deadline=None)
@given(layers(), st.integers(0, 3))
def test_windows_are_read_before_they_are_written_over(
    layer: tuple[Windows, Places, Places], more: int
) -> None:
    windows, given_, result = layer
    gap = window_gap(windows, given_, result)
    assert gap.backward is not None
    assert is_safe(windows, given_, result, -gap.forward - more, is_backward=False)
    assert is_safe(windows, given_, result, gap.backward + more, is_backward=True)


def test_the_gap_of_a_kernel_of_three_is_one_row_and_two_places() -> None:
    image = Places(rows=5, columns=4, size=2)
    windows = Windows(kernel=(3, 3), padding=(1, 1, 1, 1))
    gap = window_gap(windows, image, image)
    assert gap == Gap(forward=(backward := (4 + 2) * 2), backward=backward)
    assert not is_safe(windows, image, image, 1 - gap.forward, is_backward=False)
    assert not is_safe(windows, image, image, backward - 1, is_backward=True)


@pytest.mark.parametrize(("given_size", "size"), [(1, 1), (4, 1), (1, 4), (2, 2)])
def test_numbers_in_their_places(given_size: int, size: int) -> None:
    """Each is read just before it is written, from the first to the last of a place."""
    given_, result = (Places(rows=2, columns=3, size=one) for one in (given_size, size))
    windows = Windows(kernel=(1, 1))
    backward = place_gap(given_, result).backward
    assert backward is not None
    assert is_safe(windows, given_, result, backward, is_backward=True)
    forward = place_gap(given_, result).forward
    for number in range(given_.count):
        written = -forward + (number + 1) * size
        assert written <= (number + 1) * given_size
