"""Which mode each layer of a network runs in: one that is asked for, or the fastest."""

import math
import time
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, fx, nn

from quantlab.errors import UsageError, check_kind
from quantlab.generation.execution.folded import Folded
from quantlab.generation.execution.mode import (
    EXECUTION_MODES,
    ExecutionMode,
    check_execution_mode,
    execution_modes,
)
from quantlab.generation.execution.modules import layer_module
from quantlab.generation.execution.steps import Convolve
from quantlab.graphs.select import select
from quantlab.graphs.shapes import shape_of

AUTO = "auto"
_LEAST_TURNS = 5
_LEAST_SECONDS = 0.03  # of all turns
_HOPELESS = 4.0  # times the least time: not measured further
_SAVED = 0.9  # of the time of a fused layer, beside its neighbors

Asked = str | Mapping[str, str]
Seconds = Mapping[ExecutionMode, float]


def asked_modes(
    gm: fx.GraphModule, steps: Sequence[Convolve], asked: Asked
) -> dict[str, ExecutionMode]:
    """Return the modes that are asked for, by path of the layer; layers of `auto` are left out.

    asked: a mode of all, in the place of which a dense layer that does not have it is `generated`;
    or modes by selector, of which the last one about a layer counts. Raises UsageError for a mode
    that does not exist or that a layer does not have, and for a selector that matches no layer.
    """
    if isinstance(asked, str):
        every = {step.layer.name: _for_all(step.layer, asked) for step in steps}
        return {name: mode for name, mode in every.items() if mode is not None}
    check_kind("mode", asked, Mapping, "a mode, or a table of modes by selector,")
    layers = {step.layer.name: step.layer for step in steps}
    modules = {name: gm.get_submodule(name) for name in layers}
    chosen: dict[str, ExecutionMode] = {}
    for selector, mode in asked.items():
        try:
            names = select(selector).among(modules)
        except UsageError as error:
            raise UsageError(f"mode: {error}") from error
        for name in names:
            chosen.pop(name, None)
            if mode != AUTO:
                chosen[name] = check_execution_mode(layers[name], mode)
    return chosen


def _for_all(layer: Folded, mode: str) -> ExecutionMode | None:
    if mode == AUTO:
        return None
    if layer.is_dense and mode in EXECUTION_MODES and mode not in execution_modes(layer):
        return "generated"
    return check_execution_mode(layer, mode)


def fastest(seconds: Seconds) -> ExecutionMode:
    """Return the mode of the least time; `fused` unless another is a tenth faster, since fused
    neighbors save more than the layer alone shows."""
    return min(seconds, key=lambda mode: seconds[mode] * (_SAVED if mode == "fused" else 1.0))


@torch.inference_mode()
def seconds_of(step: Convolve) -> dict[ExecutionMode, float]:
    """Return the time of a layer alone in each of its modes, on a batch of the example's size.

    All take turns, so that whatever else the machine does meets all alike, and the least time
    counts. A mode that took four times the least time twice takes no more turns.
    """
    inputs = [random_input(node) for node in step.inputs]
    modules = {mode: layer_module(step, mode) for mode in execution_modes(step.layer)}
    seconds = {mode: _time(module, inputs) for mode, module in modules.items()}
    num_turns, begin = 1, time.perf_counter()
    while num_turns < _LEAST_TURNS or time.perf_counter() - begin < _LEAST_SECONDS:
        limit = _HOPELESS * min(seconds.values()) if num_turns > 2 else math.inf
        for mode, module in modules.items():
            if seconds[mode] <= limit:
                seconds[mode] = min(seconds[mode], _time(module, inputs))
        num_turns += 1
    return seconds


def _time(module: nn.Module, inputs: Sequence[Tensor]) -> float:
    begin = time.perf_counter()
    module(*inputs)
    return time.perf_counter() - begin


def random_input(node: fx.Node) -> Tensor:
    """Return random numbers of the shape of a node, images in NHWC; always the same."""
    generator = torch.Generator().manual_seed(0)
    shape = shape_of(node)
    assert shape is not None
    values = torch.randn(shape, generator=generator, dtype=torch.float32)
    is_image = len(shape) == 4
    return values.contiguous(memory_format=torch.channels_last) if is_image else values


def measured_modes(steps: Sequence[Convolve]) -> dict[str, Seconds]:
    """Return the times of layers by path; those that are alike are measured once."""
    known: dict[object, Seconds] = {}
    found: dict[str, Seconds] = {}
    for step in steps:
        kind = likeness(step)
        if kind not in known:
            known[kind] = seconds_of(step)
        found[step.layer.name] = known[kind]
    return found


def likeness(step: Convolve) -> object:
    """Return what layers have in common that take the same time."""
    tensors = {name: (one.shape, one.dtype) for name, one in step.layer.tensors.items()}
    shapes = tuple(shape_of(node) for node in step.inputs)
    return tuple(tensors.items()), step.layer.window, shapes
