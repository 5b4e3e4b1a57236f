"""Configs of which one key names the kind."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Tagged:
    """Reads a config as the model that its key `tag` names: a union over a whole table.

    Annotated[SerializeAsAny[AlgorithmConfig], Tagged("kind", ALGORITHMS)]
    """

    def __init__(self, tag: str, models: Mapping[str, type[BaseModel]]) -> None:
        self._tag, self._models = tag, models

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        choices = {name: handler.generate_schema(model) for name, model in self._models.items()}
        return core_schema.tagged_union_schema(choices=choices, discriminator=self._tag)
