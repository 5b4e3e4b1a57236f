"""Configs that are read as what one of their keys names."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, SerializeAsAny, TypeAdapter, ValidationError

from quantlab.tagged import Tagged


class Shape(BaseModel):
    kind: str


class Square(Shape):
    kind: Literal["square"] = "square"
    side: int


class Circle(Shape):
    kind: Literal["circle"] = "circle"
    radius: int


ANY = TypeAdapter(
    Annotated[SerializeAsAny[Shape], Tagged("kind", {"square": Square, "circle": Circle})]
)


@pytest.mark.parametrize("given", [{"kind": "square", "side": 3}, {"kind": "circle", "radius": 1}])
def test_the_key_names_the_model(given: dict[str, object]) -> None:
    found = ANY.validate_python(given)
    assert found.model_dump() == given
    assert ANY.dump_python(found) == given


@pytest.mark.parametrize("given", [{"kind": "oval"}, {"side": 3}, {"kind": "circle", "side": 3}])
def test_another_key_or_name_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ANY.validate_python(given)
