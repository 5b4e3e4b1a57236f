"""Early exits: networks whose easy samples leave after the first layers.

The names below are imported when they are used: programs with exits need no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quantlab.exits.cost import exit_macs
    from quantlab.exits.interpreter import exit_scores, run
    from quantlab.exits.loss import joint_loss
    from quantlab.exits.lower import lower_exits
    from quantlab.exits.module import EarlyExit
    from quantlab.exits.program import ExitProgram
    from quantlab.exits.report import exit_report
    from quantlab.exits.thresholds import choose_thresholds

__all__ = [
    "EarlyExit",
    "ExitProgram",
    "choose_thresholds",
    "exit_macs",
    "exit_report",
    "exit_scores",
    "joint_loss",
    "lower_exits",
    "run",
]

_MODULES = {
    "EarlyExit": "module",
    "ExitProgram": "program",
    "choose_thresholds": "thresholds",
    "exit_macs": "cost",
    "exit_report": "report",
    "exit_scores": "interpreter",
    "joint_loss": "loss",
    "lower_exits": "lower",
    "run": "interpreter",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'quantlab.exits' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
