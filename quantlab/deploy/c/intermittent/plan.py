"""The tiles of a model: which rows of each call are done between two commits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quantlab.deploy.c.call import Call
from quantlab.deploy.c.intermittent.power import Power
from quantlab.deploy.c.intermittent.work import A_TILE, Work
from quantlab.errors import UsageError

KEEP = "QL_KEEP_TENSOR"
MOST_TILES = 2**16 - 2  # the number behind the last one has 16 bits too
_PROGRESS = ("power_resume", "power_commit", "power_reset", "power_is_under_way")
_NEEDS: Mapping[str, Sequence[str]] = {
    "tile_product": ("tile_made",),
    "tile_columns": ("tile_made", "fill_window"),
    "tile_channels": ("tile_made",),
    "tile_max_pool": ("tile_begin_pool",),
    "tile_sum_pool": ("tile_begin_pool", "tile_made"),
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """A call in tiles. first: the number of its first tile, from 1. tiles: how many. rows: of one
    at most. instructions: of one at most, about."""

    call: Call
    first: int
    tiles: int
    rows: int
    instructions: int


def steps_of(calls: Sequence[Call], power: Power) -> list[Step]:
    """Return the steps of a model: its calls but those that only QL_TRACE makes.

    Raises UsageError, with the layer, for a tile that takes more than the power has energy for, and
    for more tiles than progress can count.
    """
    steps: list[Step] = []
    first = 1
    for call in calls:
        if call.function != KEEP:
            steps.append(_step(call, first, power))
            first += steps[-1].tiles
    _check(steps, power)
    return steps


def num_tiles(steps: Sequence[Step]) -> int:
    """Return how many tiles there are in all."""
    return sum(step.tiles for step in steps)


def form_of(step: Step) -> str | None:
    """Return the function of the runtime that does a tile, without `ql_`; None for the call's own,
    which does all of it."""
    return work_of(step.call).form if step.tiles > 1 else None


def work_of(call: Call) -> Work:
    """Return the work of a call. Raises RuntimeError if an emitter does not say it."""
    if call.work is None:
        raise RuntimeError(f"C: {call.function} of layer '{call.layer}' does not say its work")
    return call.work


def tile_sources(steps: Sequence[Step]) -> set[str]:
    """Return the files of the runtime that tiles need, without `.c`."""
    found = {form for step in steps if (form := form_of(step)) is not None}
    return {*found, *_PROGRESS, *(name for form in found for name in _NEEDS.get(form, ()))}


def said_of(steps: Sequence[Step], power: Power) -> dict[str, object]:
    """Return what the manifest says of tiles."""
    tiles = [
        {
            "layer": step.call.layer,
            "tiles": step.tiles,
            "instructions": step.instructions,
        }
        for step in steps
    ]
    energy = {} if power.energy is None else {"energy": str(power.energy)}
    return {"intermittent": "yes", **energy, "tiles": tiles}


def _step(call: Call, first: int, power: Power) -> Step:
    work = work_of(call)
    of_row = work.instructions / (work.rows * work.parts)
    rows = 0 if work.is_fixed else int((power.wanted - A_TILE) / max(of_row, 1))
    rows = min(max(rows // work.together, 1) * work.together, work.rows)
    return Step(
        call=call,
        first=first,
        tiles=-(-work.rows // rows) * work.parts,
        rows=rows,
        instructions=int(rows * of_row) + A_TILE,
    )


def _check(steps: Sequence[Step], power: Power) -> None:
    count = num_tiles(steps)
    if count > MOST_TILES:
        raise UsageError(
            f"intermittent: {count:,} tiles needed, at most {MOST_TILES:,} allowed in C; with more "
            "energy a charge they are larger"
        )
    largest = max(steps, key=lambda step: step.instructions)
    if power.energy is not None and largest.instructions > power.energy:
        raise UsageError(
            f"energy: {power.energy:,} instructions a charge given, but the smallest tile of "
            f"layer '{largest.call.layer}' takes about {largest.instructions:,}: no charge would "
            "finish it"
        )
