"""Sections `teacher` and `criterion`: what they take."""

from typing import Any

import pytest

from experiments.configuration.documents import Document
from experiments.configuration.section import validate
from experiments.training.distillation.config import CriterionConfig, TeacherConfig
from quantlab.errors import UsageError


@pytest.mark.parametrize(
    "values",
    [
        {"exp_id": 0},
        {"exp_id": 3, "fold": 1, "checkpoint": "epoch0005"},
        {"checkpoint": "weights.pt"},
        {"checkpoint": "weights.pt", "topology": "LeNet", "config": "w4a4"},
    ],
)
def test_teachers(values: dict[str, Any]) -> None:
    config = validate(TeacherConfig, Document(values=values))
    assert validate(TeacherConfig, Document(values=config.model_dump())) == config


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "give `exp_id`, or a file as `checkpoint`"),
        ({"fold": 1}, "give `exp_id`, or a file as `checkpoint`"),
        ({"checkpoint": "x.pt", "fold": 1}, "`fold` has no effect without `exp_id`"),
        ({"exp_id": 0, "topology": "LeNet"}, "`topology` has no effect beside `exp_id`"),
        ({"exp_id": 0, "config": "w4a4"}, "`config` has no effect beside `exp_id`"),
        ({"exp_id": -1}, "exp_id: input should be greater than or equal to 0"),
    ],
)
def test_what_a_teacher_cannot_be(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        validate(TeacherConfig, Document(values=values))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", 0.0), ("temperature", -1.0), ("alpha", 0.0), ("alpha", 1.01),
     ("ortho_loss_weight", -0.1), ("ortho_loss_weight", float("nan")), ("alpha", "0.9")],
)  # fmt: skip
def test_values_out_of_range(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{name}: "):
        validate(CriterionConfig, Document(values={name: value}))
