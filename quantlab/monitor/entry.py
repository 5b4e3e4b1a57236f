"""An entry of the config section `monitor`, read as the statistic that its `stat` names."""

from typing import Annotated

from pydantic import SerializeAsAny

from quantlab.monitor.statistic import StatisticConfig
from quantlab.monitor.table import STATISTICS
from quantlab.tagged import Tagged

Entry = Annotated[SerializeAsAny[StatisticConfig], Tagged("stat", STATISTICS)]
