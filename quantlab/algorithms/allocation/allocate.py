"""Allocate bits: the best number of bits for each layer under a budget of bytes.

With the cost c_lb of layer l at b bits, its n_l weights packed densely, and x_lb = 1 where b is
chosen for l, else 0 (a multiple-choice knapsack; as an integer program for mixed precision: Z. Yao
et al., HAWQ-V3, 2021, arXiv:2011.10680, section 3.4):

    minimize    sum_lb c_lb x_lb
    subject to  sum_b x_lb = 1 for each l,   sum_lb ceil(n_l b / 8) x_lb <= max_bytes

It is solved exactly (to 1e-12 of what the best choice costs more than each layer's cheapest option)
by HiGHS's branch and bound, which proves a bound below which no choice can be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantlab.algorithms.allocation.layer_rules import STE, Settings, rule_for
from quantlab.algorithms.allocation.sensitivity import Metric, Sensitivity
from quantlab.algorithms.rules import QuantRule
from quantlab.errors import UsageError

# Costs are scaled to this range, since HiGHS stops when bound and objective differ by 1e-6.
_COST_RANGE = 1e6


@dataclass(frozen=True, kw_only=True)
class Option:
    """One number of bits for one layer, with what it costs and takes."""

    layer: str
    num_bits: int
    cost: float
    nbytes: int


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """The options chosen, one for each layer, in the layers' order.

    objective: the sum of their costs; no choice within the budget has a sum below `bound`.
    gap: objective - bound; 0 when solved to optimality.
    """

    options: tuple[Option, ...]
    max_bytes: int
    objective: float
    bound: float

    @property
    def nbytes(self) -> int:
        return sum(option.nbytes for option in self.options)

    @property
    def bits(self) -> dict[str, int]:
        return {option.layer: option.num_bits for option in self.options}

    @property
    def gap(self) -> float:
        return self.objective - self.bound

    def __str__(self) -> str:
        proof = "which is optimal" if self.gap == 0 else f"at least {self.bound:.4g} possible"
        head = f"{self.nbytes:,} of {self.max_bytes:,} bytes; cost {self.objective:.4g}, {proof}"
        width = max(len(option.layer) for option in self.options)
        lines = [
            f"{option.layer:<{width}}  {option.num_bits:>2} bits  {option.nbytes:>10,} bytes"
            for option in self.options
        ]
        return "\n".join([head, *lines])


def packed_bytes(num_weights: int, num_bits: int) -> int:
    """Return how many bytes a tensor takes whose codes are packed densely."""
    return -(-num_weights * num_bits // 8)


def options_of(sensitivity: Sensitivity, metric: Metric = "kl") -> tuple[Option, ...]:
    """Return a table of sensitivities as options.

    metric: what a layer's bits cost; of `sqnr_db`, the noise in units of the signal. The loss is
        the noisiest: on few samples, fewer bits may seem to lower it.
    """

    def cost(value: float) -> float:
        return 10.0 ** (-value / 10.0) if metric == "sqnr_db" else value

    return tuple(
        Option(
            layer=row.layer,
            num_bits=row.num_bits,
            cost=cost(getattr(row, metric)),
            nbytes=packed_bytes(row.num_weights, row.num_bits),
        )
        for row in sensitivity.rows
    )


def allocate(
    options: Sequence[Option], *, max_bytes: int, time_limit_s: float | None = None
) -> Allocation:
    """Return the choice of one option for each layer with the least sum of costs.

    time_limit_s: after which a search ends with the best choice so far and its gap; None: none.

    Raises UsageError if no choice is small enough, with the least bytes possible, for a cost that
    is not finite, or for an option given twice.
    """
    by_layer = _by_layer(options)
    smallest = {
        layer: min(own, key=lambda option: (option.nbytes, option.cost))
        for layer, own in by_layer.items()
    }
    least = sum(option.nbytes for option in smallest.values())
    if max_bytes < least:
        raise UsageError(f"max_bytes: {max_bytes} given, at least {least} possible")
    offsets = {layer: min(option.cost for option in own) for layer, own in by_layer.items()}
    problem = _Problem(
        costs=np.array([option.cost - offsets[option.layer] for option in options]),
        nbytes=np.array([float(option.nbytes) for option in options]),
        is_of_layer=np.array(
            [[float(option.layer == layer) for option in options] for layer in by_layer]
        ),
        max_bytes=max_bytes,
        time_limit_s=math.inf if time_limit_s is None else time_limit_s,
    )
    chosen, missing = _solve(problem, np.array([o is smallest[o.layer] for o in options]))
    picked = {o.layer: o for o, is_chosen in zip(options, chosen, strict=True) if is_chosen}
    objective = math.fsum(option.cost for option in picked.values())
    return Allocation(
        options=tuple(picked[layer] for layer in by_layer),
        max_bytes=max_bytes,
        objective=objective,
        bound=objective - missing,
    )


def to_rules(allocation: Allocation, *, algorithm: Settings = STE) -> list[QuantRule]:
    """Return an allocation as rules for the weights, one for each number of bits.

    algorithm: the settings of the algorithm but for `num_bits`, as in a rule.
    """
    bits = allocation.bits
    return [
        rule_for([name for name, b in bits.items() if b == num_bits], "weight", algorithm, num_bits)
        for num_bits in sorted(set(bits.values()))
    ]


@dataclass(frozen=True, kw_only=True)
class _Problem:
    """costs, at least 0, and nbytes: [O], of the options; is_of_layer: [L, O], 1 or 0."""

    costs: NDArray[np.float64]
    nbytes: NDArray[np.float64]
    is_of_layer: NDArray[np.float64]
    max_bytes: int
    time_limit_s: float


def _solve(problem: _Problem, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], float]:
    """Return the best choice and how far from the bound it is, given one that is possible.

    What alone costs more than a whole choice cannot be in the best one. Dropping it brings the
    costs to the size of the best choice's, far above the solver's tolerance.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    is_left = np.full(len(problem.costs), True)
    while True:
        largest = problem.costs[is_left].max() or 1.0  # a millionth of it may be too small a float
        result = milp(
            np.where(is_left, problem.costs, 0.0) / largest * _COST_RANGE,
            integrality=np.ones(len(is_left), dtype=np.int64),
            bounds=Bounds(0.0, is_left.astype(np.float64)),
            constraints=[
                LinearConstraint(problem.is_of_layer, 1.0, 1.0),
                LinearConstraint(problem.nbytes[np.newaxis], -np.inf, problem.max_bytes),
            ],
            options={"mip_rel_gap": 0.0, "time_limit": problem.time_limit_s},
        )
        is_optimal = result.status == 0
        found = chosen if result.x is None else result.x > 0.5
        assert problem.nbytes[found].sum() <= problem.max_bytes
        if problem.costs[found].sum() <= problem.costs[chosen].sum():
            chosen = found
        total = problem.costs[chosen].sum()
        if not is_optimal:
            bound = (result.mip_dual_bound or 0.0) / _COST_RANGE * largest
            return chosen, float(max(0.0, total - max(0.0, bound)))
        was_left, is_left = is_left, is_left & (problem.costs <= total)
        if np.array_equal(is_left, was_left):
            return chosen, 0.0


def _by_layer(options: Sequence[Option]) -> dict[str, list[Option]]:
    """Return the options of each layer. Raises UsageError for those that are none."""
    found: dict[str, list[Option]] = {}
    for option in options:
        own = found.setdefault(option.layer, [])
        if not math.isfinite(option.cost):
            raise UsageError(
                f"{option.layer} at {option.num_bits} bits: cost {option.cost} given, finite "
                "numbers allowed"
            )
        if any(other.num_bits == option.num_bits for other in own):
            raise UsageError(f"{option.layer} at {option.num_bits} bits: given twice, once allowed")
        own.append(option)
    if not found:
        raise UsageError("options: 0 given, at least 1 needed")
    return found
