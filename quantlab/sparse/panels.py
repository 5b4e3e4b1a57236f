"""Panels: what a kernel reads of so many planes stays in the first cache.

A tile of results is added up panel by panel, and is loaded and stored once for each, so panels pay
only where each has some connections with a result.
"""

_CACHE_BYTES = 48 * 1024


def panel_width(count: int, num_bytes: int, density: float, least: int) -> int:
    """Return how many of `count` planes make a panel; all of them if panels do not pay.

    num_bytes: that a tile reads of a plane. density: connections of a plane with each result.
    least: connections of a panel with each result, on average.
    """
    fitting = max(_CACHE_BYTES // max(num_bytes, 1), 1)
    return fitting if fitting < count and fitting * density >= least else max(count, 1)
