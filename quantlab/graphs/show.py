"""A graph as lines of text, one for each node."""

from torch import fx

from quantlab.graphs.paths import function_name, module_of


def show(gm: fx.GraphModule) -> str:
    """Return `name = target(arguments)` for each node, with the module that it calls behind it.

    conv1 = conv1(x)  # Conv2d(3, 64, kernel_size=(7, 7), stride=(2, 2))
    """
    return "\n".join(_call(node) + _what(gm, node) for node in gm.graph.nodes)


def _call(node: fx.Node) -> str:
    arguments = ", ".join(
        [str(x) for x in node.args] + [f"{name}={x}" for name, x in node.kwargs.items()]
    )
    match node.op:
        case "placeholder":
            return f"{node.name} = input({arguments})"
        case "output":
            return f"output({arguments})"
        case "get_attr":
            return f"{node.name} = {node.target}"
        case "call_module":
            return f"{node.name} = {node.target}({arguments})"
        case _:
            return f"{node.name} = {function_name(node)}({arguments})"


def _what(gm: fx.GraphModule, node: fx.Node) -> str:
    module = module_of(gm, node)
    if module is None:
        return ""
    return f"  # {type(module).__name__}({module.extra_repr()})"
