"""QuantLab: design, compress, train, compare and deploy small neural networks, with proof.

The names below are imported when they are used: `import quantlab` alone imports neither torch nor
NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantlab.algorithms.after_training import calibrate
    from quantlab.algorithms.conductor import Conductor
    from quantlab.algorithms.parameter_groups import parameter_groups
    from quantlab.algorithms.rate import rate_of
    from quantlab.algorithms.rules import QuantizeConfig, quantize
    from quantlab.compression.budget import Budget
    from quantlab.compression.compress import compress
    from quantlab.compression.compress_nn_models import compress_NN_models
    from quantlab.conversion.early_exit import save_compressed_early_exit_model
    from quantlab.conversion.save import save_compressed_model
    from quantlab.deploy.verification import verify
    from quantlab.export import export_network
    from quantlab.graphs.select import select
    from quantlab.integer.encoding import Encoding
    from quantlab.integer.interpreter import run
    from quantlab.integer.lower import InputSpec, lower
    from quantlab.integer.program import Program
    from quantlab.sparse import sparsify, swap_modules_with_sparse

__version__ = "0.1.0"
__all__ = [
    "Budget",
    "Conductor",
    "Encoding",
    "InputSpec",
    "Program",
    "QuantizeConfig",
    "calibrate",
    "compress",
    "compress_NN_models",
    "export_network",
    "lower",
    "parameter_groups",
    "quantize",
    "rate_of",
    "run",
    "save_compressed_early_exit_model",
    "save_compressed_model",
    "select",
    "sparsify",
    "swap_modules_with_sparse",
    "verify",
]

_MODULES = {
    "Budget": "quantlab.compression.budget",
    "Conductor": "quantlab.algorithms.conductor",
    "Encoding": "quantlab.integer.encoding",
    "InputSpec": "quantlab.integer.lower",
    "Program": "quantlab.integer.program",
    "QuantizeConfig": "quantlab.algorithms.rules",
    "calibrate": "quantlab.algorithms.after_training",
    "compress": "quantlab.compression.compress",
    "compress_NN_models": "quantlab.compression.compress_nn_models",
    "export_network": "quantlab.export",
    "lower": "quantlab.integer.lower",
    "parameter_groups": "quantlab.algorithms.parameter_groups",
    "quantize": "quantlab.algorithms.rules",
    "rate_of": "quantlab.algorithms.rate",
    "run": "quantlab.integer.interpreter",
    "save_compressed_early_exit_model": "quantlab.conversion.early_exit",
    "save_compressed_model": "quantlab.conversion.save",
    "select": "quantlab.graphs.select",
    "sparsify": "quantlab.sparse",
    "swap_modules_with_sparse": "quantlab.sparse",
    "verify": "quantlab.deploy.verification",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'quantlab' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
