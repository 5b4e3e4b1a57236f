"""Sensitivity: what each layer costs at few bits, all others in float.

Of the network's outputs f in float and q with the weight, or the input, of one layer at b bits,
over all samples and positions:

    loss_increase   mean loss(q) - mean loss(f)
    sqnr_db         10 log10(sum f^2 / sum (f - q)^2), infinite if they are equal
    kl              mean sum_c p_c log(p_c / p'_c) of the softmax p of f and p' of q over axis 1

Sums are in float64. That what several layers cost adds up is an approximation (Z. Dong et al.,
HAWQ-V2, 2020, arXiv:1911.03852, section 3.1, makes it too).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from torch import Tensor, nn
from torch.func import functional_call

from quantlab.algorithms.after_training.batches import (
    LabeledBatch,
    Progress,
    labeled_batches,
    silent,
)
from quantlab.algorithms.after_training.calibrate import observe, start, start_weight
from quantlab.algorithms.after_training.modes import evaluating, floating, quantizers
from quantlab.algorithms.allocation.layer_rules import STE, Settings, rule_for
from quantlab.algorithms.layers import check_attachable
from quantlab.errors import DivergedError, UsageError
from quantlab.graphs.select import select as parse_selector
from quantlab.graphs.weights import output_axis, weight_of
from quantlab.quantizer import Quantizer

Loss = Callable[[Tensor, Tensor], Tensor]
On = Literal["weight", "input"]
Metric = Literal["loss_increase", "sqnr_db", "kl"]

_TITLES: Mapping[Metric, str] = {
    "loss_increase": "increase of the loss",
    "sqnr_db": "signal to quantization noise of the outputs, dB",
    "kl": "Kullback-Leibler divergence of the outputs",
}


@dataclass(frozen=True, kw_only=True)
class SensitivityRow:
    """One layer at one number of bits; see the module for the metrics."""

    layer: str
    num_bits: int
    num_weights: int
    loss_increase: float
    sqnr_db: float
    kl: float


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The rows of all layers, in the order of definition, and in it of the bits."""

    on: On
    float_loss: float
    num_samples: int
    rows: tuple[SensitivityRow, ...]

    def table(self, metric: Metric) -> str:
        """Return one metric, a line for each layer, a column for each number of bits."""
        bits = sorted({row.num_bits for row in self.rows})
        values = {(row.layer, row.num_bits): getattr(row, metric) for row in self.rows}
        layers = {row.layer: row.num_weights for row in self.rows}
        width = max(len("layer"), *map(len, layers))
        head = f"{'layer':<{width}}  {'weights':>10}" + "".join(f"{f'{b} bits':>12}" for b in bits)
        lines = [
            f"{name:<{width}}  {count:>10,}" + "".join(f"{values[name, b]:>12.4g}" for b in bits)
            for name, count in layers.items()
        ]
        return "\n".join([_TITLES[metric], head, *lines])

    def __str__(self) -> str:
        what = f"{self.on}s of one layer quantized, all else float; "
        seen = f"float loss {self.float_loss:.4g} on {self.num_samples:,} samples"
        return "\n\n".join([what + seen, *(self.table(metric) for metric in _TITLES)])


def sensitivity(
    network: nn.Module,
    batches: Iterable[LabeledBatch],
    loss: Loss,
    *,
    bits: Sequence[int] = (2, 3, 4, 8),
    on: On = "weight",
    algorithm: Settings = STE,
    select: str = "*",
    progress: Progress = silent,
) -> Sensitivity:
    """Return how much the outputs of a network suffer from each layer's bits.

    network: float, or with quantizers, which pass all through meanwhile; it is not changed.
    batches: inputs and targets; kept on the network's device, with the outputs.
    loss: of outputs `[N, C, ...]` and targets, the mean over samples.
    algorithm: the settings of the algorithm but for `num_bits`, as in a rule.
    select: which layers; see `quantlab.graphs.select`.

    Inputs are observed on the same batches. Raises UsageError for impossible settings, no batches
    or a layer that cannot carry quantizers, DivergedError for a loss that is not finite.
    """
    if not bits or len(set(bits)) < len(bits):
        raise UsageError(f"bits: {tuple(bits)} given, at least one, each once, allowed")
    layers = parse_selector(select).resolve(network)
    made = {
        (name, num_bits): _quantizer(name, layer, on, algorithm, num_bits)
        for name, layer in layers.items()
        for num_bits in sorted(bits)
    }
    rows: list[SensitivityRow] = []
    with evaluating(network), floating(quantizers(network).values()):
        comparison = _Comparison(network, batches, loss)
        if on == "input":
            _calibrate_inputs(network, layers, made, comparison.inputs)
        for (name, num_bits), quantizer in made.items():
            layer, where = layers[name], f"{name} at {num_bits} bits"
            if on == "input":
                with _passing(layer, [quantizer]):
                    outputs = comparison.run()
            else:
                weight = layer.get_parameter("weight").detach()
                start_weight(where, quantizer, weight)
                outputs = comparison.run({f"{name}.weight".lstrip("."): quantizer(weight)})
            rows.append(comparison.row(name, num_bits, layer, outputs))
            progress("sensitivity", len(rows), len(made))
    return Sensitivity(
        on=on,
        float_loss=comparison.float_loss,
        num_samples=comparison.num_samples,
        rows=tuple(rows),
    )


class _Comparison:
    """A network's outputs on some batches, to compare others with."""

    def __init__(self, network: nn.Module, batches: Iterable[LabeledBatch], loss: Loss) -> None:
        self._batches = labeled_batches(network, batches)
        self._network, self._loss = network, loss
        self._outputs = self.run()
        self.float_loss = self._mean_loss(self._outputs, "the float network")

    @property
    def inputs(self) -> list[Tensor]:
        return [inputs for inputs, _ in self._batches]

    @property
    def num_samples(self) -> int:
        return sum(map(len, self.inputs))

    def run(self, weights: Mapping[str, Tensor] | None = None) -> list[Tensor]:
        """Return the outputs of all batches, with some weights replaced."""
        outputs = []
        for inputs in self.inputs:
            output = functional_call(self._network, dict(weights or {}), (inputs,))
            if not isinstance(output, Tensor) or output.ndim < 2:
                given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
                raise UsageError(f"network: output {given} given, a tensor [N, C, ...] allowed")
            outputs.append(output)
        return outputs

    def row(
        self, name: str, num_bits: int, layer: nn.Module, outputs: Sequence[Tensor]
    ) -> SensitivityRow:
        """Compare the outputs that a layer's bits gave."""
        signal = noise = divergence = 0.0
        num_positions = 0
        for ours, theirs in zip(self._outputs, outputs, strict=True):
            f, q = ours.double(), theirs.double()
            signal += f.square().sum().item()
            noise += (f - q).square().sum().item()
            log_p, log_q = f.log_softmax(1), q.log_softmax(1)
            divergence += (log_p.exp() * (log_p - log_q)).sum().item()
            num_positions += f.numel() // f.shape[1]
        loss = self._mean_loss(outputs, f"{name} at {num_bits} bits")
        return SensitivityRow(
            layer=name,
            num_bits=num_bits,
            num_weights=weight_of(layer).numel(),
            loss_increase=loss - self.float_loss,
            sqnr_db=_decibels(signal, noise),
            kl=divergence / num_positions,
        )

    def _mean_loss(self, outputs: Sequence[Tensor], where: str) -> float:
        total = 0.0
        for (inputs, targets), output in zip(self._batches, outputs, strict=True):
            total += len(inputs) * self._loss(output, targets).item()
        if not math.isfinite(total):
            raise DivergedError(f"{where}: loss {total} given, finite numbers allowed")
        return total / self.num_samples


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10.0 * math.log10(signal / noise) if signal > 0 else -math.inf


def _quantizer(
    name: str, layer: nn.Module, on: On, algorithm: Settings, num_bits: int
) -> Quantizer:
    check_attachable(layer, name, on)
    weight = weight_of(layer).detach()
    algorithm_config = rule_for([name], on, algorithm, num_bits).algorithm
    quantizer = algorithm_config.quantizer(on, weight, output_axis=output_axis(layer))
    return quantizer.to(weight.device).eval()


def _calibrate_inputs(
    network: nn.Module,
    layers: Mapping[str, nn.Module],
    made: Mapping[tuple[str, int], Quantizer],
    inputs: Iterable[Tensor],
) -> None:
    """Let the quantizers of all layers' inputs see the float network, and start them."""
    named = {f"{name} at {num_bits} bits": q for (name, num_bits), q in made.items()}
    with ExitStack() as stack:
        for name, layer in layers.items():
            watching = [quantizer for (other, _), quantizer in made.items() if other == name]
            stack.enter_context(_passing(layer, watching))
        observe(network, named, inputs)
    start(named)
    for quantizer in named.values():
        quantizer.eval()


@contextmanager
def _passing(layer: nn.Module, chosen: Sequence[Quantizer]) -> Iterator[None]:
    """Let a layer's input pass through quantizers, one after another."""

    def hook(layer: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (reduce(lambda x, quantizer: quantizer(x), chosen, args[0]), *args[1:])

    handle = layer.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()
