"""Which function lowers which module, and which modules change nothing."""

from collections.abc import Callable

from torch import fx, nn

from quantlab.graphs.leaves import has_own_forward
from quantlab.graphs.operations import Mean, Sum
from quantlab.graphs.weights import LAYERS as PLAIN
from quantlab.graphs.weights import TRANSPOSED
from quantlab.integer.lower.elementwise import (
    BATCH_NORMS,
    CLAMPS,
    LEAKY,
    WITH_NUMBER,
    lower_batch_norm,
    lower_clamp,
    lower_leaky,
    lower_with_number,
)
from quantlab.integer.lower.gating import TABULATED, lower_function_of_one
from quantlab.integer.lower.generated import lower_generated
from quantlab.integer.lower.layers import lower_layer
from quantlab.integer.lower.lowering import Lowering
from quantlab.integer.lower.padding import PADS, lower_pad
from quantlab.integer.lower.pooling import (
    ADAPTIVE_MAX_POOLS,
    AVERAGES,
    MAX_POOLS,
    lower_adaptive_max_pool,
    lower_average,
    lower_max_pool,
    lower_reduction,
)
from quantlab.integer.lower.rearranging import (
    REARRANGING,
    SHUFFLES,
    lower_reshape,
    lower_shuffle,
    lower_upsample,
)
from quantlab.integer.lower.stages import GENERATED_LAYERS
from quantlab.integer.lower.value import Value

Handler = Callable[[Lowering, fx.Node, nn.Module, Value], Value]
_PASSING = (
    nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)  # fmt: skip
# Of packages that need not be there.
_PASSING_NAMES = frozenset({"torchvision.ops.stochastic_depth.StochasticDepth"})
LAYERS = (*PLAIN, *TRANSPOSED)  # which apply their quantizers themselves
HANDLERS: tuple[tuple[tuple[type[nn.Module], ...], Handler], ...] = (
    (GENERATED_LAYERS, lower_generated),
    (LAYERS, lower_layer),
    (BATCH_NORMS, lower_batch_norm),
    (CLAMPS, lower_clamp),
    (MAX_POOLS, lower_max_pool),
    (AVERAGES, lower_average),
    (ADAPTIVE_MAX_POOLS, lower_adaptive_max_pool),
    ((Mean, Sum), lower_reduction),
    (TABULATED, lower_function_of_one),
    (LEAKY, lower_leaky),
    (WITH_NUMBER, lower_with_number),
    (PADS, lower_pad),
    (REARRANGING, lower_reshape),
    (SHUFFLES, lower_shuffle),
    ((nn.Upsample,), lower_upsample),
)
# Quantizing before these gives the same codes as after them.
COMMUTING = (
    *(*_PASSING, *CLAMPS, *PADS, *REARRANGING, *SHUFFLES),
    *(*MAX_POOLS, *ADAPTIVE_MAX_POOLS, nn.Upsample),
)


def is_passing(module: nn.Module) -> bool:
    """Return whether a module does nothing in evaluation."""
    cls = type(module)
    return isinstance(module, _PASSING) or f"{cls.__module__}.{cls.__name__}" in _PASSING_NAMES


def passing_types(network: nn.Module) -> tuple[type[nn.Module], ...]:
    """Return the classes of a network's modules that do nothing in evaluation: tracing has to leave
    them whole."""
    return tuple({type(module): None for module in network.modules() if is_passing(module)})


def handler_of(module: nn.Module) -> Handler | None:
    """Return what lowers a module of one input, None if nothing does."""
    if has_own_forward(module):
        return None
    return next((handler for types, handler in HANDLERS if isinstance(module, types)), None)
