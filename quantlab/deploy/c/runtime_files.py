"""The hand-written part of a model: the files of `runtime/` that it needs."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

RUNTIME = Path(__file__).parent / "runtime"
_SIZES = "sizes.h"


def runtime_files(sources: Iterable[str], *, most_made: int) -> Mapping[str, str]:
    """Return these sources, named without `.c`, and all that they include, by name.

    most_made: how many rows are made of the sums of one layer.
    """
    found: dict[str, str] = {}
    waiting = [f"{name}.c" for name in sources]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = (RUNTIME / name).read_text(encoding="utf-8")
            waiting += re.findall(r'^#include "(.*)"', found[name], re.MULTILINE)
    if _SIZES in found:
        size = rf"\g<1>{most_made}"
        found[_SIZES] = re.sub(r"(QL_MOST_MADE = )\d+", size, found[_SIZES])
    return {name: found[name] for name in sorted(found)}


def headers_for(text: str) -> list[str]:
    """Return the headers of the runtime whose structures a text has."""
    words = set(re.findall(r"\bql_\w+", text))
    return [name for name, kinds in _structures().items() if not words.isdisjoint(kinds)]


@cache
def _structures() -> Mapping[str, list[str]]:
    """Return the structures that each header of the runtime defines."""
    return {
        path.name: re.findall(r"^\} (ql_\w+);", path.read_text(encoding="utf-8"), re.MULTILINE)
        for path in sorted(RUNTIME.glob("*.h"))
    }
