"""The hand-written part of a model: the files of `runtime/` that it needs."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

RUNTIME = Path(__file__).parent / "runtime"


def runtime_files(sources: Iterable[str]) -> Mapping[str, str]:
    """Return these sources, named without `.c`, and all that they include, by name."""
    found: dict[str, str] = {}
    waiting = [f"{name}.c" for name in sources]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = (RUNTIME / name).read_text(encoding="utf-8")
            waiting += re.findall(r'^#include "(.*)"', found[name], re.MULTILINE)
    return {name: found[name] for name in sorted(found)}


def headers_for(text: str) -> list[str]:
    """Return the headers of the runtime whose structures a text has."""
    return [
        path.name
        for path in sorted(RUNTIME.glob("*.h"))
        if any(
            re.search(rf"\b{kind}\b", text)
            for kind in re.findall(r"^\} (ql_\w+);", path.read_text(encoding="utf-8"), re.MULTILINE)
        )
    ]
