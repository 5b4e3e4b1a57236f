"""The base of all configs of the library, and how pydantic's complaints become one line."""

from collections.abc import Hashable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from quantlab.errors import UsageError, did_you_mean

Schema = dict[str, Any]
KeyPath = tuple[Hashable, ...]


class Settings(BaseModel):
    """Final values by name: unknown names and other types are errors, `'8'` is no integer.

    Made by a call, `QuantizeConfig(rules=[...])`, it raises UsageError with the first complaint in
    one line; `model_validate` is pydantic's and raises its ValidationError.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            path, message = first_complaint(error, type(self), values)
            name = ".".join(map(str, path))
            raise UsageError(f"{name}: {message}" if name else message) from None

    # As RootModel says of its own: validation within another model needs no call.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


def first_complaint(
    error: ValidationError, model: type[BaseModel], values: Mapping[Any, Any]
) -> tuple[KeyPath, str]:
    """Return where the first error about plain values lies, and what it is, in one line."""
    # Unknown keys first: a misspelt name also makes its right name missing.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    path = _path_in(values, first["loc"], is_new=first["type"] == "missing")
    message = first["msg"]
    if first["type"] == "extra_forbidden":
        allowed = _keys_beside(model, values, path)
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
        message = message.removeprefix("Value error, ").replace("valid tuple", "valid list")
        message = message[0].lower() + message[1:]
        given = first["input"]
        if not isinstance(given, dict | list):
            message += f" (got {given!r})"
    return path, message


def node_of(schema: Schema, values: Any, path: KeyPath) -> Schema:
    """Return the schema of what stands at `path`, {} where there is none."""
    definitions = schema.get("$defs", {})
    node, here = schema, values
    for part in path:
        chosen = _choose(node, here, definitions)
        node = chosen.get("properties", {}).get(part) or chosen.get("items") or {}
        here = here[part]
    return node


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


def _keys_beside(model: type[BaseModel], values: Any, path: KeyPath) -> set[str]:
    """Return the keys allowed beside the last key of `path`, by the model's JSON schema."""
    schema = model.model_json_schema()
    here = values
    for part in path[:-1]:
        here = here[part]
    node = node_of(schema, values, path[:-1])
    return set(_choose(node, here, schema.get("$defs", {})).get("properties", {}))


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
