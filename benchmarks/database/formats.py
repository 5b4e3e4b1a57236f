"""The part of a module's time that rows take to get in and out in the format RowBinary.

That is the most that another format, such as Buffers, could save. The modules read RowBinary alone.
The ratio is the module's whole time / the time of its own code.
"""

from collections.abc import Iterator
from statistics import median

from benchmarks.database.log import logged
from benchmarks.database.speed import query
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row

PEER = "the module's own code"
_EVENTS = ("Serialization", "Deserialization", "GuestExecute")


def shares(name: str, count: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the row of a network on so many images."""
    text = query(workplace.model(name), workplace.table(name, count))
    events = ", ".join(f"ProfileEvents['Wasm{event}Microseconds']" for event in _EVENTS)
    turns = []
    for _ in range(workplace.repeats):
        rows_in, rows_out, own = map(int, logged(workplace, text, f"[{events}]"))
        turns.append((rows_in + rows_out, own))
    yield workplace.row(
        "format", name, "RowBinary", images=len(workplace.images(name, count).pixels), peer=PEER,
        value=100 * median(moved / (moved + own) for moved, own in turns), unit="% of the module",
        ratio=median((moved + own) / own for moved, own in turns),
    )  # fmt: skip
