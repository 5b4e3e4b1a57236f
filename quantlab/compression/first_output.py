"""Networks that return scores and more: what gives the scores alone."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from quantlab.graphs.inputs import taking
from quantlab.graphs.shapes import evaluating


def keep_first_output(network: nn.Module, samples: Tensor) -> None:
    """Make a network give its first output alone, in place; its modules keep their names.

    samples: `[N, ...]` of its input. A network that gives a tensor stays as it is. Raises
    UsageError for samples that it does not take.
    """
    with torch.no_grad(), evaluating(network), taking(samples, "train_loader"):
        outputs = network(samples)
    if isinstance(outputs, Tensor):
        return
    kind = type(network)
    network.__class__ = type(kind.__name__, (kind,), {"forward": _first_of(kind.forward)})


def _first_of(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that gives the first of what another one gives."""

    @functools.wraps(forward)  # torch.fx reads the names of its arguments
    def first(*args: Any, **kwargs: Any) -> Any:
        outputs = forward(*args, **kwargs)
        while isinstance(outputs, dict | list | tuple) and outputs:
            outputs = next(iter(outputs.values() if isinstance(outputs, dict) else outputs))
        return outputs

    return first
