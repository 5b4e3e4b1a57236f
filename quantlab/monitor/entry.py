"""An entry of the config section `monitor`, read as the statistic that its `stat` names."""

from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, SerializeAsAny
from pydantic_core import CoreSchema, core_schema

from quantlab.monitor.statistic import StatisticConfig
from quantlab.monitor.table import STATISTICS


class _ByStat:
    """Reads a config as the statistic that its `stat` names: a union over the whole table."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.tagged_union_schema(
            choices={stat: handler.generate_schema(config) for stat, config in STATISTICS.items()},
            discriminator="stat",
        )


Entry = Annotated[SerializeAsAny[StatisticConfig], _ByStat()]
