"""The base of all configuration models, and how their complaints become one line."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from experiments.configuration.documents import Document, KeyPath, dotted, parse_value
from quantlab.errors import UsageError, did_you_mean

S = TypeVar("S", bound=BaseModel)
Schema = dict[str, Any]


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
        raise UsageError(_describe(error, model, document)) from None


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
        kinds = _kinds(_node(schema, document.values, path), schema.get("$defs", {}))
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


def _describe(error: ValidationError, model: type[BaseModel], document: Document) -> str:
    # Unknown keys first: a misspelt name also makes its right name missing.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    path = _path_in(document.values, first["loc"], is_new=first["type"] == "missing")
    message = first["msg"]
    if first["type"] == "extra_forbidden":
        allowed = _keys_beside(model, document, path)
        message = "unknown key" + did_you_mean(str(path[-1]), allowed)
        if "did you mean" not in message and allowed:
            message += f"; allowed: {', '.join(sorted(allowed))}"
    elif first["type"] == "missing":
        message = "missing"
    elif first["type"] == "union_tag_not_found":
        path = (*path, str(first["ctx"]["discriminator"]).strip("'"))
        message = "missing"
    elif first["type"] == "union_tag_invalid":
        context = first["ctx"]
        path = (*path, str(context["discriminator"]).strip("'"))
        tags = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
        hint = did_you_mean(str(context["tag"]), tags)
        message = f"'{context['tag']}' given, {', '.join(tags)} allowed{hint}"
    else:
        message = message.removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        given = first["input"]
        if not isinstance(given, dict | list):
            message += f" (got {given!r})"
    return str(complain(document, path, message))


def _path_in(values: Any, location: tuple[int | str, ...], *, is_new: bool) -> KeyPath:
    """Drop from pydantic's location what names a branch of a union instead of a key."""
    path: list[Any] = []
    here = values
    for depth, part in enumerate(location):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, dict) and isinstance(part, str) and _as_number(part) in here:
            part = _as_number(part)
            here = here[part]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif not (is_new and depth == len(location) - 1):
            continue
        path.append(part)
    return tuple(path)


def _as_number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        return text


def _keys_beside(model: type[BaseModel], document: Document, path: KeyPath) -> set[str]:
    """Return the keys allowed beside the last key of `path`, by the model's JSON schema."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    here: Any = document.values
    for part in path[:-1]:
        here = here[part]
    node = _node(schema, document.values, path[:-1])
    return set(_choose(node, here, definitions).get("properties", {}))


def _node(schema: Schema, values: Any, path: KeyPath) -> Schema:
    """Return the schema of what stands at `path`, {} where there is none."""
    definitions = schema.get("$defs", {})
    node, here = schema, values
    for part in path:
        chosen = _choose(node, here, definitions)
        node = chosen.get("properties", {}).get(part) or chosen.get("items") or {}
        here = here[part]
    return node


def _choose(node: Schema, here: Any, definitions: Mapping[str, Schema]) -> Schema:
    """Follow references, and of a union take the branch that `here` means: by its discriminator,
    else the first that has keys."""
    while "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[-1]]
    branches = node.get("oneOf") or node.get("anyOf")
    if not branches:
        return node
    discriminator = node.get("discriminator", {})
    tag = here.get(discriminator.get("propertyName")) if isinstance(here, dict) else None
    if tag in discriminator.get("mapping", {}):
        branches = [{"$ref": discriminator["mapping"][tag]}]
    chosen = [_choose(branch, here, definitions) for branch in branches]
    return next((branch for branch in chosen if "properties" in branch), {})
