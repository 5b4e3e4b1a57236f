"""The levels of each factor, as integer codes."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from quantlab.errors import UsageError, did_you_mean
from quantlab.generation.spec import FactorName, MLGSpec

_NAMES: tuple[FactorName, ...] = ("basis", "coeff_in", "coeff_out")


def levels_of(
    spec: MLGSpec, levels: Mapping[FactorName, Sequence[int]] | None
) -> dict[FactorName, tuple[int, ...]]:
    """Return the levels of each factor, those of a spec where none are given. Factors of floats
    have none.

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
    return {**spec.levels, **{name: tuple(codes) for name, codes in given.items()}}
