"""Calibrate: from a float network to a fake-quantized one, without training.

The network sees batches in evaluation mode, all quantizers in the float stage, while those of
inputs and outputs observe. Then all start: these with the ranges observed, those of weights with
their weights (R. Krishnamoorthi, Quantizing deep convolutional networks for efficient inference,
2018, arXiv:1806.08342, section 3.1). Nothing else of the network changes; batch norms keep their
statistics.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from quantlab.algorithms.after_training.batches import (
    Batch,
    Progress,
    inputs_of_batches,
    silent,
)
from quantlab.algorithms.after_training.modes import evaluating, quantizers
from quantlab.algorithms.layers import carries
from quantlab.algorithms.start import observed, start_observed
from quantlab.algorithms.unused import unused_quantizers
from quantlab.controller import Alone, Reducer
from quantlab.errors import DivergedError, UsageError, check_kind
from quantlab.graphs.inputs import taking
from quantlab.quantizer import Quantizer, QuantSpec

_ALONE = Alone()


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What a quantizer was given. minimum, maximum: the ends of its grid, the widest if it has
    several."""

    name: str
    spec: QuantSpec
    minimum: float
    maximum: float

    def __str__(self) -> str:
        return f"{self.name}: [{self.minimum:.4g}, {self.maximum:.4g}] in {self.spec}"


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What `calibrate` did; grids in the order of definition. unused: see `unused_quantizers`."""

    num_batches: int
    num_samples: int
    grids: tuple[Grid, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        samples = f"{self.num_samples} sample{'s' if self.num_samples != 1 else ''}"
        batches = f"{self.num_batches} batch{'es' if self.num_batches != 1 else ''}"
        seen = f"{samples} in {batches} observed"
        notes = (f"note: {line}" for line in self.unused)
        return "\n".join([seen, *map(str, self.grids), *notes])


def calibrate(
    network: nn.Module,
    batches: Iterable[Batch],
    *,
    communicator: Reducer = _ALONE,
    progress: Progress = silent,
) -> Calibration:
    """Fake-quantize a network as its quantizers are set up, in place, from batches seen once.

    batches: the network's inputs, tensors or NumPy arrays, or tuples that begin with them; moved to
        the network's device, real numbers to its type.
    communicator: of ranks that each see batches of their own; ranges are merged over them.

    Whatever stage the network was in, the same batches give the same grids. Training it afterwards
    goes on from them. Raises UsageError if there are no quantizers or no batches, if one of them
    saw none, or if an algorithm quantizes by training only; DivergedError, with the quantizer's
    name, for numbers that are not finite. After an error the quantizers are as they were.
    """
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    check_kind("communicator", communicator, Reducer, "a Reducer")
    check_kind("progress", progress, Callable, "a function of three arguments")
    found = quantizers(network)
    if not found:
        raise UsageError("network: no quantizer in it; quantize(network, rules) first")
    weights = _weights(network)
    others = {name: quantizer for name, quantizer in found.items() if quantizer not in weights}
    before = {name: _state(quantizer) for name, quantizer in found.items()}
    try:
        for quantizer in weights:
            quantizer.set_enabled(False)
        with evaluating(network):
            inputs = inputs_of_batches(network, batches)
            num_batches, num_samples = observe(network, others, inputs, progress)
            start(others, communicator)
            for name, quantizer in found.items():
                if quantizer in weights:
                    start_weight(name, quantizer, weights[quantizer])
    except BaseException:
        for name, quantizer in found.items():
            quantizer.load_state_dict(before[name])
        raise
    grids = tuple(_grid(name, quantizer) for name, quantizer in found.items())
    return Calibration(
        num_batches=num_batches,
        num_samples=num_samples,
        grids=grids,
        unused=tuple(unused_quantizers(network)),
    )


def observe(
    network: nn.Module,
    chosen: Mapping[str, Quantizer],
    batches: Iterable[Tensor],
    progress: Progress = silent,
) -> tuple[int, int]:
    """Let quantizers of inputs and outputs, in the float stage, see all batches and no others;
    return how many they are, of how many samples.

    chosen: by name. They are left observing, in training mode.
    """
    for quantizer in chosen.values():
        quantizer.set_enabled(False)
        quantizer.set_observing(True)
        quantizer.train()
    for ranged in observed(chosen).values():
        if ranged.observer is not None:
            ranged.observer.reset()
    num_batches = num_samples = 0
    for inputs in batches:
        with taking(inputs, f"batches[{num_batches}]"):
            network(inputs)
        num_batches += 1
        num_samples += len(inputs)
        progress("calibrate", num_batches, None)
    return num_batches, num_samples


def start(chosen: Mapping[str, Quantizer], communicator: Reducer = _ALONE) -> None:
    """Start quantizers of inputs and outputs with what they have observed, as their controllers
    would. Raises UsageError if one has observed nothing, DivergedError for an infinite range."""
    ranged = observed(chosen)
    start_observed(ranged, communicator)
    for name, other in chosen.items():
        if name not in ranged:
            other.set_enabled(True)
            other.set_observing(other.is_following)


def start_weight(name: str, quantizer: Quantizer, weight: Tensor) -> None:
    """Start the quantizer of a weight, in evaluation mode, as its controller would.

    Raises DivergedError if the weight is not finite, UsageError if the algorithm quantizes by
    training only.
    """
    if not bool(weight.isfinite().all()):
        bad = weight[~weight.isfinite()][0].item()
        raise DivergedError(f"{name}: weight {bad} given, finite numbers allowed")
    quantizer.observe(weight)
    quantizer.set_enabled(True)
    quantizer.set_observing(quantizer.is_following)
    if not quantizer.is_complete:
        raise UsageError(
            f"{name}: a {type(quantizer).__name__} given, which quantizes by training only"
        )


def _state(quantizer: Quantizer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in quantizer.state_dict().items()}


def _weights(network: nn.Module) -> dict[Quantizer, nn.Parameter]:
    """Return the weights that quantizers are on."""
    layers = [layer for layer in network.modules() if "weight" in carries(layer)]
    return {carries(layer)["weight"]: layer.get_parameter("weight") for layer in layers}


def _grid(name: str, quantizer: Quantizer) -> Grid:
    with torch.no_grad():
        ends = torch.stack(
            [
                (code - quantizer.zero_point) * quantizer.scale
                for code in (quantizer.quant_min, quantizer.quant_max)
            ]
        )
    return Grid(
        name=name, spec=quantizer.spec, minimum=ends.min().item(), maximum=ends.max().item()
    )
