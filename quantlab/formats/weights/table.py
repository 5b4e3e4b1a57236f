"""The encodings by name, and the smallest for given codes."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError, did_you_mean
from quantlab.formats.weights.bitmap import Bitmap
from quantlab.formats.weights.bits import Bits
from quantlab.formats.weights.blocks import Blocks
from quantlab.formats.weights.csr import Csr
from quantlab.formats.weights.csr8 import Csr8
from quantlab.formats.weights.delta4 import Delta4
from quantlab.formats.weights.dense import Dense
from quantlab.formats.weights.encoding import Encoding
from quantlab.formats.weights.nibbles import Nibbles
from quantlab.formats.weights.pattern import Pattern
from quantlab.formats.weights.rice import Rice

_ROWS: tuple[Encoding, ...] = (
    Dense(),
    *(Bits(num_bits) for num_bits in range(1, 8)),
    *(Blocks(size) for size in (4, 2)),
    *(Pattern(n, m) for n, m in ((2, 4), (1, 2), (1, 4), (2, 8), (1, 8), (1, 16))),
    Csr(),
    Blocks(1),
    Csr8(),
    Csr8(4),
    Delta4(),
    Bitmap(),
    Nibbles(),
    Rice(),
)

ENCODINGS: Mapping[str, Encoding] = {encoding.name: encoding for encoding in _ROWS}


def encoding_named(name: str) -> Encoding:
    """Return an encoding of the table. Raises UsageError for another name."""
    if name not in ENCODINGS:
        hint = did_you_mean(name, ENCODINGS)
        raise UsageError(f"encoding: '{name}' given; {', '.join(ENCODINGS)} allowed{hint}")
    return ENCODINGS[name]


def smallest(codes: NDArray[np.int8], allowed: Sequence[str] = tuple(ENCODINGS)) -> str:
    """Return the name of the encoding with the fewest bytes, of several the first that is allowed.

    codes: int8 `[O, K]`. Raises UsageError if no allowed encoding can store them.
    """
    candidates = [encoding_named(name) for name in allowed]
    reasons = {encoding.name: encoding.obstacle(codes) for encoding in candidates}
    able = [encoding for encoding in candidates if reasons[encoding.name] is None]
    if not able:
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise UsageError(f"codes: no encoding is allowed that stores them ({told})")
    return min(able, key=lambda encoding: encoding.nbytes(codes)).name
