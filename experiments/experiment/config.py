"""The root of the configuration. A subsystem adds its section as one line."""

from typing import Any

from pydantic import Field

from experiments.experiment.early import EarlyConfig
from quantlab.algorithms.rules import QuantizeConfig
from quantlab.generation.config import MLGConfig
from quantlab.monitor.entry import Entry
from quantlab.sparse.config import PruneConfig


class Config(EarlyConfig):
    """All sections; each model stands beside what it configures."""

    mlg: MLGConfig | None = None
    prune: PruneConfig | None = None
    quantize: QuantizeConfig = QuantizeConfig()
    monitor: list[Entry] = Field(default=[])


def as_plain(config: Config) -> dict[str, Any]:
    """Return the whole configuration as plain data, defaults included; it validates to `config`."""
    return config.model_dump(by_alias=True)


def without_pretrained(config: Config) -> Config:
    """Return the configuration for who has the weights already: where they began is not read."""
    network = config.network.model_copy(update={"pretrained": None})
    return config.model_copy(update={"network": network})
