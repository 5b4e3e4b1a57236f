"""The algorithms by the name that a config calls them. A new one is a file and a line here."""

from collections.abc import Mapping

from quantlab.algorithms.algorithm import AlgorithmConfig
from quantlab.algorithms.lsq import LsqConfig
from quantlab.algorithms.pact import PactConfig
from quantlab.algorithms.ste import SteConfig
from quantlab.algorithms.tqt import TqtConfig

ALGORITHMS: Mapping[str, type[AlgorithmConfig]] = {
    "ste": SteConfig,
    "lsq": LsqConfig,
    "pact": PactConfig,
    "tqt": TqtConfig,
}
