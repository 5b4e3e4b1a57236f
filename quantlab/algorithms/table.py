"""The algorithms by the name that a config calls them. A new one is a file and a line here."""

from collections.abc import Mapping

from quantlab.algorithms.algorithm import AlgorithmConfig
from quantlab.algorithms.ana import AnaConfig
from quantlab.algorithms.binary import BinaryConfig
from quantlab.algorithms.dorefa import DorefaConfig
from quantlab.algorithms.dorefa_sym import DorefaSymConfig
from quantlab.algorithms.inq import InqConfig
from quantlab.algorithms.lsq import LsqConfig
from quantlab.algorithms.pact import PactConfig
from quantlab.algorithms.rpr import RprConfig
from quantlab.algorithms.ste import SteConfig
from quantlab.algorithms.ternary import TernaryConfig
from quantlab.algorithms.tqt import TqtConfig

ALGORITHMS: Mapping[str, type[AlgorithmConfig]] = {
    "ste": SteConfig,
    "lsq": LsqConfig,
    "pact": PactConfig,
    "tqt": TqtConfig,
    "dorefa": DorefaConfig,
    "dorefa_sym": DorefaSymConfig,
    "inq": InqConfig,
    "rpr": RprConfig,
    "ana": AnaConfig,
    "twn": TernaryConfig,
    "binary": BinaryConfig,
}
