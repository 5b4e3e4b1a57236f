"""What of a configuration is checked without torch."""

from typing import Any

import pytest

from experiments.configuration.documents import Document
from experiments.configuration.resolve import resolve
from experiments.configuration.section import validate
from experiments.experiment.config import Config
from experiments.experiment.early import EarlyConfig
from experiments.experiment.sections import SECTIONS
from quantlab.errors import UsageError

late = {name for name, field in EarlyConfig.model_fields.items() if field.annotation is Any}


def test_sections_are_those_of_the_configuration() -> None:
    assert tuple(EarlyConfig.model_fields) == tuple(Config.model_fields) == SECTIONS
    assert late == {"mlg", "prune", "quantize", "monitor"}


def test_every_section_has_its_model() -> None:
    for name, field in Config.model_fields.items():
        early = EarlyConfig.model_fields[name]
        assert field.annotation is not Any
        assert name in late or (field.annotation, field.default) == (
            early.annotation,
            early.default,
        )


def test_what_needs_torch_is_taken_as_it_is() -> None:
    document = resolve("MNIST", "LeNet", "w4a4", [])
    config = validate(EarlyConfig, document)
    assert config.quantize == document.values["quantize"]
    assert config.training == validate(Config, document).training


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("experiment", {"epochss": 3}, "experiment.epochss: unknown key; did you mean 'epochs'?"),
        ("trainig", {}, "trainig: unknown key; did you mean 'training'?"),
        ("checkpoint", {"keep_last": 0}, "checkpoint.keep_last: input should be greater"),
        ("network", {"params": {}}, "network.class: missing"),
    ],
)
def test_complaints_are_those_of_the_whole(
    section: str, values: dict[str, Any], message: str
) -> None:
    given = resolve("MNIST", "LeNet", None, []).values
    for model in (EarlyConfig, Config):
        with pytest.raises(UsageError) as caught:
            validate(model, Document(values={**given, section: values}))
        assert str(caught.value).startswith(message)
