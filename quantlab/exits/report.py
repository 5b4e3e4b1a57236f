"""How many samples leave at which exit, how often they are right, and what that costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.exits.interpreter import leave
from quantlab.exits.program import check_thresholds
from quantlab.exits.thresholds import check_costs, check_scores


@dataclass(frozen=True, kw_only=True)
class ExitUse:
    """One exit. threshold: None at the last one. share: of samples that leave here, accuracy: of
    those, alone: of all samples, if all left here; all in percent; accuracy is None if no sample
    leaves. cost: of a sample that leaves here, in the unit that was given."""

    threshold: int | None
    share: float
    accuracy: float | None
    alone: float
    cost: float


@dataclass(frozen=True, kw_only=True)
class ExitReport:
    """exits: in their order. accuracy: of all samples, in percent. cost: of a sample on average.
    unit: of costs."""

    exits: Sequence[ExitUse]
    accuracy: float
    cost: float
    unit: str

    def __str__(self) -> str:
        lines = [
            f"{'exit':>4}  {'threshold':>10}  {'leave':>7}  {'right':>7}  {'alone':>7}  {self.unit}"
        ]
        for number, one in enumerate(self.exits):
            threshold = "" if one.threshold is None else f"{one.threshold}"
            right = "" if one.accuracy is None else f"{one.accuracy:.2f} %"
            lines.append(
                f"{number:>4}  {threshold:>10}  {one.share:>5.1f} %  {right:>7}  "
                f"{one.alone:>5.2f} %  {one.cost:,.0f}"
            )
        lines.append(
            f"accuracy {self.accuracy:.2f} %, {self.cost:,.0f} {self.unit} a sample on average"
        )
        return "\n".join(lines)


def exit_report(
    scores: Sequence[NDArray[Any]],
    targets: NDArray[Any],
    thresholds: Sequence[int],
    costs: Sequence[float],
    *,
    unit: str = "MACs",
) -> ExitReport:
    """Return what samples do at exits with given thresholds.

    scores, targets: of samples, as for `choose_thresholds`. costs: of a sample that leaves at each
    exit, in a unit: `exit_macs`, or instructions that a board measured. Raises UsageError for
    anything else.
    """
    scores, targets = check_scores(scores, targets)
    check_thresholds(thresholds, len(scores))
    each = check_costs(costs, len(scores))
    found = leave(scores, thresholds)
    right = found.scores.argmax(1) == targets
    uses = []
    for number, one in enumerate(scores):
        here = found.exits == number
        uses.append(
            ExitUse(
                threshold=thresholds[number] if number < len(thresholds) else None,
                share=100 * float(here.mean()),
                accuracy=100 * float(right[here].mean()) if here.any() else None,
                alone=100 * float((one.argmax(1) == targets).mean()),
                cost=float(each[number]),
            )
        )
    return ExitReport(
        exits=uses,
        accuracy=100 * float(right.mean()),
        cost=float(each[np.asarray(found.exits, np.intp)].mean()),
        unit=unit,
    )
