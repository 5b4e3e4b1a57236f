"""How many multiplications the modes of a generated layer take; see `modes`."""

import math
from collections.abc import Sequence

from quantlab.generation.modes import Mode, Window, check_mode
from quantlab.generation.shapes import FactorShapes


def multiplications(
    shapes: FactorShapes, mode: Mode, *, num_inputs: int, num_outputs: int, groups: int = 1
) -> int:
    """Return the multiplications of a forward pass, those with borders of zeros counted.

    num_inputs, num_outputs: the places of all samples, pixels of a convolution (see `num_places`).
        A linear layer has one output place a sample, and one input place for each number of a
        block. groups: of the convolution.

    A backward pass takes about twice as many in each mode. Raises UsageError; see `check_mode`.
    """
    check_mode(shapes, mode)
    bases, kernels, *sides = shapes.basis
    area, has_in = math.prod(sides), shapes.coeff_in is not None
    inputs = shapes.coeff_in[1] if shapes.coeff_in is not None else kernels
    outputs = shapes.coeff_out[0] if shapes.coeff_out is not None else bases
    each = groups if shapes.coeff_out is not None else 1  # how often the bases are applied
    of_bases = bases * inputs * area * kernels if has_in else 0
    last = outputs * bases * num_outputs if shapes.coeff_out is not None else 0
    if mode == "generated":
        of_weight = outputs * bases * inputs * area if shapes.coeff_out is not None else 0
        return of_bases + of_weight + outputs * inputs * area * num_outputs
    if mode == "two_stage" or not has_in:
        return of_bases + each * bases * inputs * area * num_outputs + last
    first = each * bases * kernels * inputs * num_inputs
    return first + each * bases * kernels * area * num_outputs + last


def num_places(window: Window, kernel: Sequence[int], size: Sequence[int]) -> tuple[int, int]:
    """Return the pixels of an image that the first stage reads, and those of the result.

    kernel: its height and width. size: those of the image.
    """
    left, right, top, bottom = window.edges(tuple(kernel))
    padded = (size[0] + top + bottom, size[1] + left + right)
    found = [
        (side - d * (k - 1) - 1) // s + 1
        for side, k, s, d in zip(padded, kernel, window.stride, window.dilation, strict=True)
    ]
    read = size if window.padding_mode == "zeros" else padded
    return math.prod(read), math.prod(found)
