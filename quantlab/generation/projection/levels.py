"""The levels of each factor, as integer codes."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from quantlab.errors import UsageError, did_you_mean
from quantlab.generation.spec import FactorName, MLGSpec

_NAMES: tuple[FactorName, ...] = ("basis", "coeff_in", "coeff_out")


def odd_levels(num_bits: int) -> tuple[int, ...]:
    """Return the codes of `dorefa_sym`: the odd numbers from -n to n, n = 2^num_bits - 1."""
    most = 2**num_bits - 1
    return tuple(range(-most, most + 1, 2))


def levels_of(
    spec: MLGSpec, levels: Mapping[FactorName, Sequence[int]] | None
) -> dict[FactorName, tuple[int, ...]]:
    """Return the levels of each factor, odd ones of a spec's bits where none are given.

    Raises UsageError for levels that do not rise, or of a factor that there is not.
    """
    given = {} if levels is None else dict(levels)
    for name, codes in given.items():
        if name not in _NAMES:
            allowed = ", ".join(_NAMES)
            raise UsageError(
                f"levels: {name!r} given, {allowed} allowed{did_you_mean(name, _NAMES)}"
            )
        if len(codes) < 2 or any(low >= high for low, high in pairwise(codes)):
            raise UsageError(f"levels.{name}: {tuple(codes)} given, 2 or more rising codes allowed")
    return {
        name: tuple(given[name]) if name in given else odd_levels(spec.bits[name])
        for name in _NAMES
    }
