"""From a network with early exits to a program with exits."""

import math
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from quantlab.errors import UsageError, check_kind
from quantlab.exits.module import EarlyExit, all_scores
from quantlab.exits.program import NEVER, ExitProgram
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program


class _AllExits(nn.Module):
    """The scores of all exits, in evaluation too; the layers have the names of before."""

    def __init__(self, network: EarlyExit) -> None:
        super().__init__()
        self.segments, self.heads = network.segments, network.heads

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return all_scores(self.segments, self.heads, x)


def lower_exits(
    network: EarlyExit,
    spec: InputSpec,
    samples: Tensor | NDArray[Any] | None = None,
    *,
    memory_bits: int = 32,
    sum_bits: int = 64,
) -> ExitProgram:
    """Return the program of a network with exits, with quantizers, in its present state.

    Its thresholds are the least integers that stand for at least the network's margins. spec,
    samples, memory_bits, sum_bits: as of `lower`. Raises UsageError, with the layer, for what
    cannot be lowered, and for what `ExitProgram` refuses.
    """
    check_kind("network", network, EarlyExit, "an EarlyExit")
    everything = _AllExits(network)
    program = lower(everything, spec, samples, memory_bits=memory_bits, sum_bits=sum_bits)
    margins = [float(margin) for margin in network.margins]
    thresholds = [threshold_of(program, i, margin) for i, margin in enumerate(margins)]
    return ExitProgram(program=program, thresholds=tuple(thresholds))


def threshold_of(program: Program, number: int, margin: float) -> int:
    """Return the least threshold of an exit that stands for at least a margin of the network's
    scores; NEVER beyond 32 bits. Raises UsageError for scores of more than one scale."""
    name = program.outputs[number]
    reading = program.reals.get(name)
    if reading is None or reading.scale.size != 1:
        raise UsageError(f"exits: scores '{name}' of one scale needed, to compare them")
    threshold = margin / float(reading.scale.reshape(-1)[0])
    return NEVER if threshold >= NEVER else math.ceil(threshold)
