"""Fold batch norms into the layers before them.

In evaluation mode a batch norm is, for each channel, a factor and an offset (S. Ioffe, C. Szegedy,
Batch Normalization, 2015, arXiv:1502.03167, algorithm 2; folding: B. Jacob et al., 2018,
arXiv:1712.05877, equation 14). After a convolution or a linear layer with weight W and bias b

    factor = gamma / sqrt(running_var + eps)
    W' = factor * W             along the output channels
    b' = factor * (b - running_mean) + beta

compute the same without it, whatever the factor's sign. In training mode a batch norm uses the
statistics of the batch: there the folded network is another one.
"""

from torch import Tensor, fx, nn

from quantlab.graphs.edit import Rule
from quantlab.graphs.leaves import has_own_forward
from quantlab.graphs.match import Match, Op
from quantlab.graphs.paths import callers
from quantlab.graphs.report import Report
from quantlab.graphs.shapes import shape_of
from quantlab.graphs.weights import LAYERS, check_unquantized, is_linear, put

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class FoldBatchNorm(Rule):
    """`layer -> batch norm` becomes `layer`."""

    name = "fold_batch_norm"

    def __init__(self) -> None:
        self._layer = Op(LAYERS, where=lambda node, layer: layer is not None and is_linear(layer))
        self._norm = self.pattern = Op(_NORMS, self._layer, where=_has_statistics)

    def check(self, gm: fx.GraphModule, match: Match) -> None:
        path, layer = str(match[self._layer].target), match.module(self._layer)
        check_unquantized(self.name, path, layer)

    def rewrite(self, gm: fx.GraphModule, match: Match) -> str | None:
        layer_node, norm_node = match[self._layer], match.root
        layer, norm = match.module(self._layer), match.module(self._norm)
        shape = shape_of(norm_node)
        if isinstance(layer, nn.Linear) and shape is not None and len(shape) != 2:
            return None  # the batch norm's channels are not the layer's features
        factor, offset = factor_and_offset(norm)
        weight, bias = layer.get_parameter("weight").detach(), layer._parameters.get("bias")
        per_row = factor.reshape(-1, *[1] * (weight.ndim - 1))
        is_untied = put(gm, layer, "weight", weight.double() * per_row)
        put(gm, layer, "bias", offset if bias is None else bias.detach().double() * factor + offset)
        norm_node.replace_all_uses_with(layer_node)
        gm.graph.erase_node(norm_node)
        if norm not in callers(gm):
            gm.delete_submodule(str(norm_node.target))
        notes = [] if bias is not None else ["which has a bias now"]
        notes += ["whose weight is its own now"] if is_untied else []
        return ", ".join([f"{layer_node.target}: {norm_node.target} folded into it", *notes])


def fold_batch_norm(gm: fx.GraphModule) -> Report:
    """Fold each batch norm that follows a Conv1d, Conv2d or Linear and is all that reads it.

    Batch norms without running statistics stay, as do those with a forward pass of their own or
    after a layer with one. The folded network computes what it did in evaluation mode. Raises
    UsageError, with nothing changed, if a layer's weight or output has a quantizer: fold first,
    quantize then.
    """
    return FoldBatchNorm()(gm)


def factor_and_offset(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return a batch norm in evaluation mode, `factor * x + offset`, in float64, for each channel.

    It must have running statistics."""
    assert isinstance(norm, _NORMS)
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    factor = (var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        factor = factor * norm.weight.detach().double()
    offset = -mean.double() * factor
    if norm.bias is not None:
        offset = offset + norm.bias.detach().double()
    return factor, offset


def _has_statistics(node: fx.Node, norm: nn.Module | None) -> bool:
    if not isinstance(norm, _NORMS) or has_own_forward(norm):
        return False
    return norm.running_mean is not None
