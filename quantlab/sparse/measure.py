"""What a training step of a layer alone costs: the time, or the memory."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn

from quantlab.memory.step import saved_bytes
from quantlab.sparse.calls import Call

NUM_REPEATS = 9
# Times the least cost: not measured further. On a busy machine a turn may take twice its time.
HOPELESS = 4.0


class Costs(NamedTuple):
    """of_each: seconds or bytes by name, of all; dropped: who was measured once, as hopeless."""

    of_each: Mapping[str, float]
    dropped: frozenset[str] = frozenset()


# Returns the cost of each of some layers by name, for the same calls.
Measure = Callable[[Mapping[str, nn.Module], Sequence[Call]], Costs]


@dataclass(frozen=True, kw_only=True)
class Step:
    """Forward and backward of a layer over its calls. gradients: of the outputs."""

    layer: nn.Module
    inputs: Sequence[Tensor]
    gradients: Sequence[Tensor]

    @classmethod
    def of(cls, layer: nn.Module, calls: Sequence[Call]) -> "Step":
        """Return a step on random numbers, the same for each layer. Runs forward once."""
        generator = torch.Generator().manual_seed(0)
        inputs = [call.random(generator).requires_grad_() for call in calls]
        with torch.no_grad():
            outputs = [layer(x) for x in inputs]
        gradients = [torch.randn(y.shape, generator=generator).to(y.dtype) for y in outputs]
        return cls(layer=layer, inputs=inputs, gradients=gradients)

    def run(self) -> None:
        """Compute the gradients of all inputs and of all parameters that want one."""
        parameters = [p for p in self.layer.parameters() if p.requires_grad]
        with torch.enable_grad():
            outputs = [self.layer(x) for x in self.inputs]
            torch.autograd.grad(outputs, [*self.inputs, *parameters], self.gradients)


def step_seconds(
    layers: Mapping[str, nn.Module],
    calls: Sequence[Call],
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Costs:
    """Return the median time of a step of each layer.

    All take turns, so that what else the machine does meets all alike; the first turn does not
    count. A layer whose first two turns both took more than four times the least time takes no
    more: bfloat16 takes a hundred times it where the processor has none.
    """
    steps = {name: Step.of(layer, calls) for name, layer in layers.items()}
    seconds: dict[str, list[float]] = {name: [] for name in layers}

    def take_turns(num_turns: int) -> None:
        for _ in range(num_turns):
            for name, step in steps.items():
                begin = clock()
                step.run()
                seconds[name].append(clock() - begin)

    take_turns(2)
    fastest = {name: min(times) for name, times in seconds.items()}
    limit = HOPELESS * min(fastest.values(), default=0.0)
    dropped = frozenset(name for name, time in fastest.items() if time > limit)
    for name in dropped:
        del steps[name]
    take_turns(NUM_REPEATS - 1)
    return Costs({name: median(times[1:]) for name, times in seconds.items()}, dropped)


def step_bytes(layers: Mapping[str, nn.Module], calls: Sequence[Call]) -> Costs:
    """Return the bytes that each layer holds in a step.

    They are what it saves for backward, its parameters with their gradients, and its buffers. An
    input that is saved anyway, by an operation before the layer or beside it, costs nothing more.
    """
    return Costs({name: _saved(layer, calls) + _own(layer) for name, layer in layers.items()})


def _saved(layer: nn.Module, calls: Sequence[Call]) -> int:
    inputs = Step.of(layer, calls).inputs

    def forward() -> list[Tensor]:
        pairs = zip(inputs, calls, strict=True)
        return [layer(x if call.is_kept else x.clone()) for x, call in pairs]

    with torch.enable_grad():
        return saved_bytes(forward)


def _own(layer: nn.Module) -> int:
    parameters = sum(p.nbytes * (2 if p.requires_grad else 1) for p in layer.parameters())
    return parameters + sum(buffer.nbytes for buffer in layer.buffers())
