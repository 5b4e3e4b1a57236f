"""Whether each tile of a model can be done again: it reads nothing that it may have written over.

The power may fail before any commit. Then the tile is done again, in memory as it was left. So a
call may write no byte that it reads, in whatever tile; scratch memory it writes before it reads it.
And it has to read what was written there last.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, product

import numpy as np

from quantlab.deploy.c.arena import Arena
from quantlab.deploy.c.call import Call

PROGRESS = 4
"""The bytes at the begin of an arena that progress takes: two, and two that align the rest."""


def behind_progress(arena: Arena) -> Arena:
    """Return the same placement behind the progress."""
    return Arena(
        offsets={name: offset + PROGRESS for name, offset in arena.offsets.items()},
        size=arena.size + PROGRESS,
    )


def check_repeatable(calls: Sequence[Call], arena: Arena, sizes: Mapping[str, int]) -> None:
    """Raise RuntimeError, with the call and the buffers, if a tile could not be done again.

    arena: behind the progress. sizes: of its buffers. All others are memory of the caller, of which
    no part lies in another one.
    """
    names = list(arena.offsets)
    spans = {name: slice(at, at + sizes[name]) for name, at in arena.offsets.items()}
    owners = np.full(arena.size, -1)  # of each byte, by their numbers
    for call in calls:
        read = _buffers(call, is_written=False)
        written = _buffers(call, is_written=True)
        pairs = [*product(read, written), *combinations(written, 2)]
        for name, other in pairs:
            if name == other or _meet(spans.get(name), spans.get(other)):
                raise RuntimeError(f"{_owner(call)} writes '{other}' where '{name}' lies")
        for name in read:
            if name in spans and (owners[spans[name]] != names.index(name)).any():
                raise RuntimeError(f"{_owner(call)} reads '{name}', which is written over")
        for name in written:
            if name in spans:
                owners[spans[name]] = names.index(name)
    if any(at < PROGRESS for at in arena.offsets.values()):
        raise RuntimeError("C: a buffer lies over the progress")


def _buffers(call: Call, *, is_written: bool) -> list[str]:
    found = [one.buffer for one in call.pointers if one.is_written == is_written]
    return list(dict.fromkeys(found))


def _meet(one: slice | None, other: slice | None) -> bool:
    if one is None or other is None:
        return False
    return bool(max(one.start, other.start) < min(one.stop, other.stop))


def _owner(call: Call) -> str:
    return f"C: {call.function} of layer '{call.layer}'"
