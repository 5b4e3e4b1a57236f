"""Which channels of the tensors in a graph are constant: the same for each input, sample and place.

An output channel of a layer is its bias where all weights are zero, or where all channels are
constant that it reads. Activations, batch norms, poolings and quantizers are asked what they make
of constants by running them, in evaluation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from quantlab.compression.channels.kinds import Kind, Layer
from quantlab.compression.channels.labels import Channels, Labels
from quantlab.compression.channels.sources import tensor_of
from quantlab.compression.channels.weights import effective_weight, is_quantized, is_uniform
from quantlab.graphs.inputs import device_of
from quantlab.graphs.match import inputs_of
from quantlab.graphs.operations import Concat, Multiply
from quantlab.graphs.paths import module_of
from quantlab.graphs.shapes import shape_of
from quantlab.graphs.slots import applied
from quantlab.graphs.weights import num_outputs


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The channels of a tensor, `[C]`: whether each is constant, and which number it is, float64;
    0 where it is not."""

    values: Tensor
    is_known: Tensor


def unknown(count: int) -> Constants:
    """Return channels of which none is constant."""
    return Constants(
        values=torch.zeros(count, dtype=torch.float64),
        is_known=torch.zeros(count, dtype=torch.bool),
    )


@torch.no_grad()
def constants_of(gm: fx.GraphModule, channels: Channels) -> dict[fx.Node, Constants]:
    """Return the constant channels of each tensor that has channels, of a graph in evaluation.

    Pinned channels count as not constant. A quantized layer's sum of products is not asked for.
    """
    found: dict[fx.Node, Constants] = {}
    pinned = channels.pinned()
    for node, labels in channels.tensors.items():
        made = _made(gm, channels, found, node)
        is_free = torch.tensor([channels.root(c) not in pinned for c in labels.ids])
        is_known = made.is_known & is_free & made.values.isfinite()
        values = torch.where(is_known, made.values, 0.0)
        found[node] = Constants(values=values, is_known=is_known)
    return found


def read_constants(
    gm: fx.GraphModule, found: dict[fx.Node, Constants], node: fx.Node
) -> Constants | None:
    """Return the constants that a layer reads, behind its input quantizer; None of inputs without
    channels."""
    layer, x = module_of(gm, node), found.get(inputs_of(node)[0])
    if x is None or layer is None:
        return None
    return _through(x, layer, "input_quantizer")


def _made(
    gm: fx.GraphModule, channels: Channels, found: dict[fx.Node, Constants], node: fx.Node
) -> Constants:
    labels, sources = channels.tensors[node], inputs_of(node)
    match channels.kinds[node]:
        case Kind.SOURCE:
            values = tensor_of(gm, node).detach().double().cpu().flatten()
            return Constants(values=values, is_known=torch.ones(len(values), dtype=torch.bool))
        case Kind.LAYER:
            return _of_layer(gm, found, node)
        case Kind.CONCAT:
            return _of_concat(gm, channels, found, node)
        case Kind.RESHAPE:
            x = found[sources[0]]
            repeats = len(labels.ids) // len(x.values)
            return Constants(
                values=x.values.repeat_interleave(repeats),
                is_known=x.is_known.repeat_interleave(repeats),
            )
        case _:
            return _by_running(gm, channels, found, node)


def _of_layer(gm: fx.GraphModule, found: dict[fx.Node, Constants], node: fx.Node) -> Constants:
    layer = module_of(gm, node)
    assert isinstance(layer, Layer)
    weight = effective_weight(layer)
    groups, outputs, inputs, _ = weight.shape
    x = read_constants(gm, found, node) or unknown(groups * inputs)
    values = x.values.reshape(groups, 1, inputs)
    may_add = is_uniform(layer) and not is_quantized(layer)
    is_fixed = x.is_known.reshape(groups, 1, inputs) & (may_add | (values == 0))
    is_live = (weight != 0).any(3) & ~is_fixed
    sums = (weight.sum(3) * torch.where(is_fixed, values, 0.0)).sum(2).flatten()
    if layer.bias is not None:
        sums = sums + layer.bias.detach().double().cpu()
    assert groups * outputs == num_outputs(layer)
    made = Constants(values=sums, is_known=~is_live.any(2).flatten())
    return _through(made, layer, "output_quantizer")


def _through(x: Constants, layer: nn.Module, slot: str) -> Constants:
    quantizer = applied(layer).get(slot)
    if quantizer is None:
        return x
    like = layer.get_parameter("weight")
    values = quantizer(x.values.to(like.device, like.dtype)).double().cpu()
    return Constants(values=values, is_known=x.is_known)


def _of_concat(
    gm: fx.GraphModule, channels: Channels, found: dict[fx.Node, Constants], node: fx.Node
) -> Constants:
    module, labels, shape = module_of(gm, node), channels.tensors[node], shape_of(node)
    assert isinstance(module, Concat)
    assert shape is not None
    if module.dim % len(shape) != labels.axis:
        return unknown(len(labels.ids))
    parts = [found.get(s) or unknown((shape_of(s) or ())[labels.axis]) for s in inputs_of(node)]
    return Constants(
        values=torch.cat([part.values for part in parts]),
        is_known=torch.cat([part.is_known for part in parts]),
    )


def _by_running(
    gm: fx.GraphModule, channels: Channels, found: dict[fx.Node, Constants], node: fx.Node
) -> Constants:
    """Return what a module makes of one sample of constants."""
    module, labels, sources = module_of(gm, node), channels.tensors[node], inputs_of(node)
    assert module is not None
    device = device_of(gm)
    y = module(*(_filled(channels, found, source, device) for source in sources))
    rows = y.detach().movedim(labels.axis, 0).flatten(1).double().cpu()
    is_same = (rows == rows[:, :1]).all(1)
    parts = [found.get(source) or unknown(1) for source in sources]
    known = torch.stack([part.is_known.expand(len(labels.ids)) for part in parts])
    if isinstance(module, Multiply):
        zero = torch.stack([(part.values == 0).expand(len(labels.ids)) for part in parts]) & known
        return Constants(values=rows[:, 0], is_known=is_same & (known.all(0) | zero.any(0)))
    return Constants(values=rows[:, 0], is_known=is_same & known.all(0))


def _filled(
    channels: Channels, found: dict[fx.Node, Constants], node: fx.Node, device: torch.device
) -> Tensor:
    """Return one sample of a tensor: its constants, and zeros for the rest."""
    shape, labels = shape_of(node), channels.tensors.get(node)
    assert shape is not None
    sample = torch.zeros((1, *shape[1:]), dtype=node.meta["dtype"], device=device)
    if labels is None:
        return sample
    return sample + along(labels, found[node].values, len(shape)).to(sample)


def along(labels: Labels, values: Tensor, num_axes: int) -> Tensor:
    """Return values by channel, `[C]`, in a shape that broadcasts against the tensor."""
    return values.reshape([-1 if axis == labels.axis else 1 for axis in range(num_axes)])
