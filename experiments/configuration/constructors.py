"""Classes that a configuration names: look them up, check their parameters, create them."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from experiments.configuration.documents import Document, KeyPath
from experiments.configuration.section import ClassSpec, complain
from quantlab.errors import did_you_mean


def find_class(
    spec: ClassSpec,
    places: Sequence[ModuleType | None],
    bases: tuple[type, ...],
    document: Document,
    path: KeyPath,
) -> type[Any]:
    """Return the class that `spec` names from the first of `places` that has it; it must be a
    subclass of one of `bases`. Raises UsageError with the nearest name."""
    for place in places:
        found = getattr(place, spec.name, None)
        if isinstance(found, type) and issubclass(found, bases) and found not in bases:
            return found
    known = {name for place in places if place for name in _classes(place, bases)}
    raise complain(
        document,
        (*path, "class"),
        f"no {bases[-1].__name__} named {spec.name!r}" + did_you_mean(spec.name, known),
    )


def create(
    factory: Callable[..., Any],
    spec: ClassSpec,
    document: Document,
    path: KeyPath,
    given: Mapping[str, Any] | None = None,
) -> Any:
    """Call `factory` with the checked parameters of `spec` and what the program itself gives.

    Raises UsageError for a parameter that is unknown, missing, of the wrong type, or that the
    constructor refuses."""
    given = given or {}
    params = check_params(factory, spec, document, path, given)
    try:
        return factory(**given, **params)
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise complain(
            document, (*path, "params"), f"{spec.name} refuses them: {lines[0]}"
        ) from error


def check_params(
    factory: Callable[..., Any],
    spec: ClassSpec,
    document: Document,
    path: KeyPath,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the parameters of `spec` with the types that the signature of `factory` asks for."""
    parameters = _signature(factory).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    allowed = {
        name: p
        for name, p in parameters.items()
        if name not in given and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    checked = {}
    for name, value in spec.params.items():
        here = (*path, "params", name)
        if name not in allowed and not takes_any:
            hint = did_you_mean(name, allowed) or f"; allowed: {', '.join(allowed) or 'none'}"
            raise complain(document, here, f"{spec.name} has no such parameter{hint}")
        checked[name] = _check_type(value, allowed.get(name), document, here)
    missing = [n for n, p in allowed.items() if p.default is p.empty and n not in checked]
    if missing and not takes_any:
        raise complain(document, (*path, "params"), f"{spec.name} needs {', '.join(missing)}")
    return checked


def _signature(factory: Callable[..., Any]) -> inspect.Signature:
    """Return the signature, with annotations that are text evaluated where that is possible."""
    try:
        return inspect.signature(factory, eval_str=True)
    except NameError:  # a name imported for type checkers only
        return inspect.signature(factory)


def _check_type(
    value: Any, parameter: inspect.Parameter | None, document: Document, path: KeyPath
) -> Any:
    annotation = _annotation(parameter)
    if annotation is Any:
        return value
    adapter = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True, strict=True))
    # YAML has no tuples: a list stands for one.
    readings = [value, tuple(value)] if isinstance(value, list) else [value]
    message = ""
    for reading in readings:
        try:
            return adapter.validate_python(reading)
        except ValidationError as error:
            message = message or error.errors()[0]["msg"]
    raise complain(document, path, f"{message[0].lower()}{message[1:]} (got {value!r})")


def _annotation(parameter: inspect.Parameter | None) -> Any:
    """Return the type to check, that of the default where nothing is annotated, Any if unknown."""
    if parameter is None:
        return Any
    if parameter.annotation is not parameter.empty and not isinstance(parameter.annotation, str):
        return parameter.annotation
    if isinstance(parameter.default, bool | int | float | str):
        return float | int if type(parameter.default) is float else type(parameter.default)
    return Any


def _classes(module: ModuleType, bases: tuple[type, ...]) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and not name.startswith("_")
        and issubclass(value, bases)
        and value not in bases
    ]
