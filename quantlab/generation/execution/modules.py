"""The modules that compute steps."""

from collections.abc import Sequence

from torch import fx, nn

from quantlab.generation.execution.mode import ExecutionMode
from quantlab.generation.execution.one_layer import OneLayer
from quantlab.generation.execution.rows import rows_of
from quantlab.generation.execution.steps import Convolve, Step
from quantlab.generation.execution.table import Table
from quantlab.graphs.shapes import shape_of


def layer_module(step: Convolve, mode: ExecutionMode) -> nn.Module:
    """Return a module of the layer alone, which takes what the step reads."""
    if mode == "fused":
        return table_module([step], step.inputs, step.nodes[-1:])
    is_flat = len(shape_of(step.nodes[-1]) or ()) == 2
    return OneLayer(step.layer, mode, bounds=step.bounds, is_flat=is_flat)


def table_module(
    steps: Sequence[Step], inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]
) -> Table:
    """Return a module of several steps; see `rows_of`."""
    return Table(rows_of(steps, inputs, outputs))
