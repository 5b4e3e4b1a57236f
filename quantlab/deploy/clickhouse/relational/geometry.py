"""Where elements lie: coordinates, borders and windows.

Of an image `[C, H, W]` an element is channel, y and x. A window is a place of the output, and has
taps, the places of the kernel.
"""

from collections.abc import Sequence
from math import prod

from quantlab.deploy.clickhouse.relational.writer import columns, step
from quantlab.deploy.clickhouse.sql.functions import call, index, quotient, remainder, wide
from quantlab.deploy.clickhouse.sql.nodes import (
    Column,
    Expression,
    Join,
    Literal,
    Select,
    Source,
    Step,
    UnionAll,
    Value,
)
from quantlab.integer.operations import Windows
from quantlab.integer.tensor_type import TensorType


def size(name: str, number: int) -> Value:
    """Return a number that is never negative as a parameter."""
    return Value(name, "UInt32", number)


def numbers(name: str, count: int) -> Expression:
    """Return the numbers from 0 to below a count, a row each."""
    return call("arrayJoin", call("range", size(name, count)))


def coordinates(shape: Sequence[int]) -> list[Expression]:
    """Return the coordinates of `element` in a tensor of a shape."""
    found: list[Expression] = []
    for axis, length in enumerate(shape):
        inner, outer = prod(shape[axis + 1 :]), prod(shape[:axis])
        place: Expression = Column("element")
        if inner > 1:
            place = quotient(place, size(f"inner_{axis}", inner))
        if outer > 1:
            place = remainder(place, size(f"size_{axis}", length))
        found.append(place if length > 1 else Literal(0))
    return found


def flat(places: Sequence[Expression], shape: Sequence[int]) -> Expression:
    """Return the element at coordinates in a tensor of a shape."""
    terms: list[Expression] = []
    for axis, place in enumerate(places):
        inner = prod(shape[axis + 1 :])
        if shape[axis] > 1:
            terms.append(place * size(f"stride_{axis}", inner) if inner > 1 else place)
    total = terms[0] if terms else Literal(0)
    for term in terms[1:]:
        total = total + term
    return index(total)


def pixels(source: Source, given: TensorType) -> Step:
    """Return an image's elements as (sample, channel, y, x, value)."""
    channel, y, x = (index(place) for place in coordinates(given.shape))
    made = columns("sample", channel=channel, y=y, x=x, value=Column("value"))
    return step("pixels", made, source)


def padded(
    image: Step, samples: Step, given: TensorType, windows: Windows, codes: Step | int
) -> Step:
    """Return an image with its border. codes: (channel, code), or one code of all channels."""
    _, height, width = given.shape
    top, left, bottom, right = windows.padding
    below, beside = windows.overhang(height, width)
    if not any((*windows.padding, below, beside)):
        return image
    moved = Select(
        columns=columns(
            "sample", "channel",
            y=index(Column("y") + size("top", top)),
            x=index(Column("x") + size("left", left)),
            value=Column("value"),
        ),
        source=image,
    )  # fmt: skip
    padded_size = top + height + bottom + below, left + width + right + beside
    border = _border(samples, given, padded_size, windows, codes)
    return Step("padded", UnionAll((moved, border)))


def _border(
    samples: Step,
    given: TensorType,
    padded_size: tuple[int, int],
    windows: Windows,
    codes: Step | int,
) -> Select:
    channels, height, width = given.shape
    rows, row_length = padded_size
    cell, length = Column("cell"), size("padded_width", row_length)
    cells = numbers("cells", channels * rows * row_length)
    numbered = step("cells", columns("sample", cell=cells), samples)
    made = columns(
        "sample",
        channel=index(quotient(cell, size("padded_area", rows * row_length))),
        y=index(remainder(quotient(cell, length), size("padded_height", rows))),
        x=index(remainder(cell, length)),
    )
    placed = step("placed_cells", made, numbered)
    top, left = windows.padding[:2]
    y, x = Column("y"), Column("x")
    above_or_below = (y < size("top", top)) | (y >= size("bottom", top + height))
    beside = (x < size("left", left)) | (x >= size("right", left + width))
    source: Source = placed
    code: Expression = Column("code")
    if isinstance(codes, int):
        code = Value("code", "Int32", codes)
    else:
        source = Join(placed, codes, ("channel",))
    made = columns("sample", "channel", "y", "x", value=code)
    return Select(columns=made, source=source, where=(above_or_below | beside,))


def windowed(image: Step, given: TensorType, windows: Windows, carried: Sequence[str]) -> Step:
    """Return (sample, place, tap, *carried): each pixel of a padded image in all windows that have
    it. carried: the columns beside y and x. given: without the border."""
    rows, row_length = windows.output_size(*given.shape[1:])
    tap, y, x = Column("tap"), Column("y"), Column("x")
    if windows.kernel == windows.stride == (1, 1):
        same = y * size("columns", row_length) + x
        made = columns("sample", *carried, place=index(same), tap=index(Literal(0)))
        return step("windows", made, image)
    kernel_width = size("kernel_width", windows.kernel[1])
    taps = numbers("taps", prod(windows.kernel))
    tapped = step("taps", columns("sample", "y", "x", *carried, tap=taps), image)
    row, column = quotient(tap, kernel_width), remainder(tap, kernel_width)
    if windows.dilation != (1, 1):
        row, column = (
            place * size(name, dilation)
            for place, name, dilation in zip(
                (row, column), ("dilation_y", "dilation_x"), windows.dilation, strict=True
            )
        )
    down, across = wide(y) - wide(row), wide(x) - wide(column)
    begun = step("starts", columns("sample", "tap", *carried, down=down, across=across), tapped)
    strides = size("stride_y", windows.stride[0]), size("stride_x", windows.stride[1])
    starts = Column("down"), Column("across")
    counts = size("rows", rows), size("columns", row_length)
    inside: list[Expression] = []
    for start, stride, count in zip(starts, strides, counts, strict=True):
        inside += [start >= 0, start < stride * count, remainder(start, stride).equals(0)]
    place = quotient(starts[0], strides[0]) * counts[1] + quotient(starts[1], strides[1])
    made = columns("sample", *carried, place=index(place), tap=index(tap))
    return step("windows", made, begun, where=tuple(inside))


def aligned(source: Source, shape: Sequence[int], output: Sequence[int], value: str) -> Step:
    """Return (sample, element, value) with the elements of an output that a tensor broadcasts to.

    value: the name of the column and of the step.
    """
    if tuple(shape) == tuple(output):
        return step(value, columns("sample", "element", **{value: Column("value")}), source)
    copies = [(axis, length) for axis, length in enumerate(output) if shape[axis] != length]
    rest = prod(length for _, length in copies)
    copied = step(
        "copies", columns("sample", "element", "value", copy=numbers("copies", rest)), source
    )
    places = coordinates(shape)
    for axis, length in copies:
        rest //= length
        place: Expression = Column("copy")
        if rest > 1:
            place = quotient(place, size(f"copies_{axis}", rest))
        places[axis] = remainder(place, size(f"length_{axis}", length))
    moved = columns("sample", moved=flat(places, output), value=Column("value"))
    placed = step("placed_copies", moved, copied)
    made = columns("sample", **{"element": Column("moved"), value: Column("value")})
    return step(value, made, placed)
