"""The compiled kernels over NumPy arrays; the only importer of `quantlab._backend`.

A kernel is compiled for several instruction sets, its variants: `kernels("pack")` names those that
run here. A call takes the best one within `isa()`, which is the best of this processor unless the
environment variable QUANTLAB_ISA names another (`scalar`, `avx2`, `avx512`, `avx512vnni`,
`avx512vpopcntdq`, `avx512fp16`, `amx_bf16`). All variants give the same result, sums of real
numbers up to their rounding; so does any number of threads, to the bit. Small inputs stay on the
calling thread.

Arrays are checked and never copied; one that is written shares no memory with another of the call.
Whatever is wrong raises UsageError with the argument's name, what was given and what is allowed; so
does importing this module where the kernels are not compiled.
`num_threads=None` follows torch.set_num_threads where torch is loaded, else OMP_NUM_THREADS, else
the number of cores.

Shapes: N codes, R rows, W words.
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError, did_you_mean


def _share_openmp() -> None:
    """Load the OpenMP runtime that torch brings, without importing torch, unless one is loaded.

    The kernels then run on that runtime whichever of the two is imported first: one pool of
    threads and one setting. It also serves machines that have no libgomp but torch's.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD | os.RTLD_GLOBAL)
        return
    except OSError:
        torch = find_spec("torch")
    if torch is not None and torch.origin is not None:
        for library in Path(torch.origin).parent.glob("lib/libgomp*.so*"):
            ctypes.CDLL(str(library), mode=os.RTLD_GLOBAL)


_share_openmp()

try:
    from quantlab import _backend  # its OpenMP runtime has to be there first
except ImportError as error:
    raise UsageError(
        f"quantlab._backend: the compiled kernels are missing ({error}); `pip install .` in a "
        "checkout of QuantLab compiles them"
    ) from error


def _activate(requested: str | None) -> None:
    if not requested:
        return
    supported = _backend.supported_isas()
    if requested not in supported:
        hint = did_you_mean(requested, supported)
        raise UsageError(
            f"QUANTLAB_ISA: '{requested}' is not supported by this processor or build{hint}; "
            f"supported are {', '.join(supported)}"
        )
    _backend.activate(requested)


_activate(os.environ.get("QUANTLAB_ISA"))


def isa() -> str:
    """Return the instruction set within which kernels are chosen."""
    return _backend.isa()


def supported_isas() -> tuple[str, ...]:
    """Return the instruction sets that this processor and build support, from slow to fast."""
    return _backend.supported_isas()


def kernels(name: str) -> tuple[str, ...]:
    """Return the variants of a kernel that run here, `scalar` first. Raises UsageError."""
    if name not in _backend.VARIANTS:
        allowed = ", ".join(_backend.VARIANTS)
        hint = did_you_mean(name, _backend.VARIANTS)
        raise UsageError(f"kernel: '{name}' does not exist{hint}; allowed are {allowed}")
    return _backend.VARIANTS[name]


def max_threads() -> int:
    """Return the number of threads that `num_threads=None` means now, on this thread."""
    return _backend.max_threads()


def packed_size(num_codes: int, num_bits: int) -> int:
    """Return ceil(num_codes * num_bits / 8), the bytes of a dense bit stream."""
    return (num_codes * num_bits + 7) // 8


def pack(
    codes: NDArray[np.uint8],
    num_bits: int,
    *,
    out: NDArray[np.uint8] | None = None,
    variant: str | None = None,
    num_threads: int | None = None,
) -> NDArray[np.uint8]:
    """Pack codes `[N]` of 1..8 bits into a dense little-endian bit stream `[packed_size(N, bits)]`.

    Code i occupies bits [i * num_bits, (i + 1) * num_bits); unused bits of the last byte are zero.
    Returns `out`, a new array by default. Raises UsageError, also naming the first code that needs
    more bits; `out` then holds nothing of use.
    """
    return _backend.pack(codes, num_bits, out, variant, num_threads)


def unpack(
    packed: NDArray[np.uint8],
    num_bits: int,
    *,
    num_codes: int,
    out: NDArray[np.uint8] | None = None,
    variant: str | None = None,
    num_threads: int | None = None,
) -> NDArray[np.uint8]:
    """Unpack a bit stream `[packed_size(num_codes, num_bits)]` into its codes `[num_codes]`.

    The inverse of `pack`; unused bits of the last byte are ignored. Returns `out`, a new array by
    default. Raises UsageError.
    """
    return _backend.unpack(packed, num_bits, num_codes, out, variant, num_threads)


def entropy_encode(codes: NDArray[np.uint8], num_bits: int, *, is_mixed: bool) -> bytes:
    """Code unsigned codes `[R, C]` of 1..8 bits by an adaptive arithmetic coder, row by row.

    is_mixed: models of the row, the column and the neighbors of a code beside that of all. Raises
    UsageError, also naming the first code that needs more bits.
    """
    return _backend.entropy_encode(codes, num_bits, is_mixed)


def entropy_decode(
    data: NDArray[np.uint8], num_bits: int, *, num_rows: int, num_columns: int, is_mixed: bool
) -> NDArray[np.uint8]:
    """Return the codes `[R, C]` of bytes; the inverse of `entropy_encode`. Raises UsageError for
    bytes that it did not write, cut ones among them."""
    return _backend.entropy_decode(data, num_bits, num_rows, num_columns, is_mixed)


def popcount(
    words: NDArray[np.uint64],
    *,
    out: NDArray[np.int64] | None = None,
    variant: str | None = None,
    num_threads: int | None = None,
) -> NDArray[np.int64]:
    """Return the number of bits set in each row of words `[R, W]` as `[R]`.

    Returns `out`, a new array by default. Threads share the rows. Raises UsageError.
    """
    return _backend.popcount(words, out, variant, num_threads)


# How 32-bit sums become codes, with constants `[C]` for C channels in the groups of the convolution
# before (else 1):
#   CodesRule.rescaling(multiplier, other_multiplier, offset, shift, low, high, num_groups)
#     clamp((multiplier * sum + other_multiplier * other + offset) >> shift, low, high), in 64 bits;
#     without other_multiplier there is no other
#   CodesRule.counting(base, step, limits, num_groups)
#     base + step * how many of the limits `[L, C]` lie below the sum
# The array for the codes has a type that holds low..high, or all from base to base + step * L.
CodesRule = _backend.CodesRule
# `PackedWeights(weight, bias, num_groups, num_spans, is_words)`: weight `[O, spans * span]` int8,
# the numbers in the order in which a window has them, for inputs of uint8 or of int16 words.
PackedWeights = _backend.PackedWeights
# `PackedBits(weight, bias, num_spans, channels)`: the same for weights of -1, 0 and 1.
PackedBits = _backend.PackedBits
# `WindowPlaces(counts, steps, spans)`: counts of images, rows and columns of windows; steps from
# one to the next, and where the spans of a window begin, in numbers of the input.
WindowPlaces = _backend.WindowPlaces
# `PoolWindows(shape, rows, columns, steps, window, padding_code)`: of images `[H, W, C]`; begin and
# end of each window's rows and columns, of which every `steps`-th counts; how many numbers a whole
# window has, and what stands for those that are beyond the border.
PoolWindows = _backend.PoolWindows

# A rule, the other tensor if it takes one, and the array for the codes. They are made of the sums,
# or of the codes whose place in the list is the fourth item.
Codes = (
    tuple[CodesRule, NDArray[Any] | None, NDArray[Any]]
    | tuple[CodesRule, NDArray[Any] | None, NDArray[Any], int]
)


def convolve(
    x: NDArray[Any],
    windows: WindowPlaces,
    weights: PackedWeights,
    *,
    sums: NDArray[np.int32] | None = None,
    codes: Sequence[Codes] = (),
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Sum bias + weight * x over windows, in 32 bits; write the sums and codes made of them.

    x: uint8 or int16, flat, channels last and padded; spans are read up to a whole number of 4
    bytes or 2 words, so it may have to be longer than what it holds. The spans of each group follow
    those of the one before. sums and the arrays of codes: `[windows, O]` in any shape. Threads
    share windows and outputs. Raises UsageError.
    """
    _backend.convolve(x, windows, weights, sums, codes, variant, num_threads)


# `PackedStages(shape, is_words, entry, entry_shift, kernels, kernel_shift, exit, kernel, stride,
# dilation, padding)`: three convolutions over images of a shape `[H, W, C]`, of uint8 or of int16
# words, each a weight of int8 and a bias of int32. entry: a 1x1 one `[R * L, C]`; kernels: R of
# them, each over L outputs of the entry, `[R, rows * columns * L]`; exit: a 1x1 one `[O, R]`.
# Between them sums are shifted and clamped to 16 bits. The other arguments are of the kernels,
# padding by zeros: top, left, bottom, right. exit may be None, or kernels: then the entry reads
# pixels `stride` apart.
PackedStages = _backend.PackedStages


def convolve_stages(
    x: NDArray[Any],
    stages: PackedStages,
    num_images: int,
    *,
    sums: NDArray[np.int32] | None = None,
    codes: Sequence[Codes] = (),
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Do what two or three calls of `convolve` do, with what lies between them in the caches.

    x: flat, channels last; the last pixel is read up to a whole number of 4 bytes or 2 words. sums
    and codes: as of `convolve`. Threads share images, and rows of few. Raises UsageError.
    """
    _backend.convolve_stages(x, stages, num_images, sums, codes, variant, num_threads)


def pack_bits(
    x: NDArray[np.int8],
    planes: NDArray[np.uint64],
    *,
    channels: int,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write numbers of -1, 0 and 1, flat and channels last, as two planes of bits, one after the
    other: below zero, and not zero. A word has 64 channels of a pixel. Raises UsageError.
    """
    _backend.pack_bits(x, planes, channels, variant, num_threads)


def convolve_bits(
    planes: NDArray[np.uint64],
    windows: WindowPlaces,
    weights: PackedBits,
    *,
    sums: NDArray[np.int32] | None = None,
    codes: Sequence[Codes] = (),
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Do what `convolve` does with numbers and weights of -1, 0 and 1, of one group.

    planes: of `pack_bits`; the windows' places count words. Raises UsageError.
    """
    _backend.convolve_bits(planes, windows, weights, sums, codes, variant, num_threads)


def peak(repeats: int, *, variant: str | None = None) -> int:
    """Sum products of bytes in registers alone, on this thread; return how many those were.

    In the time that this takes `convolve` cannot do more.
    """
    return _backend.peak(repeats, variant)


def requantize(
    sums: NDArray[Any],
    codes: Codes,
    *,
    num_channels: int,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Make codes of integers of up to 32 bits, channels last. Raises UsageError."""
    _backend.requantize(sums, codes, num_channels, variant, num_threads)


def pool(
    x: NDArray[Any],
    windows: PoolWindows,
    out: NDArray[Any],
    *,
    is_sum: bool,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write the largest number of each window, or with `is_sum` the sum in int32, channels last.

    x: `[N, H, W, C]`; out: `[N, rows, columns, C]`. Threads share rows. Raises UsageError.
    """
    _backend.pool(x, windows, out, is_sum, variant, num_threads)


# Numbers in float32, or codes of int8 or int16 and their scales in float32, one or one for each
# index of the first axis: number = scale * code.
Factor = NDArray[np.float32] | tuple[NDArray[np.int8] | NDArray[np.int16], NDArray[np.float32]]
# A convolution of real numbers that is ready to run; its arrays are copied, codes stay codes:
#   PackedConvolution.dense(weight, bias, stride, padding, dilation, groups)
#     weight: Factor [Co, Ci / groups, Kh, Kw]; bias: [Co] or None; pairs of rows and columns
#   PackedConvolution.factored(basis, coeff_in, coeff_out, bias, stride, padding, dilation, groups)
#     W[c, i, s] = sum_r V[c, r] sum_l U[r, i, l] B[r, l, s], which is never computed: basis B
#     [R, L, Kh, Kw], coeff_in U [R, Ci / groups, L] or None (L is Ci / groups then), coeff_out V
#     [Co, R] or None (R is Co then)
#   num_inputs, num_outputs: channels; num_bytes: of the weights held
PackedConvolution = _backend.PackedConvolution
# A network as steps over images `[H, W, C]`. Inputs are the values 0, 1, ...; each call adds a step
# and returns the value that it makes, clamped to low..high where it takes them (a ReLU: low=0):
#   LayerTable(inputs)                               inputs: shapes (H, W, C)
#   convolution(packed, x, residual=None, low=-inf, high=inf)     convolution + bias + residual
#   max_pool(x, kernel, stride, padding), average_pool(x, kernel, stride, padding, counts_padding)
#   mean(x)                                          of all pixels: (1, 1, C)
#   add(x, y, low=-inf, high=inf), concatenate(values)            along channels
#   shape(value)
#   num_bytes: of the weights held, each once; num_bytes_read: of those that the steps read
# A linear layer is a dense convolution of the kernel 1x1, or of one as large as the image.
LayerTable = _backend.LayerTable


def run_layers(
    table: LayerTable,
    inputs: Sequence[NDArray[np.float32]],
    values: Sequence[int],
    outputs: Sequence[NDArray[np.float32]],
    *,
    precision: str = "float32",
    images_at_once: int | None = None,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Compute values of a layer table for images `[N, H, W, C]`.

    outputs: an array for each of the values, which are no inputs. images_at_once: so many images
    go through all steps together, by default 2; the weights are read for each time. Threads share
    images, or rows of an image if there are fewer; the results depend neither on their number nor
    on images_at_once. precision: "bfloat16" rounds both factors of each product of a convolution to
    16 bits, but for products by bases, and adds up in float32: a few thousandths of an error, and
    several times as fast where there is AMX; the variants are those of "factored_bf16". Raises
    UsageError.
    """
    _backend.run_layers(
        table, inputs, values, outputs, precision, images_at_once, variant, num_threads
    )


def peak_of_products(repeats: int, *, variant: str | None = None) -> int:
    """Sum products of float32 in registers alone, on this thread; return how many those were.

    In the time that this takes `run_layers` cannot do more.
    """
    return _backend.peak_of_products(repeats, variant)


# `PlaneLayout(num_channels, places, step)`: samples `[B, num_channels, len(places)]` as planes with
# the batch innermost: rows of B numbers, `step` rows a channel. places: the row of each of a
# channel's numbers, int64, -1 for none; rows that nothing takes are zeros.
PlaneLayout = _backend.PlaneLayout
# `ProductPlan(starts, offsets, order, num_panels, lines, out_steps)`: connections of rows, int64
# `[panels * rows + 1]` and int32 `[nnz]`, those of the first panel of the input first; order:
# int64, where each connection's value is; lines: count, length and step in the input; out_steps:
# numbers from one line, and from one row, of the output to the next.
ProductPlan = _backend.ProductPlan
# `GradientPlan(starts, offsets, num_panels, places, y_step)`: connections of planes of the input,
# those with the first panel of outputs first; places `[planes, 4]` int64: begin, count, length and
# step of each plane's lines; y_step: from one line of the outputs' gradient to the next.
GradientPlan = _backend.GradientPlan
Reals = NDArray[np.float16] | NDArray[np.float32] | NDArray[np.float64]


def lay_out(
    layout: PlaneLayout,
    samples: Reals,
    planes: Reals,
    *,
    is_batch_innermost: bool = False,
    factor: float = 1.0,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write samples times the factor, flat, as planes with the batch innermost.

    is_batch_innermost: the samples are `[N, B]`; else `[B, N]`, with N numbers of all channels.
    Planes of float16, of samples of float32, are rounded to the nearest, ties to even. Raises
    UsageError.
    """
    _backend.lay_out(layout, samples, planes, is_batch_innermost, factor, variant, num_threads)


def collect(
    layout: PlaneLayout,
    samples: Reals,
    planes: Reals,
    *,
    is_batch_innermost: bool = False,
    factor: float = 1.0,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write planes times the factor back as samples; numbers without a place become zero.

    Raises UsageError.
    """
    _backend.collect(layout, samples, planes, is_batch_innermost, factor, variant, num_threads)


def sparse_product(
    plan: ProductPlan,
    x: Reals,
    values: Reals,
    bias: Reals | None,
    out: Reals,
    *,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write out[row][line][i] = bias[row] + the sum over the row's connections of
    value * x[offset + line * step + i].

    All arrays are flat and of one type; float64 takes the scalar path. With x of float16 the others
    are float32: x is below 2^6 and values are below 2^4, for some sets (`kernels` of
    "sparse_product_half") add up in 16 bits. Threads share lines and rows; the result does not
    depend on their number. Raises UsageError.
    """
    _backend.sparse_product(plan, x, values, bias, out, variant, num_threads)


def sparse_gradient(
    plan: GradientPlan,
    x: Reals,
    y: Reals,
    values: Reals,
    x_gradient: Reals | None,
    gradients: Reals | None,
    *,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write the gradient of the input's lines, and add to those of the connections.

    With y the outputs' gradient: x_gradient[i] = the sum over the plane's connections of value *
    y[offset + line * y_step + i]; gradient of a connection += the sum over all i of x[i] times the
    same. None: not wanted. With x and y of float16 the others are float32, as of `sparse_product`.
    Threads share planes; the result does not depend on their number. Raises UsageError.
    """
    _backend.sparse_gradient(plan, x, y, values, x_gradient, gradients, variant, num_threads)


# `GatherPlan(product, gradient)`: the connections of a linear layer's two plans, for samples one
# after the other, as many as a call brings.
GatherPlan = _backend.GatherPlan


def gather_product(
    plan: GatherPlan,
    x: Reals,
    values: Reals,
    bias: Reals | None,
    out: Reals,
    *,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write out[b][row] = bias[row] + the sum over the row's connections of value * x[b][column].

    All arrays are flat and of one type; float64 takes the scalar path. Meant for a few samples: the
    connections are gone through once for each four. Threads share rows; the result does not depend
    on their number. Raises UsageError.
    """
    _backend.gather_product(plan, x, values, bias, out, variant, num_threads)


def gather_gradient(
    plan: GatherPlan,
    x: Reals,
    y: Reals,
    values: Reals,
    x_gradient: Reals | None,
    gradients: Reals | None,
    *,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write the gradients of the input and of the connections.

    With y the outputs' gradient: x_gradient[b][column] = the sum over the column's connections of
    value * y[b][row]; gradient of a connection = the sum over all b of x[b][column] * y[b][row].
    None: not wanted. Threads share columns; otherwise as `gather_product`. Raises UsageError.
    """
    _backend.gather_gradient(plan, x, y, values, x_gradient, gradients, variant, num_threads)


# `Int8Plan(plan)`: the rows of a ProductPlan, or the planes of a GradientPlan as rows whose product
# is the input's gradient, each filled up to a multiple of four connections by weights that are 0.
Int8Plan = _backend.Int8Plan


# Whether a seed makes `lay_out_int8` round stochastically; not in a build with
# -DSTOCHASTIC_ROUNDING_DISABLED=1, which rounds half to even, seed or not.
HAS_STOCHASTIC_ROUNDING = _backend.HAS_STOCHASTIC_ROUNDING


def absmax(
    numbers: NDArray[np.float32], *, variant: str | None = None, num_threads: int | None = None
) -> float:
    """Return the largest of flat numbers without their signs; 0 of none, NaN if there is one."""
    return _backend.absmax(numbers, variant, num_threads)


def lay_out_int8(
    layout: PlaneLayout,
    samples: NDArray[np.float32],
    planes: NDArray[np.uint8],
    scale: float,
    *,
    is_batch_innermost: bool = False,
    seed: int | None = None,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write samples, flat, as planes of q + 128 with the batch innermost; gaps are 128.

    q = x / scale, rounded half to even, between -127 and 127. With a seed, 64 bits, rounding is
    stochastic: q = floor(x / scale + u), u = m(m(i ^ low) ^ high) / 2^24, for number i of samples
    `[B, N]`, whichever is innermost, the seed's halves, and m the 32-bit mixing function lowbias32
    (its upper 24 bits at the end), if `HAS_STOCHASTIC_ROUNDING`. Raises UsageError.
    """
    _backend.lay_out_int8(
        layout, samples, planes, scale, is_batch_innermost, seed, variant, num_threads
    )


def quantize_rows(
    plan: Int8Plan,
    values: NDArray[np.float32],
    weights: NDArray[np.int8],
    scales: NDArray[np.float32],
    *,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write the weights of a plan and the scale of each of its rows.

    weights: `[plan.num_weights]`, value / scale, rounded half to even; scales: `[plan.num_rows]`,
    of each row the largest value without sign / 127, 1 where that is 0. A row with NaN or infinity
    has such a scale. Raises UsageError.
    """
    _backend.quantize_rows(plan, values, weights, scales, variant, num_threads)


def sparse_product_int8(
    plan: Int8Plan,
    x: NDArray[np.uint8],
    weights: NDArray[np.int8],
    factors: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    out: NDArray[np.float32],
    *,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write out[row][line][i] = bias[row] + factors[row] * the sum over the row's connections of
    weight * (x[offset + line * step + i] - 128).

    The sums are exact, in 32 bits. All arrays are flat. Raises UsageError.
    """
    _backend.sparse_product_int8(plan, x, weights, factors, bias, out, variant, num_threads)


def sparse_gradient_int8(
    plan: GradientPlan,
    x: NDArray[np.uint8],
    y: NDArray[np.uint8],
    factor: float,
    gradients: NDArray[np.float32],
    *,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write the gradients of the connections: factor * the sum over all i of (x[i] - 128) *
    (y[offset + line * y_step + i] - 128), y the outputs' gradient.

    The sums are exact, in 64 bits. Raises UsageError.
    """
    _backend.sparse_gradient_int8(plan, x, y, factor, gradients, variant, num_threads)


def normalize(
    z: NDArray[np.float32],
    codes: NDArray[np.uint8],
    gamma: NDArray[np.float32],
    beta: NDArray[np.float32],
    *,
    eps: float,
    has_relu: bool,
    constants: NDArray[np.float32],
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Replace z `[channels, N]`, flat, by max(gamma n + beta, 0), or without the ReLU, where
    n = (z - mean) / sqrt(variance + eps); keep n in eight bits.

    codes: of n = start + code * step, flat; all from `above` on are on one side of where the ReLU
    begins. constants: `[6, channels]`, flat: step, start, above, 1 / sqrt(variance + eps), mean and
    variance (of the batch, biased). Threads share channels; the result does not depend on their
    number. Raises UsageError.
    """
    _backend.normalize(z, codes, gamma, beta, eps, has_relu, constants, variant, num_threads)


def normalize_back(
    y_gradient: NDArray[np.float32],
    codes: NDArray[np.uint8],
    gamma: NDArray[np.float32],
    beta: NDArray[np.float32],
    *,
    has_relu: bool,
    constants: NDArray[np.float32],
    z_gradient: NDArray[np.float32],
    sums: NDArray[np.float32],
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write the gradient of z from that of the outputs, with what `normalize` kept.

    z_gradient: `[channels, N]`, flat, as y_gradient, which it may be. sums: `[2, channels]`, flat:
    the gradients of gamma and of beta. Threads share channels; the result does not depend on their
    number. Raises UsageError.
    """
    _backend.normalize_back(
        y_gradient, codes, gamma, beta, has_relu, constants, z_gradient, sums, variant, num_threads
    )


def encode(
    x: NDArray[np.float32],
    start: float,
    step: float,
    codes: NDArray[np.uint8],
    *,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write the codes 0..255 of numbers start + code * step, rounded. Raises UsageError."""
    _backend.encode(x, start, step, codes, variant, num_threads)


def decode(
    layout: PlaneLayout,
    codes: NDArray[np.uint8],
    planes: Reals,
    start: float,
    step: float,
    *,
    variant: str | None = None,
    num_threads: int | None = None,
) -> None:
    """Write samples start + code * step, `[N, B]`, as planes of float32 or float16. Raises
    UsageError."""
    _backend.decode(layout, codes, planes, start, step, variant, num_threads)
