"""Write docs/algorithms.md from the docstrings: python -m docs.reference"""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from quantlab.algorithms.table import ALGORITHMS

PAGE = Path(__file__).resolve().parent / "algorithms.md"
_HEAD = """# Algorithms

What each algorithm computes, and its settings: from the docstrings of `quantlab/algorithms`, by
`python -m docs.reference`. Which one to take: [choosing.md](choosing.md).
"""
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "`null`",
    "object": "mapping",
    "array": "list",
}
_LIMITS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "exclusiveMaximum": "below {}",
}


def describe(schema: dict[str, Any]) -> str:
    """Return a JSON schema in words, as the tables have it."""
    branches = schema.get("anyOf")
    if branches:
        return " or ".join(describe(branch) for branch in branches)
    if "$ref" in schema or "allOf" in schema or "oneOf" in schema:
        return "section"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`".replace('"', "")
    limits = [text.format(schema[key]) for key, text in _LIMITS.items() if key in schema]
    return " ".join([_WORDS[schema["type"]], *limits])


def keys(model: type[BaseModel]) -> Iterator[list[str]]:
    """Yield key, type and default of a model's keys."""
    schema = model.model_json_schema()
    for key, entry in schema["properties"].items():
        default = "required"
        if key not in schema.get("required", ()):
            text = json.dumps(entry["default"]).replace('"', "")
            default = f"`{text}`" if text else "empty"
        yield [f"`{key}`", describe(entry), default]


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings of a model and of its bases say of each key: `key: text`."""
    found: dict[str, str] = {}
    for cls in model.__mro__:
        text = inspect.cleandoc(cls.__doc__ or "")
        for match in re.finditer(r"^(\w+): (.*(?:\n +.*)*)", text, re.MULTILINE):
            found.setdefault(match[1], " ".join(match[2].split()).removesuffix("."))
    return found


def section(name: str, model: type[BaseModel]) -> str:
    """Return the page's section of one algorithm."""
    module = inspect.getmodule(model)
    text = inspect.cleandoc((module.__doc__ if module else None) or "")
    said = meanings(model)
    rows = [
        f"| {key} | {kind} | {default} | {said[key.strip('`')]} |"
        for key, kind, default in keys(model)
        if key != "`kind`"
    ]
    table = ["| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows]
    return f"## {name}\n\n{text}\n\n" + "\n".join(table) + "\n"


def page() -> str:
    """Return the whole page."""
    return "\n".join([_HEAD, *(section(name, model) for name, model in ALGORITHMS.items())])


if __name__ == "__main__":
    PAGE.write_text(page())
