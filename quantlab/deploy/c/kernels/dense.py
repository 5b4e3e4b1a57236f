"""All weights, a byte each, in the order in which `runtime/product.inc` and `depthwise.inc` read
them: the fastest kernel, and one for all layers."""

from dataclasses import dataclass

from quantlab.deploy.c.kernels.kernel import Factors, Kernel, Stored
from quantlab.deploy.c.weights import BLOCK, packed
from quantlab.integer.operations import Convolution, Operation


@dataclass(frozen=True)
class Dense(Kernel):
    """A byte for each weight."""

    @property
    def encoding(self) -> str:
        return "dense"

    @property
    def code_bytes(self) -> int:
        return 2200

    def nbytes(self, factors: Factors) -> int:
        return factors.weight.size

    def store(self, factors: Factors) -> Stored:
        weight = factors.weight
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
