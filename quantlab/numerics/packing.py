"""Integer codes of 1..8 bits, signed or not, to and from dense bit streams; bits counted in rows.

The stream is little-endian: code i of b bits occupies bits [i * b, (i + 1) * b). A signed code is
stored as its b lowest bits in two's complement, code modulo 2^b, and read back by extending its
sign: code = (u XOR h) - h with h = 2^(b-1). The arithmetic runs in `quantlab.backend`, which is
imported when it is used: programs are lowered, run and written as ONNX without compiled kernels.

Shapes: N codes, R rows, W words.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError
from quantlab.numerics.ranges import IntegerRange, integer_range

MAX_PACKED_BITS = 8


def pack_codes(
    codes: NDArray[np.integer[Any]], num_bits: int, *, signed: bool
) -> NDArray[np.uint8]:
    """Pack integers of any shape, in C order, into `[ceil(N * num_bits / 8)]` bytes.

    The range of codes is that of `integer_range`. Raises UsageError naming the first code outside.
    """
    from quantlab import backend

    allowed = _code_range(num_bits, signed=signed)
    smallest, largest = allowed.quant_min, allowed.quant_max
    if not np.issubdtype(codes.dtype, np.integer):
        raise UsageError(f"codes: {codes.dtype} array; allowed are integers")
    codes_N = codes.reshape(-1)
    if codes_N.size > 0 and not smallest <= codes_N.min() <= codes_N.max() <= largest:
        first = int(np.argmax((codes_N < smallest) | (codes_N > largest)))
        kind = "signed" if signed else "unsigned"
        raise UsageError(
            f"codes[{first}]: {codes_N[first]} does not fit; allowed for {kind} codes with "
            f"num_bits={num_bits} is {smallest}..{largest}"
        )
    return backend.pack(_low_bits(codes_N, num_bits), num_bits)


def unpack_codes(
    packed: NDArray[np.uint8], num_codes: int, num_bits: int, *, signed: bool
) -> NDArray[np.uint8] | NDArray[np.int8]:
    """Unpack `[num_codes]` codes: int8 if signed, else uint8. The inverse of `pack_codes`.

    Raises UsageError unless `packed` has exactly ceil(num_codes * num_bits / 8) bytes.
    """
    from quantlab import backend

    _code_range(num_bits, signed=signed)
    codes_N = backend.unpack(packed, num_bits, num_codes=num_codes)
    if not signed:
        return codes_N
    sign = np.uint8(1 << num_bits - 1)
    np.bitwise_xor(codes_N, sign, out=codes_N)
    np.subtract(codes_N, sign, out=codes_N)  # modulo 256, which is what the view reads
    return codes_N.view(np.int8)


def popcount_rows(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the number of bits set in each row of words `[R, W]` as `[R]`. Raises UsageError."""
    from quantlab import backend

    return backend.popcount(words)


def _code_range(num_bits: int, *, signed: bool) -> IntegerRange:
    if num_bits > MAX_PACKED_BITS:
        raise UsageError(f"num_bits: {num_bits} given, at most {MAX_PACKED_BITS} can be packed")
    return integer_range(num_bits, signed=signed)


def _low_bits(codes_N: NDArray[np.integer[Any]], num_bits: int) -> NDArray[np.uint8]:
    low_N = codes_N.astype(np.uint8)  # modulo 256
    return np.bitwise_and(low_N, np.uint8((1 << num_bits) - 1), out=low_N)
