"""Following a network on its way to a program."""

from torch import Tensor, fx, nn

from quantlab.errors import UsageError
from quantlab.graphs.trace import EXPORT_HINT, UntraceableError, trace
from quantlab.integer.lower.handlers import passing_types


def traced(network: nn.Module, example: Tensor) -> fx.GraphModule:
    """Return a network's graph, followed on an example where it cannot be for all inputs at once.

    Raises the error of the former, if both fail.
    """
    try:
        return trace(network, leaves=passing_types(network), keeps_modes=False)
    except UntraceableError as error:
        try:
            return trace(
                network,
                example,
                leaves=passing_types(network),
                method="export",
                keeps_modes=False,
            )
        except UsageError:
            reason = str(error).removesuffix(EXPORT_HINT)
            raise UsageError(f"{reason}, nor on an example") from None


def check_inputs(gm: fx.GraphModule) -> None:
    """Raise UsageError unless a graph has one input; others may have defaults."""
    inputs = [node for node in gm.graph.find_nodes(op="placeholder") if not node.args]
    if len(inputs) != 1:
        names = ", ".join(f"'{node.name}'" for node in inputs) or "none"
        raise UsageError(
            f"lower: a network with {len(inputs)} inputs ({names}) given, one allowed; give the "
            "others a default, or make them part of the network"
        )
