"""The base of the lab's configuration models, and how their complaints name a line of a file."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from experiments.configuration.documents import Document, KeyPath, dotted, parse_value
from quantlab.errors import UsageError
from quantlab.settings import Schema, first_complaint, node_of

S = TypeVar("S", bound=BaseModel)


class Section(BaseModel):
    """A part of the configuration: unknown keys and wrong types are errors; values are final."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ClassSpec(Section):
    """A class by its name, and the arguments of its constructor."""

    name: str = Field(alias="class", min_length=1)
    params: dict[str, Any] = {}


def validate(model: type[S], document: Document) -> S:
    """Build `model` from the document; the first complaint becomes a UsageError of one line.

    Fields of text take what the command line says as it is, not what YAML makes of it.
    """
    document = _with_texts(model, document)
    try:
        return model.model_validate(document.values)
    except ValidationError as error:
        raise complain(document, *first_complaint(error, model, document.values)) from None


def _with_texts(model: type[BaseModel], document: Document) -> Document:
    """Return the document with the raw text of each field of text that the command line gives.

    Raises UsageError for what is no YAML elsewhere; sections that this model leaves to another are
    left to it.
    """
    schema = model.model_json_schema() if document.texts else {}
    left = {name for name, given in model.model_fields.items() if given.annotation is Any}
    values = copy.deepcopy(document.values) if document.texts else document.values
    for path, text in document.texts.items():
        if path[0] in left:
            continue
        kinds = _kinds(node_of(schema, document.values, path), schema.get("$defs", {}))
        if kinds - {"null"} != {"string"}:
            parse_value(text, name=f"--{dotted(path)}")
        elif not text.startswith(("'", '"')):  # quotes are YAML's own way of saying that it is text
            here: Any = values
            for part in path[:-1]:
                here = here[part]
            here[path[-1]] = None if "null" in kinds and text in ("null", "~", "") else text
    return replace(document, values=values)


def _kinds(node: Schema, definitions: Mapping[str, Schema]) -> set[str]:
    """Return the JSON types that a field takes, `enum` in place of that of a few values."""
    while "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[-1]]
    branches = node.get("anyOf", [node])
    return {"enum" if {"enum", "const"} & one.keys() else str(one.get("type")) for one in branches}


def complain(document: Document, path: KeyPath, message: str) -> UsageError:
    """Return the error for the value at `path`, with the place where it was given."""
    origin = document.origin(path)
    return UsageError(f"{dotted(path)}: {message}" + (f" ({origin})" if origin else ""))
