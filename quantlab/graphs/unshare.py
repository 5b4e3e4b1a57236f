"""Unshare: one module for each call.

A module that is called three times, such as one ReLU for a whole block, is one object but three
places in the graph, each with values and a range of its own. Afterwards the first call has the
module itself and each further call a copy next to it: `relu`, `relu_1`, `relu_2`.

A copy has its own attributes and hooks' tables, but the same parameters, buffers and submodules, so
that tied weights stay tied and batch norms go on updating one set of statistics. Quantizers are
left alone: one that stands on several edges gives them one scale, which is its purpose.
"""

import copy
from collections import OrderedDict
from collections.abc import Iterator

from torch import fx, nn

from quantlab.graphs.paths import add_module, callers
from quantlab.graphs.report import reported
from quantlab.quantizer import Quantizer


@reported("unshare")
def unshare(gm: fx.GraphModule) -> Iterator[str]:
    """Give each call of a module in the graph a module of its own, in place."""
    for module, nodes in callers(gm).items():
        if isinstance(module, Quantizer):
            continue
        for node in nodes[1:]:
            first = str(nodes[0].target)
            node.target = add_module(gm, first, twin(module))
            yield f"{node.target}: a copy of {first}"


def twin(module: nn.Module) -> nn.Module:
    """Return a module of the same class and attributes, with the same parameters, buffers and
    submodules."""
    twin = copy.copy(module)
    # copy.copy shares the tables too; a module needs its own, for what is added later.
    for name, value in vars(module).items():
        if type(value) in (list, dict, set, OrderedDict):
            vars(twin)[name] = copy.copy(value)
    return twin
