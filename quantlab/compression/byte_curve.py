"""How many bytes a layer's weights take when so many of them are kept, as the kernels of C say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from quantlab.deploy.c.kernels.choice import factors_of
from quantlab.deploy.c.kernels.kernel import Factors
from quantlab.deploy.c.kernels.table import KERNELS
from quantlab.integer.operations import Convolution, Linear
from quantlab.integer.program import Program

_NUM_POINTS = 9
_RATIO = 0.62  # of the counts of two neighboring points


@dataclass(frozen=True, kw_only=True)
class ByteCurve:
    """counts: of kept weights, rising. nbytes: of all weights of the layer then, in the smallest
    encoding, by the bits of a weight."""

    counts: NDArray[np.int64]
    nbytes: Mapping[int, NDArray[np.float64]]

    def at(self, count: NDArray[np.int64] | int, bits: int) -> NDArray[np.float64]:
        """Return the bytes for counts of kept weights, between the points along a line."""
        found: NDArray[np.float64] = np.asarray(np.interp(count, self.counts, self.nbytes[bits]))
        return found


def layer_operations(
    program: Program, layers: Mapping[str, nn.Module]
) -> dict[str, Convolution | Linear]:
    """Return the operation that multiplies the weights of each layer, as far as there is one."""
    operations = {
        operation.output: operation
        for operation in program.operations
        if isinstance(operation, Convolution | Linear)
    }
    found = {name: operations.get(_node_name(name)) for name in layers}
    return {
        name: operation
        for name, operation in found.items()
        if operation is not None
        and operation.weight.size == layers[name].get_parameter("weight").numel()
    }


def _node_name(layer: str) -> str:
    """Return the name that torch.fx gives the call of a layer, and lowering its output."""
    name = "".join(letter if letter.isalnum() else "_" for letter in layer)
    return f"_{name}" if name[:1].isdigit() else name


def byte_curve(
    operation: Convolution | Linear,
    program: Program,
    order: NDArray[np.int64],
    bits: Sequence[int],
) -> ByteCurve:
    """Return the bytes of a layer's weights.

    operation: with weights of 8 bits. order: the places of the weights that can be kept, the most
    important ones first, in the flat weights of the layer as PyTorch has them.
    """
    counts = _counts(len(order))
    codes = operation.weight.reshape(-1)
    found: dict[int, list[float]] = {one: [] for one in bits}
    for count in counts:
        kept = order[:count]
        for one in bits:
            weight = np.zeros_like(codes)
            weight[kept] = _narrowed(codes[kept], one)
            changed = replace(operation, weight=weight.reshape(operation.weight.shape))
            found[one].append(_fewest(factors_of(changed, program)))
    return ByteCurve(
        counts=np.array(counts), nbytes={one: np.array(found[one], np.float64) for one in bits}
    )


def _counts(most: int) -> list[int]:
    counts = {0, most, *(round(most * _RATIO**power) for power in range(_NUM_POINTS))}
    return sorted(counts)


def _narrowed(codes: NDArray[np.int8], bits: int) -> NDArray[np.int8]:
    """Return codes of 8 bits as about those of fewer, none of which is zero."""
    if bits == 8:
        return np.where(codes == 0, 1, codes).astype(np.int8)
    most = 2 ** (bits - 1) - 1
    sizes = np.clip(np.rint(np.abs(codes.astype(np.int16)) * most / 127), 1, most)
    narrowed: NDArray[np.int8] = np.where(codes < 0, -sizes, sizes).astype(np.int8)
    return narrowed


def _fewest(factors: Factors) -> int:
    """Return the fewest bytes of all kernels that can store a layer."""
    return min(k.nbytes(factors) for k in KERNELS.values() if k.obstacle(factors) is None)
