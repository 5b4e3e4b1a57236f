"""Constants of a module: arrays that lie in its memory from the start."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.wasm.places import ALIGNMENT, SLACK


class Constants:
    """Arrays by address, each stored once, from `start` on."""

    def __init__(self, start: int) -> None:
        self._addresses: dict[bytes, int] = {}
        self._end = start

    def address(self, array: NDArray[Any]) -> int:
        """Return where an array lies, in C order, its integers little-endian."""
        data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        if data not in self._addresses:
            self._end = -(-self._end // ALIGNMENT) * ALIGNMENT
            self._addresses[data] = self._end
            self._end += len(data)
        return self._addresses[data]

    @property
    def end(self) -> int:
        """Where memory behind all arrays is free."""
        return self._end + SLACK

    def data(self) -> Mapping[int, bytes]:
        """Return what lies at each address."""
        return {address: data for data, address in self._addresses.items()}
