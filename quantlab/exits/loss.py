"""The loss of all exits together."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn.functional import cross_entropy

from quantlab.errors import UsageError, check_kind


def joint_loss(
    scores: Sequence[Tensor],
    targets: Tensor,
    *,
    weights: Sequence[float] | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
) -> Tensor:
    """Return sum_e w_e L(scores_e, targets), BranchyNet's equation 1.

    scores: of each exit, `[N, C]`, as `EarlyExit` gives them in training. weights: of each exit; by
    default all are 1. loss: of one exit. Raises UsageError unless there is a weight from 0 for each
    exit.
    """
    check_kind("scores", scores, list | tuple, "the scores of each exit in a tuple")
    weights = [1.0] * len(scores) if weights is None else weights
    check_kind("weights", weights, list | tuple, "a list of numbers")
    if not scores or len(weights) != len(scores):
        raise UsageError(f"weights: {len(weights)} given, {len(scores)} allowed, one for each exit")
    for number, weight in enumerate(weights):
        check_kind(f"weights[{number}]", weight, int | float, "a number")
        if not weight >= 0:
            raise UsageError(f"weights[{number}]: {weight} given, numbers from 0 allowed")
    first, *others = (
        weight * loss(one, targets) for one, weight in zip(scores, weights, strict=True)
    )
    return sum(others, start=first)
