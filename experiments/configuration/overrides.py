"""Values given on the command line by dotted names: `--quantize.rules.0.algorithm.num_bits=4`."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.configuration.documents import Document, KeyPath, dotted, parse_value
from quantlab.errors import UsageError

ORIGIN = "command line"


@dataclass(frozen=True, kw_only=True)
class Override:
    """One `--a.b=c`."""

    path: KeyPath
    text: str

    @property
    def name(self) -> str:
        return dotted(self.path)


def parse_override(name: str, text: str) -> Override:
    """Split a dotted name; whole numbers address items of lists."""
    parts = name.split(".")
    if not all(parts):
        raise UsageError(f"--{name}: an empty part in the dotted name")
    return Override(path=tuple(int(p) if p.isdecimal() else p for p in parts), text=text)


def apply_overrides(document: Document, overrides: Sequence[Override]) -> Document:
    """Set each override's value, read as YAML; what is no YAML may yet be text, as `validate` finds
    out. A new `class` drops the old `params`, and so is set before what else stands on the command
    line."""
    values = copy.deepcopy(document.values)
    origins, texts = dict(document.origins), dict(document.texts)
    for override in sorted(overrides, key=lambda o: o.path[-1] != "class"):
        try:
            value = parse_value(override.text, name=f"--{override.name}")
        except UsageError:
            value = override.text
        _set(values, override, value)
        for known in (origins, texts):
            for below in [p for p in known if p[: len(override.path)] == override.path]:
                del known[below]
        texts[override.path] = override.text
        origins[override.path] = ORIGIN
    return Document(values=values, origins=origins, texts=texts)


def _set(root: dict[str, Any], override: Override, value: Any) -> None:
    here: Any = root
    for depth, part in enumerate(override.path[:-1]):
        here = _child(here, part, override, depth)
    last = override.path[-1]
    if isinstance(here, list):
        here[_index(here, last, override)] = value
    elif isinstance(here, dict):
        if last == "class" and here.get("class") != value:
            here.pop("params", None)
        here[last] = value
    else:
        raise UsageError(f"--{override.name}: {dotted(override.path[:-1])} is {here!r}, no section")


def _child(here: Any, part: Any, override: Override, depth: int) -> Any:
    if isinstance(here, list):
        return here[_index(here, part, override)]
    if not isinstance(here, dict):
        raise UsageError(
            f"--{override.name}: {dotted(override.path[:depth])} is {here!r}, no section"
        )
    if here.get(part) is None:
        here[part] = {}
    return here[part]


def _index(items: list[Any], part: Any, override: Override) -> int:
    if not isinstance(part, int) or part >= len(items):
        allowed = f"0 to {len(items) - 1}" if items else "nothing, the list is empty"
        raise UsageError(f"--{override.name}: {part!r} is no item of the list; allowed: {allowed}")
    return part
