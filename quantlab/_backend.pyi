from typing import Final

import numpy as np
from numpy.typing import NDArray

VARIANTS: Final[dict[str, tuple[str, ...]]]

def isa() -> str: ...
def supported_isas() -> tuple[str, ...]: ...
def activate(isa: str) -> None: ...
def max_threads() -> int: ...
def pack(
    codes: NDArray[np.uint8],
    num_bits: int,
    out: NDArray[np.uint8] | None,
    variant: str | None,
    num_threads: int | None,
) -> NDArray[np.uint8]: ...
def unpack(
    packed: NDArray[np.uint8],
    num_bits: int,
    num_codes: int,
    out: NDArray[np.uint8] | None,
    variant: str | None,
    num_threads: int | None,
) -> NDArray[np.uint8]: ...
def popcount(
    words: NDArray[np.uint64],
    out: NDArray[np.int64] | None,
    variant: str | None,
    num_threads: int | None,
) -> NDArray[np.int64]: ...
