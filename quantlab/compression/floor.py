"""A floor of accuracy, as it is asked for."""

from quantlab.errors import UsageError


def check_floor(floor: object) -> None:
    """Raise UsageError for what is no accuracy in percent, and for what is likely a fraction."""
    if isinstance(floor, bool) or not isinstance(floor, int | float):
        raise UsageError(f"floor: a {type(floor).__name__} given, percent allowed")
    if not 0 <= floor <= 100:
        raise UsageError(f"floor: {floor} given, 0 to 100 percent allowed")
    if 0 < floor <= 1:
        raise UsageError(f"floor: {floor} given; it is in percent: {100 * floor:g}")
