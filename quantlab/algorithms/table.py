"""The algorithms by the name that a config calls them. A new one is a file and a line here."""

from collections.abc import Mapping

from quantlab.algorithms.algorithm import AlgorithmConfig
from quantlab.algorithms.ste import SteConfig

ALGORITHMS: Mapping[str, type[AlgorithmConfig]] = {
    "ste": SteConfig,
}
