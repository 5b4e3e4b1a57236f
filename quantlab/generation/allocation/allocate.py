"""Which layer is stored how: the least predicted loss of the network within a number of bytes.

Of a layer with the weight W, generated as W', the loss is predicted to grow by

    F |W - W'|^2 / 2,   F the mean squared gradient of its elements

as of an error that is independent of the gradients (Y. LeCun et al., Optimal brain damage, 1989,
equation 5, with F for the second derivatives). Options are those of `options.py`, the choice is
that of `quantlab.numerics.budget`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from quantlab.algorithms.after_training.batches import Progress, silent
from quantlab.algorithms.allocation.layer_rules import select_names
from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.generation.allocation.measure import options_of_layers
from quantlab.generation.allocation.options import Dense, Option
from quantlab.generation.spec import MLGSpec
from quantlab.numerics.budget import Costs, cheapest

_RANGE = 5.0  # how many times a layer's share of the bytes it may take, or the part of it
# More than this part of all bytes a layer takes only up to so many times its share.
_LARGE, _TIMES = 0.25, 2.0


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """How each layer is stored, in the order of the layers. loss: as predicted, in all."""

    options: Mapping[str, Option]
    max_bytes: int
    loss: float

    @property
    def nbytes(self) -> int:
        """The bytes of all layers."""
        return sum(option.nbytes for option in self.options.values())

    @property
    def rules(self) -> list[dict[str, Any]]:
        """What `convert` and a config's `mlg.rules` take, one for each layer."""
        rules: list[dict[str, Any]] = []
        for name, option in self.options.items():
            chosen: dict[str, Any] = {"select": select_names([name])}
            if isinstance(option.form, MLGSpec):
                rules.append({**chosen, **option.form.model_dump()})
            else:
                rules.append({**chosen, "dense": True})
        return rules

    @property
    def dense_bits(self) -> dict[str, int]:
        """The bits of the layers that stay dense, for rules of `quantize`."""
        forms = {name: option.form for name, option in self.options.items()}
        return {name: form.num_bits for name, form in forms.items() if isinstance(form, Dense)}


def allocate(
    weights: Mapping[str, Tensor],
    sensitivity: Mapping[str, float],
    max_bytes: int,
    *,
    like: MLGSpec | None = None,
    progress: Progress = silent,
    processes: int = 1,
) -> Allocation:
    """Return the options of all layers of the least predicted loss within a number of bytes.

    weights: by the names of layers, `[Co, Ci, ...]`, a Linear's in blocks or of two axes.
    sensitivity: the mean squared gradient of each; see `sensitivity_of`.
    max_bytes: of the codes and scales of these weights; what else the file has is to be taken off
        before.
    like: what is not chosen of the specs: the quantizer and `linear_block`; the defaults where it
        is None.
    processes: that measure options side by side, each with one thread; the result is the same. With
        2 or more, a script needs `if __name__ == "__main__":` around its work.

    Raises UsageError for layers without a sensitivity, for weights, sensitivities or bytes that are
    not finite, for weights of one axis, or with the least number of bytes where `max_bytes` is
    below it.
    """
    _check(weights, sensitivity)
    _check_bytes(max_bytes)
    if processes < 1:
        raise UsageError(f"processes: {processes} given, 1 or more allowed")
    share = max_bytes / sum(weight.numel() for weight in weights.values())
    ranges = {name: _range(share * weight.numel(), max_bytes) for name, weight in weights.items()}
    options = options_of_layers(weights, ranges, like or MLGSpec(), progress, processes)
    least = sum(min(option.nbytes for option in own) for own in options.values())
    if max_bytes < least:
        raise UsageError(f"max_bytes: {max_bytes} given, at least {least} possible")
    costs = {name: _costs(options[name], weights[name], sensitivity[name]) for name in weights}
    chosen = cheapest(costs, max_bytes)
    return Allocation(
        options={name: options[name][index] for name, index in chosen.items()},
        max_bytes=max_bytes,
        loss=sum(float(costs[name].loss[index]) for name, index in chosen.items()),
    )


def _range(own: float, max_bytes: int) -> tuple[float, float]:
    """Return the least and most bytes of a layer. own: its share of all by its elements."""
    most = min(own * _RANGE, max(own * _TIMES, max_bytes * _LARGE))
    return own / _RANGE, most


def _costs(options: list[Option], weight: Tensor, sensitivity: float) -> Costs:
    size = float(weight.double().square().sum())
    errors = np.array([option.error for option in options])
    return Costs(
        loss=sensitivity * size * errors**2 / 2,
        nbytes=np.array([float(option.nbytes) for option in options]),
    )


def _check(weights: Mapping[str, Tensor], sensitivity: Mapping[str, float]) -> None:
    check_kind("weights", weights, Mapping, "a mapping of names to tensors")
    check_kind("sensitivity", sensitivity, Mapping, "a mapping of names to numbers")
    if not weights:
        raise UsageError("weights: 0 layers given, at least 1 needed")
    for name, weight in weights.items():
        if name not in sensitivity:
            raise UsageError(
                f"sensitivity: none given of layer {name!r}{did_you_mean(name, sensitivity)}"
            )
        value = sensitivity[name]
        check_kind(f"sensitivity of {name}", value, int | float, "a number")
        if not (math.isfinite(value) and value >= 0):
            raise UsageError(f"sensitivity of {name}: {value} given, 0 or more allowed")
        check_kind(f"weight of {name}", weight, Tensor, "a tensor")
        if weight.ndim < 2 or not weight.is_floating_point() or 0 in weight.shape:
            raise UsageError(
                f"weight of {name}: {list(weight.shape)} of {weight.dtype} given, floats of two "
                "axes or more and at least one element allowed"
            )
        if not bool(torch.isfinite(weight).all()):
            raise UsageError(f"weight of {name}: not all elements are finite")


def _check_bytes(max_bytes: object) -> None:
    check_kind("max_bytes", max_bytes, int | float, "a number of bytes")
    if isinstance(max_bytes, float) and not math.isfinite(max_bytes):
        raise UsageError(f"max_bytes: {max_bytes} given, a finite number of bytes allowed")
