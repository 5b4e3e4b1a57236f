"""The root of the configuration. A subsystem adds its section as one line."""

from typing import Any

from pydantic import Field

from experiments.configuration.section import Section
from experiments.data.config import DataConfig
from experiments.runs.checkpoints import CheckpointConfig
from experiments.training.config import ExperimentConfig, NetworkConfig, TrainingConfig
from quantlab.algorithms.rules import QuantizeConfig
from quantlab.monitor.entry import Entry
from quantlab.sparse.config import PruneConfig


class Config(Section):
    """All sections; each model stands beside what it configures."""

    experiment: ExperimentConfig = ExperimentConfig()
    data: DataConfig = DataConfig()
    network: NetworkConfig
    training: TrainingConfig
    prune: PruneConfig | None = None
    quantize: QuantizeConfig = QuantizeConfig()
    monitor: list[Entry] = Field(default=[])
    checkpoint: CheckpointConfig = CheckpointConfig()


def as_plain(config: Config) -> dict[str, Any]:
    """Return the whole configuration as plain data, defaults included; it validates to `config`."""
    return config.model_dump(by_alias=True)
