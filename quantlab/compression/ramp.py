"""The budget at each moment: from the dense size along a cubic to the wanted one."""


def ramped(start: float, end: float, part: float) -> float:
    """Return the bytes when a part of the ramp is done: end + (start - end) (1 - part)^3.

    Source: M. Zhu, S. Gupta, To prune, or not to prune, 2017, arXiv:1710.01878, equation 1.
    """
    left = 1 - min(max(part, 0.0), 1.0)
    return end + (start - end) * left**3
