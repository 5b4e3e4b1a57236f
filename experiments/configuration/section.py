"""The base of all configuration models, and how their complaints become one line."""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from experiments.configuration.documents import Document, KeyPath, dotted
from quantlab.errors import UsageError, did_you_mean

S = TypeVar("S", bound=BaseModel)


class Section(BaseModel):
    """A part of the configuration: unknown keys and wrong types are errors; values are final."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ClassSpec(Section):
    """A class by its name, and the arguments of its constructor."""

    name: str = Field(alias="class", min_length=1)
    params: dict[str, Any] = {}


def validate(model: type[S], document: Document) -> S:
    """Build `model` from the document; the first complaint becomes a UsageError of one line."""
    try:
        return model.model_validate(document.values)
    except ValidationError as error:
        raise UsageError(_describe(error, model, document)) from None


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
    else:
        message = message[0].lower() + message[1:].removeprefix("alue error, ")
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
    """Return the keys allowed beside the last key of `path`."""
    annotation: Any = model
    here: Any = document.values
    for part in path[:-1]:
        annotation = _inner(annotation, part, here)
        here = here[part]
    return _keys(_choose(annotation, here))


def _inner(annotation: Any, part: Any, here: Any) -> Any:
    chosen = _choose(annotation, here)
    if isinstance(chosen, type) and issubclass(chosen, BaseModel):
        for name, info in chosen.model_fields.items():
            if (info.alias or name) == part:
                return info.annotation
        return None
    arguments = get_args(chosen)
    return arguments[-1] if arguments else None


def _choose(annotation: Any, here: Any) -> Any:
    """Return the branch of a union that `here` means: by its `kind`, else the first model."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    branches = [_choose(branch, here) for branch in get_args(annotation)]
    models = [b for b in branches if isinstance(b, type) and issubclass(b, BaseModel)]
    if isinstance(here, Mapping) and "kind" in here:
        for branch in models:
            kind = branch.model_fields.get("kind")
            if kind is not None and here["kind"] in get_args(kind.annotation):
                return branch
    if models:
        return models[0]
    others = [b for b in branches if b is not type(None)]
    return others[0] if others else None


def _keys(annotation: Any) -> set[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {info.alias or name for name, info in annotation.model_fields.items()}
    return set()
