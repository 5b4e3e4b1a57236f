"""The part of a configuration that is checked without torch, which takes a second to import."""

from typing import Any

from experiments.configuration.section import Section
from experiments.data.config import DataConfig
from experiments.runs.config import CheckpointConfig
from experiments.training.config import ExperimentConfig, NetworkConfig, TrainingConfig
from experiments.training.distillation.config import CriterionConfig, TeacherConfig


class EarlyConfig(Section):
    """All sections. `Any` stands for the models that need torch, which `Config` has."""

    experiment: ExperimentConfig = ExperimentConfig()
    data: DataConfig = DataConfig()
    network: NetworkConfig
    training: TrainingConfig
    teacher: TeacherConfig | None = None
    criterion: CriterionConfig = CriterionConfig()
    mlg: Any = None
    prune: Any = None
    quantize: Any = None
    monitor: Any = None
    checkpoint: CheckpointConfig = CheckpointConfig()
