"""What a call does: how many instructions it takes, and which rows of it can be done alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from quantlab.deploy.c.intermittent.power import Power

TILE_UNIT = 64  # QL_TILE_UNIT
A_TILE = 300
"""Instructions of a tile besides its work, about."""

# How many instructions a Cortex-M4 takes, rather more than less.
_OF_LOADED, _OF_MADE, _OF_ROW = 15, 45, 100
_OF_COPIED, _OF_COPY = 4, 40  # a byte, and each copy besides


@dataclass(frozen=True, kw_only=True)
class Work:
    """The work of a call.

    instructions: that a Cortex-M4 takes for all of it, about. rows: of equal work. form: the
    function of the runtime that does some of them, without `ql_`; none for what is done whole.
    before, after, last: its arguments before those of the call, behind them, and at the end.
    together: how many rows, from a multiple of them on, are done in one piece. parts: how many
    tiles the same rows have. is_fixed: whether a tile has no more rows than are done together.
    """

    instructions: float
    rows: int = 1
    form: str | None = None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    together: int = 1
    parts: int = 1
    is_fixed: bool = False


def is_one_tile(instructions: float, power: Power) -> bool:
    """Return whether work is to be done in one piece."""
    return instructions + A_TILE <= power.wanted


def copy_work(num_bytes: int) -> Work:
    """Return the work of a `memcpy`."""
    return Work(instructions=num_bytes, rows=-(-num_bytes // TILE_UNIT), form="tile_copy")


def walk_work(sizes: Sequence[int], *, can_begin: bool) -> Work:
    """Return the work of `ql_walk_rows`. sizes: of its axes. can_begin: whether it can begin at any
    place of the first one."""
    instructions = prod(sizes) * _OF_MADE + prod(sizes[:-1]) * _OF_ROW
    if not can_begin:
        return Work(instructions=instructions)
    return Work(instructions=instructions, rows=sizes[0], form="tile_walk")


def search_work(num_places: int, count: int) -> Work:
    """Return the work of `ql_argmax_all`, of `count` elements for each place."""
    return Work(instructions=num_places * (_OF_ROW + 2 * _OF_LOADED * count))


def pool_work(num_taken: float, result: Sequence[int], element: int, form: str | None) -> Work:
    """Return the work of a pooling.

    num_taken: elements of a window. result: its shape `[C, H, W]`. element: the bytes of one of the
    input. form: as of `Work`.
    """
    channels, rows, columns = result
    of_place = channels * (_OF_LOADED * num_taken + _OF_MADE) + _OF_ROW
    instructions = rows * columns * of_place
    if form is None:
        return Work(instructions=instructions)
    return Work(instructions=instructions, rows=rows, form=form, after=(str(element),))


def channel_work(
    num_taken: float, result: Sequence[int], given: Sequence[int], element: int, power: Power
) -> Work:
    """Return the work of a pooling that is done for some channels at a time, `together`: they are
    copied before. given: the shape of the input; all else as of `pool_work`."""
    channels, rows, columns = given
    num_results, num_places = prod(result[1:]), rows * columns
    of_channel = num_results * (_OF_LOADED * num_taken + _OF_MADE)
    of_channel += num_places * element * _OF_COPIED
    fixed = num_results * _OF_ROW + num_places * _OF_COPY
    count = min(max(int((power.wanted - A_TILE - fixed) / of_channel), 1), channels)
    return Work(
        instructions=(of_channel + fixed / count) * channels,
        rows=channels,
        form="tile_channels",
        after=(str(element),),
        together=count,
        is_fixed=True,
    )
