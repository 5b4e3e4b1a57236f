"""docs/configuration.md has every key of every section, with its type and its default."""

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from docs import reference
from experiments.configuration.section import ClassSpec
from experiments.data.config import DataConfig
from experiments.experiment.config import Config
from experiments.runs.config import CheckpointConfig
from experiments.training.config import (
    EarlyStop,
    Ema,
    ExperimentConfig,
    NetworkConfig,
    Pretrained,
    TrainingConfig,
)
from experiments.training.distillation.config import CriterionConfig, TeacherConfig
from experiments.training.lr_schedules import LrSchedule
from quantlab.algorithms.rules import QuantizeConfig, QuantRule
from quantlab.generation.config import MLGConfig, MLGRule
from quantlab.monitor import STATISTICS, StatisticConfig
from quantlab.sparse.config import PruneConfig
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
    "teacher": TeacherConfig,
    "criterion": CriterionConfig,
    "mlg": MLGConfig,
    "mlg.rules": MLGRule,
    "prune": PruneConfig,
    "quantize": QuantizeConfig,
    "quantize.rules.N": QuantRule,
    "monitor.N": StatisticConfig,
    "checkpoint": CheckpointConfig,
}


@pytest.mark.parametrize("heading", MODELS)
def test_tables_are_the_models(heading: str) -> None:
    rows = PAGE.section(heading).rows
    assert [row[:3] for row in rows] == list(reference.keys(MODELS[heading]))
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


def test_every_statistic_is_there() -> None:
    rows = read_page(CHECKOUT / "docs" / "monitor.md").section("The statistics").rows
    assert [spans(row[0])[0] for row in rows] == list(STATISTICS)
    for row in rows:
        kind = STATISTICS[spans(row[0])[0]].subject.kind
        assert row[1] in kind, "what it is about"


def test_algorithms_page_is_made_from_the_docstrings() -> None:
    assert reference.PAGE.read_text() == reference.page(), "run: python -m docs.reference"
