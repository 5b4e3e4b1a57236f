"""Which candidate a layer becomes, given what each of them costs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from quantlab.errors import UsageError
from quantlab.sparse.candidates import DENSE, Candidate
from quantlab.sparse.measure import Measure, step_bytes, step_seconds
from quantlab.sparse.swap_report import Objective

_MEASURES: Mapping[Objective, Measure] = {"time": step_seconds, "memory": step_bytes}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """min_sparsity: of the layers that are measured; min_gain: of what replaces them. Raises
    UsageError for numbers outside."""

    min_sparsity: float
    min_gain: float
    candidates: Mapping[str, Candidate]
    measure: Measure

    def __post_init__(self) -> None:
        if not 0 <= self.min_sparsity <= 1:
            raise UsageError(f"min_sparsity: {self.min_sparsity} given; 0 to 1 allowed")
        if not self.min_gain >= 0:
            raise UsageError(f"min_gain: {self.min_gain} given; at least 0 allowed")

    def best(self, costs: Mapping[str, float], dropped: Collection[str] = ()) -> tuple[str, str]:
        """Return the candidate to take for its costs, and why; one that was dropped only if all
        were."""
        others = [name for name in costs if name != DENSE]
        others = [name for name in others if name not in dropped] or others
        if not others:
            return DENSE, "no candidate takes it"
        best = min(others, key=lambda name: costs[name])
        ratio = costs[DENSE] / costs[best] if costs[best] else float("inf")
        if costs[DENSE] > (1 + self.min_gain) * costs[best]:
            return best, f"{DENSE} costs {ratio:.2f} times as much"
        needed = f"more than {1 + self.min_gain:g} needed"
        return DENSE, f"{DENSE} costs {ratio:.2f} times as much as {best}; {needed}"


def measure_of(objective: Objective) -> Measure:
    """Return what finds the cost. Raises UsageError for an unknown objective."""
    if objective not in _MEASURES:
        raise UsageError(f"objective: '{objective}' given; {' or '.join(_MEASURES)} allowed")
    return _MEASURES[objective]


def allowed(candidates: Mapping[str, Candidate], quantize: bool) -> Mapping[str, Candidate]:
    """Return the candidates that may be taken: those of 8 bits only if `quantize`. Raises
    UsageError."""
    if DENSE not in candidates:
        raise UsageError(f"candidates: {', '.join(candidates)} given; '{DENSE}' must be among them")
    return {
        n: candidate for n, candidate in candidates.items() if quantize or not candidate.is_int8
    }
