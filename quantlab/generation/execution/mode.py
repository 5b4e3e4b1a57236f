"""The modes in which a layer runs, and which of them it has."""

from typing import Literal, get_args

from quantlab.errors import UsageError, did_you_mean
from quantlab.generation.execution.folded import Folded
from quantlab.generation.modes import Mode, modes_of

ExecutionMode = Literal["generated", "two_stage", "factored", "fused"]
EXECUTION_MODES: tuple[ExecutionMode, ...] = get_args(ExecutionMode)


def obstacle(layer: Folded) -> str | None:
    """Return why no kernel computes a layer, None if one does."""
    window = layer.window
    if window.padding_mode != "zeros":
        return f"a padding by '{window.padding_mode}'"
    left, right, top, bottom = window.edges(tuple(layer.factors.basis.shape[2:]))
    if (left, top) != (right, bottom):
        sides = f"left {left}, right {right}, top {top}, bottom {bottom}"
        return f"a padding that differs ({sides})"
    return None


def execution_modes(layer: Folded) -> tuple[ExecutionMode, ...]:
    """Return the modes of a layer: of a dense one its weight as it is, or fused with its
    neighbors."""
    by_torch: tuple[Mode, ...] = ("generated",) if layer.is_dense else modes_of(layer.factors)
    return by_torch if obstacle(layer) is not None else (*by_torch, "fused")


def check_execution_mode(layer: Folded, asked: str) -> ExecutionMode:
    """Return the mode of this name. Raises UsageError for a name that is none, and for a mode that
    a layer does not have."""
    mode = next((mode for mode in EXECUTION_MODES if mode == asked), None)
    if mode is None:
        allowed = ("auto", *EXECUTION_MODES)
        hint = did_you_mean(str(asked), allowed)
        raise UsageError(f"mode: {asked!r} given, {', '.join(allowed)} allowed{hint}")
    modes = execution_modes(layer)
    if mode not in modes:
        reason = obstacle(layer) if mode == "fused" else None
        kind = "a dense layer" if layer.is_dense else "a weight without coeff_out"
        raise UsageError(
            f"layer '{layer.name}': mode '{mode}' given for {reason or kind}; "
            f"{', '.join(modes)} allowed"
        )
    return mode
