"""Statistics of a network in training, one a file: a config that says of which layers and when, and
what it then measures. `table` lists them, `Monitor` applies them; who uses it writes them down.

`quantlab.memory.step` is apart from them: what a training step needs, measured once."""

from quantlab.monitor.entry import Entry
from quantlab.monitor.histogram import Histogram
from quantlab.monitor.monitor import Monitor, Reading
from quantlab.monitor.statistic import StatisticConfig, Value
from quantlab.monitor.table import STATISTICS

__all__ = [
    "STATISTICS",
    "Entry",
    "Histogram",
    "Monitor",
    "Reading",
    "StatisticConfig",
    "Value",
]
