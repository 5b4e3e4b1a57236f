"""Which dotted names the configuration has."""

import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from experiments.experiment.config import Config
from quantlab.algorithms.rules import QuantRule
from quantlab.algorithms.table import ALGORITHMS


def is_key(path: Sequence[Any]) -> bool:
    """Return whether the configuration has such a key; anything may stand below `params`."""
    models: list[type[BaseModel]] = [Config]
    for at, part in enumerate(path):
        fields = [
            field
            for model in models
            for name, field in model.model_fields.items()
            if (field.alias or name) == str(part)
        ]
        if part == "params" and fields:
            return True
        if str(part).isdecimal() and str(path[at - 1]) == "rules":
            models = [QuantRule]
        elif str(part) == "algorithm" and fields:
            models = list(ALGORITHMS.values())
        elif fields:
            models = [m for field in fields for m in _models(field.annotation)]
        else:
            return False
    return True


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models(argument)
