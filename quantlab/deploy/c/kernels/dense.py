"""All weights, a byte each: the fastest kernel, and one for all layers.

A layer of one group whose weights make pairs has the order of `runtime/paired.inc`, others that of
`product.inc` and `depthwise.inc`.
"""

from dataclasses import dataclass

from quantlab.deploy.c.kernels.kernel import Factors, Kernel, Stored
from quantlab.deploy.c.kernels.pairs import EIGHT, have_pairs, in_order
from quantlab.deploy.c.weights import BLOCK, packed
from quantlab.integer.operations import Convolution, Operation
from quantlab.integer.tensor_type import S8, U8, TensorType

# Of `runtime/paired.inc`: the outputs made at once, and the elements read at once.
_ROW = 32
_AT_ONCE = 64


@dataclass(frozen=True)
class Dense(Kernel):
    """A byte for each weight."""

    @property
    def encoding(self) -> str:
        return "dense"

    @property
    def code_bytes(self) -> int:
        return 2200

    def obstacle(self, factors: Factors) -> str | None:
        return None

    def nbytes(self, factors: Factors) -> int:
        size = factors.weight.size
        return size + size % 2 if _has_pairs(factors) else size

    def store(self, factors: Factors) -> Stored:
        weight = factors.weight
        if _has_pairs(factors):
            return self._store_pairs(factors)
        if factors.is_depthwise:
            weights = weight.transpose(3, 1, 2, 0).reshape(-1)
        else:
            weights = packed(weight, factors.groups, is_joined=_is_joined(factors))
        has_scratch = _needs_scratch(factors)
        function = "depthwise" if factors.is_depthwise else "product"
        runtime = {"find_window", "fill_window"}
        if all(map(_is_of_places, factors.program.operations)):
            function = "places"  # smaller, but not where the others are needed too
            runtime = set()
        return Stored(
            encoding=self.encoding,
            weights=weights,
            function=f"{function}_{factors.kind}",
            runtime=frozenset(runtime),
            scratch=factors.window if has_scratch else None,
        )

    def _store_pairs(self, factors: Factors) -> Stored:
        num_outputs, rows, columns, channels = factors.weight.shape
        is_gathered = _is_gathered(factors)
        weights = in_order(factors.weight.reshape(num_outputs, -1), 1 if is_gathered else rows)
        function, runtime = "paired", {"find_window", "fill_window"}
        if all(map(_is_of_places, factors.program.operations)):
            function, runtime = "paired_places", set()
        scratch: TensorType | None = None
        if is_gathered:
            scratch = TensorType((2 * rows, columns * channels), factors.kind)
        elif factors.windows.is_padded and (factors.has_padding_codes or channels % EIGHT):
            scratch = factors.window
        is_read_again = num_outputs > _ROW and rows * columns * channels > _AT_ONCE
        return Stored(
            encoding=self.encoding,
            weights=weights,
            function=f"{function}_{factors.kind}",
            runtime=frozenset(runtime),
            scratch=scratch,
            is_gathered=is_gathered,
            is_of_places=_is_of_places(factors.layer),
            places_at_once=2 if is_read_again and function == "paired" else 1,
        )


def _has_pairs(factors: Factors) -> bool:
    """Return whether weights are stored in pairs."""
    return (
        factors.groups == 1
        and factors.kind in (S8, U8)
        and have_pairs(factors.weight.reshape(len(factors.weight), -1), factors.kind)
    )


def _is_gathered(factors: Factors) -> bool:
    """Return whether each window is copied, to be one span: its rows have no whole eights."""
    rows, columns, channels = factors.weight.shape[1:]
    if rows * columns == 1:
        return False
    return factors.windows.dilation[1] != 1 or (rows > 1 and columns * channels % EIGHT != 0)


def _is_joined(factors: Factors) -> bool:
    """Return whether a row of the kernel is one span."""
    return factors.groups == factors.windows.dilation[1] == 1


def _is_of_places(operation: Operation) -> bool:
    """Return whether each window of a layer, if it is one, is the place that it makes."""
    if not isinstance(operation, Convolution):
        return True
    windows = operation.windows
    return windows.kernel == windows.stride == (1, 1) and not windows.is_padded


def _needs_scratch(factors: Factors) -> bool:
    """Return whether windows at the border cannot be taken in parts: their elements beyond it are
    not zeros, or the part of a row of the kernel is no whole number of squares of weights."""
    if not factors.windows.is_padded:
        return False
    has_parts = (
        factors.is_depthwise or not _is_joined(factors) or factors.weight.shape[3] % BLOCK == 0
    )
    return factors.has_padding_codes or not has_parts
