"""docs/configuration.md has every key of every section, with its type and its default."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from experiments.configuration.schema import Config
from experiments.configuration.section import ClassSpec
from experiments.data.config import DataConfig
from experiments.runs.checkpoints import CheckpointConfig
from experiments.training.config import (
    EarlyStop,
    Ema,
    ExperimentConfig,
    NetworkConfig,
    Pretrained,
    TrainingConfig,
)
from experiments.training.lr_schedules import LrSchedule
from quantlab.algorithms.rules import QuantizeConfig, QuantRule
from quantlab.algorithms.table import ALGORITHMS
from tests.docs.markdown import CHECKOUT, read_page, spans

PAGE = read_page(CHECKOUT / "docs" / "configuration.md")
MODELS: dict[str, type[BaseModel]] = {
    "experiment": ExperimentConfig,
    "experiment.early_stop": EarlyStop,
    "data": DataConfig,
    "network": NetworkConfig,
    "network.pretrained": Pretrained,
    "training": TrainingConfig,
    "training.loss, training.optimizer, training.lr_scheduler": ClassSpec,
    "training.ema": Ema,
    "quantize": QuantizeConfig,
    "quantize.rules.N": QuantRule,
    **{f"quantize.rules.N.algorithm, kind {name}": model for name, model in ALGORITHMS.items()},
    "checkpoint": CheckpointConfig,
}
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
        return f"`{schema['const']}`"
    limits = [text.format(schema[key]) for key, text in _LIMITS.items() if key in schema]
    return " ".join([_WORDS[schema["type"]], *limits])


def expected(model: type[BaseModel]) -> Iterator[list[str]]:
    """Yield key, type and default of a model's keys."""
    schema = model.model_json_schema()
    for key, entry in schema["properties"].items():
        default = "required"
        if key not in schema.get("required", ()):
            text = json.dumps(entry["default"]).replace('"', "")
            default = f"`{text}`" if text else "empty"
        yield [f"`{key}`", describe(entry), default]


@pytest.mark.parametrize("heading", MODELS)
def test_tables_are_the_models(heading: str) -> None:
    rows = PAGE.section(heading).rows
    assert [row[:3] for row in rows] == list(expected(MODELS[heading]))
    assert all(len(row) == 4 and row[3] for row in rows), "each key has its meaning"


def test_every_section_is_there() -> None:
    named = {span for row in PAGE.section("Sections").rows for span in spans(row[0])}
    assert named == set(Config.model_fields)


def test_every_schedule_is_there() -> None:
    def final(parent: type[LrSchedule]) -> Iterator[type[LrSchedule]]:
        for child in parent.__subclasses__():
            yield from final(child) if child.__subclasses__() else [child]

    named = {spans(row[0])[0] for row in PAGE.section("Learning-rate schedules").rows}
    assert named == {schedule.__name__ for schedule in final(LrSchedule)}
