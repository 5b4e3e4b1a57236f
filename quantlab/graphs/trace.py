"""Trace: from a network to a graph of its layers.

`torch.fx` runs the network once with stand-ins for tensors and notes what is called. Leaves (see
`leaves`) are called as they are; each of them is called once, and what else computes on values is a
module too (see `unshare` and `modularize`). Layers, parameters and buffers are the network's own
objects under their own names, and the state dict has the same entries: so the network and its graph
train, load and change together.
"""

import operator
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal, get_args

from torch import Tensor, fx, nn

from quantlab.errors import UsageError, did_you_mean
from quantlab.graphs.exported import export_graph
from quantlab.graphs.leaves import is_layer, is_leaf
from quantlab.graphs.modularize import FOLLOWS_TRAINING, modularize
from quantlab.graphs.random_draws import generator_states
from quantlab.graphs.shapes import Example, as_tuple, propagate_shapes
from quantlab.graphs.skeleton import assemble
from quantlab.graphs.source import CALLED_AT, first_line, user_line, user_module
from quantlab.graphs.unshare import unshare
from quantlab.graphs.watch import IsLeaf

Method = Literal["symbolic", "export"]
EXPORT_HINT = '; trace(net, example, method="export") follows an example'
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


class UntraceableError(UsageError):
    """A network that cannot be followed for all inputs at once."""


def trace(
    net: nn.Module,
    example: Example | None = None,
    *,
    leaves: tuple[type[nn.Module], ...] = (),
    method: Method = "symbolic",
    keeps_modes: bool = True,
) -> fx.GraphModule:
    """Return a network as a graph whose nodes call its layers.

    example: an input, or a tuple of all; each node's `meta["shape"]` then has the shape it gives.
    leaves: further types of modules to keep whole.
    method: `symbolic` follows all inputs at once and therefore no branch that depends on one;
        `export` (torch.export) follows the example, for which it has to take its branches.

    keeps_modes: whether modules of one's own that look at `self.training` are leaves too.

    What the network does in its present mode is traced; batch norm, dropout and other leaves go on
    following `.train()` and `.eval()`, while an `if self.training:` is decided now. So is what
    depends on an argument that is None or a truth value by default.

    Raises UntraceableError, with the line of code, where the network cannot be followed, and
    UsageError where it draws random numbers of which the graph would keep one draw.
    """
    if method not in get_args(Method):
        hint = did_you_mean(method, get_args(Method))
        raise UsageError(f"trace: method '{method}' given, 'symbolic' or 'export' allowed{hint}")
    if is_layer(net, leaves):
        name = type(net).__name__
        other = "net.module" if isinstance(net, _WRAPPERS) else "nn.Sequential(net)"
        raise UsageError(f"trace: a single {name} given, which has no graph; {other} has one")

    def is_whole(module: nn.Module) -> bool:
        return is_leaf(module, leaves, keeps_modes=keeps_modes)

    states = generator_states()
    if method == "symbolic":
        num_inputs = 1 if example is None else len(as_tuple(example))
        graph, constants = _symbolic(net, is_whole, num_inputs)
    elif example is None:
        raise UsageError("trace: method 'export' given without an example; it follows one")
    else:
        graph, constants = export_graph(net, example, is_whole)
    if generator_states() != states:
        raise UsageError(
            f"trace: {type(net).__name__}: its forward pass draws random numbers, of which the "
            "graph would keep one draw; trace it in evaluation, and draw under `if self.training:`"
        )
    gm = assemble(net, graph, is_whole, constants)
    unshare(gm)
    modularize(gm)
    gm.graph = _named_by_target(gm.graph)
    if example is not None:
        propagate_shapes(gm, example)
    return gm


def _symbolic(
    net: nn.Module, is_whole: IsLeaf, num_inputs: int
) -> tuple[fx.Graph, dict[str, Tensor]]:
    attributes = set(vars(net))
    try:
        graph = _Tracer(is_whole, num_inputs).trace(net)
    # Whatever a network does with stand-ins for tensors can fail, in whatever way.
    except Exception as error:
        module, line = user_module(error, net), user_line(error) or "its forward pass"
        raise UntraceableError(
            f"trace: {module}: {line} cannot be traced ({first_line(error)}){EXPORT_HINT}"
        ) from error
    finally:
        # The tracer leaves the constants that it meets on the network.
        constants = {name: vars(net).pop(name) for name in set(vars(net)) - attributes}
    return graph, {n: t for n, t in constants.items() if isinstance(t, Tensor)}


def _named_by_target(graph: fx.Graph) -> fx.Graph:
    """Return a graph whose nodes have the names of the modules that they call: `layer1_0_add`."""
    new = fx.Graph()
    made: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: made[n])
        name = None if node.op == "call_module" else node.name
        made[node] = new.create_node(node.op, node.target, args, kwargs, name, node.type)
        made[node].meta = dict(node.meta)
    new._codegen = graph._codegen
    return new


class _Tracer(fx.Tracer):
    # A buffer is read each time, like a parameter, instead of what was computed from it once.
    proxy_buffer_attributes = True

    def __init__(self, is_whole: IsLeaf, num_inputs: int) -> None:
        super().__init__()
        self._is_whole, self._num_inputs = is_whole, num_inputs

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
        """Take what is None or a truth value by default, beyond the inputs, as that."""
        function, args = super().create_args_for_root(root_fn, is_module, concrete_args)
        for place in range(1 + self._num_inputs, len(args)):
            argument = args[place]
            default = argument.node.args[:1] if isinstance(argument, fx.Proxy) else ()
            if default and (default[0] is None or isinstance(default[0], bool)):
                (args[place],) = default
                argument.node.graph.erase_node(argument.node)
        return function, args

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return self._is_whole(m)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        # A parameter's shape does not change; torch.fx can say so of parameters only.
        self.param_shapes_constant = isinstance(attr_val, nn.Parameter)
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def create_node(self, kind: str, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(kind, *args, **kwargs)
        frame = _callers_frame()
        if frame is not None:
            # torch's own record of it imports its compiler.
            node.meta[CALLED_AT] = (frame.f_code.co_filename, frame.f_lineno)
        if kind == "call_function":
            names = frame.f_code.co_names if frame is not None else ()
            node.meta[FOLLOWS_TRAINING] = "training" in names
        return node


class _Proxy(fx.Proxy):
    """Tells `x += y`, which changes what else refers to x, from `x + y`; fx.Proxy does not."""

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.iadd, other)

    def __isub__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.isub, other)

    def __imul__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.imul, other)

    def __itruediv__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.itruediv, other)

    def _in_place(self, function: Callable[[Any, Any], Any], other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, (self, other), {})


def _callers_frame() -> FrameType | None:
    """Return the frame of the network's code that calls a function of torch; None if it has no code
    of its own, as an nn.Sequential."""
    frame = sys._getframe().f_back
    while frame is not None and frame.f_code is not _symbolic.__code__:
        if not frame.f_globals.get("__name__", "").startswith(("torch.", "quantlab.graphs.")):
            return frame
        frame = frame.f_back
    return None
